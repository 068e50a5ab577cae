"""What a step's met items are contrasted with: negatives, and which of them count."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from embsql.data import CsrMatrix, Int32, Interactions
from embsql.nn.losses import Scores
from embsql.nn.packed import ragged

HARD = 1 / 8  # share of the negatives that count where only the hardest do


@dataclass(frozen=True, slots=True)
class Negatives:
    """Which items a step contrasts with the met ones, and how often it is expected to meet each as
    a negative.
    """

    expected: Tensor  # (n_items,) times a step, without those remembered
    # (n_items,) of all pairs: how often it is expected among as many remembered as there are pairs
    share: Tensor
    in_batch: bool  # whether the others' items are negatives
    drawn: Tensor  # (candidates,) pairs' items, or each item once: what negatives are drawn from
    count: int  # as many a step; all of them, each once, where there are no more
    generator: torch.Generator
    # none: all negatives count; else only the hardest of those the user has not met
    met: Met | None = None

    def draw(self) -> Tensor:
        """Items drawn for a step: (count,)."""
        if self.count >= len(self.drawn):
            return self.drawn
        return self.drawn[torch.randint(len(self.drawn), (self.count,), generator=self.generator)]

    def often(self, code: Tensor, remembered: Tensor) -> Tensor:
        """How often each of the items (s,) is expected in a step that remembers others (m,), -1 for
        none.
        """
        return self.expected[code] + self.share[code] * (remembered >= 0).sum()


def negatives(
    sampler: str,
    count: int,
    batch: int,
    data: Interactions,
    generator: torch.Generator,
    device: str = "cpu",
) -> Negatives:
    """The negatives of steps of `batch` pairs, among items that somebody met."""
    pairs = torch.from_numpy(data.item.astype(np.int64))  # (n,)
    share = counted(data.item, data.n_items).float() / len(pairs)  # (i,)
    drawn = {"in_batch": pairs[:0], "popularity": pairs}.get(sampler, share.nonzero()[:, 0])
    count = min(count, len(drawn))
    expected = batch * share if sampler in ("in_batch", "mixed") else 0 * share  # (i,)
    if count:
        expected = expected + torch.bincount(drawn, minlength=len(expected)) * (count / len(drawn))
    met = Met(data.by_user(), device) if sampler == "hard" else None
    in_batch = sampler in ("in_batch", "mixed")
    return Negatives(expected.to(device), share.to(device), in_batch, drawn, count, generator, met)


class Met:
    """What each user has met."""

    def __init__(self, rows: CsrMatrix, device: str) -> None:
        self.start = torch.from_numpy(rows.indptr).to(device)  # (n_users + 1,)
        self.item = torch.from_numpy(rows.indices.astype(np.int64)).to(device)  # (pairs,)

    def among(self, users: Tensor, code: Tensor) -> Tensor:
        """Which users (b,) have met which items (s,), that may be there several times: (b, s)."""
        entry, _, owner = ragged(self.start, users)  # (e,), (e,)
        items, place = code.unique(return_inverse=True)  # (u,), (s,)
        found = torch.searchsorted(items, self.item[entry]).clamp(max=len(items) - 1)  # (e,)
        there = items[found] == self.item[entry]  # (e,)
        met = torch.zeros(len(users), len(items), dtype=torch.bool, device=code.device)  # (b, u)
        met[owner[there], found[there]] = True
        return met[:, place]


@torch.no_grad()
def hardest(s: Scores) -> Tensor:
    """Of the negatives that may count, the best-scoring eighth of each row: (b, s).

    Left out is what is better than the met item by more than the scores of the row are spread: it
    may well be liked.
    """
    likely = s.others > (s.met + s.others.std(1))[:, None]  # (b, s)
    scores = s.others.masked_fill(s.hits | likely, -math.inf)  # (b, s)
    least = scores.topk(math.ceil(scores.shape[1] * HARD), 1).values[:, -1:]  # (b, 1)
    return (scores >= least) & (scores > -math.inf)


def counted(codes: Int32, n: int) -> Tensor:
    """How many pairs each code has: (n,)."""
    return torch.from_numpy(np.bincount(codes, minlength=n))
