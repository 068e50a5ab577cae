"""A run made of the live one: users with new events are folded in, all else is as it was.

Rows of others are copied within the database. What the run does not know are items that came since:
their events are kept, and want a training.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql import algorithms
from embsql.data import Interactions
from embsql.engines import Engine
from embsql.lifecycle import forgetting, registry, removal
from embsql.lifecycle.cells import copy_cells
from embsql.lifecycle.folding import PAIRS, Foldable, foldable, rows_of
from embsql.lifecycle.leases import Lease, retry
from embsql.lifecycle.loaded import of_one_length, pages
from embsql.lifecycle.named_statements import execute_named, query_named
from embsql.lifecycle.pair_versions import write_changed
from embsql.lifecycle.phase_log import PhaseLog
from embsql.lifecycle.plan import Plan, own_options, plan_of
from embsql.lifecycle.run_rows import Table, history_rows, pair_rows, side_rows
from embsql.lifecycle.sequences import every_past_event, in_order, of_every_pair
from embsql.lifecycle.snapshot import add_side_inputs, write_findings
from embsql.lifecycle.train import begun, complete
from embsql.lifecycle.watching import (
    Record,
    check_dated,
    fresh_pairs,
    watch,
    watched_select,
    watched_source,
)
from embsql.numeric.fold_in import Folded
from embsql.phases import WRITING
from embsql.run import Columns, Run
from embsql.sources.findings import Finding
from embsql.sqlfiles.files import statements

# what stays row by row: how to fold in, towers, networks, a graph, and what was derived of vectors
# that stay
COPIED = (
    "fold_in_settings",
    "item_gramian",
    "item_weights",
    "tower_features",
    "tower_layers",
    "networks",
    "network_layers",
    "item_first_times",
    "graph_edges",
    "clusters",
    "cluster_members",
    "maps",
)
HINT = "items of new events without a vector; a training learns them"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to."""

    run_id: int  # of the run that is live now
    users: int = 0  # who was folded in
    new_users: int = 0  # those of them who had no vector
    new_items: int = 0  # items of new events that have none
    retrained: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """What is new to a run."""

    fresh: Interactions
    findings: list[Finding]  # of the rows that it came of
    histories: Interactions  # all pairs of the users concerned, with unknown items too
    folded: Folded  # these users
    sequences: Table | None  # what a network reads of them now, of the run that is made

    @property
    def users(self) -> pa.StringArray:
        """The users that have a vector now."""
        return self.fresh.users.filter(pa.array(self.folded.known))


def refresh(
    engine: Engine, model_name: str, retrain_after: float | None = None
) -> Refreshed:
    """Make a run of the live one and of what its watched source has since, and make it live.

    Where the staleness of `embsql.freshness` is above `retrain_after`, train instead. Raises
    NotWatched, RunWithoutTimes, and what reading the source raises.
    """
    record = registry.finished_run(engine, registry.check_name(model_name))
    registry.check_own(engine, model_name)
    watched_source(engine, model_name)
    check_dated(record)
    if retrain_after is not None and _staleness(engine, model_name) > retrain_after:
        return _retrained(engine, record)
    made: list[Refreshed] = []

    def stages(run: Run, lease: Lease, log: PhaseLog) -> None:
        made.append(_made(engine, model_name, run, lease, log))

    begun(engine, _same_plan(record), stages)
    return made[0]


def _staleness(engine: Engine, model_name: str) -> float:
    """The figure of embsql.freshness, as of now."""
    if engine.embedded:  # where it is what the last watch has read
        watch(engine, model_name, None, Columns())
    found = engine.gather(watched_select(engine, "staleness", model_name))
    return float(found["staleness"][0].as_py())


