"""What may be wrong with a database and its models, each finding with its remedy.

What SQL can see is a question of its own, embsql.doctor(); here is what only the machine knows.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path

from embsql.engines import Engine
from embsql.lifecycle.installation import is_current
from embsql.lifecycle.named_statements import query_named
from embsql.run import usable_cores

SEVERITIES = (
    "error",
    "warning",
    "note",
    "info",
)  # gravest first; info is nothing wrong
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing worth a look."""

    severity: str  # of SEVERITIES
    subject: str  # a model's name, or what else it is about
    finding: str
    remedy: str | None  # what to type; None of an info


COLUMNS = tuple(field.name for field in fields(Diagnosis))


def examine(engine: Engine) -> list[Diagnosis]:
    """What there is to mend, the gravest first, and what is there; nothing of it is mended here.

    Raises PermissionDenied for who may not read the registry.
    """
    found = list(_of_installation(engine))
    if not found:  # the question stands on what is installed
        found = list(_of_database(engine))
    found += [*_of_disk(engine), *_of_processors(engine), *_versions(engine)]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.subject))


def _of_installation(engine: Engine) -> Iterator[Diagnosis]:
    for name in ("damages", "lost"):
        for row in query_named(engine, name):
            yield Diagnosis("error", "installation", row["reason"], "embsql install")
    if not is_current(engine):
        other = "the questions are of another version than this embsql"
        yield Diagnosis("warning", "installation", other, "embsql install")


def _of_database(engine: Engine) -> Iterator[Diagnosis]:
    for row in query_named(engine, "doctor"):
        yield Diagnosis(**row)
    for row in query_named(engine, "runs_kept"):
        yield Diagnosis("info", "runs kept", row["kept"], None)


def _of_disk(engine: Engine) -> Iterator[Diagnosis]:
    """Of a file: a training writes a run as large as the others."""
    path = Path(engine.label)
    if not engine.embedded or not path.is_file():
        return
    size = path.stat().st_size
    free = shutil.disk_usage(path.resolve().parent).free
    finding = f"{size / MEGABYTE:,.1f} MB, and {free / MEGABYTE:,.0f} MB are free"
    if free < size:
        scarce = f"{finding}: a training may find no room"
        yield Diagnosis("warning", "disk", scarce, "embsql compact")
    else:
        yield Diagnosis("info", "disk", finding, None)


def _of_processors(engine: Engine) -> Iterator[Diagnosis]:
    """Of an embedded database, which works in this process."""
    for row in query_named(engine, "threads"):
        cores = usable_cores()
        if row["threads"] < cores:
            finding = f"DuckDB takes {row['threads']} of {cores} processors"
            yield Diagnosis("note", "threads", finding, f"SET threads = {cores};")


def _versions(engine: Engine) -> Iterator[Diagnosis]:
    own = f"{version('embsql')}, Python {platform.python_version()}"
    yield Diagnosis("info", "embsql", own, None)
    for row in query_named(engine, "database_version"):
        yield Diagnosis("info", engine.name, row["version"], None)
