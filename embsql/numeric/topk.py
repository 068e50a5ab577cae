"""Exact best-k selection: of the products of vectors (`top_k`) and of sparse linear scores
(item-kNN).

Threads share out rows, and each row is computed by one thread in a fixed order, so the result does
not depend on their number. Everywhere equal scores are ordered by ascending code.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from threadpoolctl import threadpool_limits

from embsql.data import CsrMatrix, Float32, Int32, Int64, Similarity
from embsql.numeric.linalg import parallel_map
from embsql.run import Run

ROWS, WIDTH = (
    512,
    1024,
)  # users and items of a tile: its scores, 2 MB, are still in the cache when they are looked at
STRIDE = 256  # scores that are looked at together before any is looked at by itself


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
        users, items = unit(users), unit(items)
    m, n = len(users), len(items)
    codes, scores = _empty(m, k, -np.inf)
    start, column = (
        (np.zeros(m + 1, np.int64), np.empty(0, np.int32))
        if seen is None
        else (seen.indptr, seen.indices)
    )
    bias = np.zeros(n, np.float32) if item_bias is None else item_bias  # (n,)

    def part(first: int, last: int) -> None:
        here, buffer = slice(first, last), np.empty(ROWS * WIDTH, np.float32)
        for there in _slices(n, WIDTH):
            tile = product(users[here], items[there], buffer)  # (b, w)
            own = (
                start[here],
                start[1:][here],
                column,
            )  # (b,) where each row's seen items begin and end
            _choose(tile, there.start, bias[there], *own, codes[here], scores[here])
        _sort(codes[here], scores[here])

    with threadpool_limits(1, "blas"):  # BLAS threads would spin beside ours
        parallel_map(part, [(here.start, here.stop) for here in _slices(m, ROWS)] or [(0, 0)], run)
    return codes, scores


def product(users: Float32, items: Float32, buffer: Float32) -> Float32:
    """The inner products (b, w) of users (b, dim) and items (w, dim), in a buffer of at least as
    many places.
    """
    b, w = len(users), len(items)
    return np.matmul(users, items.T, out=buffer[: b * w].reshape(b, w))


def _slices(n: int, size: int) -> list[slice]:
    """What lies below n in pieces."""
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


def unit(vectors: Float32) -> Float32:
    """The vectors (n, dim) at length 1; a zero vector becomes NaN, which is never ranked."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)  # (n, 1)
    directions: Float32 = np.divide(
        vectors, length, out=np.full_like(vectors, np.nan), where=length > 0
    )  # (n, dim)
    return directions


def first_unseen(order: Int32, seen: CsrMatrix, k: int, n: int) -> Int32:
    """The first k of `order`, some codes below n, that each row has not seen: (m, k), -1 where
    fewer remain.
    """
    codes = np.full((len(seen.counts), k), -1, np.int32)  # (m, k)
    _walk(order, seen.indptr, seen.indices, np.zeros(n, bool), codes)
    return codes


def cosine_neighbours(
    by_user: CsrMatrix, by_item: CsrMatrix, k: int, run: Run
) -> tuple[Int32, Float32]:
    """The k items nearest to every item, by the cosine of their sets of users, best first.

    Codes (n_items, k), -1 where fewer items share a user, and similarities (n_items, k), 0 there.
    The time grows with the sum of the squared lengths of the users' rows, the memory with n_items *
    k.
    """
    codes, scores = _empty(len(by_item.counts), k, 0.0)
    scale = (1 / np.sqrt(np.maximum(by_item.counts, 1))).astype(np.float32)  # (n_items,)
    both = (by_user.indptr, by_user.indices, by_item.indptr, by_item.indices)
    _share(run, 64, len(codes), _cosines, *both, scale, codes, scores)
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
    """The k best unseen items by `base` (n_items,) plus the sum of the weight rows of the items in
    a history.

    `history` has a row per user, `weights` a row per item: what seeing it adds to which items.
    Codes (m, k) and scores (m, k) as in `top_k`; a base of -inf keeps an item out. With `repeats`
    what is in the history may come.
    """
    codes, scores = _empty(len(history.counts), k, -np.inf)
    sparse = (history.indptr, history.indices, weights.indptr, weights.indices, weights.data)
    _share(run, 64, len(codes), _linear, *sparse, base, repeats, codes, scores)
    return codes, scores


