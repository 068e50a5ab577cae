"""Embeddings in SQL: train in the process, keep everything in the database, answer in SQL.

What opens a database is imported at its first use: DuckDB and Arrow take a third of a second to
load, for which a program that imports embsql, or prints its help, need not wait.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from embsql import errors

if TYPE_CHECKING:
    from embsql.api.answers import Answer
    from embsql.api.database import Database, connect, register, sql
    from embsql.run import Run

    __version__: str

__all__ = [
    "Answer",
    "Database",
    "Run",
    "__version__",
    "connect",
    "errors",
    "register",
    "sql",
]

HOMES = {
    "Answer": "embsql.api.answers",
    "Database": "embsql.api.database",
    "Run": "embsql.run",
    "connect": "embsql.api.database",
    "register": "embsql.api.database",
    "sql": "embsql.api.database",
}


def __getattr__(name: str) -> Any:
    """What is public, from its module."""
    if name == "__version__":
        from importlib.metadata import version

        return version("embsql")
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