def _made(
    engine: Engine, model_name: str, run: Run, lease: Lease, log: PhaseLog
) -> Refreshed:
    """The stages of a refresh, under the lease, which keeps trainings away."""
    record = registry.finished_run(engine, model_name)
    parent = int(record["run_id"])
    fold = foldable(engine, parent)
    change = _change(engine, record, run, fold)
    if registry.live_run_id(engine, model_name) != parent:
        # what is new to one run may be known to another
        return _made(engine, model_name, run, lease, log)
    if change is None:
        return _as_it_was(engine, run, parent)
    users = change.users.to_pylist()
    known = len(query_named(engine, "known_users", run_id=parent, users=users))
    fresh_items = change.fresh.items
    new_items = len(fresh_items) - int(fold.items.known(fresh_items).sum())
    lease.heartbeat()
    log.enter(engine, WRITING)
    unknown = Finding("items without a vector", "warning", new_items, None, HINT)
    write_findings(engine, run, change.findings + [unknown] * bool(new_items))
    retry(engine, lambda: _write(engine, record, run, change))
    engine.index(int(run.run_id or 0))
    log.enter(engine, None)
    lease.heartbeat()
    registry.promote(engine, f"{model_name}@{run.run_id}")
    run.status = "live"
    return Refreshed(int(run.run_id or 0), len(users), len(users) - known, new_items)


def _as_it_was(engine: Engine, run: Run, parent: int) -> Refreshed:
    """The run that is live, where nothing is new; the one that was begun is dropped."""
    removal.delete_run(engine, int(run.run_id or 0))
    run.run_id = parent
    run.status = "live"
    run.skipped = True
    return Refreshed(parent)


def _change(engine: Engine, record: Record, run: Run, fold: Foldable) -> Change | None:
    """What is new to a run, for the one that is made of it; None where nothing is."""
    found = fresh_pairs(engine, record, fold)
    if found.problem:
        write_findings(engine, run, found.findings)
    fresh = found.some()
    if fresh is None:
        return None
    rows = fold.rows(engine, fresh)
    histories = fold.histories(engine, fresh, rows)
    folded = fold.fold_in(engine, histories)
    every = fold.coded(rows, fresh.users, _vocabulary(rows["item_id"]))
    if fold.max_length is None:
        return Change(fresh, found.findings, every, folded, None)
    sequences = history_rows(run, histories, fold.max_length)
    return Change(fresh, found.findings, every, folded, sequences)


def _vocabulary(ids: pa.ChunkedArray) -> pa.StringArray:
    """Ids in order, each once."""
    once = pc.unique(ids)
    return once.take(pc.sort_indices(once))


# --- what is written -----------------------------------------------------------------------------


def _same_plan(record: Record) -> Plan:
    """What the run is recorded as: the one it is made of."""
    options = own_options(json.loads(record["params"]))
    columns = (record[f"{name}_col"] for name in ("user", "item", "weight", "time"))
    return Plan(
        record["model_name"],
        record["source_sql"],
        algorithms.make(record["algorithm"], options),
        Columns(*columns),
        seed=record["seed"],
    )


def _write(engine: Engine, record: Record, run: Run, change: Change) -> None:
    """Everything of the run in one transaction: copied, but for the users that changed."""
    own = {"run_id": run.run_id, "parent_run": record["run_id"]}
    concerned = change.fresh.users
    with engine.transaction():
        _copy_small(engine, record, run)
        # each before what is written: a server's tables of a run are filled until they are joined
        pairs = pair_rows(run, change.histories)[1]
        write_changed(engine, users=concerned.to_pylist(), columns=pairs, **own)
        users = change.users.to_pylist()
        execute_named(engine, "copy_user_embeddings", users=users, **own)
        engine.write(*_user_rows(run, change))
        execute_named(engine, "copy_histories", users=concerned.to_pylist(), **own)
        if change.sequences:
            engine.write(*change.sequences)
        execute_named(engine, "copy_item_embeddings", **own)
        copy_cells(engine, **own)
        _finish(engine, record, run, change)
        gone = query_named(engine, "forgotten_meanwhile", run_id=run.run_id)
        if gone:
            people = engine.ask(statements("publish.sql")["people"], run_id=run.run_id)
            every = pa.concat_arrays(
                [*people["user_id"].cast(pa.string()).chunks, concerned]
            )
            forgetting.leave_out(engine, int(run.run_id or 0), every.to_pylist())


