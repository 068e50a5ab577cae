"""What happened since a run was trained: where it is found, and who is folded in by it.

A server reads the watched table itself at every question. A file's questions cannot name a table
that may go, so there `watch` reads what is new and keeps the users that it changes, folded in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from embsql.data import Interactions, indptr_of
from embsql.engines import Engine
from embsql.errors import (
    InvalidArgument,
    NoRows,
    NotWatched,
    OtherTimes,
    RunWithoutTimes,
)
from embsql.lifecycle import registry
from embsql.lifecycle.folding import Foldable, foldable
from embsql.lifecycle.leases import retry
from embsql.lifecycle.named_statements import execute_named, log_event, query_named
from embsql.run import Columns, Run
from embsql.sources.prepare import Prepared, newest_time, prepare
from embsql.sources.source import Given, Source, lasting
from embsql.sqlfiles.files import statements

Record = Mapping[str, Any]
SINCE_1970 = 10**8  # in seconds this is 1973, and in finer units more
# less than the 1,000 from one unit to the next, more than from 1973 to 9999
UNITS_APART = 300


@dataclass(frozen=True, slots=True)
class Watched:
    """What a watched source has that the live run was not trained on."""

    run_id: int
    events: int  # pairs of user and item
    users: int
    new_users: int  # those that the run has no vector of
    new_items: int  # items that it has no vector of, which no folding in brings


def watch(
    engine: Engine, model_name: str, source: Source | None, columns: Columns
) -> Watched:
    """Let new events count in the answers about a model; without a source those of its own.

    Raises NotWatched, RunWithoutTimes, SourceWithoutTimes, OtherTimes, InvalidArgument for what
    cannot be read again, and what reading a source raises.
    """
    record = registry.finished_run(engine, registry.check_name(model_name))
    registry.check_own(engine, model_name)
    check_dated(record)
    if source is None and columns != Columns():
        allowed = "given where its columns are named"
        raise InvalidArgument(name="source", allowed=allowed, value="None")
    if source is None:
        source, columns = watched_source(engine, model_name)
    if isinstance(source, Given) and source.table is not None:
        allowed = "a table, a file or a SELECT, which can be read again"
        raise InvalidArgument(name="source", allowed=allowed, value=source.text)
    where = lasting(str(source)) if engine.embedded else str(source)
    _take(engine, record, where, columns)
    log_event(engine, model_name, record["run_id"], "watch")
    return Watched(**query_named(engine, "fresh_counts", model=model_name)[0])


def unwatch(engine: Engine, model_name: str) -> None:
    """Answer about a model from its runs alone again. Raises UnknownModel."""
    registry.model(engine, registry.check_name(model_name))

    def attempt() -> None:
        with engine.transaction():
            execute_named(engine, "drop_watch", model_name=model_name)
            runs = query_named(engine, "runs_of", model_name=model_name)
            for run in runs if engine.embedded else ():
                execute_named(engine, "drop_fresh_users", run_id=run["run_id"])

    retry(engine, attempt)


def watched_source(engine: Engine, model_name: str) -> tuple[str, Columns]:
    """What a model watches, and what its columns are called. Raises NotWatched."""
    found = query_named(engine, "watched", model_name=model_name)
    if not found:
        raise NotWatched(name=model_name)
    row = found[0]
    return row.pop("source_sql"), Columns(**row)


def check_dated(record: Record) -> None:
    """Refuse a run to which nothing or all would be new. Raises RunWithoutTimes."""
    if record["newest_event"] is None:
        raise RunWithoutTimes(name=record["model_name"], run_id=record["run_id"])


def fresh_pairs(engine: Engine, record: Record, fold: Foldable) -> Prepared:
    """What a run's watched source has since, with the ids of all, and what was found in it.

    Raises RunWithoutTimes, and what reading the source raises.
    """
    check_dated(record)
    if engine.embedded:
        given = watched_source(engine, record["model_name"])
        return _read(engine, record, fold, *given)
    select = watched_select(engine, "fresh_source", record["model_name"])
    return _read(engine, record, fold, select, Columns())


def watched_select(engine: Engine, name: str, model_name: str) -> str:
    """A statement about a model as embsql_internal.sources_of writes it.

    A job reads the sources that it was asked with, and with the rights of who asked.
    """
    return statements(engine=engine.name)[name].replace("$model_name", model_name)


# --- a file: what is new is read and kept --------------------------------------------------------


def _take(engine: Engine, record: Record, source: str, columns: Columns) -> None:
    """Write down what is watched; of a file, who is changed by it."""
    named = {"model_name": record["model_name"], "source": source}
    if not engine.embedded:
        options = {f"{key}_col": name for key, name in asdict(columns).items() if name}
        execute_named(engine, "watch", **named, options=json.dumps(options))
        return
    fold = foldable(engine, int(record["run_id"]))
    found = _read(engine, record, fold, source, columns)
    rows = _fresh_users(engine, record, fold, found.some())
    named |= {"run_id": record["run_id"], "refused_events": found.without_weight}

    def attempt() -> None:
        with engine.transaction():
            registry.lock_run(engine, record["model_name"], int(record["run_id"]))
            execute_named(engine, "watch", **named, **asdict(columns))
            execute_named(engine, "drop_fresh_users", run_id=record["run_id"])
            engine.write("fresh_users", rows)

    retry(engine, attempt)


def _fresh_users(
    engine: Engine, record: Record, fold: Foldable, fresh: Interactions | None
) -> dict[str, Any]:
    """The rows of embsql.fresh_users for a run, of what is new to it, if anything is."""
    if fresh is None:
        return {"run_id": np.empty(0, np.int64)}
    rows = fold.rows(engine, fresh)
    folded = fold.fold_in(engine, fold.histories(engine, fresh, rows))
    starts = indptr_of(fresh.user, fresh.n_users)  # (n_users + 1,)
    nobody = ~folded.known  # (n_users,)
    norm = np.sqrt(np.einsum("nd,nd->n", folded.vectors, folded.vectors))  # (n_users,)
    items = fresh.items.take(pa.array(fresh.item))
    assert fresh.time is not None  # noqa: S101 - for mypy: a source without times is refused
    return {
        "run_id": np.full(fresh.n_users, record["run_id"], np.int64),
        "user_id": fresh.users,
        "items": pa.ListArray.from_arrays(starts.astype(np.int32), items),
        "events": np.diff(starts),
        "newest_event": np.maximum.reduceat(fresh.time, starts[:-1]),
        "embedding": _vectors(folded.vectors, nobody),
        "norm": pa.array(norm, mask=nobody),
        "bias": pa.array(folded.bias, mask=nobody),
    }


def _vectors(vectors: Any, missing: Any) -> pa.ListArray:
    """Vectors (n, d) as a column, NULL where missing (n,) is true."""
    n, dim = vectors.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * dim)
    return pa.ListArray.from_arrays(
        offsets, pa.array(vectors.ravel()), mask=pa.array(missing)
    )


def _read(
    engine: Engine, record: Record, fold: Foldable, source: str, columns: Columns
) -> Prepared:
    """The pairs of a source newer than a run. Raises OtherTimes, and what `prepare` raises."""
    run = Run(run_id=record["run_id"], model_name=record["model_name"])
    newest = record["newest_event"] if engine.embedded else None  # a server's are
    found = prepare(
        engine,
        source,
        columns,
        run,
        explicit=fold.how.rated,
        ordered=fold.reads_repeats,
        since=newest,
    )
    if newest is None or (found.problem and not isinstance(found.problem, NoRows)):
        return found
    fresh = found.some()
    last = fresh.newest_event(int(time.time() * 1e6)) if fresh else None
    _check_unit(record, last if fresh else newest_time(engine, source, columns))
    return found


def _check_unit(record: Record, found: int | None) -> None:
    """Refuse times that count in another unit than a run's. Raises OtherTimes.

    As embsql_internal.check_time_unit: units differ by a thousand or more, and a time since 1970 is
    large in each; small numbers may be any order.
    """
    trained = record["newest_event"]
    sizes = sorted((abs(trained), abs(trained if found is None else found)))
    if sizes[1] >= SINCE_1970 and sizes[1] // UNITS_APART > sizes[0]:
        raise OtherTimes(
            name=record["model_name"],
            run_id=record["run_id"],
            trained=trained,
            found=found,
        )
