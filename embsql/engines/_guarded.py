"""How the rows of a source are asked for: as they stand, or with the rights of who asked for a job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from embsql.engines._columns import quote
from embsql.engines._files import literal


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
        return f"SELECT * FROM {call} AS given ({columns})"  # noqa: S608 - quoted names, and types of the catalog


Rows = Plain | Guarded
