"""Histories one after another: (t, d) for all events of a batch, the longest history first.

So whatever looks at one event at a time wastes nothing on padding. A recurrent network takes them
as they are, in order of place; attention lays histories of like length out side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from embsql.data import Interactions, indptr_of

LIKE = 0.75  # histories are laid out together when the shortest has this share of the longest


class Packed(NamedTuple):
    """Histories one after another, the longest first."""

    user: Tensor  # (b,)
    length: Tensor  # (b,) descending
    entry: Tensor  # (t,) places among all events
    owner: Tensor  # (t,) which history each is of, from 0
    place: Tensor  # (t,) of each event in its history, from 0

    @property
    def last(self) -> Tensor:
        """Where each history ends, (b,)."""
        return self.length.cumsum(0) - 1

    def groups(self) -> list[Group]:
        """The histories in groups of like length."""
        length, groups, first, offset = self.length.tolist(), [], 0, 0
        while first < len(length):
            width = length[first]
            rows = int((self.length[first:] >= LIKE * width).sum())
            count = sum(length[first : first + rows])
            place = self.place[offset : offset + count]  # (g,)
            owner = self.owner[offset : offset + count] - first  # (g,)
            groups.append(Group(rows, width, owner * width + place))
            first, offset = first + rows, offset + count
        return groups


class Group(NamedTuple):
    """Histories laid out side by side in (rows, width)."""

    rows: int
    width: int
    place: Tensor  # (g,) of each event among rows * width


@dataclass(frozen=True, slots=True)
class Histories:
    """Users' events, in order."""

    start: Tensor  # (u + 1,)
    item: Tensor  # (m,)
    weight: Tensor  # (m,) what predicting each counts
    age: Tensor  # (m,) how long ago each was
    clock: Tensor  # (m, c) rows of a table that belong to its moment

    @property
    def counts(self) -> Tensor:
        """Events of each user, (u,)."""
        return self.start.diff()

    def entries(self, users: Tensor, short: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        """The events of users (b,) but the last `short`, one user after another: where, whose,
        which; (t,) each.
        """
        length = self.counts[users] - short  # (b,)
        owner = torch.arange(len(users)).repeat_interleave(length)  # (t,)
        place = torch.arange(len(owner)) - (length.cumsum(0) - length)[owner]  # (t,)
        return self.start[users][owner] + place, owner, place

    def pack(self, users: Tensor, short: int = 0) -> Packed:
        """The histories of users (b,), who have more than `short` events, less the last `short`."""
        length, order = (self.counts[users] - short).sort(descending=True, stable=True)  # (b,)
        entry, owner, place = self.entries(users[order], short)
        return Packed(users[order], length, entry, owner, place)

    def latest(self, longest: int) -> Histories:
        """The latest so many events of each."""
        late = (
            self.start[1:].repeat_interleave(self.counts) - torch.arange(len(self.item)) <= longest
        )  # (m,)
        return self._where(late)

    def without_last(self, users: Tensor) -> tuple[Histories, Tensor]:
        """The histories less the last event of users (b,), and the items of those events (b,)."""
        last = self.start[users + 1] - 1  # (b,)
        keep = torch.ones(len(self.item), dtype=torch.bool).index_fill(0, last, value=False)  # (m,)
        return self._where(keep), self.item[last]

    def followed_by(self, code: int) -> Histories:
        """The histories that are there with one more event each, at the moment of the last."""
        counts = self.counts + (self.counts > 0)  # (u,)
        start = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])  # (u + 1,)
        added = start[1:][counts > 0] - 1  # (b,)
        entry = (torch.ones(int(start[-1]), dtype=torch.int64).index_fill(0, added, 0)).cumsum(
            0
        ) - 1  # (m + b,)
        longer = self._take(start, entry)
        return replace(longer, item=longer.item.index_fill(0, added, code))

    def _where(self, keep: Tensor) -> Histories:
        kept = torch.cat([torch.zeros(1, dtype=torch.int64), keep.cumsum(0)])  # (m + 1,)
        return self._take(kept[self.start], keep.nonzero()[:, 0])

    def _take(self, start: Tensor, entry: Tensor) -> Histories:
        return Histories(
            start, self.item[entry], self.weight[entry], self.age[entry], self.clock[entry]
        )


def histories(data: Interactions) -> Histories:
    """All events of every user, each of equal weight and of no moment."""
    events = data.events_by_time()
    start, item = (
        indptr_of(data.user[events.pair], data.n_users),
        data.item[events.pair].astype(np.int64),
    )
    n = len(item)
    empty = torch.empty(n, 0, dtype=torch.int64)
    return Histories(
        torch.from_numpy(start), torch.from_numpy(item), torch.ones(n), torch.zeros(n), empty
    )


def ragged(start: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of rows (b,) of a sparse matrix: the entries (e,), where each row begins (b,), and whose each
    entry is (e,).
    """
    count = start[rows + 1] - start[rows]  # (b,)
    offset = count.cumsum(0) - count  # (b,)
    owner = torch.arange(len(rows), device=rows.device).repeat_interleave(count)  # (e,)
    entry = torch.arange(len(owner), device=rows.device) + (start[rows] - offset)[owner]  # (e,)
    return entry, offset, owner


class Dropout(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """Dropout whose randomness comes from the run's seed."""

    def __init__(self, share: float, generator: torch.Generator) -> None:
        super().__init__()
        self.share, self.generator = share, generator

    def forward(self, x: Tensor) -> Tensor:
        """(t, d) -> (t, d)"""
        if not (self.training and self.share):
            return x
        keep = torch.empty(x.shape).bernoulli_(1 - self.share, generator=self.generator)
        return x * keep.div_(1 - self.share).to(x.device)
