"""Work on the rows of large tables, by threads.

Numba's own threading layers are not used: the portable one ends the process when two threads enter
it, and a database calls from many. BLAS has one thread for each of ours. Every row is computed
whole by one thread and sums are added in the order of the rows, so no result depends on the number
of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from itertools import pairwise
from typing import TypeVar

import numpy as np

from embsql.data import CsrMatrix, Float32, Float64, Int64, indptr_of
from embsql.numeric.blas import one_blas_thread
from embsql.numeric.plain import are_few, plain_multiply, plain_transpose
from embsql.run import Run

Result = TypeVar("Result")
Ranges = list[tuple[int, int]]  # of rows, from the first up to before the last

MAX_RANGES = 32  # of small tables: enough to keep threads equally busy
# Pairs x columns in one range, about 1 ms: less is sooner done than handed over.
MIN_WORK = 1 << 20
MAX_WORK = 1 << 26  # about a tenth of a second, so that a run can be stopped
CHECK_INTERVAL = 0.2  # seconds
NO_VALUES = np.empty(0, np.float32)
NUMBERS_PER_ROW = 16  # multiplied and added in the time in which a row is sorted
ROW_COST = 4  # pairs that a row of a sparse matrix costs as much as

_kept: ContextVar[ThreadPoolExecutor | None] = ContextVar("kept", default=None)


@contextmanager
def thread_pool(run: Run) -> Iterator[ThreadPoolExecutor]:
    """A pool of the run's threads: all work inside shares it, and it ends with the block.

    Each step of a training on small data takes less time than a pool to start.
    """
    kept = _kept.get()
    if kept is not None:
        yield kept
        return
    with ThreadPoolExecutor(run.threads) as pool:
        token = _kept.set(pool)
        try:
            yield pool
        finally:
            _kept.reset(token)


def _context() -> Context:
    """This thread's context for another, without its pool: a pool is not to wait for itself."""
    context = copy_context()
    context.run(_kept.set, None)
    return context


def parallel_map(
    work: Callable[[int, int], Result], ranges: Ranges, run: Run
) -> list[Result]:
    """The work done on each range by run.threads threads; results in the order of the ranges."""
    if len(ranges) == 1:
        run.check()
        return [work(*ranges[0])]
    with thread_pool(run) as pool:
        futures = [pool.submit(_context().run, work, low, high) for low, high in ranges]
        try:
            while wait(
                futures, timeout=CHECK_INTERVAL, return_when=FIRST_EXCEPTION
            ).not_done:
                run.check()
        finally:
            for future in futures:
                future.cancel()
            wait(futures)
    run.check()
    return [future.result() for future in futures]


