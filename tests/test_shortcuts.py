"""What the suite takes a short way to is what the long way leads to."""

from __future__ import annotations

from contextlib import closing

import embsql
from embsql import engines
from embsql.engines import Engine
from embsql.lifecycle import installation

KNOWN = {
    "schemas": "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()",
    "tables": "SELECT schema_name, table_name, estimated_size FROM duckdb_tables()",
    "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default "
    "FROM duckdb_columns() "
    "WHERE database_name = current_database()",
    "constraints": "SELECT table_name, constraint_type, constraint_text FROM duckdb_constraints()",
    "indexes": "SELECT table_name, index_name, is_unique, expressions FROM duckdb_indexes()",
    "sequences": "SELECT schema_name, sequence_name, last_value FROM duckdb_sequences()",
    "views": "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal",
    "functions": "SELECT schema_name, function_name, function_type, parameters "
    "FROM duckdb_functions() "
    "WHERE NOT internal AND schema_name LIKE 'embsql%'",
    "applied": "SELECT file_name FROM embsql.migrations",
}


def test_a_copied_database_is_an_installed_one(db: embsql.Database, request) -> None:
    request.getfixturevalue("installing")
    with embsql.connect(":memory:") as installed:
        alike(installed.engine, db.engine)


def test_a_copied_one_without_commands_is_an_installed_one(request) -> None:
    copied, installed = engines.open_engine(":memory:"), engines.open_engine(":memory:")
    with closing(copied), closing(installed):
        installation.install(copied)
        request.getfixturevalue("installing")
        installation.install(installed)
        alike(installed, copied)


def alike(installed: Engine, copied: Engine) -> None:
    for what, query in KNOWN.items():
        first, second = (
            engine.ask(f"{query} ORDER BY ALL") for engine in (installed, copied)
        )
        assert first.num_rows or what in {"indexes", "views"}
        assert first.equals(second), what


def test_installing_says_whether_it_did_something(quick_install) -> None:
    """A copy counts, and happens once."""
    assert installation.install is quick_install
    with embsql.connect(":memory:") as database:
        assert not installation.install(database.engine, commands=True)
        database.engine.run(
            "DROP SCHEMA embsql CASCADE; DROP SCHEMA embsql_internal CASCADE"
        )
        assert installation.install(database.engine, commands=True)
