"""What is installed, what is live, and what was: names, promotion, rollback, removal."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from itertools import product
from typing import Any

from embsql.engines import Engine
from embsql.errors import (
    BadModelName,
    CannotInstall,
    EmbsqlError,
    InvalidArgument,
    LiveRunGone,
    NoLiveRun,
    NoPreviousRun,
    NotInstalled,
    NotPromoted,
    OutOfPlace,
    RunIsLive,
    RunNotReady,
    SchemaChanged,
    StillHolds,
    UnknownModel,
    UnknownRun,
    suggestion,
)
from embsql.lifecycle.leases import Lease, retry
from embsql.options import shown, word
from embsql.sqlfiles import files, render

KEEP = 5  # earlier live runs kept for rollback, and finished runs kept that were never live
RUN_TABLES = (
    "clusters",
    "cluster_members",
    "maps",
    "top_items",
    "neighbors",
    "item_embeddings",
    "user_embeddings",
    "interactions",
    "training_log",
    "metrics",
    "source_checks",
    "trials",
    "gates",
    "graph_edges",
    "fold_in_settings",
    "item_gramian",
    "item_weights",
    "tower_features",
    "tower_layers",
    "forgotten",
    "run",
)


def execute_named(engine: Engine, name: str, **values: Any) -> int:
    """Run a named statement; the number of rows it changed."""
    return engine.run(files.statements(engine=engine.name)[name], **values)


def query_named(engine: Engine, name: str, **values: Any) -> list[dict[str, Any]]:
    """Ask a named statement; its rows."""
    rows: list[dict[str, Any]] = engine.ask(
        files.statements(engine=engine.name)[name], **values
    ).to_pylist()
    return rows


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


# --- installing ----------------------------------------------------------------------------------


def install(engine: Engine, *, commands: bool = False) -> bool:
    """Bring the database's tables and questions up to this version; False when they were.

    Idempotent.

    `commands` adds the commands as SQL, for which an embedded engine must have been offered
    embsql_command. Raises CannotInstall, SchemaChanged or PermissionDenied.
    """
    wanted = render.version(engine.name) + ("+commands" if commands else "")

    def bring() -> bool:
        whole = not query_named(engine, "damages") and not query_named(engine, "lost")
        known = whole and _installed(engine) in (wanted, f"{wanted}+commands")
        if engine.read_only or known:
            return False
        with engine.transaction():
            applied, file_id = _applied(engine), _file_id(engine)
            _check_free(engine, applied)
            script = render.script(
                engine.name, without=applied, commands=commands, file_id=file_id
            )
            engine.run(script)
            if has_ml(engine):
                engine.run(render.ml(engine.name, file_id=_file_id(engine)))
        return True

    return retry(engine, bring)


def _check_free(engine: Engine, applied: Collection[str]) -> None:
    """Raise CannotInstall where a table that is to be made is there already.

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
    for row in query_named(engine, "tables"):
        name, kind = row["table_name"], row["kind"]
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
    if engine.embedded or not query_named(engine, "is_installed"):
        install(engine, commands=True)
        return
    missing = {step.name for step in files.migrations(engine.name)} - _applied(engine)
    if missing:
        raise NotInstalled(
            database=engine.label, reason=f"{min(missing)} has not been applied"
        )
    for found in query_named(engine, "damages"):
        raise OutOfPlace(database=engine.label, reason=found["reason"])


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


# --- names ---------------------------------------------------------------------------------------


def is_name(model_name: object) -> bool:
    """Whether a model can have this name."""
    return (
        isinstance(model_name, str)
        and re.fullmatch(r"[a-z][a-z0-9_]{0,39}", model_name) is not None
    )


def check_name(model_name: str) -> str:
    """The name, if it is one. Raises BadModelName."""
    if not is_name(model_name):
        raise BadModelName(name=shown(model_name))
    return model_name


def model(engine: Engine, model_name: str) -> dict[str, Any]:
    """live_run and earlier_runs of a model. Raises UnknownModel."""
    rows = _record(engine, model_name)
    if not rows:
        names = [row["model_name"] for row in query_named(engine, "model_names")]
        raise UnknownModel(
            name=word(model_name), suggestion=suggestion(model_name, names)
        )
    return rows[0]


def live_run_id(engine: Engine, model_name: str) -> int | None:
    """The live run of a model; None when there is none, or no such model."""
    rows = _record(engine, model_name)
    return rows[0]["live_run"] if rows else None


def live_record(engine: Engine, model_name: str) -> dict[str, Any] | None:
    """The live run of a model; None when there is none, or no such model. Raises LiveRunGone."""
    rows = (
        query_named(engine, "live_record", model_name=model_name)
        if is_name(model_name)
        else []
    )
    if not rows or rows[0]["live_run"] is None:
        return None
    if rows[0]["run_id"] is None:
        raise LiveRunGone(
            name=model_name,
            run_id=rows[0]["live_run"],
            remedy=_remedy(engine, model_name),
        )
    return rows[0]


