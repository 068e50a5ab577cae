"""Which runs there are and which is live: names, promotion, rollback."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from embsql.engines import Engine
from embsql.errors import (
    BadModelName,
    EmbsqlError,
    LiveRunGone,
    NoLiveRun,
    NoPreviousRun,
    NotPromoted,
    RunNotReady,
    StillHolds,
    UnknownModel,
    UnknownRun,
    suggestion,
)
from embsql.lifecycle.leases import retry
from embsql.lifecycle.named_statements import execute_named, log_event, query_named
from embsql.options import shown, word

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
    rows = find_model(engine, model_name)
    if not rows:
        names = [row["model_name"] for row in query_named(engine, "model_names")]
        raise UnknownModel(
            name=word(model_name), suggestion=suggestion(model_name, names)
        )
    return rows[0]


def live_run_id(engine: Engine, model_name: str) -> int | None:
    """The live run of a model; None when there is none, or no such model."""
    rows = find_model(engine, model_name)
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


def find_model(engine: Engine, model_name: str) -> list[dict[str, Any]]:
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
    if query_named(engine, "still_holds", run_id=run_id):
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
    name = record["model_name"]
    run_id = int(record["run_id"])
    retry_move(engine, lambda: _moved(engine, name, run_id))
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
    return live_run_id == run_id or set_live(engine, name, live_run_id, run_id, earlier)


def rollback(engine: Engine, model_name: str) -> int:
    """Make the run live that was live before; its run_id. Going back twice goes back two runs.

    Raises NoPreviousRun or StillHolds.
    """
    gone: list[int] = []
    retry_move(engine, lambda: _moved_back(engine, model_name, gone))
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
        set_live(engine, name, before["live_run"], before["live_run"], earlier)
        return False
    return set_live(engine, name, before["live_run"], run_id, earlier)


def set_live(
    engine: Engine,
    name: str,
    expected: int | None,
    live_run_id: int | None,
    earlier: list[int],
) -> bool:
    """Compare and set: True when the pointer was still where it was expected.

    A run that is made live so is marked.
    """
    values = {
        "model_name": name,
        "expected": expected,
        "live_run": live_run_id,
        "earlier_runs": earlier,
    }
    moved = execute_named(engine, "promote", **values) == 1
    if moved and live_run_id != expected:
        execute_named(engine, "mark_promoted", run_id=live_run_id)
    return moved


def retry_move(engine: Engine, move: Callable[[], bool]) -> None:
    """Move in a transaction; where another moved meanwhile, look again."""

    def attempt() -> bool:
        with engine.transaction():
            return move()

    while not retry(engine, attempt):
        pass