def balanced_ranges(cumulative: Int64, cost: int) -> Ranges:
    """Ranges of n rows of about equal work, the same for any number of threads.

    cumulative (n + 1,) is the work before each row, in units of `cost`.
    """
    work = int(cumulative[-1]) * cost
    count = max(1, min(MAX_RANGES, work // MIN_WORK), work // MAX_WORK)
    shares = np.linspace(0, cumulative[-1], count + 1)  # (count + 1,)
    edges = np.unique(np.searchsorted(cumulative, shares))  # (ranges + 1,)
    return list(pairwise(edges.tolist()))


def equal_ranges(n: int, count: int) -> Ranges:
    """As many ranges of equally many rows, some of them empty where there are few."""
    edges = np.linspace(0, n, count + 1).astype(np.int64)  # (count + 1,)
    return list(pairwise(edges.tolist()))


def csr_ranges(matrix: CsrMatrix, cost: int) -> Ranges:
    """Ranges of rows of about equally many pairs, each of which costs so much."""
    row = np.arange(len(matrix.indptr))  # (n + 1,)
    return balanced_ranges(matrix.indptr + ROW_COST * row, cost)


def dense_ranges(n: int, width: int) -> Ranges:
    """Ranges of equally many rows, each row costing width^2."""
    row = np.arange(n + 1, dtype=np.int64)  # (n + 1,)
    return balanced_ranges(row * (1 + width // 8), width)


def matmul(table: Float32, right: Float32, run: Run) -> Float32:
    """A table (n, f) times a small one (f, g): (n, g)."""
    out = np.empty((len(table), right.shape[1]), np.float32)  # (n, g)
    _matmul(table, right, out, run)
    return out


def rotate(table: Float32, right: Float32, run: Run) -> Float32:
    """A table (n, f) times a small square one (f, f), in its own memory."""
    _matmul(table, right, table, run)
    return table


def _matmul(table: Float32, right: Float32, out: Float32, run: Run) -> None:
    """A table (n, f) times a small one (f, g) into another (n, g), which may be the same."""

    def multiply_range(low: int, high: int) -> None:
        # what overflows is seen by its loss, which is not finite
        with np.errstate(over="ignore", invalid="ignore"):
            np.matmul(table[low:high], right, out=out[low:high])

    with one_blas_thread():
        parallel_map(multiply_range, dense_ranges(*table.shape), run)


def gramian(table: Float32, run: Run) -> Float64:
    """The inner products of a table's columns: (n, f) -> (f, f)."""

    def gramian_of_range(low: int, high: int) -> Float32:
        part = table[low:high]
        with np.errstate(over="ignore", invalid="ignore"):
            return part.T @ part  # (f, f)

    total = np.zeros((table.shape[1], table.shape[1]))  # (f, f)
    with one_blas_thread():
        for part in parallel_map(gramian_of_range, dense_ranges(*table.shape), run):
            total += part
    return total


def eigh(gramian: Float64) -> tuple[Float64, Float32]:
    """Eigenvalues (f,) of a Gramian, largest first, and eigenvectors as columns (f, f).

    Of a Gramian that is not finite nothing is.
    """
    if not np.isfinite(gramian).all():
        gramian = np.full_like(gramian, np.nan)
        return gramian[0], gramian.astype(np.float32)
    with one_blas_thread():
        eigenvalues, eigenvectors = np.linalg.eigh(gramian)  # smallest first
    columns = np.ascontiguousarray(eigenvectors[:, ::-1], np.float32)  # (f, f)
    return eigenvalues[::-1].clip(min=0), columns


def multiply(matrix: CsrMatrix, table: Float32, run: Run) -> Float32:
    """A sparse matrix (n, m) times a table (m, f): (n, f)."""
    width = table.shape[1]
    if are_few(len(matrix.data) * width // NUMBERS_PER_ROW):
        run.check()
        return plain_multiply(matrix, table)
    from embsql.numeric import kernels  # here: it brings the compiler

    out = np.zeros((len(matrix.counts), width), np.float32)  # (n, f)

    def multiply_range(low: int, high: int) -> None:
        kernels.multiply_rows(
            low, high, matrix.indptr, matrix.indices, matrix.data, table, out
        )

    parallel_map(multiply_range, csr_ranges(matrix, width), run)
    return out


def transpose(matrix: CsrMatrix, n_columns: int) -> CsrMatrix:
    """The same pairs by column, rows ascending within a column, in linear time (counting sort)."""
    indptr = indptr_of(matrix.indices, n_columns)  # (m + 1,)
    if are_few(len(matrix.indices)) or not len(matrix.indices):
        return plain_transpose(matrix, indptr)
    from embsql.numeric import kernels

    is_one = bool(
        (matrix.data == matrix.data[0]).all()
    )  # one value: no order of it is another
    rows = np.empty_like(matrix.indices)  # (n,)
    values = NO_VALUES if is_one else np.empty_like(matrix.data)  # (n,)
    cursor = indptr[:-1].copy()  # (m,)
    kernels.transpose_rows(
        matrix.indptr, matrix.indices, matrix.data, cursor, rows, values
    )
    return CsrMatrix(indptr, rows, matrix.data if is_one else values)