def _remedy(engine: Engine, name: str) -> str:
    """What to do about a live run that is gone."""
    run_id = query_named(engine, "newest_finished", model_name=name)[0]["run_id"]
    if run_id is None:
        return f"Nothing else of it is finished: embsql drop-model {name}, and train it again"
    return f"Make another live: embsql promote {name}@{run_id}"


def _record(engine: Engine, model_name: str) -> list[dict[str, Any]]:
    """The model's row, if there is one.

    What is no name is not asked for, as no database could be given it.
    """
    return (
        query_named(engine, "model_record", model_name=model_name)
        if is_name(model_name)
        else []
    )


def get_run(engine: Engine, reference: str) -> dict[str, Any]:
    """The run that 'shop' (its live run) or 'shop@7' means.

    Raises UnknownModel, UnknownRun, NoLiveRun, NotPromoted or LiveRunGone.
    """
    name, pinned, number = (
        reference.partition("@") if isinstance(reference, str) else (reference, "", "")
    )
    model(engine, name)
    if not pinned:
        record = live_record(engine, name)
        if record is None:
            raise _not_live(engine, name)
        return record
    found = (
        query_named(engine, "run_record", run_id=int(number))
        if re.fullmatch(r"[0-9]{1,18}", number)
        else []
    )
    if not found or found[0]["model_name"] != name:
        raise UnknownRun(name=name, run_id=word(number))
    return found[0]


def finished_run(engine: Engine, reference: str) -> dict[str, Any]:
    """The run, if it is whole and holds nobody who is to be forgotten.

    Raises RunNotReady, StillHolds, and what `get_run` raises.
    """
    record = get_run(engine, reference)
    check_finished(engine, record["model_name"], record["run_id"], record["status"])
    return record


def check_own(engine: Engine, model_name: str) -> None:
    """Whether one may change what is made of a model's runs. Raises PermissionDenied.

    Whatever writes looks itself: this is for what takes long before it writes.
    """
    execute_named(engine, "check_model", model_name=model_name)


def check_finished(engine: Engine, name: str, run_id: int, status: str) -> None:
    """Whether a run can be read. Raises RunNotReady or StillHolds."""
    if status != "ready":
        raise RunNotReady(name=name, run_id=run_id, status=status)
    if query_named(engine, "forgotten_meanwhile", run_id=run_id):
        raise StillHolds(name=name, run_id=run_id)


def _not_live(engine: Engine, name: str) -> EmbsqlError:
    """What to say of a model without a live run."""
    run_id = query_named(engine, "newest_finished", model_name=name)[0]["run_id"]
    return (
        NoLiveRun(name=name)
        if run_id is None
        else NotPromoted(name=name, run_id=run_id)
    )


def next_run(engine: Engine) -> int:
    """A number no run has; one that was published into this database may have any."""
    while True:
        number = int(query_named(engine, "next_run")[0]["run_id"])
        if not query_named(engine, "run_record", run_id=number):
            return number


# --- what is live --------------------------------------------------------------------------------


def lock_run(engine: Engine, name: str, run_id: int) -> None:
    """Keep others from a finished run to the end of the transaction.

    Who removes it, or somebody from it, holds it too: one of the two comes second, and sees the
    first. Raises RunNotReady or StillHolds.
    """
    execute_named(engine, "lock_run", run_id=run_id)
    rows = query_named(engine, "run_record", run_id=run_id)
    check_finished(engine, name, run_id, rows[0]["status"] if rows else "gone")


def promote(engine: Engine, reference: str) -> int:
    """Make a finished run live, readers changing over at one instant; its run_id.

    Raises RunNotReady or StillHolds.
    """
    record = get_run(engine, reference)
    name, run_id = record["model_name"], int(record["run_id"])
    _retry_move(engine, lambda: _moved(engine, name, run_id))
    log_event(engine, name, run_id, "promote")
    return run_id


def _moved(engine: Engine, name: str, run_id: int) -> bool:
    """Point at a run, with what was live put on the stack; False when another did meanwhile."""
    lock_run(engine, name, run_id)
    before = model(engine, name)
    live_run_id = before["live_run"]
    there = {
        row["run_id"] for row in query_named(engine, "runs_of", model_name=name)
    } - {run_id}
    earlier = [past for past in [*before["earlier_runs"], live_run_id] if past in there]
    return live_run_id == run_id or _point(
        engine, name, live_run_id, run_id, earlier[-KEEP:]
    )


def rollback(engine: Engine, model_name: str) -> int:
    """Make the run live that was live before; its run_id. Going back twice goes back two runs.

    Raises NoPreviousRun or StillHolds.
    """
    gone: list[int] = []
    _retry_move(engine, lambda: _moved_back(engine, model_name, gone))
    log_event(engine, model_name, gone[-1], "rollback")
    return gone[-1]


