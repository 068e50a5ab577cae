"""What a model is compared with: popular items, and items that are near those in a user's history."""

from __future__ import annotations

import numpy as np

from embsql.data import CsrMatrix, Float32, Int32, Interactions, indptr_of
from embsql.run import Run

NEIGHBOURS = 100  # of each item, as in the published table for item-kNN (BARS, Gowalla)


def popular(train: Interactions, barred: CsrMatrix, k: int) -> Int32:
    """The k items with the most training pairs without those barred: (m, k), -1 where fewer remain.

    A pair counts once whatever its weight, so that one heavy buyer does not make an item popular.
    Equal counts are ordered by ascending item code. `barred` has one row of items per user.
    """
    from embsql.numeric.topk import first_unseen

    counts = np.bincount(train.item, minlength=train.n_items)  # (n_items,)
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]  # (items with pairs,)
    return first_unseen(order.astype(np.int32), barred, k, train.n_items)


def item_knn(
    train: Interactions, history: CsrMatrix, k: int, run: Run, *, repeats: bool = False
) -> Int32:
    """The k best items for each history by item-kNN, those in it only with `repeats`: (m, k), -1
    where fewer remain.

    Deshpande & Karypis 2004, Item-based top-N recommendation algorithms: the neighbours of an item
    are the 100 with the highest cosine between their sets of users (weights are not used). An item
    scores the mean, weighted by similarity, of whether the user has each of its neighbours, every
    term centred on the item's share of users:

        score(u, j) = share(j) + sum over i near j of w(j, i) * (has(u, i) - share(i)),   sum of
        w(j, .) = 1

    so an item without a neighbour in the history falls back on how popular it is among its
    neighbours. On Gowalla this gives Recall@20 .1568 and NDCG@20 .1213; the published ItemCF row
    (BARS) has .1570 and .1214.
    """
    from embsql.numeric.topk import cosine_neighbors, top_k_linear

    by_item = train.by_item()
    near, similarity = cosine_neighbors(
        train.by_user(), by_item, NEIGHBOURS, run
    )  # (n_items, 100) both
    weight = similarity / np.maximum(similarity.sum(axis=1, keepdims=True), 1e-12)  # (n_items, 100)
    share = by_item.counts / max(1, len(np.unique(train.user)))  # (n_items,)
    base = share - (weight * share[near]).sum(
        axis=1
    )  # (n_items,); weight is 0 where there is no neighbour
    base[by_item.counts == 0] = -np.inf
    codes, _ = top_k_linear(
        history, _by_neighbour(near, weight), base.astype(np.float32), k, run, repeats=repeats
    )
    return codes


def _by_neighbour(near: Int32, weight: Float32) -> CsrMatrix:
    """Row i: the items that have i among their neighbours, ascending, and the weight they give it."""
    entries = np.flatnonzero(near >= 0)  # (e,) places in the flattened lists
    entries = entries[np.argsort(near.ravel()[entries], kind="stable")]  # (e,)
    owner = (entries // near.shape[1]).astype(np.int32)  # (e,)
    return CsrMatrix(indptr_of(near.ravel()[entries], len(near)), owner, weight.ravel()[entries])
