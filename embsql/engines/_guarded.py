"""How the rows of a source are asked for: as they stand, or with the rights of who asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from embsql.engines._postgres_statements import first_line, plain_type
from embsql.engines.columns import quote
from embsql.engines.files import literal
from embsql.errors import SourceFailed

GUARD = """
    SELECT set_config('search_path', 'pg_catalog, pg_temp', TRUE),
        set_config('standard_conforming_strings', 'on', TRUE),
        set_config('transaction_read_only', 'on', TRUE)
"""  # nothing that stands around a source may mean something of somebody's

LOOKED = """
    SELECT given.name, format_type(embsql_internal.plain_type(given.type), NULL)
    FROM embsql_sources.{reader}(NULL) AS given (name text, type oid)
"""  # reader: a quoted name


@dataclass(frozen=True, slots=True)
class Plain:
    """A SELECT that this session runs as itself."""

    query: str
    types: dict[str, str]  # of its columns, by name

    def of(self, _names: Iterable[str]) -> str:
        """A SELECT that has these columns."""
        return self.query


@dataclass(frozen=True, slots=True)
class Guarded:
    """A function that runs a SELECT with its owner's rights (sql/prelude/postgres_sources.sql)."""

    name: str  # of the function
    declared: dict[str, str]  # types of the columns as SQL, by name
    types: dict[str, str]  # the same without their schemas

    def of(self, names: Iterable[str]) -> str:
        """A SELECT that has these columns."""
        wanted = list(dict.fromkeys(names))
        listed = ", ".join(literal(name) for name in wanted)
        columns = ", ".join(f"{quote(name)} {self.declared[name]}" for name in wanted)
        call = f"embsql_sources.{quote(self.name)}(ARRAY[{listed}])"
        return f"SELECT * FROM {call} AS given ({columns})"


Rows = Plain | Guarded


def opened(connection: psycopg.Connection[Any], job_id: int) -> dict[str, str]:
    """What a job may read until the transaction ends: sources, and what reads each.

    Raises SourceFailed.
    """
    try:
        found = connection.execute(
            "SELECT source, reader FROM embsql_internal.open_sources($1)", [job_id]
        ).fetchall()
    except psycopg.errors.RaiseException as error:
        raise SourceFailed(reason=first_line(error)) from None
    connection.execute(GUARD)
    return dict(found)


def guarded(connection: psycopg.Connection[Any], name: str) -> Guarded:
    """The columns of a source that a function reads.

    What they may be is the catalog's word, not the function's.
    """
    columns = connection.execute(LOOKED.format(reader=quote(name)).encode())
    declared = dict(columns.fetchall())
    return Guarded(
        name, declared, {name: plain_type(word) for name, word in declared.items()}
    )
