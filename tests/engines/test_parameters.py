"""What clients of PostgreSQL send: parameters typed, untyped, in text, in binary, put in by the
client.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import numpy as np
import pgvector.psycopg
import psycopg
import pytest
from pgvector import HalfVector, Vector

import embsql
from embsql.sqlfiles import questions

EAST = [1.0, 0.5]
ITEMS = (
    "SELECT i AS item_id, ARRAY[i % 7 - 3, i % 5 - 2] AS embedding "
    "FROM generate_series(1, 30) AS t (i)"
)
MODES = {"server": "%s", "text": "%t", "binary": "%b", "client": "%s", "raw": "${}"}
SIMILAR = "SELECT item_id FROM embsql.similar_items({}, {}, k => {})"
RECOMMEND = "SELECT item_id FROM embsql.recommend({}, {}, candidates => {}, k => {})"
SCORE = "SELECT embsql.score({}, {}, {})"
NEAREST = "SELECT item_id FROM embsql.nearest_items({}, {}, k => {})"


@pytest.fixture(scope="module")
def address(new_database) -> str:
    """A database with a model `n` of items and users 1 to 30."""
    made: str = new_database()
    with embsql.connect(made) as database:
        users = ITEMS.replace("item_id", "user_id")
        database.register_embeddings("n", ITEMS, users=users, similarity="dot")
    return made


@pytest.fixture(params=MODES)
def ask(request, address: str) -> Iterator[Any]:
    """Runs a statement with its values sent in one of psycopg's ways."""
    kinds: dict[str, Any] = {"client": psycopg.ClientCursor, "raw": psycopg.RawCursor}
    kind = kinds.get(request.param, psycopg.Cursor)
    with psycopg.connect(address, autocommit=True, cursor_factory=kind) as connection:

        def answer(sql: str, *values: Any) -> list[Any]:
            marks = [MODES[request.param].format(n) for n in range(1, len(values) + 1)]
            return [
                row[0]
                for row in connection.execute(sql.format(*marks), values).fetchall()
            ]

        yield answer


@pytest.mark.parametrize("id_", [7, 2**15, 2**31, "7", Decimal(7), uuid.UUID(int=7)])
@pytest.mark.parametrize("k", [3, 2**40, Decimal(3), 3.0])
def test_an_id_and_a_count(ask, id_: Any, k: Any) -> None:
    assert ask(SIMILAR, "n", id_, k) == ask(SIMILAR, "n", str(id_), min(k, 50))
    assert (
        ask(SCORE, "n", 3, id_)
        == ask(SCORE, "n", "3", str(id_))
        == ask(SCORE, "n", "3", id_)
    )


@pytest.mark.parametrize(
    "ids", [[1, 2], ["1", "2"], [2**40, 1], [Decimal(1)], [uuid.UUID(int=1)], None]
)
def test_a_list(ask, ids: Any) -> None:
    text = None if ids is None else [str(id_) for id_ in ids]
    assert ask(RECOMMEND, "n", 3, ids, 4) == ask(RECOMMEND, "n", "3", text, 4)


@pytest.mark.parametrize(
    "vector", [EAST, [Decimal(1), Decimal("0.5")], "[1,0.5]", "{1,0.5}", '{"1","0.5"}']
)
def test_a_vector(ask, vector: Any) -> None:
    assert ask(NEAREST, "n", vector, 4) == ask(NEAREST, "n", "[1, 0.5]", 4) != []


def test_a_vector_as_it_came(ask) -> None:
    (came,) = ask("SELECT embedding FROM embsql.item_embedding({}, {})", "n", [7])
    assert ask(NEAREST, "n", came, 4) == ask(NEAREST, "n", "[-3, 0]", 4) != []


@pytest.mark.parametrize(
    "vector", [np.array(EAST, "f4"), np.array(EAST), Vector(EAST), HalfVector(EAST)]
)
def test_pgvectors_own_types(address: str, vector: Any) -> None:
    with psycopg.connect(address) as connection:
        pgvector.psycopg.register_vector(connection)
        call = NEAREST.format("%s", "%s", "%s")
        found, wanted = (
            connection.execute(call, ["n", v, 4]).fetchall()
            for v in (vector, "[1, 0.5]")
        )
        assert found == wanted != []
    with embsql.connect(address) as database:
        rows = database.ask(
            NEAREST.format("'n'", "$vector", 4), vector=vector
        ).to_pylist()
    assert [row["item_id"] for row in rows] == [row[0] for row in wanted]


def test_a_connection_of_ours_answers_in_lists_of_numbers(address: str) -> None:
    with embsql.connect(address) as database:
        call = "SELECT embedding, CAST(embedding AS halfvec) AS half, CAST(NULL AS vector) AS none "
        row = database.ask(
            f"{call} FROM embsql.item_embedding('n', $ids)", ids=[7]
        ).to_pylist()[0]
        with database.engine.transaction():  # a path of the caller's own stays
            database.engine.run("SET LOCAL search_path = pg_catalog")
            assert (
                database.ask("SELECT embsql.score('n', $user, 1) AS s", user=1).num_rows
                == 1
            )
            assert (
                database.ask("SHOW search_path").to_pylist()[0]["search_path"]
                == "pg_catalog"
            )
    assert row == {"embedding": [-3.0, 0.0], "half": [-3.0, 0.0], "none": None}


