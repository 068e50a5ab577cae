"""What is said to PostgreSQL and what it says: parameters, one SELECT, types, errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from embsql.engines.columns import CALL, NAME, OPAQUE, bare, failed, quoted_name
from embsql.engines.files import named_file
from embsql.errors import EmbsqlError, NotASelect, Refused, StatementFailed

# classes of errors that never quote one
WITHOUT_ROWS = ("0A", "25", "3D", "3F", "42", "53", "54", "57")
OWN = "embsql: "  # how a sentence of embsql's functions begins
# every letter, every digit
SENT = {"client_encoding": "UTF8", "extra_float_digits": "1"}
PARAMETER = re.compile(
    rf"(?P<opaque>{OPAQUE})|\$(?P<name>[a-z_]\w*)", re.DOTALL | re.IGNORECASE
)


def positional(sql: str, values: Mapping[str, Any]) -> tuple[bytes, list[Any] | None]:
    """$name as $1, $2, ..., and the values in that order."""
    if not values:
        return sql.encode(), None
    order: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        return found["opaque"] or f"${order.setdefault(found['name'], len(order) + 1)}"

    numbered = PARAMETER.sub(number, sql)
    missing = ", ".join(name for name in order if name not in values)
    if missing:
        raise StatementFailed(
            reason=f"values were not given for the parameters {missing}"
        )
    return numbered.encode(), [values[name] for name in order]


def select(text: str) -> str:
    """The source as one SELECT: as it stands, or for the name of a table.

    What is none fails inside parentheses.
    """
    text = bare(text)
    file = named_file(text)
    if file:
        found = (
            f"the file {file}, which PostgreSQL cannot read; say source_db=':memory:' and "
            "DuckDB will"
        )
        raise NotASelect(found=found)
    if NAME.fullmatch(text):
        return "SELECT * FROM " + quoted_name(text, str.lower)
    if CALL.fullmatch(text):
        return f"SELECT * FROM {text}"
    word = re.match(
        r"\(*\s*(\w+)",
        re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL).strip(),
    )
    if not word or word[1].upper() not in ("SELECT", "WITH", "VALUES", "TABLE"):
        raise NotASelect(found=word[1].upper() if word else "nothing")
    return text


@contextmanager
def sent_whole(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Have values sent as they are, whatever a session has set; within a transaction.

    The settings are afterwards what they were: when it fails, by the transaction's rollback.
    """
    cursor = psycopg.RawCursor(connection, row_factory=tuple_row)
    digits = cursor.execute(
        "SELECT CAST(current_setting('extra_float_digits') AS integer)"
    )
    found = digits.fetchone() or (SENT["extra_float_digits"],)
    before = {
        "client_encoding": connection.info.parameter_status("client_encoding"),
        "extra_float_digits": str(found[0]),
    }
    _set(cursor, SENT)
    yield
    _set(cursor, before)


def _set(cursor: psycopg.RawCursor[Any], settings: Mapping[str, str | None]) -> None:
    """Settings for what is left of the transaction, on a connection that may be a pooler's."""
    for name, value in settings.items():
        cursor.execute("SELECT set_config($1, $2, TRUE)", [name, value], prepare=False)


def types_of(connection: psycopg.Connection[Any], query: str) -> dict[str, str]:
    """Names and types of a query's columns, without a row of it."""
    cursor = psycopg.RawCursor(connection, row_factory=tuple_row)
    # The query is refused unless it is one SELECT, and the binary protocol takes one statement
    # only.
    cursor.execute(f"{query} LIMIT 0".encode(), [], binary=True, prepare=False)
    described = [(column.name, column.type_code) for column in cursor.description or ()]
    codes = [code for _, code in described]
    words = cursor.execute(
        "SELECT CASE typtype WHEN 'c' THEN 'record' ELSE format_type(t, NULL) END"
        " FROM unnest($1::oid[]) WITH ORDINALITY AS o (t, n) JOIN pg_type ON pg_type.oid "
        "= t ORDER BY n",
        [codes],
        prepare=False,  # on a caller's connection, which may be a pooler's
    )
    return {
        name: plain_type(word)
        for (name, _), (word,) in zip(described, words.fetchall(), strict=True)
    }


def plain_type(word: str) -> str:
    """A type's name without its schema, which is named where it is not on the path.

    Without its quotes too, which a session may put around every name (but "char" is a type).
    """
    bare = re.sub(r'^(\w+|"[^"]+")\.', "", word)
    return re.sub(r'^"(?!char")([a-z_]\w*)"', r"\1", bare)


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def source_failed(error: psycopg.Error) -> EmbsqlError:
    """What went wrong with a source."""
    reason = first_line(error)
    if reason.startswith(OWN):  # which names models and tables, not rows
        return Refused(reason=reason.removeprefix(OWN))
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return failed(
        reason,
        None if (error.sqlstate or "").startswith(WITHOUT_ROWS) else kind,
        "text",
    )
