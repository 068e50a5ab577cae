"""Coded rows put in order and added up: SQL's GROUP BY and ORDER BY, several times faster."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from embsql.data import Float32, Int32, Int64, indptr_of
from embsql.numeric.linalg import balanced_ranges, parallel_map
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
    """One row per pair, ordered by (user, item), of coded rows (n,) in any order.

    Returns users, items, weights and times. Weights of a pair are summed, or averaged; of its times
    the last is kept. The sum does not depend on the order of the rows.
    """
    n_users, n_items = shape
    times = NO_TIME if time is None else time
    item, user, weight, times = _sorted_by(item, n_items, user, weight, times, run)
    user, item, weight, times = _sorted_by(user, n_users, item, weight, times, run)
    is_last = np.empty(
        len(user), np.bool_
    )  # (n,) of its pair; it holds what the pair comes to
    indptr = indptr_of(user, n_users)  # (n_users + 1,)

    def merge_users(low: int, high: int) -> None:
        _merge(indptr[low], indptr[high], user, item, weight, times, is_last, average)

    parallel_map(merge_users, balanced_ranges(indptr, 1), run)
    weights = weight[is_last].astype(np.float32)
    latest = None if time is None else times[is_last]
    return user[is_last], item[is_last], weights, latest


def _sorted_by(
    codes: Int32, n: int, other: Int32, weight: Float64, time: Int64, run: Run
) -> tuple[Any, ...]:
    """The rows by ascending code below n, as they came where codes are equal.

    Returns codes, others, weights and times. A counting sort; each thread reads all rows and writes
    those of its own codes.
    """
    indptr = indptr_of(codes, n)  # (n + 1,)
    out = tuple(np.empty_like(column) for column in (other, weight, time))

    def scatter_codes(low: int, high: int) -> None:
        cursor = indptr[low:high].copy()  # (codes,)
        _scatter(low, high, codes, cursor, other, weight, time, *out)

    shares = np.linspace(0, len(codes), run.threads + 1)  # (threads + 1,)
    edges = np.searchsorted(indptr, shares[1:-1]).tolist()
    parallel_map(scatter_codes, list(pairwise([0, *edges, n])), run)
    code = np.arange(n, dtype=np.int32)
    return np.repeat(code, np.diff(indptr)), *out


@njit(cache=True, nogil=True)
def _scatter(
    low: int,
    high: int,
    codes: Int32,
    cursor: Int64,
    other: Int32,
    weight: Float64,
    time: Int64,
    others: Int32,
    weights: Float64,
    times: Int64,
) -> None:
    """Copy the rows of codes low to high to where cursor (high - low,) says, which moves on."""
    for row in range(len(codes)):
        code = codes[row] - low
        if 0 <= code < high - low:
            target = cursor[code]
            cursor[code] = target + 1
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
    is_last: NDArray[np.bool_],
    average: bool,
) -> None:
    """Let the last of each pair's rows in begin..end hold the pair's weight and latest time."""
    first = begin
    for row in range(begin, end):
        is_last[row] = (
            row + 1 == end or user[row + 1] != user[row] or item[row + 1] != item[row]
        )
        if is_last[row]:
            if row > first:
                total = _sum(weight, first, row + 1)
                weight[row] = total / (row + 1 - first if average else 1)
                for earlier in range(first, row if len(time) else first):
                    time[row] = max(time[row], time[earlier])
            first = row + 1


@njit(cache=True, nogil=True)
def _sum(weight: Float64, begin: int, end: int) -> float:
    """The sum of weights begin..end, sorted first so that their order does not count.

    Shell's sort with Ciura's gaps: mostly there are two or three.
    """
    for gap in (701, 301, 132, 57, 23, 10, 4, 1):
        for row in range(begin + gap, end):
            value = weight[row]
            position = row
            while position >= begin + gap and weight[position - gap] > value:
                weight[position] = weight[position - gap]
                position -= gap
            weight[position] = value
    total = 0.0
    for row in range(begin, end):
        total += weight[row]
    return total
