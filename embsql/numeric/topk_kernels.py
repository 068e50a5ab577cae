"""Compiled loops of best-k selection. `plain` says in numpy what they compute.

A row of (codes, scores) is a heap, the worst of the best k at its root.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embsql.data import Float32, Int32, Int64
from embsql.numeric.compiler import exact

STRIDE = 256  # scores that are looked at together before any is looked at by itself
PART = 32  # of a stride, looked at together likewise


@exact
def _worse(score: float, code: int, than_score: float, than_code: int) -> bool:
    """Whether an entry ranks behind another."""
    return score < than_score or (score == than_score and code > than_code)


@exact
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


@exact
def _offer(code: int, score: float, codes: Int32, scores: Float32) -> None:
    """Put an entry in the heap if it is finite and better than the worst there."""
    if score < np.inf and _worse(scores[0], codes[0], score, code):
        codes[0], scores[0] = code, score
        _sift_down(codes, scores, len(codes))


@exact
def _sort_heap(codes: Int32, scores: Float32) -> None:
    """Turn a heap into a list, best first."""
    for last in range(len(codes) - 1, 0, -1):
        scores[0], scores[last] = scores[last], scores[0]
        codes[0], codes[last] = codes[last], codes[0]
        _sift_down(codes, scores, last)


@exact
def _any_above(scores: Float32, bias: Float32, bar: float) -> bool:
    """Whether a score with its bias is above the bar.

    Without a branch, so that it is vector code.
    """
    found = 0
    for position in range(len(scores)):
        found |= scores[position] + bias[position] > bar
    return found != 0


@exact
def _offer_all(
    row: Float32, low: int, bias: Float32, codes: Int32, scores: Float32
) -> None:
    """Offer a row of scores (n,) of the codes from low on, each with its bias (n,).

    Most strides are passed over, and of the others most parts.
    """
    for begin in range(0, len(row), STRIDE):
        end = min(begin + STRIDE, len(row))
        if not _any_above(row[begin:end], bias[begin:end], scores[0]):
            continue
        for first in range(begin, end, PART):
            last = min(first + PART, end)
            if not _any_above(row[first:last], bias[first:last], scores[0]):
                continue
            for position in range(first, last):
                _offer(low + position, row[position] + bias[position], codes, scores)


@exact
def offer_tile(
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


@exact
def sort_heaps(codes: Int32, scores: Float32) -> None:
    """Turn heaps into lists."""
    for r in range(len(codes)):
        _sort_heap(codes[r], scores[r])


@exact
def fill_unseen(
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


@exact
def rank_cosines(
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


@exact
def rank_linear(
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
