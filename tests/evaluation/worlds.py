"""Small random interactions, and the same figures computed in the plainest way there is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from embsql.data import Events, Interactions


def coded(user, item, time=None, shape=None) -> Interactions:
    """Interactions from codes, put in order, without duplicates."""
    user, item = np.asarray(user, np.int32), np.asarray(item, np.int32)
    n_users, n_items = shape or (user.max(initial=-1) + 1, item.max(initial=-1) + 1)
    _, first = np.unique(user.astype(np.int64) * n_items + item, return_index=True)
    times = None if time is None else np.asarray(time, np.int64)[first]
    ids = (
        pa.array([f"{letter}{n:06d}" for n in range(size)])
        for letter, size in (("u", n_users), ("i", n_items))
    )
    return Interactions(
        user[first], item[first], np.ones(len(first), np.float32), times, *ids
    )


def eventful(rows, shape) -> Interactions:
    """Interactions with the events behind them, from rows of user, item, time and weight."""
    rows = sorted(rows, key=lambda row: (row[0], row[2]))
    keys = sorted({row[:2] for row in rows})
    of_pair = {key: [row for row in rows if row[:2] == key] for key in keys}
    pairs = coded(
        [u for u, _ in keys],
        [i for _, i in keys],
        [of_pair[key][-1][2] for key in keys],
        shape,
    )
    weight = np.array([sum(row[3] for row in of_pair[key]) for key in keys], np.float32)
    position = {key: n for n, key in enumerate(keys)}
    pair = np.array([position[row[:2]] for row in rows], np.int32)
    own = np.array([row[3] for row in rows], np.float32)
    events = Events(pair, own, np.array([row[2] for row in rows], np.int64))
    return replace(pairs, weight=weight, events=events)


def crowd(n_users=60, n_items=40, pairs=600, seed=0, timed=True) -> Interactions:
    """Random pairs in which some items are far more popular than others."""
    rng = np.random.default_rng(seed)
    item = (n_items * rng.random(pairs) ** 2).astype(int)
    time = rng.integers(0, 50, pairs) if timed else None
    return coded(rng.integers(0, n_users, pairs), item, time, (n_users, n_items))


def items_of(data: Interactions, user: int) -> set[int]:
    return set(data.item[data.user == user].tolist())


def plain_ranking(scores, seen: set[int], k: int) -> list[int]:
    """Unseen items with a finite score, by falling score, then by code."""
    items = [i for i in range(len(scores)) if i not in seen and np.isfinite(scores[i])]
    return sorted(items, key=lambda i: (-scores[i], i))[:k]


def plain_figures(ranked: list[int], right: set[int], k: int) -> dict[str, float]:
    hit = [item in right for item in ranked[:k]]
    best = sum(1 / np.log2(rank + 2) for rank in range(min(k, len(right))))
    precisions = [
        sum(hit[: rank + 1]) / (rank + 1) for rank in range(len(hit)) if hit[rank]
    ]
    return {
        "recall": sum(hit) / len(right),
        "hit_rate": float(any(hit)),
        "ndcg": sum(1 / np.log2(rank + 2) for rank in range(len(hit)) if hit[rank])
        / best,
        "mrr": next((1 / (rank + 1) for rank in range(len(hit)) if hit[rank]), 0.0),
        "map": sum(precisions) / min(k, len(right)),
    }
