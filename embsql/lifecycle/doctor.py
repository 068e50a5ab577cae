"""What may be wrong with a database and its models, each finding with its remedy."""

from __future__ import annotations

from dataclasses import dataclass, fields

from embsql.engines import Engine
from embsql.lifecycle.named_statements import query_named
from embsql.sqlfiles import files

SEVERITIES = ("error", "warning", "note")  # gravest first


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing worth a look."""

    severity: str  # of SEVERITIES
    subject: str  # a model's name, or what else it is about
    finding: str
    remedy: str  # what to type


COLUMNS = tuple(field.name for field in fields(Diagnosis))


def examine(engine: Engine) -> list[Diagnosis]:
    """What there is to mend, the gravest first; nothing of it is mended here.

    Raises PermissionDenied for who may not read the registry.
    """
    found = [
        Diagnosis("error", "installation", row["reason"], "embsql install")
        for name in ("damages", "lost")
        for row in query_named(engine, name)
    ]
    for statement in files.statements("doctor.sql", engine.name).values():
        found += [Diagnosis(**row) for row in engine.rows(statement)]
    return sorted(found, key=lambda one: (SEVERITIES.index(one.severity), one.subject))
