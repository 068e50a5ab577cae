"""Graphs to walk on, as symmetric sparse matrices: of interactions, or of edges that were given."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from embsql.data import CsrMatrix, Float32, Graph, Int32, Int64, Interactions, indptr_of
from embsql.numeric.aggregate import by_pair
from embsql.numeric.compiler import compiled, inlined
from embsql.numeric.linalg import balanced_ranges, parallel_map
from embsql.numeric.topk import cosine_neighbors
from embsql.run import Run

# items of a history beyond which it is passed over: work grows with its square, and it says little
MAX_HISTORY = 5_000
MAX_COST = 64  # of an event: windows longer than this are seldom full


def adjacency(graph: Graph, n: int, run: Run) -> CsrMatrix:
    """The matrix (n, n) of edges in both directions; those given more than once are added up."""
    return _symmetric(graph.source, graph.target, graph.weight, n, run, average=False)


def edges(matrix: CsrMatrix) -> Graph:
    """The entries of a matrix as edges, each in both directions."""
    source = np.repeat(
        np.arange(len(matrix.counts), dtype=np.int32), matrix.counts
    )  # (e,)
    return Graph(source, matrix.indices, matrix.data)


def bipartite(data: Interactions, run: Run) -> CsrMatrix:
    """Users and then items as nodes (n, n), each pair an edge by its weight."""
    item = data.item + np.int32(data.n_users)  # (pairs,)
    n = data.n_users + data.n_items
    return _symmetric(data.user, item, data.weight, n, run, average=False)


def item_knn_graph(
    data: Interactions,
    k: int,
    min_similarity: float,
    max_event_distance: int,
    max_time_gap: int,
    run: Run,
    *,
    counts: bool,
) -> CsrMatrix:
    """Every item next to its k nearest, and to those it is one of the nearest of, (n, n).

    Near is the cosine of their sets of users, at least `min_similarity`; with `counts` edges weigh
    what it is made of, the number of users they share. With `max_event_distance` or `max_time_gap`
    only users count who have the two at most so many events, or so much time, apart.
    """
    short = data.by_user().counts[data.user] <= MAX_HISTORY  # (pairs,)
    data = data.where(short)
    by_item = data.by_item()
    if max_event_distance or max_time_gap:
        neighbor, cosine = _ordered_neighbors(
            data, k, max_event_distance, max_time_gap, run
        )
    else:
        neighbor, cosine = cosine_neighbors(
            data.by_user(), by_item, k, run
        )  # (n_items, k) each
    joined = (neighbor >= 0) & (cosine >= min_similarity) & (cosine > 0)  # (n_items, k)
    source = np.nonzero(joined)[0]  # (e,)
    target = neighbor[joined]  # (e,)
    weight = cosine[joined]  # (e,)
    if counts:
        product = by_item.counts[source] * by_item.counts[target]  # (e,)
        weight = np.rint(weight * np.sqrt(product)).astype(np.float32)
    return _symmetric(
        source.astype(np.int32), target, weight, data.n_items, run, average=True
    )


def _symmetric(
    source: Int32, target: Int32, weight: Float32, n: int, run: Run, *, average: bool
) -> CsrMatrix:
    """The matrix (n, n) of edges in both directions, ordered by source and target."""
    from_ = np.concatenate((source, target))  # (2e,)
    to = np.concatenate((target, source))  # (2e,)
    weights = np.tile(weight, 2).astype(np.float64)  # (2e,)
    row, column, data, _ = by_pair(
        from_, to, weights, None, (n, n), run, average=average
    )
    return CsrMatrix(indptr_of(row, n), column, data)


# --- users who have two items near one another ---------------------------------------------------


class ItemEvents(NamedTuple):
    """All events, by user and in order, as the compiled loop reads them."""

    user: Int32  # (m,)
    item: Int32  # (m,)
    time: Int64  # (m,), or none where time does not count
    user_indptr: Int64  # (n_users + 1,)
    by_item: Int64  # (m,) the events by item
    item_indptr: Int64  # (n_items + 1,) of by_item


class Limits(NamedTuple):
    """How near two events must be."""

    distance: int  # in events
    time_gap: int


def _ordered_neighbors(
    data: Interactions, k: int, max_event_distance: int, max_time_gap: int, run: Run
) -> tuple[Int32, Float32]:
    """As cosine_neighbors, of users who have two items near one another; 0 lifts a limit."""
    events = _events(data, timed=max_time_gap > 0)
    limits = Limits(max_event_distance or len(events.item), max_time_gap)
    users = np.maximum(np.bincount(data.item, minlength=data.n_items), 1)  # (n_items,)
    scale = (1 / np.sqrt(users)).astype(np.float32)  # (n_items,)
    codes = np.full((data.n_items, k), -1, np.int32)
    cosines = np.zeros((data.n_items, k), np.float32)

    def rank_items(low: int, high: int) -> None:
        scratch = np.zeros((3, data.n_items), np.int32)
        _count_shared(low, high, events, limits, scale, scratch, codes, cosines)

    work = events.item_indptr + np.arange(len(events.item_indptr))  # (n_items + 1,)
    parallel_map(rank_items, balanced_ranges(work, min(limits.distance, MAX_COST)), run)
    return codes, cosines


def _events(data: Interactions, *, timed: bool) -> ItemEvents:
    """The events of the interactions."""
    events = data.events_by_time()
    user = data.user[events.pair]  # (m,)
    item = data.item[events.pair]  # (m,)
    time = events.time if timed else None
    if time is None:
        time = np.empty(0, np.int64)
    by_item = np.argsort(item, kind="stable")  # (m,)
    item_indptr = indptr_of(item[by_item], data.n_items)
    return ItemEvents(
        user, item, time, indptr_of(user, data.n_users), by_item, item_indptr
    )


@compiled
def _count_shared(
    low: int,
    high: int,
    events: ItemEvents,
    limits: Limits,
    scale: Float32,
    scratch: Int32,
    codes: Int32,
    cosines: Float32,
) -> None:
    """The neighbors of items low..high: count users with events of both in reach, then scale.

    scratch (3, n_items) is zero: users shared with an item, the last of them plus 1, and which
    items share one.
    """
    timed = len(events.time) > 0
    shared = scratch[0]
    last_user = scratch[1]
    touched = scratch[2]
    for i in range(low, high):
        n_touched = 0
        for e in events.by_item[events.item_indptr[i] : events.item_indptr[i + 1]]:
            user = events.user[e]
            first = max(events.user_indptr[user], e - limits.distance)
            last = min(events.user_indptr[user + 1], e + limits.distance + 1)
            for f in range(first, last):
                j = events.item[f]
                if j == i or last_user[j] == user + 1:
                    continue
                if timed and abs(events.time[f] - events.time[e]) > limits.time_gap:
                    continue
                if shared[j] == 0:
                    touched[n_touched] = j
                    n_touched += 1
                shared[j] += 1
                last_user[j] = user + 1
        for j in touched[:n_touched]:
            cosine = np.float32(shared[j] * scale[i] * scale[j])
            _insert(j, cosine, codes[i], cosines[i])
            shared[j] = 0
            last_user[j] = 0


@inlined
def _better(
    score: np.float32, code: int, than_score: np.float32, than_code: int
) -> bool:
    """Whether an entry ranks before another."""
    return bool(score > than_score or (score == than_score and code < than_code))


@compiled
def _insert(code: int, score: np.float32, codes: Int32, scores: Float32) -> None:
    """Put an entry where it belongs in a list, best first, equal scores by ascending code.

    The last falls out.
    """
    rank = len(codes)
    while rank and _better(score, code, scores[rank - 1], codes[rank - 1]):
        if rank < len(codes):
            codes[rank] = codes[rank - 1]
            scores[rank] = scores[rank - 1]
        rank -= 1
    if rank < len(codes):
        codes[rank] = code
        scores[rank] = score
