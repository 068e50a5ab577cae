"""Where embeddings live: one engine, one file. Everything else about a database is SQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

from embsql.errors import UnknownDatabase
from embsql.model import Columns


class Engine(Protocol):
    """A database that holds embsql."""

    name: str  # also the name of its prelude, its shell and its preparing script
    path: str  # the file, for messages; "" when there is none
    read_only: bool

    def run(self, sql: str, **values: Any) -> int:
        """Run one or several statements; the number of rows the last one changed."""

    def ask(self, sql: str, **values: Any) -> pa.Table:
        """The answer of one query."""

    def read(self, script: str, queries: Mapping[str, str], done: str, **values: Any) -> dict[str, pa.Table]:
        """Run a preparing script where the caller's own tables are visible, each query, and what tidies up."""

    def write(self, table: str, columns: Mapping[str, Any], *, schema: str = "embsql") -> int:
        """Append columns (equally long; a 2-d float array is a column of vectors) to a table."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""

    def index(self, run_id: int) -> None:
        """Build what makes the questions on a run fast, where the database has such a thing."""

    def close(self) -> None:
        """Give back what was opened."""

    def source(self, text: str, columns: Columns, *, explicit: bool) -> dict[str, Any]:
        """What the preparing script needs to know of a source, after finding its columns and checking types."""

    def offer(self, command: Callable[[list[str]], list[str | None]]) -> None:
        """Make a Python function callable as embsql_command in SQL, where the database can."""

    def second(self) -> Any:
        """Another connection to the same database, as `connect` takes it."""

    def describe(self, text: str) -> dict[str, str]:
        """Names and types of a source's columns, without running it."""

    def conflict(self, error: Exception) -> bool:
        """Whether an error only says that another writer was first, so that the transaction may be tried again."""


def connect(target: Any, *, read_only: bool = False) -> Engine:
    """The engine for a DuckDB file, ":memory:" or an open DuckDB connection. Raises UnknownDatabase."""
    from embsql.engines.duckdb import DuckDB

    target = os.fspath(target) if isinstance(target, os.PathLike) else target
    if isinstance(target, str) and "://" in target:
        raise UnknownDatabase(target=target.split("://")[0] + "://...")
    if not isinstance(target, str) and not DuckDB.owns(target):
        raise UnknownDatabase(target=repr(target))
    return DuckDB(target, read_only=read_only)
