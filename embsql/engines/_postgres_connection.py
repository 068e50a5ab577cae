"""Connections to PostgreSQL: their addresses, and what they complain of in our words."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import conninfo

from embsql.engines._postgres_statements import first_line
from embsql.errors import (
    CannotInstall,
    CannotOpen,
    Closed,
    ConnectionLost,
    EmbsqlError,
    HalfRestored,
    NotInstalled,
    PermissionDenied,
    ReadOnly,
    UnknownDatabase,
)

REFUSAL = "embsql cannot be installed: "  # how sql/bootstrap.postgres.sql begins what it raises
COMPLAINTS: list[
    tuple[Any, str, type[EmbsqlError]]
] = [  # kinds of error, a word in it, what it means
    (psycopg.errors.InsufficientPrivilege, "", PermissionDenied),
    (
        psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName,
        "embsql",
        NotInstalled,
    ),
    (psycopg.errors.InvalidColumnReference, "ON CONFLICT", HalfRestored),
]


def complaint_of(error: psycopg.Error, label: str, *, lost: bool) -> EmbsqlError | None:
    """What went wrong, in our words, where there is something to do about it.

    `lost` where the connection is closed now.
    """
    reason = first_line(error)
    for kinds, word, complaint in COMPLAINTS:
        if isinstance(error, kinds) and word in reason:
            return complaint(database=label, reason=reason)
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
        return ReadOnly(path=label)
    if isinstance(error, psycopg.errors.RaiseException) and reason.startswith(REFUSAL):
        return CannotInstall(database=label, reason=reason.removeprefix(REFUSAL))
    if isinstance(error, psycopg.OperationalError) and lost:
        return ConnectionLost(database=label, reason=reason)
    return None


def address_of(connection: psycopg.Connection[Any]) -> str:
    """An address that opens the same database as a connection that is open.

    Raises UnknownDatabase or Closed.
    """
    # a cursor, a pool, an asynchronous one
    if not isinstance(connection, psycopg.Connection):
        raise UnknownDatabase(target=f"a {type(connection).__qualname__}")
    if connection.closed:
        raise Closed(database="the connection to PostgreSQL that was given")
    info = connection.info
    return conninfo.make_conninfo(
        **info.get_parameters(), password=info.password or None
    )


def label_of(address: str) -> str:
    """An address without its password, for messages."""
    try:
        parts = conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        # libpq's own words would repeat what it could not read, which may be a password
        raise CannotOpen(
            path="postgresql://...",
            reason=(
                "the address cannot be read; one looks like postgresql://user@host:5432/database"
            ),
        ) from None
    user = f"{parts['user']}@" if "user" in parts else ""
    port = f":{parts['port']}" if "port" in parts else ""
    host = "" if str(parts.get("host", "")).startswith("/") else parts.get("host", "")
    return f"postgresql://{user}{host}{port}/{parts.get('dbname', '')}"
