"""Work on the rows of large tables, by threads.

Numba's own threading layers are not used: the portable one ends the process when two threads enter
it, and a database calls from many. BLAS is not used either: its threads spin beside ours. Every row
is computed whole by one thread and sums are added in the order of the rows, so no result depends on
the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Int64
from embsql.numeric import kernels
from embsql.run import Run

Result = TypeVar("Result")

PIECES = 32  # parts of the rows: enough to keep threads equally busy
LEAST_WORK = 1 << 18  # pairs x columns in one part: less is done sooner than handed over
MOST_WORK = 1 << 26  # about a tenth of a second, so that a run can be stopped
SWEEPS = 30  # a Jacobi iteration converges in 6 to 9


def in_parallel(
    work: Callable[[int, int], Result], ranges: list[tuple[int, int]], run: Run
) -> list[Result]:
    """The work done on each range by run.threads threads; results in the order of the ranges."""
    if len(ranges) == 1:
        run.check()
        return [work(*ranges[0])]
    with ThreadPoolExecutor(run.threads) as pool:
        waiting = [pool.submit(work, low, high) for low, high in ranges]
        try:
            while wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION).not_done:
                run.check()
        finally:
            pool.shutdown(cancel_futures=True)
    run.check()
    return [done.result() for done in waiting]


def pieces(work: Int64, width: int) -> list[tuple[int, int]]:
    """Ranges of rows of about equal work, the same for any number of threads.

    Work (n + 1,) is cumulative.
    """
    total = int(work[-1]) * width
    count = max(1, min(PIECES, total // LEAST_WORK), total // MOST_WORK)
    edges = np.unique(np.searchsorted(work, np.linspace(0, work[-1], count + 1)))  # (pieces + 1,)
    return [(int(low), int(high)) for low, high in pairwise(edges)]


def sparse_pieces(rows: CsrMatrix, width: int) -> list[tuple[int, int]]:
    """Ranges of rows of about equally many pairs; a row itself costs about as much as four."""
    return pieces(rows.indptr + 4 * np.arange(len(rows.indptr)), width)


def dense_pieces(n: int, width: int) -> list[tuple[int, int]]:
    """Ranges of equally many rows, each row costing width^2."""
    return pieces(np.arange(n + 1, dtype=np.int64) * (1 + width // 8), width)


def rotate(table: Float32, axes: Float32, run: Run) -> Float32:
    """A table (n, f) times axes (f, g): (n, g)."""
    out = np.empty((len(table), axes.shape[1]), np.float32)  # (n, g)
    in_parallel(
        lambda low, high: kernels.rotate(low, high, table, axes, out),
        dense_pieces(*table.shape),
        run,
    )
    return out


def gram(table: Float32, run: Run) -> NDArray[np.float64]:
    """The inner products of a table's columns: (n, f) -> (f, f)."""

    def part(low: int, high: int) -> Float32:
        out = np.zeros((table.shape[1],) * 2, np.float32)  # (f, f)
        kernels.gram(low, high, table, out)
        return out

    total = np.zeros((table.shape[1],) * 2)  # (f, f)
    for added in in_parallel(part, dense_pieces(*table.shape), run):
        total += added
    return total


def eigen(gram: NDArray[np.float64], run: Run) -> tuple[NDArray[np.float64], Float32]:
    """Eigenvalues (f,), largest first, and eigenvectors as columns (f, f) of a Gramian, by
    one-sided Jacobi.
    """
    table, axes = gram.copy(), np.eye(len(gram))  # (f, f), (f, f): table stays axes @ gram
    for _ in range(SWEEPS):
        run.check()
        if not kernels.jacobi(table, axes):
            break
    energy = np.linalg.norm(table, axis=1)  # (f,)
    order = np.argsort(-energy, kind="stable")
    return energy[order], np.ascontiguousarray(axes[order].T, np.float32)  # (f,), (f, f)


def multiply(rows: CsrMatrix, table: Float32, run: Run) -> Float32:
    """A sparse matrix (n, m) times a table (m, f): (n, f)."""
    out = np.empty((len(rows.counts), table.shape[1]), np.float32)  # (n, f)

    def part(low: int, high: int) -> None:
        kernels.multiply(low, high, rows.indptr, rows.indices, rows.data, table, out)

    in_parallel(part, sparse_pieces(rows, table.shape[1]), run)
    return out


def transpose(rows: CsrMatrix, n_columns: int) -> CsrMatrix:
    """The same pairs by column, rows ascending within a column: a counting sort, linear in the
    pairs.
    """
    counts = np.bincount(rows.indices, minlength=n_columns)  # (m,)
    start = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)  # (m + 1,)
    row, weight = np.empty_like(rows.indices), np.empty_like(rows.data)  # (n,), (n,)
    kernels.transpose(rows.indptr, rows.indices, rows.data, start[:-1].copy(), row, weight)
    return CsrMatrix(start, row, weight)