def _user_rows(run: Run, change: Change) -> Table:
    """The rows of those who were folded in."""
    known = change.folded.known  # (n,)
    position = np.cumsum(known) - 1  # (n,) among those with a vector
    codes = change.histories.user  # (pairs,)
    codes = position[codes[known[codes]]]  # (their pairs,)
    vectors = change.folded.vectors[known]
    bias = change.folded.bias[known]
    counts = np.bincount(codes, minlength=len(vectors))  # (those,)
    return side_rows(run, "user", change.users, vectors, bias, counts)


def _copy_small(engine: Engine, record: Record, run: Run) -> None:
    """Take over small tables, row by row."""
    for table in COPIED:
        rows = engine.ask(statements("publish.sql")[table], run_id=record["run_id"])
        for part in of_one_length(rows) if rows.num_rows else ():
            columns = dict(zip(part.column_names, part.columns, strict=True))
            columns["run_id"] = np.full(part.num_rows, run.run_id, np.int64)
            engine.write(table, columns)


def _finish(engine: Engine, record: Record, run: Run, change: Change) -> None:
    """Record the run as ready: with the options of the one it is made of, and of which it is."""
    run_id = run.run_id
    counts = query_named(engine, "counted_rows", run_id=run_id)[0]
    newest = change.fresh.newest_event(int(time.time() * 1e6))
    execute_named(engine, "note_parent", run_id=run_id, parent_run=record["run_id"])
    execute_named(engine, "set_params", run_id=run_id, params=record["params"])
    execute_named(engine, "note_newest", run_id=run_id, newest_event=newest)
    execute_named(
        engine,
        "finish_run",
        run_id=run_id,
        dim=record["dim"],
        similarity=record["similarity"],
        source_hash=_hash(record["source_hash"], change.fresh.checksum().encode()),
        checksum=_hash(record["checksum"], change.folded.vectors.tobytes()),
        **counts,
    )


def _hash(before: str, new: bytes) -> str:
    """What tells a run from the one it is made of, by what is new."""
    return hashlib.blake2b(before.encode() + new, digest_size=16).hexdigest()


# --- a training instead --------------------------------------------------------------------------


def _retrained(engine: Engine, record: dict[str, Any]) -> Refreshed:
    """Train a run's algorithm on all there is, from its vectors where it can."""
    plan = plan_of(engine, record, force=True)
    named = _same_plan(record)
    plan = replace(
        plan,
        source=named.source,
        columns=named.columns,
        warm_start=plan.algorithm.warm_starts,
        search_cells=bool(query_named(engine, "cells_of", run_id=record["run_id"])),
    )
    run = complete(engine, plan, lambda run: _all_there_is(engine, plan, record, run))
    return Refreshed(int(run.run_id or 0), retrained=True)


def _all_there_is(engine: Engine, plan: Plan, record: Record, run: Run) -> Interactions:
    """What a run was trained on and all that is new, also items, with its side inputs."""
    fold = foldable(engine, int(record["run_id"]))
    found = fresh_pairs(engine, record, fold)
    write_findings(engine, run, found.findings)
    fresh = found.some()
    past = pages(engine, "interactions", fold.run_id)
    parts = [page.drop_columns(["run_id"]).cast(PAIRS) for page in past]
    rows = pa.concat_tables(parts if fresh is None else [*parts, rows_of(fresh)])
    users, items = (_vocabulary(rows[name]) for name in ("user_id", "item_id"))
    data = fold.coded(rows, users, items)
    if fold.reads_repeats and fresh is not None:
        # pairs alone do not know what was repeated
        past = every_past_event(engine, fold.run_id)
        data = of_every_pair(in_order(past, data, fresh))
    data, findings = add_side_inputs(engine, plan, data, newcomers=True)
    write_findings(engine, run, findings)
    return data
