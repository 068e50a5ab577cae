"""What goes: runs, models, and runs that nothing points at any more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from embsql.engines import Engine
from embsql.errors import RunIsLive
from embsql.lifecycle.leases import Lease, retry
from embsql.lifecycle.named_statements import execute_named, log_event, query_named
from embsql.lifecycle.pair_removal import drop_pairs
from embsql.lifecycle.registry import find_model, get_run, model, next_run

RUN_TABLES = (
    "earlier",
    "clusters",
    "cluster_members",
    "maps",
    "top_items",
    "neighbors",
    "fresh_users",
    "item_embeddings",
    "user_embeddings",
    "histories",
    "cells",
    "cell_members",
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
    "networks",
    "network_layers",
    "item_first_times",
    "forgotten",
    "run",
)


def drop_run(engine: Engine, reference: str) -> None:
    """Remove a run and all its rows. Raises RunIsLive for the live one."""
    sweep(engine)  # also of this run, where a removal was killed before its end
    record = get_run(engine, reference)
    name = record["model_name"]
    run_id = int(record["run_id"])

    def drop() -> None:
        with engine.transaction():
            _drop(engine, name, run_id)

    retry(engine, drop)
    sweep(engine)
    log_event(engine, name, run_id, "drop_run")


def _drop(engine: Engine, name: str, run_id: int) -> None:
    """Remove a run, unless it is live."""
    execute_named(engine, "lock_runs", runs=[run_id])
    if model(engine, name)["live_run"] == run_id:
        raise RunIsLive(name=name, run_id=run_id)
    _delete(engine, [run_id])


def drop_model(engine: Engine, model_name: str, *, if_exists: bool = False) -> int:
    """Remove a model and all its runs, the live one too; how many runs there were.

    Raises UnknownModel, unless `if_exists`, and AlreadyTraining while someone trains it.
    """
    if if_exists and not find_model(engine, model_name):
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
                execute_named(engine, "drop_watch", model_name=model_name)
                execute_named(engine, "drop_model", model_name=model_name)

    retry(engine, remove)
    sweep(engine)


def _delete(engine: Engine, runs: Sequence[int]) -> None:
    """Remove every row of runs that the transaction holds; a server knows where they are."""
    for run_id in runs:
        if engine.embedded:
            drop_pairs(engine, run_id)
        for table in RUN_TABLES if engine.embedded else ("run",):
            execute_named(engine, f"drop_{table}", run_id=run_id)


def collect_garbage(engine: Engine, model_name: str) -> None:
    """Remove the runs of a model that are more than it keeps."""

    def remove(run_id: int) -> None:
        with engine.transaction():
            execute_named(engine, "lock_runs", runs=[run_id])
            # it may have been made live meanwhile
            if run_id in _collectable(engine, model_name):
                _delete(engine, [run_id])

    for run_id in _collectable(engine, model_name):
        retry(engine, partial(remove, run_id))
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
