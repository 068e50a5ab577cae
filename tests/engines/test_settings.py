"""What a session of PostgreSQL sets changes nothing that is read, and is afterwards what it was."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from psycopg import conninfo

import embsql
from embsql.engines._postgres_statements import plain_type
from embsql.errors import BadColumnType, SourceFailed
from embsql.run import Columns, Run
from embsql.sources.prepare import prepare
from embsql.sources.side_inputs import by_id, graph
from tests.sql.test_capture import QUESTIONS, literal
from tests.worlds import known_run

SETTINGS = {
    "extra_float_digits": "-5",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "bytea_output": "escape",
    "TimeZone": "Asia/Kolkata",
    "client_encoding": "LATIN1",
    "quote_all_identifiers": "on",
}
# what a session could cut short, write otherwise or not say, and its text
IDS = {
    "0.1::float8 + 0.2": "0.30000000000000004",
    "0.3::float8": "0.3",
    "chr(233) || chr(128578)": "é🙂",
    "daterange('2026-01-31', '2026-02-28')": "[2026-01-31,2026-02-28)",
    "tstzrange('2026-01-31 10:00+00', NULL)": '["2026-01-31 10:00:00+00",)',
    "tsrange('2026-01-31', '2026-01-31')": "empty",
    "TIMESTAMPTZ '2026-01-31 10:00+02'": "2026-01-31 08:00:00+00",
}


@pytest.fixture(scope="module")
def address(new_database) -> str:
    return new_database()


@pytest.fixture
def connection(address: str) -> Iterator[psycopg.Connection[Any]]:
    """A caller's connection with settings of its own, within its transaction."""
    with psycopg.connect(address) as caller:
        for name, value in SETTINGS.items():
            caller.execute("SELECT set_config(%s, %s, FALSE)", [name, value])
        yield caller


def has_its_settings(connection: psycopg.Connection[Any]) -> bool:
    cursor = psycopg.RawCursor(connection)
    asked = (cursor.execute("SELECT current_setting($1)", [name]) for name in SETTINGS)
    return [found.fetchone() for found in asked] == [
        (value,) for value in SETTINGS.values()
    ]


@pytest.fixture
def database(connection: psycopg.Connection[Any]) -> Iterator[embsql.Database]:
    with embsql.connect(connection) as opened:
        yield opened


def test_an_id_is_the_same_whatever_the_session_sets(connection, database) -> None:
    for value, text in IDS.items():
        source = (
            f"SELECT {value} AS user_id, i AS item_id FROM generate_series(1, 3) AS i"
        )
        data = prepare(
            database.engine, source, Columns(), Run(), explicit=False
        ).interactions()
        assert data.users.to_pylist() == [text], value
        known = f"SELECT {value} AS user_id, {value} AS source_node, 'b' AS target_node, 1 AS age"
        features = by_id(database.engine, known, "user_id", "user_features")
        assert features.ids.to_pylist() == [text]
        edges, _ = graph(database.engine, known, pa.array([text, "b"]))
        assert (edges.source.tolist(), edges.target.tolist()) == ([0], [1])
        asked = database.ask(f"SELECT embsql.id_text({value}) AS id")
        assert asked["id"].to_pylist() == [text]
    assert has_its_settings(connection)


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_source_that_fails_leaves_the_settings(
    connection, database, autocommit: bool
) -> None:
    connection.commit()
    connection.autocommit = autocommit
    with pytest.raises(SourceFailed):
        database.train(
            "m",
            "SELECT 1 / (i - 2) AS user_id, i AS item_id FROM generate_series(1, 3) AS i",
        )
    assert has_its_settings(connection)
    connection.rollback()
    assert has_its_settings(connection)


def test_settings_of_a_transaction_end_with_it(connection, database) -> None:
    connection.commit()
    connection.execute("SET LOCAL extra_float_digits = 2")
    rows = "SELECT 0.3::float8 AS user_id, 'x' AS item_id"
    prepare(database.engine, rows, Columns(), Run(), explicit=False)
    assert connection.execute("SHOW extra_float_digits").fetchone() == ("2",)
    connection.commit()
    assert has_its_settings(connection)


