"""Negatives: the items that a batch's positives are contrasted with, and which of them count."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from embsql.data import CsrMatrix, Int32, Interactions
from embsql.nn.losses import Scores
from embsql.nn.tensors import int64_tensor, true_indices

HARD_RATE = 1 / 8  # share of the negatives that count where only the hardest do


@dataclass(frozen=True, slots=True)
class NegativeSampler:
    """Which items a batch contrasts with its own, and how often each is expected among them."""

    batch_counts: (
        Tensor  # (n_items,) expected of each item in a batch, without the queue
    )
    popularity: Tensor  # (n_items,) each item's share of all pairs
    in_batch: bool  # whether the others' items are negatives
    candidates: (
        Tensor  # (c,) pairs' items, or each item once: what negatives are sampled from
    )
    count: (
        int  # sampled for a batch; all candidates, each once, where there are no more
    )
    generator: torch.Generator
    # none: all negatives count; else only the hardest of those the user has not seen
    seen: SeenItems | None = None

    def sample(self) -> Tensor:
        """Items sampled for a batch: (count,)."""
        n = len(self.candidates)
        if self.count >= n:
            return self.candidates
        size = (self.count,)
        chosen = torch.randint(n, size, generator=self.generator)  # (count,)
        return self.candidates[chosen]

    def expected_counts(self, items: Tensor, n_queued: Tensor) -> Tensor:
        """How often each of the items (s,) is expected as a negative, with so many queued: (s,)."""
        in_queue = self.popularity[items] * n_queued  # (s,)
        return self.batch_counts[items] + in_queue


def negative_sampler(
    name: str,
    count: int,
    batch_size: int,
    data: Interactions,
    generator: torch.Generator,
    device: str = "cpu",
) -> NegativeSampler:
    """The negatives of batches of pairs, among items that somebody has interacted with."""
    pairs = int64_tensor(data.item)  # (n,)
    counts = pair_counts(data.item, data.n_items)  # (i,)
    popularity = counts.float() / len(pairs)  # (i,)
    candidates = _candidates(name, pairs, popularity)  # (c,)
    count = min(count, len(candidates))
    in_batch = name in ("in_batch", "mixed")
    batch_counts = torch.zeros_like(popularity)  # (i,)
    if in_batch:
        batch_counts = batch_size * popularity
    if count:
        frequency = torch.bincount(candidates, minlength=data.n_items)  # (i,)
        batch_counts = batch_counts + frequency * (count / len(candidates))
    seen = None
    if name == "hard":
        seen = SeenItems(data.by_user(), device)
    return NegativeSampler(
        batch_counts.to(device),
        popularity.to(device),
        in_batch,
        candidates,
        count,
        generator,
        seen,
    )


def _candidates(name: str, pairs: Tensor, popularity: Tensor) -> Tensor:
    """What a sampler samples from: (c,)."""
    if name == "in_batch":
        return pairs[:0]
    if name == "popularity":
        return pairs
    return true_indices(popularity)


class SeenItems:
    """The items that each user has interacted with."""

    def __init__(self, rows: CsrMatrix, device: str) -> None:
        self.indptr = torch.from_numpy(rows.indptr).to(device)  # (n_users + 1,)
        self.item = int64_tensor(rows.indices).to(device)  # (pairs,)

    def of(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """What users (b,) have seen: which of the users (e,), and the item (e,)."""
        entry, _, row = gather_csr_rows(self.indptr, users)  # (e,), (e,)
        return row, self.item[entry]

    def mask(self, users: Tensor, items: Tensor) -> Tensor:
        """Which users (b,) have seen which items (s,), that may repeat: (b, s)."""
        row, item = self.of(users)  # (e,), (e,)
        unique, column = items.unique(return_inverse=True)  # (m,), (s,)
        n = len(unique)
        index = torch.searchsorted(unique, item).clamp(max=n - 1)  # (e,)
        is_asked = unique[index] == item  # (e,)
        seen = row.new_zeros((len(users), n), dtype=torch.bool)  # (b, m)
        seen[row[is_asked], index[is_asked]] = True
        return seen[:, column]


def gather_csr_rows(indptr: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The entries of rows (b,) of a sparse matrix, one row after another.

    Their index (e,), where each row begins among them (b,), and which of the rows each is of (e,).
    """
    device = rows.device
    count = indptr[rows + 1] - indptr[rows]  # (b,)
    offset = count.cumsum(0) - count  # (b,)
    which = torch.arange(len(rows), device=device)  # (b,)
    row = which.repeat_interleave(count)  # (e,)
    shift = (indptr[rows] - offset)[row]  # (e,)
    position = torch.arange(len(row), device=device)  # (e,)
    return position + shift, offset, row


@torch.no_grad()
def hardest(scores: Scores) -> Tensor:
    """Of the negatives that may count, the best-scoring eighth of each row: (b, s).

    Left out is what is better than the positive by more than the scores of the row are spread: it
    may well be liked.
    """
    spread = scores.negatives.std(1)  # (b,)
    limit = (scores.positive + spread)[:, None]  # (b, 1)
    may_be_liked = scores.negatives > limit  # (b, s)
    excluded = scores.accidental_hits | may_be_liked  # (b, s)
    candidates = scores.negatives.masked_fill(excluded, -math.inf)  # (b, s)
    n_hard = math.ceil(candidates.shape[1] * HARD_RATE)
    best = candidates.topk(n_hard, 1).values  # (b, n_hard)
    threshold = best[:, -1:]  # (b, 1)
    return (candidates >= threshold) & (candidates > -math.inf)


def pair_counts(codes: Int32, n: int) -> Tensor:
    """How many pairs each code has: (n,)."""
    counts = np.bincount(codes, minlength=n)
    return torch.from_numpy(counts)