def _moved_back(engine: Engine, name: str, gone: list[int]) -> bool:
    """Point at the top of the stack, adding it to `gone`.

    False when something changed meanwhile.
    """
    before = model(engine, name)
    if not before["earlier_runs"]:
        raise NoPreviousRun(name=name)
    *earlier, run_id = before["earlier_runs"]
    gone.append(run_id)
    try:
        lock_run(engine, name, run_id)
    except RunNotReady:  # it was dropped, by an earlier version or just now
        _point(engine, name, before["live_run"], before["live_run"], earlier)
        return False
    return _point(engine, name, before["live_run"], run_id, earlier)


def _point(
    engine: Engine,
    name: str,
    expected: int | None,
    live_run_id: int | None,
    earlier: list[int],
) -> bool:
    """Compare and set: True when the pointer was still where it was expected."""
    values = {
        "model_name": name,
        "expected": expected,
        "live_run": live_run_id,
        "earlier_runs": earlier,
    }
    return execute_named(engine, "promote", **values) == 1


def _retry_move(engine: Engine, move: Callable[[], bool]) -> None:
    """Move in a transaction; where another moved meanwhile, look again."""

    def attempt() -> bool:
        with engine.transaction():
            return move()

    while not retry(engine, attempt):
        pass


# --- what goes -----------------------------------------------------------------------------------


def drop_run(engine: Engine, reference: str) -> None:
    """Remove a run and all its rows. Raises RunIsLive for the live one."""
    sweep(engine)  # also of this run, where a removal was killed before its end
    record = get_run(engine, reference)
    name, run_id = record["model_name"], int(record["run_id"])
    _retry_move(engine, lambda: _dropped(engine, name, run_id))
    sweep(engine)
    log_event(engine, name, run_id, "drop_run")


def _dropped(engine: Engine, name: str, run_id: int) -> bool:
    """Remove a run and take it off the stack; False when the model changed meanwhile."""
    execute_named(engine, "lock_runs", runs=[run_id])
    before = model(engine, name)
    live_run_id, stack = before["live_run"], before["earlier_runs"]
    if live_run_id == run_id:
        raise RunIsLive(name=name, run_id=run_id)
    if run_id in stack and not _point(
        engine,
        name,
        live_run_id,
        live_run_id,
        [past for past in stack if past != run_id],
    ):
        return False
    _delete(engine, [run_id])
    return True


def drop_model(engine: Engine, model_name: str, *, if_exists: bool = False) -> int:
    """Remove a model and all its runs, the live one too; how many runs there were.

    Raises UnknownModel, unless `if_exists`, and AlreadyTraining while someone trains it.
    """
    if if_exists and not _record(engine, model_name):
        return 0
    model(engine, model_name)
    with Lease(engine, model_name, next_run(engine)):
        runs = [
            row["run_id"]
            for row in query_named(engine, "runs_of", model_name=model_name)
        ]
        _remove(engine, runs, model_name)
    log_event(engine, model_name, None, "drop_model", f"{len(runs)} runs")
    return len(runs)


def delete_run(engine: Engine, run_id: int) -> None:
    """Remove every row of a run, at once."""
    _remove(engine, [run_id])


def _remove(engine: Engine, runs: Sequence[int], model_name: str | None = None) -> None:
    """Remove every row of some runs, and of the model where one is named, at once."""

    def remove() -> None:
        with engine.transaction():
            execute_named(engine, "lock_runs", runs=runs)
            _delete(engine, runs)
            if model_name is not None:
                execute_named(engine, "drop_model", model_name=model_name)

    retry(engine, remove)
    sweep(engine)


def _delete(engine: Engine, runs: Sequence[int]) -> None:
    """Remove every row of runs that the transaction holds; a server knows where they are."""
    for run_id, table in product(runs, RUN_TABLES if engine.embedded else ("run",)):
        execute_named(engine, f"drop_{table}", run_id=run_id)


def collect_garbage(engine: Engine, model_name: str) -> None:
    """Remove runs that nothing points at, but the newest few."""

    def remove(run_id: int) -> None:
        with engine.transaction():
            execute_named(engine, "lock_runs", runs=[run_id])
            # it may have been made live meanwhile
            if run_id in _collectable(engine, model_name):
                _delete(engine, [run_id])

    for run_id in _collectable(engine, model_name)[:-KEEP]:
        retry(engine, lambda run_id=run_id: remove(run_id))  # type: ignore[misc]  # bound in time
    sweep(engine)


def _collectable(engine: Engine, model_name: str) -> list[int]:
    return [
        row["run_id"]
        for row in query_named(engine, "collectable", model_name=model_name)
    ]


def sweep(engine: Engine) -> None:
    """Drop what is left of runs that are gone, as far as nobody can read it.

    An embedded engine leaves nothing.
    """
    if not engine.embedded:
        retry(engine, lambda: execute_named(engine, "drop_unread"))
