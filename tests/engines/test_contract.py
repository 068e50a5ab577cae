"""What every engine promises: exact floats, whole transactions, ids of any kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql import engines
from embsql.engines import Engine
from embsql.lifecycle import installation
from tests.conftest import ENGINES

IDS = [
    "a",
    "A",
    " a",
    "é",
    "e\u0301",
    "🙂",
    "x'; DROP TABLE embsql.runs; --",
    '"',
    "\\",
    "\n",
    "007",
    "7",
    "\u202e",
    "ß" * 400,
]


@pytest.fixture(params=ENGINES)
def engine(request) -> Iterator[Engine]:
    found = engines.open_engine(
        ":memory:" if request.param == "duckdb" else request.getfixturevalue("pg")
    )
    installation.install(found)
    yield found
    found.close()


def rows(n: int, d: int) -> dict[str, object]:
    vectors = np.random.default_rng(0).standard_normal((n, d)).astype("f4")
    ids = pa.array([f"i{k}" for k in range(n)])
    return {
        "run_id": np.ones(n, "i8"),
        "item_id": ids,
        "embedding": vectors,
        "norm": np.ones(n, "f4"),
        "bias": np.zeros(n, "f4"),
        "interactions": np.ones(n, "i4"),
    }


def test_floats_come_back_exactly(engine: Engine) -> None:
    wanted = rows(1000, 17)
    assert engine.write("item_embeddings", wanted) == 1000
    found = engine.ask(
        "SELECT embedding FROM embsql.item_embeddings ORDER BY CAST(substr(item_id, 2) AS INTEGER)"
    )
    flat = found.column(0).combine_chunks().flatten().to_numpy()
    assert (flat.reshape(1000, 17) == wanted["embedding"]).all()


def test_no_rows_are_no_rows(engine: Engine) -> None:
    assert engine.write("item_embeddings", rows(0, 3)) == 0
    assert engine.ask("SELECT * FROM embsql.item_embeddings").num_rows == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_stay_out(engine: Engine, value: float) -> None:
    wrong = rows(3, 2) | {"norm": np.array([1, value, 1], "f4")}
    with pytest.raises(Exception, match=r"(?i)check"):
        engine.write("item_embeddings", wrong)
    assert engine.ask("SELECT * FROM embsql.item_embeddings").num_rows == 0


def test_all_or_nothing(engine: Engine) -> None:

    def half() -> None:
        with engine.transaction():
            engine.write("item_embeddings", rows(5, 2))
            raise KeyError("stop")

    with pytest.raises(KeyError):
        half()
    assert engine.ask("SELECT * FROM embsql.item_embeddings").num_rows == 0
    with engine.transaction():
        engine.write("item_embeddings", rows(5, 2))
    assert engine.ask("SELECT * FROM embsql.item_embeddings").num_rows == 5


@pytest.mark.parametrize("id_", IDS)
def test_any_text_is_an_id(engine: Engine, id_: str) -> None:
    engine.write("item_embeddings", rows(1, 2) | {"item_id": [id_]})
    assert engine.ask(
        "SELECT item_id FROM embsql.item_embeddings WHERE item_id = $id", id=id_
    ).to_pylist() == [{"item_id": id_}]


def test_install_is_idempotent(engine: Engine) -> None:
    engine.write("item_embeddings", rows(2, 2))
    assert installation.install(engine) is False
    assert engine.ask("SELECT * FROM embsql.item_embeddings").num_rows == 2


def test_statements_count_their_rows(engine: Engine) -> None:
    engine.write("item_embeddings", rows(4, 2))
    assert (
        engine.run(
            "DELETE FROM embsql.item_embeddings WHERE item_id IN ('i1', 'i2', 'nobody')"
        )
        == 2
    )


@pytest.mark.parametrize(
    "values",
    [
        "1 AS a, 'x' AS b, CAST(NULL AS double precision) AS c, TRUE AS d",
        "CAST(1.5 AS numeric(3, 1)) AS a",
        "CAST('2024-01-01 00:00:00' AS timestamp) AS a",
    ],
)
def test_rows_are_those_of_the_table(engine: Engine, values: str) -> None:
    query = f"SELECT {values}"
    assert engine.rows(query) == engine.ask(query).to_pylist()
    assert engine.rows(f"{query} WHERE FALSE") == []


@pytest.mark.parametrize(
    "value",
    [
        "TIMESTAMPTZ '2024-01-01 00:00:00+00'",
        "MAP {'a': 1}",
        "CAST(1 AS HUGEINT)",
        "INTERVAL 1 DAY",
        "[1.5::FLOAT, NULL]",
        "{'a': DATE '2024-01-01'}",
    ],
)
def test_rows_have_arrows_values_whatever_duckdb_gives_itself(value: str) -> None:
    with closing(engines.open_engine(":memory:")) as found:
        query = f"SELECT {value} AS a"
        assert found.rows(query) == found.ask(query).to_pylist()
        assert found.rows("SET threads = 1") == []


def test_a_reading_that_is_broken_off_leaves_the_connection_free() -> None:
    """An error's traceback holds the frames that read: an open result among them would block it."""
    with closing(engines.open_engine(":memory:")) as found:
        batches = found.batches("SELECT 'a', 'b' FROM range(1000000)", ["x", "y"])
        next(batches)
        with pytest.raises(KeyboardInterrupt) as held:
            batches.throw(KeyboardInterrupt)
        assert found.rows("SELECT 1 AS a") == [{"a": 1}]
        assert held.tb is not None


def test_a_source_is_a_variable_where_the_connection_looks_for_them() -> None:
    connection = duckdb.connect()
    connection.execute("SET python_scan_all_frames = true")

    def trained() -> str:
        df = pa.table({"user_id": ["a", "b", "a"], "item_id": [1, 2, 2]})
        assert len(df) == 3
        return embsql.connect(connection).train("m", "SELECT * FROM df", dim=2).status

    assert trained() == "live"
