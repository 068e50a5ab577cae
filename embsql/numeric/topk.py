"""Exact best-k selection: of products of vectors (`top_k`) and of sparse linear scores (item-kNN).

Threads share out rows, and each row is computed by one thread in a fixed order, so the result does
not depend on their number. Everywhere equal scores are ordered by ascending code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from embsql.data import CsrMatrix, Float32, Int32, Int64, Similarity
from embsql.numeric.blas import one_blas_thread
from embsql.numeric.linalg import equal_ranges, parallel_map
from embsql.run import Run

# users and items of a tile: its scores, 2 MB, are still in the cache when they are looked at
TILE_USERS = 512
TILE_ITEMS = 1024
STRIDE = 256  # scores that are looked at together before any is looked at by itself
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
    m = len(users)
    n = len(items)
    codes, scores = _heaps(m, k, -np.inf)
    seen = CsrMatrix.empty(m) if seen is None else seen
    bias = np.zeros(n, np.float32) if item_bias is None else item_bias  # (n,)

    def rank_users(low: int, high: int) -> None:
        rows = slice(low, high)
        buffer = np.empty(TILE_USERS * TILE_ITEMS, np.float32)
        begin = seen.indptr[:-1][rows]  # (b,)
        end = seen.indptr[1:][rows]  # (b,)
        for first, last in _ranges(n, TILE_ITEMS):
            columns = slice(first, last)
            tile = products(users[rows], items[columns], buffer)  # (b, w)
            own = (begin, end, seen.indices)
            _offer_tile(tile, first, bias[columns], *own, codes[rows], scores[rows])
        _sort_heaps(codes[rows], scores[rows])

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
    codes = np.full((len(seen.counts), k), -1, np.int32)  # (m, k)
    _first_unseen(order, seen.indptr, seen.indices, np.zeros(n, bool), codes)
    return codes


def cosine_neighbors(
    by_user: CsrMatrix, by_item: CsrMatrix, k: int, run: Run
) -> tuple[Int32, Float32]:
    """The k items nearest to every item, by the cosine of their sets of users, best first.

    Codes (n_items, k), -1 where fewer items share a user, and similarities (n_items, k), 0 there.
    The time grows with the sum of the squared lengths of the users' rows, the memory with n_items *
    k.
    """
    n_items = len(by_item.counts)
    codes, scores = _heaps(n_items, k, 0.0)
    scale = (1 / np.sqrt(np.maximum(by_item.counts, 1))).astype(
        np.float32
    )  # (n_items,)
    sparse = (by_user.indptr, by_user.indices, by_item.indptr, by_item.indices)
    _over_rows(_cosines, n_items, run, *sparse, scale, codes, scores)
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
    m = len(history.counts)
    codes, scores = _heaps(m, k, -np.inf)
    of_history = (history.indptr, history.indices)
    of_weights = (weights.indptr, weights.indices, weights.data)
    _over_rows(_linear, m, run, *of_history, *of_weights, base, repeats, codes, scores)
    return codes, scores


def _heaps(m: int, k: int, floor: float) -> tuple[Int32, Float32]:
    """As many heaps as rows, m, with k entries that only scores above the floor can take."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
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


# --- kernels: a row of (codes, scores) is a heap, the worst of the best k at its root ------------


@njit(nogil=True, cache=True)
def _worse(score: float, code: int, than_score: float, than_code: int) -> bool:
    """Whether an entry ranks behind another."""
    return score < than_score or (score == than_score and code > than_code)


@njit(nogil=True, cache=True)
def _sift_down(codes: Int32, scores: Float32, size: int) -> None:
    """Move the root down to where it belongs."""
    node = 0
    while True:
        worst = node
        for child in range(2 * node + 1, min(2 * node + 3, size)):
            if _worse(scores[child], codes[child], scores[worst], codes[worst]):
                worst = child
        if worst == node:
            return
        scores[node], scores[worst] = scores[worst], scores[node]
        codes[node], codes[worst] = codes[worst], codes[node]
        node = worst


@njit(nogil=True, cache=True)
def _offer(code: int, score: float, codes: Int32, scores: Float32) -> None:
    """Put an entry in the heap if it is finite and better than the worst there."""
    if score < np.inf and _worse(scores[0], codes[0], score, code):
        codes[0], scores[0] = code, score
        _sift_down(codes, scores, len(codes))


