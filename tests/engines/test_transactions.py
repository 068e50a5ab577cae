"""A caller's connection: its transaction, and what it holds, are after a command what they were
before.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

import embsql
from embsql import errors

EVENTS = (
    "SELECT i % 7 AS user_id, i % 5 AS item_id, 1.0 AS weight FROM range(60) AS t (i)"
)
FAILING = [
    "SELECT * FROM nowhere",
    "SELECT nothing FROM events",
    "SELEC 1",
    "nowhere",
    "'nowhere.csv'",
    "DROP TABLE events",
    "SELECT * FROM read_parquet('nowhere.parquet')",
    "SELECT 1 AS user_id",
    "SELECT * FROM events WHERE FALSE",
    "SELECT user_id, item_id, -weight AS weight FROM events",
    "SELECT * FROM events WHERE user_id = 1",
    "SELECT user_id, item_id, 'x' AS weight FROM events",
    "SELECT [user_id] AS user_id, item_id FROM events",
]


@pytest.fixture
def caller() -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in a transaction that has changed something, with temporary tables of names that
    we use too.
    """
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE events AS {EVENTS}").fetchall()
        for name in ("source", "kept", "users", "items"):
            connection.execute(
                f"CREATE TEMP TABLE embsql_{name} AS SELECT '{name}' AS mine"
            ).fetchall()
        embsql.register(connection)
        connection.begin()
        connection.execute(
            "INSERT INTO events VALUES (99, 1, 1.0), (99, 2, 1.0)"
        ).fetchall()
        yield connection


def kept(connection: duckdb.DuckDBPyConnection) -> None:
    """The transaction goes on, and all the tables are there."""
    for name in ("source", "kept", "users", "items"):
        assert connection.execute(f"SELECT mine FROM embsql_{name}").fetchall() == [
            (name,)
        ]
    connection.execute("INSERT INTO events VALUES (99, 3, 1.0)").fetchall()
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM events").fetchall() == [(60,)]
    tables = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE temporary"
    ).fetchall()
    assert tables == [(4,)]


@pytest.mark.parametrize("source", FAILING)
def test_a_training_that_fails_ends_no_transaction(
    caller: duckdb.DuckDBPyConnection, source: str
) -> None:
    with embsql.connect(caller) as database, pytest.raises(errors.EmbsqlError):
        database.train("m", source, dim=2, epochs=1)
    kept(caller)


def test_a_training_reads_what_is_not_committed_and_leaves_it(
    caller: duckdb.DuckDBPyConnection,
) -> None:
    with embsql.connect(caller) as database:
        database.train("m", "events", dim=2, epochs=1)
        assert database.ask("SELECT users FROM embsql.models()").to_pylist() == [
            {"users": 8}
        ]
        own = "SELECT mine AS user_id, unnest(['a', 'b']) AS item_id FROM embsql_{} "
        database.train(
            "n",
            f"{own.format('users')} UNION ALL {own.format('source')}",
            dim=2,
            epochs=1,
        )
        with pytest.raises(errors.EmbsqlError):
            database.evaluate("m", test="SELECT * FROM nowhere")
        with pytest.raises(errors.EmbsqlError):
            database.cluster("m", labels="SELECT nothing FROM events")
        with pytest.raises(errors.EmbsqlError):
            database.sql("CREATE MODEL x AS SELECT nothing FROM events")
    kept(caller)


def test_a_command_in_a_transaction_of_ours_says_so_and_changes_nothing(
    each: embsql.Database,
) -> None:
    each.sql("CREATE TABLE mine (a INTEGER)")
    each.sql("BEGIN")
    each.sql("INSERT INTO mine VALUES (1)")
    source = (
        "SELECT i % 7 AS user_id, i % 5 AS item_id FROM generate_series(0, 59) AS t (i)"
    )
    for attempt in (
        lambda: each.train("m", source, dim=2),
        lambda: each.drop_model("m"),
        lambda: each.forget("a"),
    ):
        with pytest.raises(errors.InTransaction, match="COMMIT it or ROLLBACK first"):
            attempt()
    each.sql("COMMIT")
    assert each.ask("SELECT a FROM mine").to_pylist() == [{"a": 1}]
    assert each.ask("SELECT 1 FROM embsql.runs").num_rows == 0
    assert each.train("m", source, dim=2, epochs=1).status == "live"


def test_a_command_within_our_own_transaction_is_done_with_it(
    each: embsql.Database,
) -> None:
    """So a worker does a short command, and writes down its answer, or does neither."""
    source = (
        "SELECT i % 7 AS user_id, i % 5 AS item_id FROM generate_series(0, 59) AS t (i)"
    )
    for seed in (1, 2):
        each.train("m", source, dim=2, epochs=1, seed=seed)
    with pytest.raises(ZeroDivisionError), each.engine.transaction():  # noqa: PT012 - it fails last
        each.rollback("m")
        raise ZeroDivisionError
    assert each.ask("SELECT live_run FROM embsql.models()").to_pylist() == [
        {"live_run": 2}
    ]
    with each.engine.transaction():
        each.rollback("m")
    assert each.ask("SELECT live_run FROM embsql.models()").to_pylist() == [
        {"live_run": 1}
    ]


def test_what_is_written_goes_into_the_database_in_use(tmp_path: Path) -> None:
    """A cursor does not take USE over, and memory would have been gone with the connection."""
    path = str(tmp_path / "shop.duckdb")
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{path}' AS shop").fetchall()
        connection.execute("USE shop").fetchall()
        connection.execute(f"CREATE TABLE events AS {EVENTS}").fetchall()
        database = embsql.connect(connection)
        assert database.train("m", "events", dim=2, progress=False).status == "live"
        embsql.register(connection)
        called = "CALL embsql.train('n', source => 'events', options => '{\"dim\": 2}')"
        assert connection.execute(called).fetchall()[0][1] == "live"
        asked = "SELECT model_name FROM embsql.models() ORDER BY model_name"
        assert connection.execute(asked).fetchall() == [("m",), ("n",)]
    with embsql.connect(path) as database:
        assert database.ask(asked)["model_name"].to_pylist() == ["m", "n"]


def test_a_connection_that_cannot_be_asked_is_not_opened(
    caller: duckdb.DuckDBPyConnection,
) -> None:
    with pytest.raises(duckdb.Error):
        caller.execute("SELECT CAST('x' AS INTEGER)").fetchall()
    with pytest.raises(errors.CannotOpen, match="transaction is aborted"):
        embsql.connect(caller)
