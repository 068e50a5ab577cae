"""What makes the suite quick without testing less."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import embsql
from embsql.engines import Engine
from embsql.lifecycle import registry

Install = Callable[..., bool]
STATE = """
SELECT current_database() AS name, count(*) FILTER (schema_name = 'embsql') = 0 AS empty
FROM duckdb_schemas() WHERE database_name = current_database()
"""


def copying(folder: Path) -> Install:
    """`registry.install` that gives a new DuckDB database a copy of what one in the folder has.

    DuckDB binds every question that is created, which takes it most of a new database's time;
    copied ones it does not.
    """
    install, template = registry.install, folder / "installed.duckdb"
    embsql.connect(str(template)).close()

    def quick(engine: Engine, *, commands: bool = False) -> bool:
        copied = commands and engine.embedded and _copied(engine, template)
        return install(engine, commands=commands) or copied

    return quick


def _copied(engine: Engine, template: Path) -> bool:
    """Whether the database was new and is a copy now; one that embsql did not open is left alone."""
    (state,) = engine.ask(STATE).to_pylist()
    if engine.read_only or not engine.path or not state["empty"]:
        return False
    engine.run(f"ATTACH '{template}' AS embsql_installed (READ_ONLY)")
    engine.run(f'COPY FROM DATABASE embsql_installed TO "{state["name"]}"')
    engine.run("DETACH embsql_installed")
    return True
