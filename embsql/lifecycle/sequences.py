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
from embsql.lifecycle.loaded import pages
from embsql.numeric.fold_in import Folded
from embsql.sqlfiles.files import statements

BATCH = 300  # users of a statement: DuckDB keeps the network's maps with each


def past_events(engine: Engine, run_id: int, users: pa.StringArray) -> pa.Table:
    """What a run's network read of some users, in the order of each."""
    return engine.ask(
        statements(engine=engine.name)["past_events"],
        run_id=run_id,
        users=users.to_pylist(),
    )


def every_past_event(engine: Engine, run_id: int) -> pa.Table:
    """What a run's network read of all users, in the order of each."""
    return pa.concat_tables(pages(engine, "histories", run_id))


def in_order(past: pa.Table, pairs: Interactions, fresh: Interactions) -> Interactions:
    """Pairs with their events: those of histories, then the new ones.

    Events of other users and items than those of `pairs` are left out.
    """
    events = fresh.events_by_time()
    new_user = fresh.user[events.pair]  # (n,) codes among the users of `fresh`
    new_item = fresh.item[events.pair]  # (n,)
    user = np.concatenate(
        [
            _codes(past["user_id"], pairs.users),
            _codes(fresh.users, pairs.users)[new_user],
        ]
    )  # (m,)
    item = np.concatenate(
        [
            _codes(past["item_id"], pairs.items),
            _codes(fresh.items, pairs.items)[new_item],
        ]
    )  # (m,)
    assert events.time is not None  # noqa: S101 - for mypy: a source without times is refused
    time = np.concatenate([past["event_time"].to_numpy(), events.time])  # (m,)
    return _with_events(pairs, user, item, time)


def of_every_pair(pairs: Interactions) -> Interactions:
    """Pairs with their events, and one at its last time for each pair that has none.

    As histories are cut, and have no items that a run did not know.
    """
    events = pairs.events_by_time()
    assert events.time is not None  # noqa: S101 - for mypy: who is retrained in order has times
    assert pairs.time is not None  # noqa: S101 - for mypy: they are the last of these times
    lone = np.setdiff1d(np.arange(len(pairs)), events.pair)  # (l,)
    pair = np.concatenate([events.pair, lone])  # (m,)
    time = np.concatenate([events.time, pairs.time[lone]])  # (m,)
    order = np.lexsort((time, pairs.user[pair]))  # (m,) stable
    ordered = pair[order]  # (m,)
    user = pairs.user[ordered]  # (m,)
    item = pairs.item[ordered]  # (m,)
    return replace(pairs, events=_events(pairs, user, item, time[order]))


def with_histories(engine: Engine, run_id: int, pairs: Interactions) -> Interactions:
    """A run's pairs with the events that its network has read, in their order."""
    rows = every_past_event(engine, run_id)
    if rows["event_time"].null_count:  # of a source without times
        return pairs
    user = _codes(rows["user_id"], pairs.users)  # (m,)
    item = _codes(rows["item_id"], pairs.items)  # (m,)
    return _with_events(pairs, user, item, rows["event_time"].to_numpy())


def _with_events(
    pairs: Interactions, user: Int32, item: Int32, time: Int64
) -> Interactions:
    """Pairs with events (m,), in the order of each user; -1 is no user or item of them."""
    order = np.argsort(user, kind="stable")  # (m,)
    is_known = (user >= 0) & (item >= 0)  # (m,)
    order = order[is_known[order]]  # (known,)
    events = _events(pairs, user[order], item[order], time[order])
    return replace(pairs, events=events)


def _codes(ids: pa.StringArray | pa.ChunkedArray, of: pa.StringArray) -> Int32:
    """Positions of ids (n,) among others; -1 for one that is not there: (n,)."""
    found = pc.index_in(ids, value_set=of).fill_null(-1)
    return np.asarray(found, np.int32)


def _events(pairs: Interactions, user: Int32, item: Int32, time: Int64) -> Events:
    """Events (n,) in order, each of a pair; all weigh the same, as networks read them."""
    keys = pairs.user * np.int64(pairs.n_items) + pairs.item  # (pairs,) ascending
    own = user * np.int64(pairs.n_items) + item  # (n,)
    pair = np.searchsorted(keys, own)  # (n,)
    weight = np.ones(len(pair), np.float32)
    return Events(pair.astype(np.int32), weight, time)


def states(engine: Engine, run_id: int, dim: int, histories: Interactions) -> Folded:
    """The users of histories with their events, as the run's network makes their vectors."""
    n = histories.n_users
    made = Folded(
        vectors=np.zeros((n, dim), np.float32),
        bias=np.zeros(n, np.float32),
        known=np.zeros(n, np.bool_),
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
    item = histories.item[events.pair]  # (m,)
    items = histories.items.take(pa.array(item))
    first_users = np.arange(0, histories.n_users + BATCH, BATCH)  # (batches + 1,)
    bounds = np.searchsorted(user, first_users)  # (batches + 1,)
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
