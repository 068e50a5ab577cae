"""What a caller has set on a connection changes no answer, no training and nothing that is copied."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

import embsql
from embsql.sqlfiles import questions
from tests.sql.test_capture import plain
from tests.worlds import known_run

ORDERS = [f"SET default_order = '{order}'" for order in ("ASC", "DESC")]
NULLS = [
    f"SET default_null_order = '{order}'"
    for order in (
        "nulls_first",
        "nulls_last_on_asc_first_on_desc",
        "nulls_first_on_asc_last_on_desc",
    )
]
SETTINGS = [*ORDERS[1:], *NULLS]
EVENTS = "SELECT i % 7 AS user_id, i * i % 11 AS item_id, i AS event_time FROM range(99) AS t (i)"


@pytest.fixture(scope="module")
def base() -> Iterator[duckdb.DuckDBPyConnection]:
    """A caller's connection, to the models of tests/worlds.py."""
    with duckdb.connect() as connection:
        with embsql.connect(connection) as database:
            known_run(database)
            database.install(ml=True)
        yield connection


ASKED = [plain(name) for name in questions.questions()] + [
    f"SELECT * FROM ml.{name}('compass')"
    for name in questions.ml_questions()
    if name != "recommend"
]


@pytest.mark.parametrize("sql", ASKED)
def test_a_question_answers_the_same_in_the_same_order(
    base: duckdb.DuckDBPyConnection, sql: str
) -> None:
    wanted = base.execute(sql).fetchall()
    for setting in SETTINGS:
        name = setting.split()[1]
        base.execute(setting).fetchall()
        assert str(base.execute(sql).fetchall()) == str(wanted), setting
        base.execute(f"RESET {name}").fetchall()


def test_a_training_and_its_copy_are_the_same() -> None:
    """Codes, pages of what is published, and what is collected go by order."""
    copies = []
    for setting in ("SELECT 1", ORDERS[1], NULLS[0]):
        with duckdb.connect() as connection, duckdb.connect() as target:
            for given in (connection, target):
                given.execute(setting).fetchall()
            with embsql.connect(connection) as database:
                for seed in range(8):
                    database.train("m", EVENTS, dim=2, epochs=1, seed=seed)
                database.evaluate("m", k=3)
                (done,) = database.publish(target)
                kept = database.ask("SELECT run_id FROM embsql.runs ORDER BY run_id ASC")[
                    "run_id"
                ].to_pylist()
            rows = target.execute(
                "SELECT * FROM embsql.user_embeddings ORDER BY user_id ASC"
            ).fetchall()
            checksum = target.execute("SELECT checksum FROM embsql.runs").fetchall()
            copies.append((done, kept, str(rows), checksum))
    assert copies[0] == copies[1] == copies[2]
