"""A database of an earlier version, with the rows of a filled one, which `install` brings up to
date.

It is made by the schema files that the earlier version had, which never change. Its questions are
not made, as each installation makes them anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from embsql import engines
from embsql.api import commands
from embsql.api.plainly import plainly
from embsql.engines import Engine
from embsql.lifecycle import installation
from embsql.sqlfiles import files
from tests.faults.seen import OF_RUNS, Look, Parts, hashed

LAST = (
    "0012",
    "0014",
    "0018",
    "0021",
    "0022",
)  # schema files that were the last of their version
FREE = {"embsql.surface", "embsql.file"}  # what each installation writes anew
COLUMNS = """
SELECT c.table_name AS name, c.column_name AS column_name
FROM information_schema.columns AS c
WHERE c.table_catalog = current_database() AND c.table_schema = 'embsql'
ORDER BY name, column_name
"""
KEPT = (
    "models",
    "run_records",
    "events",
)  # tables that have rows besides those of runs
EARLIER = {  # what sql/schema calls otherwise since
    "run_records": "runs",
    "source_checks": "validations",
    "fold_in_settings": "solvers",
    "item_gramian": "gram",
    "item_weights": "item_scales",
}


def make(target: str, filled: str, last: str) -> None:
    """Make it in an empty database."""
    with (
        closing(engines.open_engine(filled)) as source,
        closing(engines.open_engine(target)) as engine,
    ):
        with engine.transaction():
            engine.run(_script(engine, last))
        known, wanted = _columns(source), _columns(engine)
        for table in sorted({*KEPT, *source.ask(OF_RUNS)["name"].to_pylist()}):
            there = EARLIER.get(table, table)
            columns = sorted(known[table] & wanted.get(there, set()))
            if columns:
                _copy(source, engine, table, there, columns)


def _script(engine: Engine, last: str) -> str:
    """What an installation ran when its last schema file was that."""
    steps = [step for step in files.migrations(engine.name) if step.name[:4] <= last]
    note = "INSERT INTO embsql.migrations (file_name, checksum) VALUES ('{}', '{}')"
    noted = [
        f"{step.text};\n{note.format(step.name, step.checksum)};" for step in steps
    ]
    bootstrap = "bootstrap.sql" if engine.embedded else "bootstrap.postgres.sql"
    version = "INSERT INTO embsql.surface (surface) VALUES ('earlier');"
    return "\n".join(
        [files.read_sql(bootstrap).replace("@file_id@", "earlier"), *noted, version]
    )


def _columns(engine: Engine) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in engine.ask(COLUMNS).to_pylist():
        found.setdefault(row["name"], set()).add(row["column_name"])
    return found


def _copy(
    source: Engine, engine: Engine, table: str, there: str, columns: list[str]
) -> None:
    """The rows of a table into that of then, by the columns that both versions have."""
    names = ", ".join(columns)
    rows = source.ask(f"SELECT {names} FROM embsql.{table}")
    if not rows.num_rows:
        return
    if engine.embedded:
        engine.write(there, dict(zip(rows.column_names, rows.columns, strict=True)))
        return
    for run_id in set(rows["run_id"].to_pylist()) if table in PARTITIONED else ():
        engine.run(PARTITION.format(table=table, run_id=run_id))
    marks = ", ".join(f"${name}" for name in columns)
    for row in rows.to_pylist():
        engine.run(f"INSERT INTO embsql.{there} ({names}) VALUES ({marks})", **row)


PARTITIONED = {"item_embeddings", "user_embeddings", "interactions"}
PARTITION = """
CREATE TABLE embsql_runs.{table}_{run_id} PARTITION OF embsql.{table} FOR VALUES IN ({run_id})
"""


# --- bringing it up to date ----------------------------------------------------------------------


class Bare:
    """A database that is open and not brought up to date: as much of a Database as acts need."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def ask(self, sql: str) -> Any:
        return self.engine.ask(sql)

    def install(self) -> None:
        """Bring it up to date, as `embsql.connect(..., install=True)` does."""
        with plainly():
            self.engine.offer(commands.dispatcher(lambda: None))
            installation.install(self.engine, commands=True)


@contextmanager
def opened(target: str) -> Iterator[Bare]:
    """The database as it is."""
    with closing(engines.open_engine(target)) as engine:
        yield Bare(engine)


def content(bare: Bare) -> str:
    """A hash of all tables with their columns and rows: before, or afterwards."""
    look: Any = Look(bare)  # type: ignore[arg-type]  # of a Database it needs no more
    tables = sorted(_columns(bare.engine))
    rows = {
        name: bare.ask(f"SELECT * FROM embsql.{name}").to_pylist() for name in tables
    }
    kept = {
        name: sorted(map(repr, rows[name]))
        for name in tables
        if f"embsql.{name}" not in FREE
    }
    return hashed([look.runs, kept, tables])


def parts(look: Look) -> Parts:
    """What a caller sees once it is up to date, which is what the filled database shows."""
    return {
        name: value
        for name, value in look.parts().items()
        if not name.startswith("report ")
    }
