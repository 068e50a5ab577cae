"""What Python's drivers send for an id, a list of ids, a number of rows and a vector, asked of a
model `shop`.

Not part of the suite: tests/drivers/run.sh installs the drivers in a folder of its own and runs
this with an address.
"""

from __future__ import annotations

import asyncio
import decimal
import re
import sys
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import adbc_driver_postgresql.dbapi
import asyncpg
import numpy as np
import pg8000.dbapi
import pgvector.asyncpg
import pgvector.psycopg
import psycopg
import psycopg2
import sqlalchemy as sa
from pgvector import HalfVector, Vector
from sqlalchemy.ext.asyncio import create_async_engine

ADDRESS = sys.argv[1]
FLOATS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
TEXT = "[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]"
SIMILAR = "SELECT item_id FROM embsql.similar_items({}, {}, {})"
CANDIDATES = "SELECT item_id FROM embsql.recommend({}, {}, candidates => {}, exclude_seen => FALSE)"
SCORE = "SELECT embsql.score({}, {}, {})"
FOLD = "SELECT embsql.fold_in({}, {}, {})"
NEAREST = "SELECT item_id FROM embsql.nearest_items({}, {}, k => {})"

# What a driver says of a value that it does not send at all.
UNSENT = re.compile("invalid input for query argument|can't adapt type")

Ask = Callable[[str, list[Any]], list[Any]]
CALLS: list[tuple[str, str, list[Any]]] = [
    ("id: int", SIMILAR, ["shop", 42, 3]),
    ("id: int beyond 32 bits", SCORE, ["shop", "u1", 2**40]),
    ("id: str", SIMILAR, ["shop", "42", 3]),
    ("id: UUID", SCORE, ["shop", uuid.UUID(int=7), "42"]),
    ("id: Decimal", SIMILAR, ["shop", decimal.Decimal(42), 3]),
    ("two ids: int and str", SCORE, ["shop", 1, "42"]),
    ("two ids: str and int", SCORE, ["shop", "u1", 42]),
    ("two ids: int and int", SCORE, ["shop", 1, 42]),
    ("list: int", CANDIDATES, ["shop", "u1", [1, 2, 42]]),
    ("list: str", CANDIDATES, ["shop", "u1", ["1", "2", "42"]]),
    ("list: NULL", CANDIDATES, ["shop", 1, None]),
    ("list and weights: int and float", FOLD, ["shop", [1, 2], [0.5, 2.0]]),
    ("list and weights: str and int", FOLD, ["shop", ["1", "2"], [1, 2]]),
    ("k: beyond 32 bits", SIMILAR, ["shop", 42, 2**40]),
    ("k: Decimal", SIMILAR, ["shop", 42, decimal.Decimal(3)]),
    ("k: float", SIMILAR, ["shop", 42, 3.0]),
    ("vector: list of float", NEAREST, ["shop", FLOATS, 3]),
    ("vector: list of int", NEAREST, ["shop", [1, 2, 3, 4, 5, 6, 7, 8], 3]),
    (
        "vector: list of Decimal",
        NEAREST,
        ["shop", [decimal.Decimal(str(x)) for x in FLOATS], 3],
    ),
    ("vector: text", NEAREST, ["shop", TEXT, 3]),
    (
        "vector: text of an array",
        NEAREST,
        ["shop", TEXT.replace("[", "{").replace("]", "}"), 3],
    ),
]
REGISTERED: list[tuple[str, str, list[Any]]] = [
    ("vector: numpy", NEAREST, ["shop", np.array(FLOATS, "f4"), 3]),
    ("vector: Vector", NEAREST, ["shop", Vector(FLOATS), 3]),
    ("vector: HalfVector", NEAREST, ["shop", HalfVector(FLOATS), 3]),
]
WORDS = {
    int: "bigint",
    decimal.Decimal: "numeric",
    uuid.UUID: "uuid",
    float: "float8",
    np.ndarray: "vector",
    Vector: "vector",
    HalfVector: "halfvec",
}


def psycopg_3(mode: str) -> tuple[Ask, list[Any]]:
    """psycopg 3: text and binary parameters on the server, parameters put in by the client, $1 as
    it stands.
    """
    kinds: dict[str, Any] = {"client": psycopg.ClientCursor, "raw": psycopg.RawCursor}
    connection = psycopg.connect(
        ADDRESS, autocommit=True, cursor_factory=kinds.get(mode, psycopg.Cursor)
    )
    marks = {"binary": "%b", "text": "%t", "raw": "${}"}
    if mode == "registered":
        pgvector.psycopg.register_vector(connection)

    def ask(sql: str, values: list[Any]) -> list[Any]:
        written = [marks.get(mode, "%s").format(n) for n in range(1, len(values) + 1)]
        return connection.execute(sql.format(*written), values).fetchall()

    return ask, REGISTERED if mode == "registered" else []


def psycopg_2() -> tuple[Ask, list[Any]]:
    connection = psycopg2.connect(ADDRESS)
    connection.autocommit = True

    def ask(sql: str, values: list[Any]) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(sql.format(*["%s"] * len(values)), values)
            return cursor.fetchall()

    return ask, []


def pg_8000_connection() -> Any:
    parts = urlsplit(ADDRESS)
    socket = parse_qs(parts.query).get("host", [None])[0]
    where = (
        {"unix_sock": f"{socket}/.s.PGSQL.5432"} if socket else {"host": parts.hostname}
    )
    return pg8000.dbapi.connect(
        parts.username or "postgres", database=parts.path[1:], **where
    )