@njit(nogil=True, cache=True)
def _sort_heap(codes: Int32, scores: Float32) -> None:
    """Turn a heap into a list, best first."""
    for last in range(len(codes) - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        codes[0], codes[last] = codes[last], codes[0]
        _sift_down(codes, scores, last)


@njit(nogil=True, cache=True)
def _any_above(scores: Float32, bias: Float32, bar: float) -> bool:
    """Whether a score with its bias is above the bar.

    Without a branch, so that it is vector code.
    """
    found = 0
    for position in range(len(scores)):
        found |= scores[position] + bias[position] > bar
    return found != 0


@njit(nogil=True, cache=True)
def _offer_all(
    row: Float32, low: int, bias: Float32, codes: Int32, scores: Float32
) -> None:
    """Offer a row of scores (n,) of the codes from low on, each with its bias (n,).

    Most strides are passed over.
    """
    for begin in range(0, len(row), STRIDE):
        end = min(begin + STRIDE, len(row))
        if _any_above(row[begin:end], bias[begin:end], scores[0]):
            for position in range(begin, end):
                _offer(low + position, row[position] + bias[position], codes, scores)


@njit(nogil=True, cache=True)
def _offer_tile(
    tile: Float32,
    low: int,
    bias: Float32,
    begin: Int64,
    end: Int64,
    seen: Int32,
    codes: Int32,
    scores: Float32,
) -> None:
    """Offer the rows of a tile of scores (b, w) of the items from low on; it is overwritten.

    Row r has seen the items seen[begin[r]:end[r]].
    """
    width = tile.shape[1]
    for r in range(len(tile)):
        for item in seen[begin[r] : end[r]]:
            if low <= item < low + width:
                tile[r, item - low] = -np.inf
        _offer_all(tile[r], low, bias, codes[r], scores[r])


@njit(nogil=True, cache=True)
def _sort_heaps(codes: Int32, scores: Float32) -> None:
    """Turn heaps into lists."""
    for r in range(len(codes)):
        _sort_heap(codes[r], scores[r])


@njit(nogil=True, cache=True)
def _first_unseen(
    order: Int32, indptr: Int64, indices: Int32, is_seen: Any, codes: Int32
) -> None:
    """Fill each row with the first codes of the order that its own row of a sparse matrix lacks.

    is_seen (n,) is scratch.
    """
    for r in range(len(codes)):
        own = indices[indptr[r] : indptr[r + 1]]
        is_seen[own] = True
        filled = 0
        for code in order:
            if filled == codes.shape[1]:
                break
            if not is_seen[code]:
                codes[r, filled] = code
                filled += 1
        is_seen[own] = False


@njit(nogil=True, cache=True)
def _cosines(
    low: int,
    high: int,
    user_indptr: Int64,
    user_items: Int32,
    item_indptr: Int64,
    item_users: Int32,
    scale: Float32,
    codes: Int32,
    scores: Float32,
) -> None:
    """The neighbors of items low..high: count the users shared with every item, then scale."""
    shared = np.zeros(len(scale), np.int32)  # (n_items,) users shared with the item
    touched = np.empty(
        len(scale), np.int32
    )  # (n_items,) the first so many share a user
    for i in range(low, high):
        n_touched = 0
        for user in item_users[item_indptr[i] : item_indptr[i + 1]]:
            for j in user_items[user_indptr[user] : user_indptr[user + 1]]:
                if shared[j] == 0:
                    touched[n_touched] = j
                    n_touched += 1
                shared[j] += 1
        for j in touched[:n_touched]:
            if j != i:
                cosine = np.float32(shared[j] * scale[i] * scale[j])
                _offer(j, cosine, codes[i], scores[i])
            shared[j] = 0
        _sort_heap(codes[i], scores[i])


@njit(nogil=True, cache=True)
def _linear(
    low: int,
    high: int,
    indptr: Int64,
    history: Int32,
    weight_indptr: Int64,
    weight_items: Int32,
    weight: Float32,
    base: Float32,
    repeats: bool,
    codes: Int32,
    scores: Float32,
) -> None:
    """The best items of histories low..high."""
    total = np.empty(len(base), np.float32)  # (n_items,)
    for r in range(low, high):
        total[:] = 0
        own = history[indptr[r] : indptr[r + 1]]
        for i in own:
            for k in range(weight_indptr[i], weight_indptr[i + 1]):
                total[weight_items[k]] += weight[k]
        if not repeats:
            total[own] = -np.inf
        _offer_all(total, 0, base, codes[r], scores[r])
        _sort_heap(codes[r], scores[r])
