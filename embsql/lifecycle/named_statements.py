"""The named statements of sql/, run and asked by name; the audit trail."""

from __future__ import annotations

from typing import Any

from embsql.engines import Engine
from embsql.sqlfiles import files


def execute_named(engine: Engine, name: str, **values: Any) -> int:
    """Run a named statement; the number of rows it changed."""
    return engine.run(files.statements(engine=engine.name)[name], **values)


def query_named(engine: Engine, name: str, **values: Any) -> list[dict[str, Any]]:
    """Ask a named statement; its rows."""
    return engine.rows(files.statements(engine=engine.name)[name], **values)


def log_event(
    engine: Engine, model_name: str, run_id: int | None, what: str, detail: str = ""
) -> None:
    """Add a line to the audit trail."""
    execute_named(
        engine,
        "log_event",
        model_name=model_name,
        run_id=run_id,
        event=what,
        detail=detail,
    )
