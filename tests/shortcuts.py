"""What makes the suite quick without testing less."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import embsql
from embsql import engines
from embsql.engines import Engine
from embsql.lifecycle import installation

Install = Callable[..., bool]
STATE = """
SELECT current_database() AS name, count(*) FILTER (schema_name LIKE 'embsql%') = 0 AS empty
FROM duckdb_schemas() WHERE database_name = current_database()
"""


def copying(folder: Path) -> Install:
    """`installation.install` that gives a new DuckDB database a copy of what one in the folder
    has, with the commands or without.

    DuckDB binds every question that is created, which takes it most of a new database's time;
    copied ones it does not.
    """
    install = installation.install
    whole, bare = folder / "installed.duckdb", folder / "questions.duckdb"
    embsql.connect(str(whole)).close()
    engine = engines.open_engine(str(bare))
    install(engine)
    engine.close()

    def quick(engine: Engine, *, commands: bool = False) -> bool:
        copied = engine.embedded and _copied(engine, whole if commands else bare)
        return copied or install(engine, commands=commands)

    return quick


def _copied(engine: Engine, template: Path) -> bool:
    """Whether the database was new and is a copy now; one that embsql did not open is left
    alone.
    """
    (state,) = engine.ask(STATE).to_pylist()
    if engine.read_only or not engine.path or not state["empty"]:
        return False
    engine.run(f"ATTACH '{template}' AS embsql_installed (READ_ONLY)")
    engine.run(f'COPY FROM DATABASE embsql_installed TO "{state["name"]}"')
    engine.run("DETACH embsql_installed")
    return True
