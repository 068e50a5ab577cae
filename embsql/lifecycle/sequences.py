"""What users did before and after a run with a network was trained, in order, and its states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.arrow import as_matrix
from embsql.data import Events, Float32, Int32, Int64, Interactions
from embsql.engines import Engine
from embsql.numeric.fold_in import Folded
from embsql.sqlfiles.files import statements

BATCH = 300  # users of a statement: DuckDB keeps the network's maps with each


def in_order(
    engine: Engine, run_id: int, pairs: Interactions, fresh: Interactions
) -> Interactions:
    """Pairs of users with their events: those of the run's histories, then the new ones.

    Of the users of `fresh`, in its order; events of other items than those of `pairs` are left out.
    """
    past = engine.ask(
        statements(engine=engine.name)["past_events"],
        run_id=run_id,
        users=fresh.users.to_pylist(),
    )
    events = fresh.events_by_time()
    codes = pc.index_in(fresh.items, value_set=pairs.items)  # (fresh items,)
    code_of = codes.fill_null(-1).to_numpy()  # (fresh items,)
    user = np.concatenate(
        [_codes(past["user_id"], fresh.users), fresh.user[events.pair]]
    )  # (m,)
    item = np.concatenate(
        [_codes(past["item_id"], pairs.items), code_of[fresh.item[events.pair]]]
    )  # (m,)
    assert events.time is not None  # noqa: S101 - for mypy: a source without times is refused
    time = np.concatenate([past["event_time"].to_numpy(), events.time])  # (m,)
    order = np.argsort(user, kind="stable")  # (m,)
    order = order[item[order] >= 0]  # (known,)
    return replace(pairs, events=_events(pairs, user[order], item[order], time[order]))


def _codes(ids: pa.ChunkedArray, of: pa.StringArray) -> Int32:
    """Positions of ids (n,) among others; -1 for one that is not there: (n,)."""
    codes: Int32 = pc.index_in(ids, value_set=of).fill_null(-1).to_numpy()
    return codes


def _events(pairs: Interactions, user: Int32, item: Int32, time: Int64) -> Events:
    """Events (n,) in order, each of a pair; all weigh the same, as networks read them."""
    keys = pairs.user * np.int64(pairs.n_items) + pairs.item  # (pairs,) ascending
    pair = np.searchsorted(keys, user * np.int64(pairs.n_items) + item)  # (n,)
    return Events(pair.astype(np.int32), np.ones(len(pair), np.float32), time)


def states(engine: Engine, run_id: int, dim: int, histories: Interactions) -> Folded:
    """The users of histories with their events, as the run's network makes their vectors."""
    n = histories.n_users
    made = Folded(
        np.zeros((n, dim), np.float32), np.zeros(n, np.float32), np.zeros(n, np.bool_)
    )
    for user, vectors in _states(engine, run_id, histories):
        made.vectors[user] = vectors
        made.known[user] = True
    return made


def _states(
    engine: Engine, run_id: int, histories: Interactions
) -> Iterator[tuple[Int64, Float32]]:
    """Some users (n,) at a time, with their states (n, d); none of whom no item is known."""
    events = histories.events_by_time()
    assert events.time is not None  # noqa: S101 - for mypy: such a run has times
    user = histories.user[events.pair]  # (m,) ascending
    items = histories.items.take(pa.array(histories.item[events.pair]))
    bounds = np.searchsorted(user, np.arange(0, histories.n_users + BATCH, BATCH))
    for begin, end in pairwise(bounds):
        found = engine.ask(
            statements(engine=engine.name)["states"],
            run_id=run_id,
            users=user[begin:end].tolist(),
            items=items[begin:end].to_pylist(),
            times=events.time[begin:end].tolist(),
        )
        if found.num_rows:
            yield found["person"].to_numpy(), as_matrix(found["embedding"])