def test_a_callers_connection_keeps_its_own_types(address: str) -> None:
    source = "SELECT item_id, embedding FROM embsql.item_embedding('n')"
    with psycopg.connect(address) as plain, psycopg.connect(address) as registered:
        pgvector.psycopg.register_vector(registered)
        for connection, kind in ((plain, str), (registered, Vector)):
            with embsql.connect(connection) as database:
                database.register_embeddings("again", source, force=True)
            came = connection.execute(
                "SELECT embedding FROM embsql.item_embedding('again', %s)", [[7]]
            )
            assert isinstance(came.fetchall()[0][0], kind)


PREPARED = {
    "": ["'n'", "'7'", "'3'"],
    "(unknown, unknown, unknown)": ["'n'", "'7'", "'3'"],
    "(text, integer, bigint)": ["'n'", "7", "3"],
    "(varchar, varchar, numeric)": ["'n'", "'7'", "3"],
    "(text, uuid, smallint)": ["'n'", f"'{uuid.UUID(int=7)}'", "3"],
    "(name, bigint, float8)": ["'n'", "7", "3"],
}


@pytest.mark.parametrize("types", PREPARED)
def test_prepared_with_declared_types(address: str, types: str) -> None:
    with psycopg.connect(address) as connection:
        connection.execute(
            f"PREPARE one {types} AS {SIMILAR.format('$1', '$2', '$3')}".encode()
        )
        connection.execute(f"EXECUTE one ({', '.join(PREPARED[types])})".encode())


@pytest.mark.parametrize(
    "type_",
    ["", "vector", "halfvec", "real[]", "float8[]", "numeric[]", "text", "varchar"],
)
def test_a_vector_prepared_with_a_declared_type(address: str, type_: str) -> None:
    value = "{1,0.5}" if "[" in type_ else "[1,0.5]"
    declared = f"(text, {type_})" if type_ else ""
    with psycopg.connect(address) as connection:
        connection.execute(
            f"PREPARE near {declared} AS {NEAREST.format('$1', '$2', 4)}".encode()
        )
        found = connection.execute(f"EXECUTE near ('n', '{value}')".encode()).fetchall()
        assert (
            found
            == connection.execute(
                NEAREST.format("'n'", "'[1,0.5]'", 4).encode()
            ).fetchall()
        )


def test_digits_are_not_lost_by_a_setting(address: str) -> None:
    with psycopg.connect(address) as connection:
        connection.execute("SET extra_float_digits = -10")
        call = (
            "SELECT embsql_internal.vector_from(CAST(ARRAY[0.123456789, 16777217] AS real[])) "
            "= CAST(%s AS vector)"
        )
        assert connection.execute(call, ["[0.12345679,16777216]"]).fetchone() == (True,)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("nearest_items('n', 42)", 'invalid input syntax for type vector: "42"'),
        ("nearest_items('n', 'abc')", "Vector contents must start with"),
        ("nearest_items('n', ARRAY[1, 2, 3])", "different vector dimensions 2 and 3"),
        (
            "nearest_items('n', CAST(ARRAY['NaN', '1'] AS real[]))",
            "NaN not allowed in vector",
        ),
        (
            "nearest_items('n', ARRAY[]::real[])",
            "vector must have at least 1 dimension",
        ),
        (
            "similar_items('n', 7, k => 'many')",
            'invalid input syntax for type double precision: "many"',
        ),
        ("recommend('n', 7, candidates => '5')", 'malformed array literal: "5"'),
    ],
)
def test_what_cannot_be_taken_is_said(address: str, call: str, sentence: str) -> None:
    with (
        psycopg.connect(address) as connection,
        pytest.raises(psycopg.Error, match=sentence),
    ):
        connection.execute(f"SELECT * FROM embsql.{call}".encode())


def test_what_a_server_expects_where_a_value_has_no_type(address: str) -> None:
    """As asyncpg asks it, and as docs/guides/postgres.md tells: text for an id and for a vector, a
    list for a list.
    """
    words = {
        "int": "double precision",
        "vector": "text",
        "double[]": "double precision[]",
        "timestamp": "timestamp without time zone",
        "timestamp[]": "timestamp without time zone[]",
    }
    with psycopg.connect(address, cursor_factory=psycopg.RawCursor) as connection:
        for name, question in questions.questions().items():
            numbers = ", ".join(f"${n}" for n, _ in enumerate(question.arguments, 1))
            what = "SELECT" if question.scalar else "SELECT * FROM"
            connection.execute(
                f"PREPARE {name} AS {what} embsql.{name}({numbers})".encode()
            )
            asked = (
                b"SELECT CAST(parameter_types AS text[]) "
                b"FROM pg_prepared_statements WHERE name = $1"
            )
            found = connection.execute(asked, [name]).fetchall()
            wanted = [
                words.get(argument.type, argument.type)
                for argument in question.arguments
            ]
            if name in ("coherence", "recommend_batch"):
                wanted[1] = "text"  # ids of one kind; another argument is the list
            assert found == [(wanted,)], name
