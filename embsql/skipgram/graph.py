"""Graphs to walk on: made of interactions, or of edges that were given.

A graph is a symmetric sparse matrix.
"""

from __future__ import annotations

import numpy as np

from embsql.data import CsrMatrix, Float32, Graph, Int32, Int64, Interactions, indptr_of
from embsql.numeric.aggregate import by_pair
from embsql.numeric.kernels import compiled
from embsql.numeric.linalg import parallel_map, balanced_ranges
from embsql.numeric.topk import cosine_neighbors
from embsql.run import Run

# items of a history beyond which it is passed over: work grows with its square, and it says little
LONGEST = 5_000


def adjacency(graph: Graph, n: int, run: Run) -> CsrMatrix:
    """The matrix (n, n) of some edges: both directions of each, those given more than once added
    up.
    """
    return _symmetric(graph.source, graph.target, graph.weight, n, run, average=False)


def edges(rows: CsrMatrix) -> Graph:
    """The entries of a matrix as edges, each in both directions."""
    source = np.repeat(np.arange(len(rows.counts), dtype=np.int32), rows.counts)  # (e,)
    return Graph(source, rows.indices, rows.data)


def bipartite(data: Interactions, run: Run) -> CsrMatrix:
    """Users next to the items they met, by weight: (n_users + n_items,) squared, the users first."""
    item = data.item + np.int32(data.n_users)  # (n,)
    return _symmetric(data.user, item, data.weight, data.n_users + data.n_items, run, average=False)


def met_by_the_same(
    data: Interactions, k: int, least: float, window: int, gap: int, run: Run, *, counts: bool
) -> CsrMatrix:
    """Every item next to the k items nearest to it, and to those it is so near to: (n_items,
    n_items).

    Near is the cosine of their sets of users, at least `least`; with `counts` edges weigh what it
    is made of, the number of users they share. With `window` or `gap` only users count who met the
    two at most so many events, or so much time, apart. Where one of two items is a neighbour of the
    other, they are neighbours.
    """
    data = data.where(np.diff(data.by_user().indptr)[data.user] <= LONGEST)
    by_item = data.by_item()
    if window or gap:
        column, cosine = _neighbours_in_order(
            data, k, window, gap, run
        )  # (n_items, k), (n_items, k)
    else:
        column, cosine = cosine_neighbors(
            data.by_user(), by_item, k, run
        )  # (n_items, k), (n_items, k)
    source, place = np.nonzero((column >= 0) & (cosine >= least) & (cosine > 0))  # (e,), (e,)
    target, weight = column[source, place], cosine[source, place]  # (e,), (e,)
    if counts:
        weight = np.rint(weight * np.sqrt(by_item.counts[source] * by_item.counts[target])).astype(
            np.float32
        )
    return _symmetric(source.astype(np.int32), target, weight, data.n_items, run, average=True)


def _symmetric(
    source: Int32, target: Int32, weight: Float32, n: int, run: Run, *, average: bool
) -> CsrMatrix:
    """The matrix (n, n) of edges in both directions, ordered by source and target."""
    both = np.concatenate((source, target)), np.concatenate((target, source))  # (2e,), (2e,)
    row, column, mass, _ = by_pair(
        *both, np.tile(weight, 2).astype(np.float64), None, (n, n), run, average=average
    )
    return CsrMatrix(indptr_of(row, n), column, mass)


def _neighbours_in_order(
    data: Interactions, k: int, window: int, gap: int, run: Run
) -> tuple[Int32, Float32]:
    """As cosine_neighbors, of users who met two items near one another; 0 lifts a limit."""
    events = data.in_order()
    user, item = data.user[events.pair], data.item[events.pair]  # (m,), (m,)
    time = events.time if gap and events.time is not None else np.empty(0, np.int64)  # (m,) or none
    order, first = (
        np.argsort(item, kind="stable"),
        indptr_of(user, data.n_users),
    )  # (m,) events by item, (n_users + 1,)
    start = indptr_of(item[order], data.n_items)  # (n_items + 1,)
    users = np.maximum(np.bincount(data.item, minlength=data.n_items), 1)  # (n_items,)
    scale = (1 / np.sqrt(users)).astype(np.float32)  # (n_items,)
    columns, cosines = (
        np.full((data.n_items, k), -1, np.int32),
        np.zeros((data.n_items, k), np.float32),
    )
    reach = window or len(item)

    def part(low: int, high: int) -> None:
        shared, seen, met = np.zeros((3, data.n_items), np.int32)  # each (n_items,)
        _in_order(
            low,
            high,
            start,
            order,
            user,
            item,
            time,
            first,
            reach,
            gap,
            scale,
            shared,
            seen,
            met,
            columns,
            cosines,
        )

    work = np.concatenate(([0], np.cumsum(np.diff(start) + 1)))  # (n_items + 1,)
    parallel_map(part, balanced_ranges(work, min(reach, 64)), run)
    return columns, cosines


@compiled
def _in_order(
    low: int,
    high: int,
    start: Int64,
    order: Int64,
    user: Int32,
    item: Int32,
    time: Int64,
    first: Int64,
    reach: int,
    gap: int,
    scale: Float32,
    shared: Int32,
    seen: Int32,
    met: Int32,
    columns: Int32,
    cosines: Float32,
) -> None:
    """The neighbours of items low..high: count users with events of both in reach, then scale.

    shared, seen and met (n_items,) are scratch and zero: users shared with an item, the last of
    them plus 1, and which items there are.
    """
    for i in range(low, high):
        n = 0
        for e in order[start[i] : start[i + 1]]:
            u = user[e]
            for f in range(max(first[u], e - reach), min(first[u + 1], e + reach + 1)):
                j = item[f]
                if j == i or seen[j] == u + 1 or (len(time) and abs(time[f] - time[e]) > gap):
                    continue
                if shared[j] == 0:
                    met[n] = j
                    n += 1
                shared[j] += 1
                seen[j] = u + 1
        for j in met[:n]:
            _insert(j, np.float32(shared[j] * scale[i] * scale[j]), columns[i], cosines[i])
            shared[j] = seen[j] = 0


@compiled
def _insert(code: int, score: np.float32, codes: Int32, scores: Float32) -> None:
    """Put an entry where it belongs in a list, best first, equal scores by ascending code.

    The last falls out.
    """
    place = len(codes)
    while place and (
        score > scores[place - 1] or (score == scores[place - 1] and code < codes[place - 1])
    ):
        if place < len(codes):
            codes[place], scores[place] = codes[place - 1], scores[place - 1]
        place -= 1
    if place < len(codes):
        codes[place], scores[place] = code, score
