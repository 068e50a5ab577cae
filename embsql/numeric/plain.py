"""What compiled loops compute, in a few lines of numpy each.

They say what the loops mean, and tests compare the two. Data as small as `SMALL` and `FEW_ROWS` say
go this way: compiling would take seconds, and this takes less than one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Float64, Int32, Int64
from embsql.numeric.blas import one_blas_thread

SMALL = 1 << 21  # numbers in a table: sorted in about 0.2 s
FEW_ROWS = 1 << 18  # sorted in about 0.1 s


_loops_only: ContextVar[bool] = ContextVar("loops_only", default=False)


@contextmanager
def compiled_loops_only() -> Iterator[None]:
    """Meanwhile everything goes by compiled loops: to compile them ahead, and to test them."""
    token = _loops_only.set(True)
    try:
        yield
    finally:
        _loops_only.reset(token)


def is_small(*shape: int) -> bool:
    """Whether a table of this shape may be held and sorted whole."""
    return not _loops_only.get() and math.prod(shape) <= SMALL


def are_few(rows: int) -> bool:
    """Whether so many rows are sorted sooner than a loop is compiled."""
    return not _loops_only.get() and rows <= FEW_ROWS


def to_dense(matrix: CsrMatrix, n_columns: int) -> Float32:
    """A sparse matrix as a table (n, n_columns)."""
    table = np.zeros((len(matrix.counts), n_columns), np.float32)
    np.add.at(table, (_rows(matrix), matrix.indices), matrix.data)
    return table


def observed(matrix: CsrMatrix, n_columns: int) -> NDArray[np.bool_]:
    """Where a sparse matrix has a pair, whatever its value: (n, n_columns).

    A row has a column once, and columns are from 0 to below n_columns.
    """
    table = np.zeros((len(matrix.counts), n_columns), bool)
    table[_rows(matrix), matrix.indices] = True
    return table


def _rows(matrix: CsrMatrix) -> Int32:
    """The row of each of a sparse matrix's pairs (pairs,)."""
    return np.repeat(np.arange(len(matrix.counts), dtype=np.int32), matrix.counts)


def best_scores(scores: Float32, k: int) -> tuple[Int32, Float32]:
    """The k best finite scores of every row (m, n), best first: codes (m, k) and scores (m, k).

    Equal scores are ordered by ascending code. Where there are fewer the code is -1 and the score
    -inf.
    """
    ranked = np.where(np.isfinite(scores), scores, -np.inf)  # (m, n)
    order = _smallest(-ranked, k)  # (m, min(k, n))
    best = np.take_along_axis(ranked, order, 1)  # (m, min(k, n))
    codes = np.where(best > -np.inf, order, -1).astype(np.int32)
    missing = ((0, 0), (0, k - codes.shape[1]))
    return (
        np.pad(codes, missing, constant_values=-1),  # (m, k)
        np.pad(best, missing, constant_values=-np.inf),  # (m, k)
    )


def _smallest(values: Float32, k: int) -> Int64:
    """Where the k smallest values of every row (m, n) are, equal ones by position: (m, min(k, n)).

    A value and its position make one integer, so that only what is left of a row is sorted.
    """
    n = values.shape[1]
    bits = (values + np.float32(0)).view(np.int32)  # (m, n) 0 and -0 are one value
    ascending = np.where(bits < 0, bits ^ np.int32(2**31 - 1), bits)  # (m, n)
    keys = (ascending.astype(np.int64) << 32) + np.arange(n)  # (m, n)
    if k < n:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]  # (m, k)
    return np.sort(keys, axis=1) & (2**32 - 1)


def plain_top_k(
    users: Float32, items: Float32, bias: Float32, seen: CsrMatrix, k: int
) -> tuple[Int32, Float32]:
    """See `topk.top_k`; users (m, d), items (n, d), bias (n,)."""
    scores = users @ items.T + bias  # (m, n)
    scores[observed(seen, len(items))] = -np.inf
    return best_scores(scores, k)


def plain_first_unseen(order: Int32, seen: CsrMatrix, k: int, n: int) -> Int32:
    """See `topk.first_unseen`."""
    is_seen = observed(seen, n)[:, order]  # (m, codes in the order)
    position = np.argsort(is_seen, axis=1, kind="stable")[:, :k]  # (m, up to k)
    left = np.take_along_axis(is_seen, position, 1)  # (m, up to k)
    codes = np.where(left, -1, order[position])
    missing = ((0, 0), (0, k - codes.shape[1]))
    return np.pad(codes, missing, constant_values=-1).astype(np.int32)  # (m, k)


