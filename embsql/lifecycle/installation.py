"""What is installed: tables and questions, the roles, the schema ml."""

from __future__ import annotations

from collections.abc import Collection

from embsql.engines import Engine
from embsql.errors import (
    CannotInstall,
    InvalidArgument,
    NotInstalled,
    OutOfPlace,
    SchemaChanged,
)
from embsql.lifecycle.leases import retry
from embsql.lifecycle.named_statements import query_named
from embsql.sqlfiles import files, render, views

VIEWS = "0033_run_records.sql"  # since which there are views


def install(engine: Engine, *, commands: bool = False) -> bool:
    """Bring the database's tables and questions up to this version; False when they were.

    Idempotent.

    `commands` adds the commands as SQL, for which an embedded engine must have been offered
    embsql_command. Raises CannotInstall, SchemaChanged or PermissionDenied.
    """
    wanted = render.version() + ("+commands" if commands else "")

    def bring() -> bool:
        whole = not query_named(engine, "damages") and not query_named(engine, "lost")
        known = whole and _installed(engine) in (wanted, f"{wanted}+commands")
        if engine.read_only or (known and not _unread(engine)):
            return False
        if engine.embedded:
            _migrate(engine)
        with engine.transaction():
            applied = _applied(engine)
            file_id = _file_id(engine)
            _check_free(engine, applied)
            script = render.script(
                engine.name, without=applied, commands=commands, file_id=file_id
            )
            engine.run(script)
            install_readers(engine)
            if has_ml(engine):
                engine.run(render.ml(engine.name, file_id=_file_id(engine)))
        return True

    return retry(engine, bring)


def _migrate(engine: Engine) -> None:
    """Bring tables of an earlier version up to this one, each step in a transaction of its own.

    DuckDB 1.5 commits none that alters a table whose rows it has changed. Killed in between, the
    next opening goes on.
    """
    applied = _applied(engine)
    if applied:
        _check_free(engine, applied)
        steps = render.steps(engine.name, without=applied)
        for step in [render.bootstrap(engine.name, _file_id(engine)), *steps]:
            with engine.transaction():
                engine.run(step)


def install_readers(engine: Engine) -> None:
    """Let questions read networks and cells where runs have any: planning that costs every call.

    Within the transaction that writes such a run, which may be the first.
    """
    if query_named(engine, "unread_networks"):
        engine.run(render.networks())
    if query_named(engine, "unread_cells"):
        engine.run(render.cells(file_id=_file_id(engine)))


def _unread(engine: Engine) -> bool:
    """Whether runs have what questions do not read yet."""
    return any(query_named(engine, f"unread_{what}") for what in ("networks", "cells"))


def _check_free(engine: Engine, applied: Collection[str]) -> None:
    """Raise CannotInstall where a table or view that is to be made is there already.

    It may be somebody else's, or half an import.
    """
    wanted = {
        table
        for step in files.migrations(engine.name)
        if step.name not in applied
        for table in step.tables
    }
    if not query_named(engine, "is_installed"):
        wanted |= {"migrations", "surface", "file"}
    if VIEWS not in applied:
        wanted |= {view.name for view in views.views()} - {"runs"}
    for row in query_named(engine, "tables"):
        name = row["table_name"]
        kind = row["kind"]
        if name in wanted:
            remedy = f"ALTER {kind} embsql.{name} RENAME TO other_{name};"
            reason = (
                f"schema embsql holds a {kind.lower()} {name} that embsql did not make"
            )
            raise CannotInstall(
                database=engine.label,
                reason=f"{reason}. Give it another name: {remedy}",
            )


def install_roles(engine: Engine) -> None:
    """Make the roles and give each what is its own. Idempotent.

    Raises InvalidArgument where there are no roles.
    """
    if engine.embedded:
        raise InvalidArgument(
            name="roles", allowed="left out: a DuckDB file has none", value="given"
        )
    roles = files.read_sql(f"roles.{engine.name}.sql")
    with engine.transaction():
        engine.run(roles)
    while query_named(engine, "not_handed_over"):  # some at a time
        with engine.transaction():
            engine.run(roles)


def install_ml(engine: Engine) -> bool:
    """Make the schema ml, with BigQuery ML's functions over the questions; False when it was there.

    Idempotent.
    """

    def bring() -> bool:
        missing = not has_ml(engine)
        with engine.transaction():
            engine.run(render.ml(engine.name, file_id=_file_id(engine)))
        return missing

    return retry(engine, bring)


def _file_id(engine: Engine) -> str:
    """What the questions of an embedded database know its file by.

    "" before there are any, and on a server.
    """
    rows = query_named(engine, "has_file_id") and query_named(engine, "file_id")
    return str(rows[0]["file_id"]) if rows else ""


def has_ml(engine: Engine) -> bool:
    """Whether the schema ml is embsql's."""
    return bool(query_named(engine, "has_ml"))


def ensure_installed(engine: Engine) -> None:
    """See to it that a database just opened can be used.

    Raises NotInstalled, SchemaChanged or OutOfPlace.

    An embedded one is brought up to date, a server that has nothing yet is given everything, and
    one that has something is left to `embsql install`.
    """
    if engine.read_only and not query_named(engine, "is_installed"):
        raise NotInstalled(database=engine.label, reason="it is open for reading alone")
    if engine.embedded or not query_named(engine, "is_installed"):
        install(engine, commands=True)
        return
    check_tables(engine)
    for found in query_named(engine, "damages"):
        raise OutOfPlace(database=engine.label, reason=found["reason"])


def check_tables(engine: Engine) -> None:
    """Raise NotInstalled where the tables are those of an earlier version."""
    missing = {step.name for step in files.migrations(engine.name)} - _applied(engine)
    if missing:
        raise NotInstalled(
            database=engine.label, reason=f"{min(missing)} has not been applied"
        )


def is_current(engine: Engine) -> bool:
    """Whether the questions there are those of this version."""
    wanted = render.version()
    return _installed(engine) in (wanted, f"{wanted}+commands")


def _installed(engine: Engine) -> str | None:
    found = query_named(engine, "is_installed") and query_named(
        engine, "surface_version"
    )
    return found[0]["surface"] if found else None


def _applied(engine: Engine) -> set[str]:
    """Names of the schema files that have run here.

    Raises SchemaChanged for one that is another now.
    """
    known = {step.name: step.checksum for step in files.migrations(engine.name)}
    rows = query_named(engine, "is_installed") and query_named(engine, "applied")
    for row in rows:
        if known.get(row["file_name"], row["checksum"]) != row["checksum"]:
            raise SchemaChanged(database=engine.label, file=row["file_name"])
    return {row["file_name"] for row in rows}
