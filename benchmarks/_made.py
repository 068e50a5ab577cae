"""Interactions that look like real ones: few items are popular, few users busy, and tastes come in
clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from embsql.data import Interactions

OWN = 0.7  # share of a user's pairs that come from the user's own cluster of items
ITEMS_PER_CLUSTER = 400
HELD_OUT = 0.1
# Less than that goes without compiled loops, and would leave them to be compiled while timed.
WARM_ROWS = 300_000
WARM_SCORES = 1 << 23


@dataclass(frozen=True, slots=True)
class Pairs:
    """Distinct pairs of codes, ordered by (user, item)."""

    user: np.ndarray  # (n,) int32
    item: np.ndarray  # (n,) int32
    shape: tuple[int, int]  # users, items

    def where(self, keep: np.ndarray) -> Pairs:
        return Pairs(self.user[keep], self.item[keep], self.shape)

    def matrix(self, weight: float = 1.0) -> Any:
        """As a scipy matrix by rows."""
        from scipy.sparse import csr_matrix

        return csr_matrix(
            (np.full(len(self.user), weight, np.float32), (self.user, self.item)),
            self.shape,
        )

    def interactions(self) -> Interactions:
        """As embsql reads them from a database."""
        users, items = (
            pa.array(10_000_000 + np.arange(n)).cast(pa.string()) for n in self.shape
        )
        return Interactions(
            self.user,
            self.item,
            np.ones(len(self.user), np.float32),
            None,
            users,
            items,
        )

    def held_out(self, share: float, seed: int) -> tuple[Pairs, Pairs]:
        """What may be known, and a share of the pairs to be found."""
        held = np.random.default_rng(seed).random(len(self.user)) < share
        return self.where(~held), self.where(held)

    def save(self, folder: Path) -> Path:
        """Into files that another process loads."""
        np.save(folder / "user.npy", self.user)
        np.save(folder / "item.npy", self.item)
        np.save(folder / "shape.npy", self.shape)
        return folder


def load(folder: str) -> Pairs:
    """Pairs that were saved."""
    user, item, shape = (
        np.load(Path(folder) / f"{name}.npy") for name in ("user", "item", "shape")
    )
    return Pairs(user, item, (int(shape[0]), int(shape[1])))


def ordered(user: np.ndarray, item: np.ndarray, shape: tuple[int, int]) -> Pairs:
    """Pairs from codes in any order."""
    return _pairs(_distinct(user.astype(np.int64) * shape[1] + item), shape)


def clustered(users: int, items: int, pairs: int, seed: int = 1) -> Pairs:
    """So many distinct pairs of users and items."""
    rng = np.random.default_rng(seed)
    draw = _Draw(rng, users, items)
    keys = np.empty(0, np.int64)
    while len(keys) < pairs:
        keys = _distinct(
            np.concatenate((keys, draw(1000 + (pairs - len(keys)) * 5 // 4)))
        )
    surplus = rng.choice(len(keys), len(keys) - pairs, replace=False, shuffle=False)
    return _pairs(np.delete(keys, surplus), (users, items))


def _distinct(keys: np.ndarray) -> np.ndarray:
    """Ascending, each once; faster than np.unique, which hashes."""
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) > 0]


def _pairs(keys: np.ndarray, shape: tuple[int, int]) -> Pairs:
    return Pairs(
        (keys // shape[1]).astype(np.int32), (keys % shape[1]).astype(np.int32), shape
    )


class _Draw:
    """Draws pairs as numbers user * items + item, repetitions included."""

    def __init__(self, rng: np.random.Generator, users: int, items: int) -> None:
        self.rng, self.items = rng, items
        activity = rng.lognormal(0, 1, users)  # (users,)
        self.activity = activity / activity.sum()
        clusters = max(1, items // ITEMS_PER_CLUSTER)
        cluster = np.sort(
            rng.integers(0, clusters, items)
        )  # (items,) of the items in `order`
        self.order = rng.permutation(items)  # (items,) cluster by cluster
        popularity = 1 / (rng.permutation(items) + 10) ** 0.9  # (items,)
        self.cumulated = np.concatenate(([0.0], np.cumsum(popularity)))  # (items + 1,)
        self.edge = self.cumulated[
            np.searchsorted(cluster, np.arange(clusters + 1))
        ]  # (clusters + 1,)
        self.taste = rng.integers(0, clusters, users)  # (users,)

    def __call__(self, n: int) -> np.ndarray:
        user = np.repeat(
            np.arange(len(self.activity)), self.rng.multinomial(n, self.activity)
        )  # (n,)
        own, taste = self.rng.random(n) < OWN, self.taste[user]  # (n,), (n,)
        low, high = (
            np.where(own, self.edge[taste], 0),
            np.where(own, self.edge[taste + 1], self.edge[-1]),
        )  # (n,), (n,)
        position = (
            np.searchsorted(
                self.cumulated, low + self.rng.random(n) * (high - low), side="right"
            )
            - 1
        )  # (n,)
        return user * self.items + self.order[position.clip(max=self.items - 1)]
