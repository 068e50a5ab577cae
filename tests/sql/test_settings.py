"""What a caller has set on a connection changes no answer, no training and nothing that is
copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import duckdb
import pytest

import embsql
from embsql import errors
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
MEANINGS = [
    "SET integer_division = true",
    "SET ieee_floating_point_ops = false",
    "SET old_implicit_casting = true",
    "SET scalar_subquery_error_on_multiple_rows = false",
    "SET preserve_identifier_case = false",
    "SET TimeZone = 'Asia/Kolkata'",
    "SET default_collation = 'binary'",
]
SETTINGS = [*ORDERS[1:], *NULLS, *MEANINGS]
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


@pytest.mark.parametrize("sql", ASKED)
def test_a_collation_by_which_ids_are_one_is_reported(
    base: duckdb.DuckDBPyConnection, sql: str
) -> None:
    wanted = base.execute(sql).fetchall()
    base.execute("SET GLOBAL default_collation = 'NOCASE'").fetchall()
    try:
        with base.cursor() as other:
            with pytest.raises(
                duckdb.Error, match="default_collation is NOCASE"
            ) as caught:
                other.execute(sql).fetchall()
            (remedy,) = re.findall(r"Ask with: (.*?;)", str(caught.value))
            other.execute(remedy).fetchall()
            assert str(other.execute(sql).fetchall()) == str(wanted)
    finally:
        base.execute("RESET GLOBAL default_collation").fetchall()


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
                kept = database.ask(
                    "SELECT run_id FROM embsql.runs ORDER BY run_id ASC"
                )["run_id"].to_pylist()
            rows = target.execute(
                "SELECT * FROM embsql.user_embeddings ORDER BY user_id ASC"
            ).fetchall()
            checksum = target.execute("SELECT checksum FROM embsql.runs").fetchall()
            copies.append((done, kept, str(rows), checksum))
    assert copies[0] == copies[1] == copies[2]


TWINS = """
SELECT ['a', 'A', 'á', 'b', 'B'][1 + i % 5] AS user_id,
    ['x', 'X', 'y', 'Y'][1 + i * i % 4] AS item_id
FROM range(40) AS t (i)
"""


@pytest.mark.parametrize("name", ["a collation", "names in capitals"])
def test_ids_that_differ_by_a_letter_s_case_stay_apart(name: str) -> None:
    """In a source, in all that is written and forgotten, and in what embsql itself asks."""
    settings = {
        "a collation": "SET GLOBAL default_collation = 'NOCASE.NOACCENT'",
        "names in capitals": "SET GLOBAL preserve_identifier_case = 'uppercase'",
    }
    with duckdb.connect() as connection:
        try:
            connection.execute(settings[name]).fetchall()
        except duckdb.Error:
            pytest.skip("this DuckDB has no such setting")
        with embsql.connect(connection) as database:
            database.train("m", TWINS, dim=2, epochs=1)
            users = "SELECT user_id FROM embsql.user_embeddings ORDER BY user_id ASC"
            assert database.ask(users)["user_id"].to_pylist() == [
                "A",
                "B",
                "a",
                "b",
                "á",
            ]
            asked = "SELECT item_id FROM embsql.item_embedding('m', ['X'])"
            assert database.ask(asked)["item_id"].to_pylist() == ["X"]
            database.cluster("m", k=1, labels="SELECT 'x' AS entity_id, 'l' AS label")
            database.forget("A")
            assert database.ask(users)["user_id"].to_pylist() == ["B", "a", "b", "á"]
        reported = settings[name].split("'")[1]
        found = connection.execute(
            f"SELECT current_setting('{settings[name].split()[2]}')"
        )
        assert found.fetchall() == [(reported,)]


def test_an_error_is_what_it_is_where_a_session_has_it_in_json() -> None:
    whole = "SELECT 1e20::DOUBLE AS user_id, 1 AS item_id"
    with duckdb.connect() as plain, duckdb.connect() as connection:
        connection.execute("SET GLOBAL errors_as_json = true").fetchall()
        reported = []
        for caller in (plain, connection):
            with embsql.connect(caller) as database:
                with pytest.raises(errors.InexactId) as inexact:
                    database.train("m", whole)
                with pytest.raises(errors.SourceFailed) as missing:
                    database.train("m", "SELECT 1 AS user_id, nothing AS item_id")
                with pytest.raises(errors.UnknownModel):
                    database.ask("SELECT * FROM embsql.recommend('nobody', 'u')")
            reported.append((str(inexact.value), str(missing.value)))
    assert reported[0] == reported[1]
