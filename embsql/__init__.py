"""Embeddings in SQL: train in the process, keep everything in the database, answer in SQL."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from embsql.api.database import Database, connect
from embsql.run import Run

__version__ = version("embsql")
__all__ = ["Database", "Run", "__version__", "connect", "register", "sql"]


def register(connection: Any) -> Database:
    """Put embsql's tables, questions and commands into a DuckDB connection you already have."""
    return connect(connection)


def sql(statement: str, connection: Any) -> Any:
    """Run any SQL, also BigQuery ML's statements, on a database or a connection.

    The answer as an Arrow table.
    """
    database = connection if isinstance(connection, Database) else connect(connection)
    return database.sql(statement)
