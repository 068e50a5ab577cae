"""Compiled loops that put coded rows in order: what SQL's GROUP BY ...

ORDER BY does, several times faster.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embsql.data import Float32, Int32, Int64, indptr_of
from embsql.numeric.linalg import parallel_map, balanced_ranges
from embsql.run import Run

Float64 = NDArray[np.float64]
NO_TIME = np.empty(0, np.int64)


def by_pair(
    user: Int32,
    item: Int32,
    weight: Float64,
    time: Int64 | None,
    shape: tuple[int, int],
    run: Run,
    *,
    average: bool,
) -> tuple[Int32, Int32, Float32, Int64 | None]:
    """Coded rows (n,) in any order -> one row per pair, ordered by (user, item): users, items,
    weights, times.

    Weights of a pair are summed, or averaged; of its times the last is kept. The sum does not
    depend on the order of the rows.
    """
    (n_users, n_items), timed = shape, time is not None
    item, user, weight, time = _ordered(
        item, n_items, user, weight, NO_TIME if time is None else time, run
    )
    user, item, weight, time = _ordered(user, n_users, item, weight, time, run)
    last = np.empty(
        len(user), np.bool_
    )  # (n,) whether a row is its pair's last, and holds what they make together
    start = indptr_of(user, n_users)  # (n_users + 1,)
    parallel_map(
        lambda a, z: _merge(start[a], start[z], user, item, weight, time, last, average),
        balanced_ranges(start, 1),
        run,
    )
    return user[last], item[last], weight[last].astype(np.float32), time[last] if timed else None


def _ordered(
    codes: Int32, n: int, other: Int32, weight: Float64, time: Int64, run: Run
) -> tuple[Any, ...]:
    """The rows by ascending code below n, as they came where codes are equal: codes, others,
    weights, times.

    A counting sort; each thread reads all rows and writes those of its own codes.
    """
    start = indptr_of(codes, n)  # (n + 1,)
    out = tuple(np.empty_like(column) for column in (other, weight, time))
    edges = np.searchsorted(
        start, np.linspace(0, len(codes), run.threads + 1)[1:-1]
    )  # (threads - 1,)
    shares = list(pairwise([0, *map(int, edges), n]))
    parallel_map(
        lambda a, z: _scatter(a, z, codes, start[a:z].copy(), other, weight, time, *out),
        shares,
        run,
    )
    return np.repeat(np.arange(n, dtype=np.int32), np.diff(start)), *out


@njit(cache=True, nogil=True)
def _scatter(
    a: int,
    z: int,
    codes: Int32,
    place: Int64,
    other: Int32,
    weight: Float64,
    time: Int64,
    others: Int32,
    weights: Float64,
    times: Int64,
) -> None:
    """Copy the rows of codes a to z to their places (z - a,), which move on."""
    for row in range(len(codes)):
        code = codes[row] - a
        if 0 <= code < z - a:
            target = place[code]
            place[code] = target + 1
            others[target] = other[row]
            weights[target] = weight[row]
            if len(time):
                times[target] = time[row]


@njit(cache=True, nogil=True)
def _merge(
    begin: int,
    end: int,
    user: Int32,
    item: Int32,
    weight: Float64,
    time: Int64,
    last: NDArray[np.bool_],
    average: bool,
) -> None:
    """Make the last of each pair's rows, between begin and end, hold their weight and their latest
    time.
    """
    first = begin
    for row in range(begin, end):
        last[row] = row + 1 == end or user[row + 1] != user[row] or item[row + 1] != item[row]
        if last[row]:
            if row > first:
                weight[row] = _sum(weight, first, row + 1) / (row + 1 - first if average else 1)
                for before in range(first, row if len(time) else first):
                    time[row] = max(time[row], time[before])
            first = row + 1


@njit(cache=True, nogil=True)
def _sum(weight: Float64, begin: int, end: int) -> float:
    """The sum of some weights, added in ascending order so that it does not depend on theirs.

    Sorts them.
    """
    for gap in (
        701,
        301,
        132,
        57,
        23,
        10,
        4,
        1,
    ):  # Shell's sort with Ciura's gaps: mostly two or three weights
        for row in range(begin + gap, end):
            value, place = weight[row], row
            while place >= begin + gap and weight[place - gap] > value:
                weight[place] = weight[place - gap]
                place -= gap
            weight[place] = value
    total = 0.0
    for row in range(begin, end):
        total += weight[row]
    return total
