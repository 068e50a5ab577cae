"""How good vectors rank, by numpy alone: nothing here is shared with what embsql measures of
itself.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

BLOCK = 256  # users scored at once


@dataclass(frozen=True, slots=True)
class Model:
    """Vectors by code: the score of a user and an item is their product plus the item's bias."""

    users: np.ndarray  # (n_users, dim)
    items: np.ndarray  # (n_items, dim)
    bias: np.ndarray | float = 0.0  # (n_items,); -inf where an item has no vector

    def scores(self, users: np.ndarray) -> np.ndarray:
        """Of all items for some users: (len(users), n_items)."""
        return self.users[users] @ self.items.T + self.bias


def popular(known: Any) -> Model:
    """Every user gets the items that most users met."""
    return Model(
        np.ones((known.shape[0], 1), np.float32),
        np.asarray(known.sum(axis=0), np.float32).reshape(-1, 1),
    )


def stored(database: Any, model: str, shape: tuple[int, int]) -> Model:
    """The live vectors of a model whose ids are codes, read through SQL; an item without one is
    never recommended.
    """
    users, _ = _side(
        database,
        f"SELECT user_id AS id, embedding, bias FROM embsql.user_embedding('{model}')",
        shape[0],
    )
    items, bias = _side(
        database,
        f"SELECT item_id AS id, embedding, bias FROM embsql.item_embedding('{model}')",
        shape[1],
    )
    return Model(users, items, bias)


def _side(database: Any, query: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, dim) and biases (n,) by code."""
    table = database.ask(query)
    code = np.array(table["id"].to_pylist(), np.int64)
    rows = (
        table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(code), -1)
    )
    vectors, bias = (
        np.zeros((n, rows.shape[1]), np.float32),
        np.full(n, -np.inf, np.float32),
    )
    vectors[code], bias[code] = rows, table["bias"].to_numpy()
    return vectors, bias


def recall_ndcg(
    model: Model,
    known: Any,
    relevant: Any,
    *,
    k: int = 20,
    threads: int = 2,
    most: int | None = None,
) -> tuple[float, float]:
    """Mean Recall@k and NDCG@k over the users with relevant items (at most `most` of them, drawn
    with a fixed seed).

    All items are ranked but those the user is known to have met. Recall divides by the number of
    relevant items, NDCG by the gain of the best possible list. `known` and `relevant` are scipy
    matrices by rows.
    """
    from threadpoolctl import threadpool_limits

    asked = np.flatnonzero(np.diff(relevant.indptr))
    if most and most < len(asked):
        asked = np.sort(np.random.default_rng(0).choice(asked, most, replace=False))
    blocks = [asked[start : start + BLOCK] for start in range(0, len(asked), BLOCK)]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        sums = sum(
            pool.map(
                lambda users: _block(
                    model.scores(users), known[users], relevant[users], k
                ),
                blocks,
            )
        )
    recall, ndcg = sums / len(asked)
    return float(recall), float(ndcg)


def _block(scores: np.ndarray, known: Any, relevant: Any, k: int) -> np.ndarray:
    """Sums of Recall and NDCG over the users of a block: scores (u, items), (2,)."""
    scores[known.nonzero()] = -np.inf
    k = min(k, scores.shape[1])
    top = np.argpartition(scores, -k, axis=1)[:, -k:]  # (u, k)
    order = np.argsort(
        -np.take_along_axis(scores, top, 1), axis=1, kind="stable"
    )  # (u, k)
    hit = np.take_along_axis(
        relevant.toarray() > 0, np.take_along_axis(top, order, 1), 1
    )  # (u, k)
    gain = 1 / np.log2(np.arange(2, k + 2))  # (k,)
    count = np.diff(relevant.indptr)  # (u,)
    best = np.cumsum(gain)[np.minimum(count, k) - 1]  # (u,)
    return np.array([(hit.sum(1) / count).sum(), (hit @ gain / best).sum()])


def hit_ndcg(
    model: Model,
    users: np.ndarray,
    target: np.ndarray,
    others: np.ndarray,
    *,
    k: int = 10,
) -> tuple[float, float]:
    """HR@k and NDCG@k of one target (n,) among others (n, m).

    An item as good as the target ranks before it; the target itself, where it stands among the
    others too, does not.
    """
    scores = model.scores(users)  # (n, items)
    mine = np.take_along_axis(scores, target[:, None], 1)  # (n, 1)
    before = (np.take_along_axis(scores, others, 1) >= mine) & (
        others != target[:, None]
    )  # (n, m)
    rank = before.sum(1)  # (n,) 0 is the best
    return float((rank < k).mean()), float(
        np.where(rank < k, 1 / np.log2(rank + 2), 0).mean()
    )
