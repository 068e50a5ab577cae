"""Exact best-k selection: of products of vectors (`top_k`) and of sparse linear scores (item-kNN).

Small data goes the plain way (`plain`), other by compiled loops (`topk_kernels`). Threads share out
rows, and each row is computed by one thread in a fixed order, so the result does not depend on
their number. Everywhere equal scores are ordered by ascending code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from embsql.data import CsrMatrix, Float32, Int32
from embsql.numeric.blas import one_blas_thread
from embsql.numeric.linalg import equal_ranges, parallel_map
from embsql.numeric.plain import (
    inverse_root,
    is_small,
    plain_cosine_neighbors,
    plain_first_unseen,
    plain_top_k,
    plain_top_k_linear,
)
from embsql.options import Similarity
from embsql.run import Run

# users and items of a tile: its scores, 2 MB, are still in the cache when they are looked at
TILE_USERS = 512
TILE_ITEMS = 1024
RANGES_PER_THREAD = 64  # of rows whose work differs much


def top_k(
    users: Float32,
    items: Float32,
    k: int,
    *,
    seen: CsrMatrix | None = None,
    item_bias: Float32 | None = None,
    similarity: Similarity = "dot",
    run: Run,
) -> tuple[Int32, Float32]:
    """The k best items of every user, exactly and best first: codes (m, k) and scores (m, k).

    `users` is (m, dim), `items` (n, dim); `item_bias` (n,) is added to the scores and may be -inf
    for an item that must not appear. `seen` has one row per user: items left out for that user. A
    score that is not finite is never chosen; with cosine that is how a zero vector, near nothing,
    drops out. Where fewer than k items remain the code is -1 and the score -inf.

    Each of the run's threads takes some users and makes the products of a tile by BLAS, then looks
    at them.
    """
    if similarity == "cosine":
        users = unit_or_nan(users)
        items = unit_or_nan(items)
    _check_length(k)
    run.check()
    m = len(users)
    n = len(items)
    seen = CsrMatrix.empty(m) if seen is None else seen
    bias = np.zeros(n, np.float32) if item_bias is None else item_bias  # (n,)
    if is_small(m, n):
        with one_blas_thread():
            return plain_top_k(users, items, bias, seen, k)
    from embsql.numeric import topk_kernels  # here: it brings the compiler

    codes, scores = _heaps(m, k, -np.inf)

    def rank_users(low: int, high: int) -> None:
        rows = slice(low, high)
        buffer = np.empty(TILE_USERS * TILE_ITEMS, np.float32)
        begin = seen.indptr[:-1][rows]  # (b,)
        end = seen.indptr[1:][rows]  # (b,)
        for first, last in _ranges(n, TILE_ITEMS):
            columns = slice(first, last)
            tile = products(users[rows], items[columns], buffer)  # (b, w)
            own = (begin, end, seen.indices)
            topk_kernels.offer_tile(
                tile, first, bias[columns], *own, codes[rows], scores[rows]
            )
        topk_kernels.sort_heaps(codes[rows], scores[rows])

    with one_blas_thread():
        parallel_map(rank_users, _ranges(m, TILE_USERS) or [(0, 0)], run)
    return codes, scores


def products(users: Float32, items: Float32, buffer: Float32) -> Float32:
    """The inner products (b, w) of users (b, dim) and items (w, dim), written into a buffer."""
    shape = len(users), len(items)
    out = buffer[: shape[0] * shape[1]].reshape(shape)
    return np.matmul(users, items.T, out=out)


def unit_or_nan(vectors: Float32) -> Float32:
    """The vectors (n, dim) at length 1; a zero vector becomes NaN, which is never ranked."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)  # (n, 1)
    nan = np.full_like(vectors, np.nan)
    directions: Float32 = np.divide(
        vectors, length, out=nan, where=length > 0
    )  # (n, dim)
    return directions


def first_unseen(order: Int32, seen: CsrMatrix, k: int, n: int) -> Int32:
    """The first k of `order`, some codes below n, that each row of seen has not: (m, k).

    -1 where fewer remain.
    """
    if is_small(len(seen.counts), n):
        return plain_first_unseen(order, seen, k, n)
    from embsql.numeric import topk_kernels

    codes = np.full((len(seen.counts), k), -1, np.int32)  # (m, k)
    topk_kernels.fill_unseen(order, seen.indptr, seen.indices, np.zeros(n, bool), codes)
    return codes


def cosine_neighbors(
    by_user: CsrMatrix, by_item: CsrMatrix, k: int, run: Run
) -> tuple[Int32, Float32]:
    """The k items nearest to every item, by the cosine of their sets of users, best first.

    Codes (n_items, k), -1 where fewer items share a user, and similarities (n_items, k), 0 there.
    The time grows with the sum of the squared lengths of the users' rows, the memory with n_items *
    k.
    """
    _check_length(k)
    run.check()
    n_items = len(by_item.counts)
    if is_small(max(len(by_user.counts), n_items), n_items):
        with one_blas_thread():
            return plain_cosine_neighbors(by_user, n_items, k)
    from embsql.numeric import topk_kernels

    codes, scores = _heaps(n_items, k, 0.0)
    scale = inverse_root(by_item.counts)  # (n_items,)
    sparse = (by_user.indptr, by_user.indices, by_item.indptr, by_item.indices)
    _over_rows(topk_kernels.rank_cosines, n_items, run, *sparse, scale, codes, scores)
    return codes, scores


def top_k_linear(
    history: CsrMatrix,
    weights: CsrMatrix,
    base: Float32,
    k: int,
    run: Run,
    *,
    repeats: bool = False,
) -> tuple[Int32, Float32]:
    """The k best unseen items by `base` (n_items,) plus the weights of what is in a history.

    `history` has a row per user, `weights` a row per item: what seeing it adds to which items.
    Codes (m, k) and scores (m, k) as in `top_k`; a base of -inf keeps an item out. With `repeats`
    what is in the history may come.
    """
    _check_length(k)
    run.check()
    m = len(history.counts)
    if is_small(max(m, len(base)), len(base)):
        with one_blas_thread():
            return plain_top_k_linear(history, weights, base, k, repeats=repeats)
    from embsql.numeric import topk_kernels

    codes, scores = _heaps(m, k, -np.inf)
    of_history = (history.indptr, history.indices)
    of_weights = (weights.indptr, weights.indices, weights.data)
    sparse = (*of_history, *of_weights)
    _over_rows(topk_kernels.rank_linear, m, run, *sparse, base, repeats, codes, scores)
    return codes, scores


def _check_length(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")


def _heaps(m: int, k: int, floor: float) -> tuple[Int32, Float32]:
    """As many heaps as rows, m, with k entries that only scores above the floor can take."""
    codes = np.full((m, k), -1, np.int32)
    scores = np.full((m, k), floor, np.float32)
    return codes, scores


def _ranges(n: int, size: int) -> list[tuple[int, int]]:
    """What lies below n, in ranges of a size."""
    return [(first, min(first + size, n)) for first in range(0, n, size)]


def _over_rows(kernel: Callable[..., None], n: int, run: Run, *arrays: Any) -> None:
    """Call kernel(low, high, ...) for ranges that make up 0 to n, many for each thread."""
    ranges = equal_ranges(n, run.threads * RANGES_PER_THREAD)
    parallel_map(lambda low, high: kernel(low, high, *arrays), ranges, run)