def pg_8000() -> tuple[Ask, list[Any]]:
    connection = pg_8000_connection()
    connection.autocommit = True

    def ask(sql: str, values: list[Any]) -> list[Any]:
        cursor = connection.cursor()
        cursor.execute(sql.format(*["%s"] * len(values)), values)
        return list(cursor.fetchall())

    return ask, []


def sqlalchemy_on(driver: str) -> tuple[Ask, list[Any]]:
    other = {"creator": pg_8000_connection} if driver == "pg8000" else {}
    engine = sa.create_engine(
        ADDRESS.replace("postgresql://", f"postgresql+{driver}://"), **other
    )

    def ask(sql: str, values: list[Any]) -> list[Any]:
        with engine.connect() as connection:
            return list(connection.execute(_named(sql, values)))

    return ask, []


def _named(sql: str, values: list[Any]) -> Any:
    """A statement with its values bound, from which SQLAlchemy takes their types."""
    names = [f"v{n}" for n in range(len(values))]
    return sa.text(sql.format(*[f":{name}" for name in names])).bindparams(
        **dict(zip(names, values, strict=True))
    )


def sqlalchemy_on_asyncpg() -> tuple[Ask, list[Any]]:
    loop = asyncio.new_event_loop()
    engine = create_async_engine(
        ADDRESS.replace("postgresql://", "postgresql+asyncpg://")
    )

    async def wait(sql: str, values: list[Any]) -> list[Any]:
        async with engine.connect() as connection:
            return list(await connection.execute(_named(sql, values)))

    return lambda sql, values: loop.run_until_complete(wait(sql, values)), []


def adbc() -> tuple[Ask, list[Any]]:
    connection = adbc_driver_postgresql.dbapi.connect(ADDRESS, autocommit=True)

    def ask(sql: str, values: list[Any]) -> list[Any]:
        written = sql.format(*[f"${n}" for n in range(1, len(values) + 1)])
        with connection.cursor() as cursor:
            cursor.execute(written, values or None)
            return list(cursor.fetchall())

    return ask, []


def async_pg(casts: bool, registered: bool) -> tuple[Ask, list[Any]]:
    """asyncpg asks the server for the types of $1, ...: text wherever any type will do, so that
    others are cast.
    """
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(asyncpg.connect(ADDRESS))
    if registered:
        loop.run_until_complete(pgvector.asyncpg.register_vector(connection))

    def word(value: Any) -> str:
        first = value[0] if isinstance(value, list) and value else value
        return WORDS.get(type(first), "text") + (
            "[]" if isinstance(value, list) else ""
        )

    def mark(n: int, value: Any) -> str:
        return (
            f"${n}::{word(value)}"
            if casts and not isinstance(value, str | None)
            else f"${n}"
        )

    def ask(sql: str, values: list[Any]) -> list[Any]:
        written = [mark(n, value) for n, value in enumerate(values, 1)]
        return loop.run_until_complete(connection.fetch(sql.format(*written), *values))

    return ask, REGISTERED if registered else []


DRIVERS: dict[str, Callable[[], tuple[Ask, list[Any]]]] = {
    **{
        f"psycopg 3, {mode}": lambda mode=mode: psycopg_3(mode)
        for mode in ("server", "text", "binary", "client", "raw", "registered")
    },
    "psycopg2": psycopg_2,
    "pg8000": pg_8000,
    "SQLAlchemy on psycopg": lambda: sqlalchemy_on("psycopg"),
    "SQLAlchemy on psycopg2": lambda: sqlalchemy_on("psycopg2"),
    "SQLAlchemy on pg8000": lambda: sqlalchemy_on("pg8000"),
    "SQLAlchemy on asyncpg": sqlalchemy_on_asyncpg,
    "ADBC": adbc,
    "asyncpg, as it stands": lambda: async_pg(casts=False, registered=False),
    "asyncpg, cast": lambda: async_pg(casts=True, registered=False),
    "asyncpg, registered": lambda: async_pg(casts=True, registered=True),
}


def train() -> None:
    """The model that is asked: users u0, u1, ... and items 0, 1, ..."""
    import embsql

    with embsql.connect(ADDRESS) as database:
        source = (
            "SELECT 'u' || (i % 97) AS user_id, i * 31 % 53 AS item_id "
            "FROM generate_series(1, 5000) AS t(i)"
        )
        database.train("shop", source, dim=8, progress=False)


def main() -> None:
    if "--train" in sys.argv:
        train()
    wrong = 0
    for name, opened in DRIVERS.items():
        try:
            ask, more = opened()
        except Exception as error:
            print(f"{name:<28} cannot connect: {error}")
            wrong += 1
            continue
        failed = []
        for label, sql, values in [*CALLS, *more]:
            try:
                assert ask(sql, values), "no rows"
            except Exception as error:
                wrong += not UNSENT.search(str(error))
                failed.append(
                    f"    {label}: {type(error).__name__}: {str(error).splitlines()[0][:150]}"
                )
        print(
            f"{name:<28} {len(CALLS) + len(more) - len(failed)} of {len(CALLS) + len(more)} answer"
        )
        print("\n".join(failed), end="\n" if failed else "")
    if wrong:
        sys.exit(f"{wrong} of them not because the driver refuses to send it")


if __name__ == "__main__":
    main()
