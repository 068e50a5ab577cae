"""Vectors in files and frames of other libraries: the numbers stay, and a NULL within a vector is
refused, whatever a library makes of it on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import embsql
from embsql.errors import BadFeatures
from tests.worlds import ITEMS

WITH_A_GAP = """
SELECT named.item_id, found.embedding
FROM (SELECT unnest(['north', 'unknown', 'west']) AS item_id) AS named
LEFT JOIN embsql.item_embedding('compass') AS found ON found.item_id = named.item_id
"""  # as an export is most often written: with a row for whoever has no vector


def _frame(library: str) -> Any:
    return pytest.importorskip(library, reason=f"{library} is not installed")


READERS: dict[str, Callable[[str], list[Any]]] = {
    "pyarrow": lambda path: pq.read_table(path)["embedding"].to_pylist(),
    "duckdb": lambda path: [
        row[0] for row in duckdb.read_parquet(path).select("embedding").fetchall()
    ],
    "pandas": lambda path: list(_frame("pandas").read_parquet(path)["embedding"]),
    "polars": lambda path: _frame("polars").read_parquet(path)["embedding"].to_list(),
}


def numbers(vectors: list[Any]) -> list[list[float] | None]:
    return [None if vector is None else list(vector) for vector in vectors]


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_written_is_read(known, tmp_path: Path, read: Any) -> None:
    answer, exported = str(tmp_path / "a.parquet"), str(tmp_path / "map.parquet")
    rows = known.ask("SELECT item_id, embedding FROM embsql.item_embedding('compass')")
    pq.write_table(rows.to_arrow(), answer)
    known.export_map("compass", exported, embeddings=True)
    wanted = [ITEMS[name][0] for name in rows["item_id"].to_pylist()]
    assert numbers(read(answer)) == wanted
    assert numbers(read(exported)) == [ITEMS["north"][0], ITEMS["west"][0]]


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_row_without_a_vector_can_be_written(
    known, tmp_path: Path, read: Any
) -> None:
    """A vector is a list of any length; a FLOAT[2] of DuckDB's with NULL pyarrow cannot read."""
    if known.engine.name != "duckdb":
        pytest.skip("COPY to Parquet is DuckDB's")
    path = str(tmp_path / "gap.parquet")
    known.ask(f"COPY ({WITH_A_GAP} ORDER BY named.item_id) TO '{path}'")
    assert numbers(read(path)) == [ITEMS["north"][0], None, ITEMS["west"][0]]


GIVEN: dict[str, Callable[[duckdb.DuckDBPyRelation], Any]] = {
    "relation": lambda relation: relation,
    "arrow": lambda relation: relation.to_arrow_table(),
    "pandas": lambda relation: _frame("pandas") and relation.df(),  # a masked array
    "arrow in pandas": lambda relation: (
        _frame("pandas") and relation.to_arrow_table().to_pandas()
    ),  # NaN
    "polars": lambda relation: _frame("polars") and relation.pl(),
}


@pytest.mark.parametrize(
    "kind", ["FLOAT[]", "FLOAT[2]", "INTEGER[]", "DECIMAL(9, 2)[]"]
)
@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_null_within_a_vector_is_refused(
    db: embsql.Database, given: Any, kind: str
) -> None:
    relation = duckdb.sql(
        f"SELECT 'whole' AS item_id, CAST([1, 2] AS {kind}) AS embedding "
        f"UNION ALL SELECT 'half', CAST([1, NULL] AS {kind}) UNION ALL SELECT 'none', NULL"
    )
    with pytest.raises(BadFeatures, match=r"NULL or infinity in 1 vectors, .* of half"):
        db.register_embeddings("m", given(relation))


def test_a_masked_array_without_a_masked_number_is_a_vector(
    db: embsql.Database,
) -> None:
    pandas = _frame("pandas")
    frame = pandas.DataFrame(
        {
            "item_id": ["a", "b", "c"],
            "embedding": [np.ma.array([1.0, 2.0]), [3.0, 4.0], pandas.NA],
        }
    )
    db.register_embeddings("m", frame)
    found = db.ask("SELECT embedding FROM embsql.item_embedding('m')")
    assert found["embedding"].to_pylist() == [[1.0, 2.0], [3.0, 4.0]]
    assert pa.types.is_list(found.to_arrow().schema.field("embedding").type)