def _empty(m: int, k: int, floor: float) -> tuple[Int32, Float32]:
    """As many heaps as rows, m, with k places that only scores above the floor can take."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    return np.full((m, k), -1, np.int32), np.full((m, k), floor, np.float32)


def _share(run: Run, pieces: int, n: int, kernel: Callable[..., None], *arrays: Any) -> None:
    """Call kernel(a, z, ...) for ranges a to z that make up 0 to n, `pieces` of them for each
    thread.
    """
    edges = np.linspace(0, n, run.threads * pieces + 1).astype(np.int64)  # (threads * pieces + 1,)
    parallel_map(lambda a, z: kernel(a, z, *arrays), list(pairwise(edges)), run)


# --- kernels: a row of (codes, scores) is a heap, the worst of the best k at place 0 -------------


@njit(nogil=True, cache=True)
def _worse(score: float, code: int, than_score: float, than_code: int) -> bool:
    """Whether an entry ranks behind another."""
    return score < than_score or (score == than_score and code > than_code)


@njit(nogil=True, cache=True)
def _sink(codes: Int32, scores: Float32, size: int) -> None:
    """Move the entry at place 0 down to where it belongs."""
    place = 0
    while True:
        worst = place
        for child in range(2 * place + 1, min(2 * place + 3, size)):
            if _worse(scores[child], codes[child], scores[worst], codes[worst]):
                worst = child
        if worst == place:
            return
        scores[place], scores[worst] = scores[worst], scores[place]
        codes[place], codes[worst] = codes[worst], codes[place]
        place = worst


@njit(nogil=True, cache=True)
def _offer(code: int, score: float, codes: Int32, scores: Float32) -> None:
    """Put an entry in the heap if it is finite and better than the worst there."""
    if score < np.inf and _worse(scores[0], codes[0], score, code):
        codes[0], scores[0] = code, score
        _sink(codes, scores, len(codes))


@njit(nogil=True, cache=True)
def _best_first(codes: Int32, scores: Float32) -> None:
    """Turn a heap into a list."""
    for last in range(len(codes) - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        codes[0], codes[last] = codes[last], codes[0]
        _sink(codes, scores, last)


@njit(nogil=True, cache=True)
def _any_above(scores: Float32, bias: Float32, bar: float) -> bool:
    """Whether a score with its bias is above the bar.

    Without a branch and by place, so that it is vector code.
    """
    found = 0
    for place in range(len(scores)):
        found |= scores[place] + bias[place] > bar
    return found != 0


@njit(nogil=True, cache=True)
def _offer_all(row: Float32, low: int, bias: Float32, codes: Int32, scores: Float32) -> None:
    """Offer a row of scores (n,) of the codes from low on, each with its bias (n,).

    Most strides are passed over.
    """
    for begin in range(0, len(row), STRIDE):
        if _any_above(row[begin : begin + STRIDE], bias[begin : begin + STRIDE], scores[0]):
            for place in range(begin, min(begin + STRIDE, len(row))):
                _offer(low + place, row[place] + bias[place], codes, scores)


@njit(nogil=True, cache=True)
def _choose(
    tile: Float32,
    low: int,
    bias: Float32,
    begin: Int64,
    end: Int64,
    seen: Int32,
    codes: Int32,
    scores: Float32,
) -> None:
    """Offer the rows of a tile of scores (b, w) of the items from low on; the tile is overwritten."""
    width = tile.shape[1]
    for r in range(len(tile)):
        for item in seen[begin[r] : end[r]]:
            if low <= item < low + width:
                tile[r, item - low] = -np.inf
        _offer_all(tile[r], low, bias, codes[r], scores[r])


@njit(nogil=True, cache=True)
def _sort(codes: Int32, scores: Float32) -> None:
    """Turn heaps into lists."""
    for r in range(len(codes)):
        _best_first(codes[r], scores[r])


@njit(nogil=True, cache=True)
def _walk(order: Int32, start: Int64, column: Int32, seen: Any, codes: Int32) -> None:
    """Fill each row with the first codes of the order that are not in its own row.

    Seen (n,) is scratch.
    """
    for r in range(len(codes)):
        own = column[start[r] : start[r + 1]]
        seen[own] = True
        place = 0
        for code in order:
            if place == codes.shape[1]:
                break
            if not seen[code]:
                codes[r, place] = code
                place += 1
        seen[own] = False


@njit(nogil=True, cache=True)
def _cosines(
    a: int,
    z: int,
    user_start: Int64,
    user_item: Int32,
    item_start: Int64,
    item_user: Int32,
    scale: Float32,
    codes: Int32,
    scores: Float32,
) -> None:
    """The neighbours of items a to z: count the users shared with every other item, then scale."""
    shared = np.zeros(len(scale), np.int32)  # (n_items,) users shared with the item
    met = np.empty(
        len(scale), np.int32
    )  # (n_items,) its first entries are the items that share a user
    for i in range(a, z):
        n_met = 0
        for user in item_user[item_start[i] : item_start[i + 1]]:
            for j in user_item[user_start[user] : user_start[user + 1]]:
                if shared[j] == 0:
                    met[n_met] = j
                    n_met += 1
                shared[j] += 1
        for j in met[:n_met]:
            if j != i:
                _offer(j, np.float32(shared[j] * scale[i] * scale[j]), codes[i], scores[i])
            shared[j] = 0
        _best_first(codes[i], scores[i])


@njit(nogil=True, cache=True)
def _linear(
    a: int,
    z: int,
    start: Int64,
    history: Int32,
    row_start: Int64,
    item: Int32,
    weight: Float32,
    base: Float32,
    repeats: bool,
    codes: Int32,
    scores: Float32,
) -> None:
    """The best items of histories a to z."""
    total = np.empty(len(base), np.float32)  # (n_items,)
    for r in range(a, z):
        total[:] = 0
        own = history[start[r] : start[r + 1]]
        for i in own:
            for place in range(row_start[i], row_start[i + 1]):
                total[item[place]] += weight[place]
        if not repeats:
            total[own] = -np.inf
        _offer_all(total, 0, base, codes[r], scores[r])
        _best_first(codes[r], scores[r])