def plain_cosine_neighbors(
    by_user: CsrMatrix, n_items: int, k: int
) -> tuple[Int32, Float32]:
    """See `topk.cosine_neighbors`."""
    users = observed(by_user, n_items).astype(np.float32)  # (n_users, n_items)
    shared = (users.T @ users).astype(np.float64)  # (n_items, n_items) users of both
    scale = inverse_root(users.sum(0, dtype=np.int64))  # (n_items,)
    cosine = (shared * scale[:, None] * scale).astype(np.float32)  # (n_items, n_items)
    np.fill_diagonal(cosine, 0)
    codes, scores = best_scores(np.where(cosine > 0, cosine, -np.inf), k)
    return codes, np.where(codes < 0, np.float32(0), scores)


def inverse_root(counts: NDArray[np.number[Any]]) -> Float32:
    """1 / sqrt of counts (n,), of none as of one."""
    roots: Float32 = (1 / np.sqrt(np.maximum(counts, 1))).astype(np.float32)
    return roots


def plain_top_k_linear(
    history: CsrMatrix, weights: CsrMatrix, base: Float32, k: int, *, repeats: bool
) -> tuple[Int32, Float32]:
    """See `topk.top_k_linear`."""
    own = observed(history, len(base))  # (m, n_items)
    scores = (
        own.astype(np.float32) @ to_dense(weights, len(base)) + base
    )  # (m, n_items)
    return best_scores(scores if repeats else np.where(own, -np.inf, scores), k)


def plain_by_pair(
    user: Int32,
    item: Int32,
    weight: Float64 | None,
    time: Int64 | None,
    *,
    average: bool,
) -> tuple[Int32, Int32, Float32, Int64 | None]:
    """See `aggregate.by_pair`."""
    weight = np.ones(len(user)) if weight is None else weight  # (n,)
    order = np.lexsort((weight, item, user))  # (n,) a sum in another order is another
    user = user[order]
    item = item[order]
    weight = weight[order]
    is_first = np.ones(len(user), bool)  # (n,) of its pair
    other_user = user[1:] != user[:-1]  # (n - 1,)
    other_item = item[1:] != item[:-1]  # (n - 1,)
    is_first[1:] = other_user | other_item
    first = np.flatnonzero(is_first)  # (pairs,)
    total = np.add.reduceat(weight, first)  # (pairs,)
    count = np.diff(first, append=len(user))  # (pairs,)
    latest = None if time is None else np.maximum.reduceat(time[order], first)
    weights = (total / count if average else total).astype(np.float32)
    return user[first], item[first], weights, latest


def plain_multiply(matrix: CsrMatrix, table: Float32) -> Float32:
    """See `linalg.multiply`."""
    out = np.zeros((len(matrix.counts), table.shape[1]), np.float32)  # (n, f)
    is_filled = matrix.counts > 0  # (n,)
    # of an empty row reduceat would give a product of the next one
    begin = matrix.indptr[:-1][is_filled]
    with np.errstate(over="ignore", invalid="ignore"):
        products = matrix.data[:, None] * table[matrix.indices]  # (pairs, f)
        out[is_filled] = np.add.reduceat(products, begin, axis=0)
    return out


def plain_transpose(matrix: CsrMatrix, indptr: Int64) -> CsrMatrix:
    """See `linalg.transpose`; indptr (m + 1,) is that of the columns."""
    order = np.argsort(matrix.indices, kind="stable")  # (pairs,)
    return CsrMatrix(indptr, _rows(matrix)[order], matrix.data[order])


def plain_nearest(vectors: Float32, centroids: Float32, m: int) -> Int32:
    """See `kmeans._nearest`; vectors (n, d), centroids (k, d)."""
    mean = centroids.mean(0, dtype=np.float64)  # (d,)
    # the nearest c to x has the greatest x.c - |c|^2 / 2, whatever both are taken from
    half_square = np.einsum("kd,kd->k", centroids - mean, centroids + mean) / 2  # (k,)
    columns = (centroids - mean).astype(np.float32).T  # (d, k)
    with one_blas_thread():
        scores = vectors @ columns - half_square.astype(np.float32)  # (n, k)
    if m == 1:
        nearest: Int32 = scores.argmax(1).astype(np.int32)  # (n,)
        return nearest[:, None]  # (n, 1)
    return best_scores(scores, m)[0]


def plain_distances(vectors: Float32, centroids: Float32, labels: Int32) -> Float32:
    """See `kmeans._distances`."""
    distances: Float32 = np.sqrt(_squares(vectors - centroids[labels]))
    return distances


def plain_closest_with(
    vectors: Float32, candidates: Float32, closest: Float32
) -> Float32:
    """See `kmeans._closest_with`: (c, n)."""
    squares = [_squares(vectors - candidate) for candidate in candidates]  # (n,) each
    smaller: Float32 = np.minimum(closest, np.stack(squares))
    return smaller


def _squares(vectors: Float32) -> Float32:
    """Squared lengths of vectors (n, d): (n,)."""
    squares: Float32 = np.einsum("nd,nd->n", vectors, vectors)
    return squares
