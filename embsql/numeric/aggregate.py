"""Coded rows put in order and added up: SQL's GROUP BY and ORDER BY, several times faster."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Float64, Int32, Int64, indptr_of
from embsql.numeric.linalg import balanced_ranges, parallel_map
from embsql.numeric.plain import are_few, plain_by_pair
from embsql.run import Run

NO_TIME = np.empty(0, np.int64)
NO_WEIGHT = np.empty(0, np.float64)


def by_pair(
    user: Int32,
    item: Int32,
    weight: Float64 | None,
    time: Int64 | None,
    shape: tuple[int, int],
    run: Run,
    *,
    average: bool,
) -> tuple[Int32, Int32, Float32, Int64 | None]:
    """One row per pair, ordered by (user, item), of coded rows (n,) in any order.

    Returns users, items, weights and times. Weights of a pair are summed, or averaged; without
    them each row counts 1. Of a pair's times the last is kept. The sum does not depend on the order
    of the rows.
    """
    if are_few(len(user)):
        return plain_by_pair(user, item, weight, time, average=average)
    return _by_counting_sort(user, item, weight, time, shape, run, average=average)


def _by_counting_sort(
    user: Int32,
    item: Int32,
    weight: Float64 | None,
    time: Int64 | None,
    shape: tuple[int, int],
    run: Run,
    *,
    average: bool,
) -> tuple[Int32, Int32, Float32, Int64 | None]:
    """The same by compiled loops: rows by item and then by user, and each pair's added up."""
    from embsql.numeric import aggregate_kernels  # here: it brings the compiler

    n_users, n_items = shape
    weights = NO_WEIGHT if weight is None else weight
    times = NO_TIME if time is None else time
    item, user, weights, times = _sorted_by(item, n_items, user, weights, times, run)
    user, item, weights, times = _sorted_by(user, n_users, item, weights, times, run)
    is_last = np.empty(
        len(user), np.bool_
    )  # (n,) of its pair: it holds what the pair comes to
    indptr = indptr_of(user, n_users)  # (n_users + 1,)

    def merge_users(low: int, high: int) -> None:
        aggregate_kernels.merge(
            indptr[low], indptr[high], user, item, weights, times, is_last, average
        )

    parallel_map(merge_users, balanced_ranges(indptr, 1), run)
    counted = weight is None
    total = _counts(is_last, average) if counted else _where(is_last, weights)
    latest = None if time is None else _where(is_last, times)
    return (
        _where(is_last, user),
        _where(is_last, item),
        total.astype(np.float32, copy=False),
        latest,
    )


def _where(is_last: NDArray[np.bool_], column: NDArray[Any]) -> NDArray[Any]:
    """The rows of a column that are their pair's last; the column itself where all are."""
    return column if is_last.all() else column[is_last]


def _counts(is_last: NDArray[np.bool_], average: bool) -> Float32:
    """What the rows of each pair (pairs,) come to where each counts 1."""
    if average or is_last.all():
        return np.ones(np.count_nonzero(is_last), np.float32)
    last = np.flatnonzero(is_last).astype(np.int32)  # (pairs,)
    return np.diff(last, prepend=np.int32(-1)).astype(np.float32)


def _sorted_by(
    codes: Int32, n: int, other: Int32, weight: Float64, time: Int64, run: Run
) -> tuple[Any, ...]:
    """The rows by ascending code below n, as they came where codes are equal.

    Returns codes, others, weights and times. A counting sort; each thread reads all rows and writes
    those of its own codes.
    """
    from embsql.numeric import aggregate_kernels

    indptr = indptr_of(codes, n)  # (n + 1,)
    out = tuple(np.empty_like(column) for column in (other, weight, time))

    def scatter_codes(low: int, high: int) -> None:
        cursor = indptr[low:high].copy()  # (codes,)
        aggregate_kernels.scatter(low, high, codes, cursor, other, weight, time, *out)

    shares = np.linspace(0, len(codes), run.threads + 1)  # (threads + 1,)
    edges = np.searchsorted(indptr, shares[1:-1]).tolist()
    parallel_map(scatter_codes, list(pairwise([0, *edges, n])), run)
    code = np.arange(n, dtype=np.int32)
    return np.repeat(code, np.diff(indptr)), *out
