"""Arrow's columns, however they are cut and held, have one matrix and one digest."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from embsql.arrow import Digest, as_matrix, one_array

COLUMNS: dict[str, list[Any]] = {
    "numbers": [1.5, None, -0.25, 0.0],
    "whole numbers": [1, None, 3, 0],
    "texts": ["a", None, "", "bc"],
    "bytes": [b"\xff", None, b"", b"a"],
    "booleans": [True, None, False, True],
    "decimals": [Decimal("1.5"), None, Decimal("-2.0"), Decimal(0)],
    "days": [datetime.date(2020, 2, 29), None, datetime.date(1970, 1, 1), None],
    "lists of texts": [["a", "b"], None, [], ["ab", None]],
    "lists of numbers": [[1.0], None, [2.0, 3.0], []],
    "structs": [{"a": 1}, None, {"a": None}, {"a": 2}],
}


def digest(*chunks: pa.Table) -> str:
    found = Digest()
    for chunk in chunks:
        found.add("t", chunk)
    return found.hexdigest()


@pytest.mark.parametrize("values", COLUMNS.values(), ids=COLUMNS)
def test_chunks_and_what_lies_under_nulls_do_not_count(values: list[Any]) -> None:
    whole = pa.table({"c": values})
    longer = pa.table({"c": [values[0], *values, values[-1]]})
    assert digest(whole) == digest(whole[:1], whole[1:]) == digest(longer.slice(1, 4))


@pytest.mark.parametrize("values", COLUMNS.values(), ids=COLUMNS)
def test_every_value_and_its_position_count(values: list[Any]) -> None:
    others = [values[:3], values[::-1], [values[0], *values[2:], None]]
    found = {
        digest(pa.table({"c": pa.array(other, pa.array(values).type)}))
        for other in [values, *others]
    }
    assert len(found) == 4


def test_where_a_text_ends_counts() -> None:
    pairs = [["ab", "c"], ["a", "bc"], ["abc", ""], ["abc", None]]
    assert len({digest(pa.table({"c": pair})) for pair in pairs}) == 4
    assert digest(pa.table({"c": ["x"], "d": ["y"]})) != digest(
        pa.table({"c": ["y"], "d": ["x"]})
    )


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.list_(pa.float32(), 2)])
def test_lists_are_a_matrix(kind: pa.DataType) -> None:
    chunks = [[[9.0, 9.0], [1.0, 2.0]], [[3.0, 4.0]]]
    column = pa.chunked_array([pa.array(chunk, kind) for chunk in chunks]).slice(1)
    np.testing.assert_array_equal(as_matrix(column), [[1, 2], [3, 4]])
    assert as_matrix(column).dtype == np.float32
    assert as_matrix(pa.chunked_array([], kind)).shape == (0, 0)


def test_one_chunk_is_not_copied() -> None:
    chunk = pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float32()))
    whole = one_array(pa.chunked_array([chunk]))
    assert whole.buffers()[-1].address == chunk.buffers()[-1].address
    assert one_array(pa.chunked_array([chunk, chunk])).to_pylist() == [
        *chunk.to_pylist(),
        *chunk.to_pylist(),
    ]
    assert len(one_array(pa.chunked_array([], chunk.type))) == 0