def test_what_a_session_writes_in_its_own_way_is_no_id(database) -> None:
    for value in ("'1'::money", "tstzmultirange()"):
        with pytest.raises(BadColumnType, match="must be text") as caught:
            database.train("m", f"SELECT {value} AS user_id, 1 AS item_id")
        (remedy,) = caught.value.values["remedies"]
        source = f"SELECT {remedy}, 1 AS item_id FROM (SELECT {value} AS user_id) AS t"
        prepared = prepare(database.engine, source, Columns(), Run(), explicit=False)
        assert prepared.interactions().n_users == 1


@pytest.mark.parametrize(
    "name", ["quote_all_identifiers", "client_encoding", "extra_float_digits"]
)
def test_an_address_with_settings_is_trained_and_asked(address: str, name: str) -> None:
    set_by = conninfo.make_conninfo(address, options=f"-c {name}={SETTINGS[name]}")
    events = (
        "SELECT chr(128578) || i % 5 AS user_id, i % 7 AS item_id "
        "FROM generate_series(1, 60) AS i"
    )
    with embsql.connect(set_by) as database:
        database.train("m", events, algorithm="svd", dim=2, force=True)
        asked = (
            "SELECT user_id FROM embsql.user_embedding('m', ARRAY[chr(128578) || 1])"
        )
        assert database.ask(asked)["user_id"].to_pylist() == ["🙂1"]


def test_features_in_json_are_text_on_a_caller_s_connection_too(
    address: str, database
) -> None:
    known = """SELECT '1' AS user_id, '{"a": 1}'::jsonb AS likes, 1.5::numeric AS age"""
    wanted = [{"likes": '{"a": 1}', "age": Decimal("1.5")}]
    with embsql.connect(address) as own:
        for engine in (own.engine, database.engine):
            found = by_id(engine, known, "user_id", "user_features")
            assert found.of(pa.array(["1"])).to_pylist() == wanted


ASKED = [
    "DateStyle = 'SQL, DMY'",
    "extra_float_digits = -15",
    "standard_conforming_strings = off",
    "quote_all_identifiers = on",
    "transform_null_equals = on",
    "array_nulls = off",
    "search_path = ''",
    "search_path = public, embsql",
    "plan_cache_mode = force_generic_plan",
    "enable_seqscan = off",
    "enable_hashjoin = off",
    "enable_nestloop = off",
    "enable_hashagg = off",
    "join_collapse_limit = 1",
    "plpgsql.variable_conflict = use_variable",
    "default_transaction_isolation = serializable",
]


def asked() -> Iterator[str]:
    """Every question, with the arguments of tests/sql/test_capture.py."""
    for name, question in QUESTIONS.items():
        given = [
            literal(name, one.name).replace("[", "ARRAY[") for one in question.arguments
        ]
        call = f"embsql.{name}({', '.join(given)})"
        yield f"SELECT {call}" if question.scalar else f"SELECT * FROM {call}"


def test_a_question_answers_the_same_whatever_the_session_sets(new_database) -> None:
    address = new_database()
    with embsql.connect(address) as database:
        known_run(database)
    with psycopg.connect(address, autocommit=True) as connection:
        # in binary, as how many digits are shown is for the session to say
        wanted = {
            sql: connection.execute(sql, binary=True).fetchall() for sql in asked()
        }
        for setting in ASKED:
            connection.execute(f"SET {setting}".encode())
            for sql, rows in wanted.items():
                assert connection.execute(sql, binary=True).fetchall() == rows, (
                    setting,
                    sql,
                )
            connection.execute("RESET ALL")


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("public.vector", "vector"),
        ('"public"."vector"', "vector"),
        ('"char"', '"char"'),
    ],
)
def test_a_type_is_known_however_it_is_written(written: str, plain: str) -> None:
    assert plain_type(written) == plain
