"""Distinct values numbered: as Arrow does it, in whatever batches they come."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embsql.numeric.plain import compiled_loops_only
from embsql.numeric.vocabulary import STEP, Numbering

pytestmark = pytest.mark.usefixtures("numeric_path")

# lengths on both sides of one word of the table, of two, and of more
TEXTS = st.none() | st.text(st.sampled_from("ab\0é"), max_size=40)
BATCHES = st.lists(st.lists(TEXTS, max_size=30), max_size=4)


def numbered(batches: list[pa.Array]) -> tuple[pa.Array, np.ndarray]:
    numbering = Numbering()
    for batch in batches:
        numbering.add(batch)
    return numbering.finish()


@given(BATCHES)
@settings(max_examples=60, deadline=None)
def test_each_row_has_its_own_text(batches) -> None:
    distinct, position = numbered([pa.array(rows, pa.string()) for rows in batches])
    texts = distinct.to_pylist()
    found = [None if at < 0 else texts[at] for at in position.tolist()]
    assert found == [text for rows in batches for text in rows]
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.uint64()])
def test_whole_numbers_stay_what_they_are(kind: pa.DataType) -> None:
    rows = pa.array([7, None, 3, 7, 0, None, 127], kind)
    distinct, position = numbered([rows.slice(0, 2), rows.slice(2)])
    assert distinct.type == kind
    taken = distinct.take(pa.array(position, mask=position < 0))
    assert taken.to_pylist() == rows.to_pylist()


def test_many_texts_outgrow_the_table() -> None:
    rows = np.arange(3 * STEP)
    texts = pa.array([f"{'prefix of more than two words-' * (n % 2)}{n}" for n in rows])
    with compiled_loops_only():
        distinct, position = numbered([texts, texts.slice(STEP), texts.slice(0, 5)])
    assert distinct.equals(texts)
    assert position.tolist() == [*rows, *rows[STEP:], *rows[:5]]
