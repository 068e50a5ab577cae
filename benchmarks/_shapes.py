"""Data of many shapes, each with pairs to choose options by and pairs to report on.

Made ones have a known structure: users and items are points of a few directions, and how often an
item is seen grows with its popularity and with how near it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks._lines import real
from embsql.data import Events, Interactions
from embsql.evaluation.splits import split

DIRECTIONS = 12  # of the points that made users and items are
CHUNK = 512  # users drawn at a time
GOOD = 4  # ratings from which an item was liked
SEED = 7  # of what is made and of what is held out


class Shape(NamedTuple):
    """What is trained on, what chooses, and what is reported on at the end."""

    train: Interactions
    validation: Interactions
    whole: (
        Interactions  # what is trained on for the test: training and validation pairs
    )
    test: Interactions


def cut(data: Interactions, test: Interactions | None = None) -> Shape:
    """A shape of interactions: the last pair of each user is held out, without times a fifth."""
    if test is None:
        parts = split(data, seed=SEED)
        data = parts.train
        test = parts.held_out
    parts = split(data, seed=SEED)
    return Shape(parts.train, parts.held_out, data, test)


def interactions(
    user: Any, item: Any, time: Any = None, weight: Any = None
) -> Interactions:
    """Events of any ids as embsql reads them: pairs, and the events behind them in their order."""
    users, user = np.unique(user, return_inverse=True)  # (u,), (m,)
    items, item = np.unique(item, return_inverse=True)  # (i,), (m,)
    order = np.lexsort((np.arange(len(user)) if time is None else time, user))  # (m,)
    keys = user[order].astype(np.int64) * len(items) + item[order]  # (m,)
    pairs, pair = np.unique(keys, return_inverse=True)  # (n,), (m,)
    each = np.ones(len(user)) if weight is None else np.asarray(weight)  # (m,)
    each = each[order].astype(np.float32)
    when = None if time is None else np.asarray(time)[order].astype(np.int64)
    latest = None
    if when is not None:
        latest = np.full(len(pairs), np.iinfo(np.int64).min)  # (n,)
        np.maximum.at(latest, pair, when)
    return Interactions(
        user=(pairs // len(items)).astype(np.int32),
        item=(pairs % len(items)).astype(np.int32),
        weight=np.bincount(pair, each, len(pairs)).astype(np.float32),
        time=latest,
        users=pa.array(users).cast(pa.string()),
        items=pa.array(items).cast(pa.string()),
        events=Events(pair.astype(np.int32), each, when),
    )


# --- made ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class World:
    """How many there are, and how they choose."""

    users: int
    items: int
    events: int
    tail: float = 1.0  # the nth most popular item is seen as often as n to the power of minus that
    taste: float = 2.0  # how much more often a near item is seen; 0: not at all
    spread: float = 1.0  # of the logarithm of events per user
    least: int = 3  # events of a user
    blocks: int = 0  # groups of items that a user keeps to, instead of directions

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Users and items (n,), each pair once."""
        chance = np.random.default_rng(SEED)
        utility = self._utilities(chance)
        counts = self._counts(chance)  # (u,)
        found = [
            self._drawn(utility(rows), counts[rows], chance)
            for rows in np.array_split(np.arange(self.users), self.users // CHUNK + 1)
        ]
        return np.repeat(np.arange(self.users), counts), np.concatenate(found)

    def _utilities(
        self, chance: np.random.Generator
    ) -> Callable[[np.ndarray], np.ndarray]:
        """What gives the logarithm of how often some users (r,) see each item: (r, i)."""
        rank = chance.permutation(self.items) + 5  # (i,)
        popularity = -self.tail * np.log(rank)  # (i,)
        if self.blocks:
            of_users = chance.integers(0, self.blocks, self.users)  # (u,)
            of_items = chance.integers(0, self.blocks, self.items)  # (i,)
            return lambda rows: (
                popularity + self.taste * (of_users[rows, None] == of_items)
            )
        users, items = (
            chance.standard_normal((n, DIRECTIONS)) for n in (self.users, self.items)
        )
        near = self.taste / np.sqrt(DIRECTIONS)
        return lambda rows: popularity + near * users[rows] @ items.T

    def _counts(self, chance: np.random.Generator) -> np.ndarray:
        """Items of each user, (u,)."""
        size = chance.lognormal(0, self.spread, self.users)  # (u,)
        more = max(0, self.events - self.users * self.least) * size / size.sum()
        counts = self.least + more.astype(np.int64)  # (u,)
        return np.minimum(counts, self.items // 4)

    def _drawn(
        self, utility: np.ndarray, counts: np.ndarray, chance: np.random.Generator
    ) -> np.ndarray:
        """So many items of each user, without repetition: those of the largest noisy utility."""
        noisy = utility + chance.gumbel(size=utility.shape)  # (r, i)
        order = np.argsort(-noisy, axis=1)  # (r, i)
        return np.concatenate([order[row, :n] for row, n in enumerate(counts)])


def made(world: World) -> Callable[[], Shape]:
    """A shape of pairs that were seen once."""
    return lambda: cut(interactions(*world.pairs()))


def _repeats() -> Shape:
    """Purchases that come again: a pair's number of events is its weight."""
    user, item = World(8_000, 2_000, 80_000, taste=2.5).pairs()
    times = np.random.default_rng(SEED).geometric(0.45, len(user))  # (n,)
    return cut(interactions(np.repeat(user, times), np.repeat(item, times)))


def _ratings() -> Shape:
    """Ratings of 1 to 5 as weights; what was liked is to be found."""
    user, item = World(6_000, 1_500, 150_000, taste=1.0).pairs()
    chance = np.random.default_rng(SEED)
    of_users = chance.standard_normal((user.max() + 1, DIRECTIONS))
    of_items = chance.standard_normal((item.max() + 1, DIRECTIONS))
    fit = (of_users[user] * of_items[item]).sum(1) / np.sqrt(DIRECTIONS)  # (n,)
    rating = np.clip(np.rint(3.4 + fit + 0.7 * chance.standard_normal(len(fit))), 1, 5)
    shape = cut(interactions(user, item, weight=rating))
    liked = (part.where(part.weight >= GOOD) for part in shape[1::2])
    return shape._replace(**dict(zip(("validation", "test"), liked, strict=True)))


# --- real ----------------------------------------------------------------------------------------


def _published(folder: str) -> Callable[[], Shape]:
    """Pairs whose test is given."""

    def shape() -> Shape:
        known, asked = (
            pq.read_table(real(folder, f"{part}.parquet")) for part in ("train", "test")
        )
        both = pa.concat_tables([known, asked])
        every = interactions(both["user"].to_numpy(), both["item"].to_numpy())
        keys = _keys(every, every.user, every.item)
        codes = _codes(every, asked["user"], asked["item"])
        is_asked = np.isin(keys, _keys(every, *codes))
        return cut(every.where(~is_asked), every.where(is_asked))

    return shape


def _codes(data: Interactions, user: Any, item: Any) -> list[np.ndarray]:
    """Codes of ids."""
    sides = ((data.users, user), (data.items, item))
    return [
        pc.index_in(ids.cast(pa.string()).combine_chunks(), known).to_numpy()
        for known, ids in sides
    ]


def _keys(data: Interactions, user: np.ndarray, item: np.ndarray) -> np.ndarray:
    """A number for each pair of codes."""
    return user.astype(np.int64) * data.n_items + item


def _sequences(folder: str, file: str, user: str, item: str) -> Callable[[], Shape]:
    """Events in order."""

    def shape() -> Shape:
        table = pq.read_table(real(folder, file))
        columns = [table[name].to_numpy() for name in (user, item, "position")]
        return cut(interactions(*columns))

    return shape


def _ml1m() -> Shape:
    """What was liked, in order."""
    table = pq.read_table(real("ml1m", "interactions.parquet"))
    liked = pc.and_(
        pc.greater_equal(table["rating"], GOOD), table["rated_at"].is_valid()
    )
    table = table.filter(liked)
    when = table["rated_at"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    users = table["user_id"].to_numpy()
    return cut(interactions(users, table["movie_id"].to_numpy(), when))


def _online_retail() -> Shape:
    """Invoice lines of customers, in order; a pair weighs as many lines as there are."""
    table = pq.read_table(real("online_retail", "online_retail.parquet"))
    bought = pc.and_(table["customer_id"].is_valid(), pc.greater(table["quantity"], 0))
    table = table.filter(bought)
    when = pc.cast(table["invoice_date"], pa.timestamp("us")).cast(pa.int64())
    columns = [table[name].to_numpy() for name in ("customer_id", "stock_code")]
    return cut(interactions(*columns, when.to_numpy()))


SHAPES: dict[str, Callable[[], Shape]] = {
    "tail 0.8": made(World(8_000, 4_000, 160_000, tail=0.8)),
    "tail 1.2": made(World(8_000, 4_000, 160_000, tail=1.2)),
    "3 a user": made(World(30_000, 2_000, 120_000, least=4, taste=3.0)),
    "200 items": made(World(10_000, 200, 100_000, tail=0.7)),
    "blocks": made(World(8_000, 3_000, 120_000, tail=0.5, blocks=30, taste=3.0)),
    "repeats": _repeats,
    "ratings": _ratings,
    "electronics": _published("electronics"),
    "sports": _sequences("sports", "sequences.parquet", "user", "item"),
    "online_retail": _online_retail,
    "ml1m": _ml1m,
    "gowalla": _published("gowalla"),
    "diginetica": _sequences("diginetica", "train.parquet", "session_id", "item_id"),
}
