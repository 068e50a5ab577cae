"""Ids are made text by the database, in one way: for a source, for what comes with it, and on every
engine.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql.errors import BadColumnType, InexactId, InvalidArgument, Refused
from embsql.run import Columns, Run
from embsql.sources.prepare import prepare
from embsql.sources.side_inputs import by_id, graph
from embsql.sources.source import text_of

MOMENT = "TIMESTAMP '2026-01-01 10:00:00'"
TEXTS = [  # type, a value in DuckDB, the same in PostgreSQL, its text
    ("INTEGER", "-7", "-7", "-7"),
    (
        "HUGEINT",
        "170141183460469231731687303715884105727::HUGEINT",
        "170141183460469231731687303715884105727",
        "170141183460469231731687303715884105727",
    ),
    ("text", "'007'", "'007'", "007"),
    ("text like a float", "'1.0'", "'1.0'", "1.0"),
    ("DOUBLE", "1::DOUBLE", "1::float8", "1"),
    (
        "DOUBLE below 2^53",
        "9007199254740991::DOUBLE",
        "9007199254740991::float8",
        "9007199254740991",
    ),
    ("DOUBLE, minus zero", "'-0'::DOUBLE", "'-0'::float8", "0"),
    ("DOUBLE, not whole", "1.5::DOUBLE", "1.5::float8", "1.5"),
    ("DOUBLE, small", "1e-7::DOUBLE", "1e-7::float8", "1e-07"),
    ("FLOAT", "16777215::FLOAT", "16777215::real", "16777215"),
    ("FLOAT, not whole", "0.1::FLOAT", "0.1::real", "0.1"),
    ("DECIMAL", "1001::DECIMAL(18, 3)", "1001::numeric(18, 3)", "1001"),
    ("DECIMAL, not whole", "1.50::DECIMAL(18, 3)", "1.50::numeric", "1.5"),
    ("DECIMAL, hundreds", "100::DECIMAL(18, 0)", "100::numeric", "100"),
    ("DECIMAL, no whole digit", "-0.50::DECIMAL(3, 3)", "-0.50::numeric", "-0.5"),
    ("DECIMAL, zero", "0::DECIMAL(3, 3)", "0.000", "0"),
    ("BOOLEAN", "TRUE", "TRUE", "true"),
    (
        "UUID",
        "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'::UUID",
        "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'::uuid",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    ),
    ("DATE", "DATE '2026-01-31'", "DATE '2026-01-31'", "2026-01-31"),
    ("TIMESTAMP", MOMENT, MOMENT, "2026-01-01 10:00:00"),
    (
        "TIMESTAMP, parts",
        f"{MOMENT} + INTERVAL '0.5 seconds'",
        f"{MOMENT} + INTERVAL '0.5 seconds'",
        "2026-01-01 10:00:00.5",
    ),
    (
        "TIMESTAMPTZ",
        "TIMESTAMPTZ '2026-01-01 12:00:00+02'",
        "TIMESTAMPTZ '2026-01-01 12:00:00+02'",
        "2026-01-01 10:00:00+00",
    ),
    ("TIME", "TIME '10:05'", "TIME '10:05'", "10:05:00"),
    ("BLOB", r"'\x00\xFFab'::BLOB", r"'\x00ff6162'::bytea", "00ff6162"),
    ("JSON text", "'\"u1\"'::JSON", "'\"u1\"'::jsonb", "u1"),
    ("JSON number", "'7'::JSON", "'7'::json", "7"),
    ("ENUM", "'b'::ENUM('a', 'b')", "'b'::bpchar", "b"),
    ("UNION", "union_value(n := 1)", "'1'::varchar", "1"),
]
MISSING = [
    ("NULL", "NULL::BIGINT", "NULL::bigint"),
    ("NULL in DOUBLE", "NULL::DOUBLE", "NULL::float8"),
    ("NULL in DECIMAL", "NULL::DECIMAL(9, 3)", "NULL::numeric"),
    ("NaN", "'nan'::DOUBLE", "'nan'::float8"),
    ("NaN in FLOAT", "'nan'::FLOAT", "'nan'::real"),
    ("no letter", "''", "''"),
    ("JSON null", "'null'::JSON", "'null'::json"),
    ("no byte", "''::BLOB", "''::bytea"),
]


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def base(request):
    """One database for all values: nothing is written there."""
    target = (
        ":memory:"
        if request.param == "duckdb"
        else request.getfixturevalue("new_database")()
    )
    with embsql.connect(target) as database:
        # What a session sets must not matter.
        database.engine.run("SET TimeZone = 'America/New_York'")
        if request.param == "postgres":
            database.engine.run("SET datestyle = 'German, DMY'")
        yield database


def ids(database: embsql.Database, value: str) -> list[str]:
    rows = f"SELECT {value} AS user_id, 'x' AS item_id UNION ALL SELECT {value}, 'y'"
    prepared = prepare(database.engine, rows, Columns(), Run(), explicit=False)
    return [] if prepared.data is None else prepared.data.users.to_pylist()


def own(database: embsql.Database, case: tuple[str, ...]) -> str:
    return case[1] if database.engine.name == "duckdb" else case[2]


@pytest.mark.parametrize("case", TEXTS, ids=[case[0] for case in TEXTS])
def test_the_text_of_an_id(base: embsql.Database, case: tuple[str, ...]) -> None:
    value, text = own(base, case), case[3]
    assert ids(base, value) == [text]
    known = by_id(
        base.engine, f"SELECT {value} AS user_id, 1 AS age", "user_id", "user_features"
    )
    assert known.of(pa.array([text])).to_pylist() == [{"age": 1}], (
        "what comes with a source has the same ids"
    )


@pytest.mark.parametrize("case", MISSING, ids=[case[0] for case in MISSING])
def test_what_is_no_id(base: embsql.Database, case: tuple[str, ...]) -> None:
    rows = f"SELECT {own(base, case)} AS user_id, 'x' AS item_id"
    prepared = prepare(base.engine, rows, Columns(), Run(), explicit=False)
    missing = next(
        finding
        for finding in prepared.findings
        if finding.check_name == "missing user id"
    )
    assert missing.affected == 1


@pytest.mark.parametrize(
    "value",
    [
        "9007199254740992::float8",
        "-9007199254740992::float8",
        "1e21::float8",
        "'inf'::float8",
        "16777216::real",
    ],
)
def test_floating_point_that_may_be_several_ids(
    base: embsql.Database, value: str
) -> None:
    with pytest.raises(InexactId, match="whole numbers are not told apart") as caught:
        ids(base, value)
    remedy = (
        f"SELECT {caught.value.values['remedy']}, 'x' AS item_id "
        f"FROM (SELECT {value} AS user_id) AS t"
    )
    assert (
        prepare(base.engine, remedy, Columns(), Run(), explicit=False)
        .interactions()
        .n_users
        == 1
    )
    with pytest.raises(InexactId):
        by_id(
            base.engine,
            f"SELECT {value} AS item_id, 1 AS price",
            "item_id",
            "item_features",
        )


@pytest.mark.parametrize("value", ["ARRAY[1]", "ROW(1, 2)", "INTERVAL '1 day'"])
def test_what_cannot_be_an_id(base: embsql.Database, value: str) -> None:
    with pytest.raises(
        BadColumnType, match='"user_id" must be text, a number or a UUID'
    ):
        ids(base, value)


def test_edges_find_their_items(base: embsql.Database) -> None:
    rows = (
        "SELECT CAST(i AS float8) AS source_node, i + 1 AS target_node "
        "FROM generate_series(1, 3) AS t(i)"
    )
    edges, findings = graph(base.engine, rows, pa.array(["1", "2", "3", "4"]))
    assert edges.source.tolist() == [0, 1, 2]
    assert edges.target.tolist() == [1, 2, 3]
    assert not [finding for finding in findings if finding.severity == "warning"]


def test_text_that_floats_were_written_as_is_reported(base: embsql.Database) -> None:
    rows = "SELECT * FROM (VALUES ('1.0', 'x'), ('1.5', 'x'), ('1.10', 'y')) AS t(user_id, item_id)"
    prepared = prepare(base.engine, rows, Columns(), Run(), explicit=False)
    reported = {finding.check_name: finding.affected for finding in prepared.findings}
    assert (reported["user ids like 1.0"], reported["item ids like 1.0"]) == (1, 0)


def test_everything_that_comes_with_a_source_has_its_ids(each: embsql.Database) -> None:
    """Vectors, labels and a person to forget, with ids as numbers of another type."""
    vectors = (
        "SELECT CAST(i AS float8) AS item_id, ARRAY[i * 1.0, 1.0] AS embedding "
        "FROM generate_series(1, 6) AS t(i)"
    )
    people = vectors.replace("item_id", "user_id")
    each.register_embeddings("m", vectors, users=people)
    labels = (
        "SELECT CAST(i AS numeric) AS entity_id, 'all' AS label "
        "FROM generate_series(1, 6) AS t(i)"
    )
    each.cluster("m", k=1, labels=labels)
    assert each.ask("SELECT label FROM embsql.clusters('m')").to_pylist() == [
        {"label": "all"}
    ]
    assert each.forget(1.0) == 1


def test_forget_in_sql_means_the_id_that_a_source_has(each: embsql.Database) -> None:
    """In DuckDB it is done at once; in PostgreSQL a job keeps the id until a worker does it."""
    for case in TEXTS:
        value, text = own(each, case), case[3]
        if each.engine.embedded:
            cohort = {"cohort_set": ["s"], "user_id": [text], "cohort": ["c"]}
            each.engine.write("cohorts", cohort)
            answer = each.ask(f"CALL embsql.forget({value})").to_pylist()
            assert answer == [{"rows_removed": 1}], case[0]
        else:
            (job,) = each.ask(f"SELECT embsql.forget({value}) AS number").to_pylist()
            asked = each.ask(
                "SELECT arguments FROM embsql.jobs WHERE job_id = $number", **job
            )
            assert asked.to_pylist() == [{"arguments": [text]}], case[0]


DOMAINS = [  # what a domain is made from, a value, its text
    ("float8", "7", "7"),
    ("real", "0.1", "0.1"),
    ("numeric(10, 2)", "1.50", "1.5"),
    ("timestamptz", "'2026-01-01 12:00:00+02'", "2026-01-01 10:00:00+00"),
    ("date", "'2026-01-31'", "2026-01-31"),
    ("bytea", r"'\x00ff'", "00ff"),
    ("json", "'\"u1\"'", "u1"),
    ("char(4)", "'ab'", "ab"),
    (
        "uuid",
        "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    ),
]


def test_a_domain_is_the_type_it_was_made_from(pg: str) -> None:
    with embsql.connect(pg) as database:
        database.engine.run("SET TimeZone = 'America/New_York'")
        for number, (base, value, text) in enumerate(DOMAINS):
            name = f"own_{number}"
            database.engine.run(f"CREATE DOMAIN {name}_base AS {base}")
            database.engine.run(f"CREATE DOMAIN {name} AS {name}_base")
            own_type = f"CAST({value} AS {name})"
            assert ids(database, own_type) == [text], base
            texts = f"embsql_internal.id_texts(ARRAY[{own_type}]) AS texts"
            asked = f"SELECT embsql.id_text({own_type}) AS text, {texts}"
            assert database.ask(asked).to_pylist() == [
                {"text": text, "texts": [text]}
            ], base
        with pytest.raises(Refused, match="whole numbers are not told apart"):
            database.ask("SELECT embsql.id_text(CAST(1e21 AS own_0))")


@pytest.mark.parametrize("value", ["1e2", '{"b": 1,  "a": 2}'])
def test_json_that_is_an_id_is_as_it_was_written(pg: str, value: str) -> None:
    with embsql.connect(pg) as database:
        asked = database.ask(f"SELECT embsql.id_text('{value}'::json) AS text")
        assert asked["text"].to_pylist() == ids(database, f"'{value}'::json") == [value]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        (True, "true"),
        ("007", "007"),
        (b"\x00\xff", "00ff"),
        (np.datetime64("2026-01-31"), "2026-01-31"),
    ],
)
def test_a_value_of_python_is_an_id(value: object, text: str) -> None:
    assert text_of(value) == text


class NotAvailable:
    """As pandas' NA: nothing is known of it, not even whether it differs from itself."""

    def __ne__(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise TypeError("boolean value of NA is ambiguous")


@pytest.mark.parametrize("value", [NotAvailable(), Decimal("NaN"), float("nan"), None])
def test_what_is_missing_is_no_id(value: object) -> None:
    with pytest.raises(InvalidArgument, match="id must be text, a number or another"):
        text_of(value)


class Unwritable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_an_object_without_a_text_is_no_id() -> None:
    with pytest.raises(InvalidArgument, match="a Unwritable that cannot be written"):
        text_of(Unwritable())


# a literal of every type that a person would write for an id, and what a source makes of it
IDS = {
    "7": "7",
    "1.0": "1",
    "TRUE": "true",
    "DATE '2026-01-31'": "2026-01-31",
    "'6BA7B810-9DAD-11D1-80B4-00C04FD430C8'::UUID": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "'007'": "007",
}


def test_a_question_finds_what_a_source_has(db: embsql.Database) -> None:
    people = " UNION ALL ".join(
        f"SELECT '{text}' AS user_id, [1.0] AS embedding" for text in IDS.values()
    )
    db.register_embeddings(
        "m",
        "SELECT i AS item_id, [1.0] AS embedding FROM range(3) AS t(i)",
        users=people,
    )
    for value in IDS:
        answer = db.ask(
            f"SELECT DISTINCT source FROM embsql.recommend('m', {value}, k => 3)"
        )
        assert answer.to_pylist() == [{"source": "model"}], value


# --- arguments -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known_ids(base: embsql.Database) -> embsql.Database:
    """A model whose items and users have the texts above for ids."""
    texts = sorted({case[3] for case in TEXTS})
    rows = {"embedding": [[float(n), 1.0] for n in range(len(texts))]}
    items, users = (
        pa.table({f"{entity}_id": texts, **rows}) for entity in ("item", "user")
    )
    base.register_embeddings("texts", items, users=users, similarity="dot")
    return base


@pytest.mark.parametrize("case", TEXTS, ids=[case[0] for case in TEXTS])
def test_an_argument_is_the_id_that_its_value_is_in_a_source(
    known_ids, case: tuple[str, ...]
) -> None:
    value, text = own(known_ids, case), case[3].replace("'", "''")
    asked = (
        "similar_items('texts', {0}, k => 2)",
        "rank_items('texts', {0}, ARRAY[{0}])",
        "explain('texts', {0}, {0})",
    )
    for question in asked:
        found, wanted = (
            known_ids.ask(
                f"SELECT * FROM embsql.{question.format(written)}"
            ).to_pylist()
            for written in (value, f"'{text}'")
        )
        assert found == wanted
        assert wanted or question.startswith("explain")
    listed = known_ids.ask(
        f"SELECT item_id FROM embsql.item_embedding('texts', ARRAY[{value}])"
    )
    assert listed["item_id"].to_pylist() == [case[3]]
    column = known_ids.ask(
        f"SELECT embsql.score('texts', t.id, t.id) AS score FROM (SELECT {value} AS id) AS t"
    )
    assert column["score"].to_pylist() != [None]


@pytest.mark.parametrize("case", MISSING, ids=[case[0] for case in MISSING])
def test_an_argument_that_is_no_id_finds_nothing(
    known_ids, case: tuple[str, ...]
) -> None:
    value = own(known_ids, case)
    assert (
        known_ids.ask(f"SELECT * FROM embsql.similar_items('texts', {value})").num_rows
        == 0
    )
    assert (
        known_ids.ask(
            f"SELECT * FROM embsql.item_embedding('texts', ARRAY[{value}])"
        ).num_rows
        == 0
    )


def test_an_argument_in_floating_point_that_may_be_several_ids(known_ids) -> None:
    for value in (
        "CAST(9007199254740992 AS FLOAT8)",
        "CAST('inf' AS FLOAT8)",
        "CAST(16777216 AS REAL)",
    ):
        for written in (value, f"ARRAY[{value}]"):
            question = (
                "similar_items('texts', {})"
                if written == value
                else "item_embedding('texts', {})"
            )
            with pytest.raises(Refused, match="give it as text or BIGINT"):
                known_ids.ask(f"SELECT * FROM embsql.{question.format(written)}")


def test_no_setting_of_who_asks_changes_an_id(pg: str) -> None:
    numbers = (
        "SELECT 0.1::float8 * i + 0.2 AS user_id, i % 3 AS item_id "
        "FROM generate_series(0, 5) AS t (i)"
    )
    ranges = numbers.replace(
        "0.1::float8 * i + 0.2",
        "daterange(DATE '2024-01-01' + CAST(i AS integer), '2024-03-01')",
    )
    with embsql.connect(pg) as database:
        for rows in (numbers, ranges):
            database.train("m", rows, dim=2)
            asked = (
                f"SELECT e.user_id FROM ({rows}) AS r, "
                f"embsql.user_embedding('m', ARRAY[r.user_id]) AS e"
            )
            for setting in ("extra_float_digits = 0", "datestyle = 'German'"):
                database.engine.run(f"SET {setting}")
                assert database.ask(asked).num_rows == 6
                database.engine.run(f"RESET {setting.split(' ', maxsplit=1)[0]}")


# --- lists side by side --------------------------------------------------------------------------


def test_lists_of_different_length_are_refused(base: embsql.Database) -> None:
    """Whoever has no partner would be left out without a word."""
    base.register_embeddings(
        "lists", "SELECT 'a' AS item_id, ARRAY[1.0, 2.0] AS embedding"
    )
    for labels, refused in (
        ("'x'", "2 ids with 1 labels"),
        ("'x', 'y', 'z'", "2 ids with 3 labels"),
    ):
        asked = f"embsql.coherence('lists', ids => ARRAY['a', 'b'], labels => ARRAY[{labels}])"
        with pytest.raises(Refused, match=refused):
            base.ask(f"SELECT * FROM {asked}")


def test_cohorts_are_of_ids_of_any_type_and_none_is_dropped(pg: str) -> None:
    with embsql.connect(pg) as database:
        for users in ("ARRAY[1.0, 2.50]", "ARRAY[1, 2.5]::float8[]"):
            database.ask(f"SELECT embsql.set_cohorts('s', {users}, ARRAY['x', 'y'])")
            rows = database.ask("SELECT user_id FROM embsql.cohorts ORDER BY user_id")
            assert rows["user_id"].to_pylist() == ["1", "2.5"]
        with pytest.raises(Refused, match="3 users with 2 cohorts"):
            database.ask(
                "SELECT embsql.set_cohorts('s', ARRAY['1', '2', '3'], ARRAY['x', 'y'])"
            )
        assert database.ask("SELECT count(*) AS n FROM embsql.cohorts").to_pylist() == [
            {"n": 2}
        ]
