"""Users' histories, and batches of them packed without padding.

A batch is its events one after another, (t, d), the longest history first, so that whatever looks
at one event at a time wastes nothing on padding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from embsql.data import Interactions, indptr_of
from embsql.errors import NotEnoughData
from embsql.nn.tensors import true_indices

MIN_BUCKET_FILL = 0.75  # of a bucket's width that its shortest history has at least


@dataclass(frozen=True, slots=True)
class EventHistories:
    """Users' events in order, one history after another."""

    offsets: Tensor  # (u + 1,)
    item: Tensor  # (m,)
    weight: Tensor  # (m,) of the event in the loss
    age: Tensor  # (m,) how long ago it was
    time_features: Tensor  # (m, c) rows of a table; c is 0 where none are read

    @property
    def counts(self) -> Tensor:
        """Events of each user, (u,)."""
        return self.offsets.diff()

    def events_of(
        self, users: Tensor, drop_last: int = 0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The events of users (b,) without the last ones, one user after another.

        Their index among all events, which of the users each is of, and its position: (t,) each.
        """
        length = self.counts[users] - drop_last  # (b,)
        begin = length.cumsum(0) - length  # (b,)
        which = torch.arange(len(users))  # (b,)
        row = which.repeat_interleave(length)  # (t,)
        position = torch.arange(len(row)) - begin[row]  # (t,)
        event = self.offsets[users][row] + position  # (t,)
        return event, row, position

    def pack(self, users: Tensor, drop_last: int = 0) -> Packed:
        """The histories of users (b,), who have more events than are dropped, without the last."""
        lengths = self.counts[users] - drop_last  # (b,)
        length, order = lengths.sort(descending=True, stable=True)
        user = users[order]  # (b,)
        event, row, position = self.events_of(user, drop_last)
        return Packed(user, length, event, row, position)

    def latest(self, max_length: int) -> EventHistories:
        """The latest events of each history, so many at most."""
        end = self.offsets[1:].repeat_interleave(
            self.counts
        )  # (m,) of the event's history
        event = torch.arange(len(self.item))  # (m,)
        from_end = end - event  # (m,) 1 is the last
        return self._where(from_end <= max_length)

    def without_last(self, users: Tensor) -> tuple[EventHistories, Tensor]:
        """The histories less the last event of users (b,), and the items of those events (b,)."""
        last = self.offsets[users + 1] - 1  # (b,)
        keep = torch.ones_like(self.item, dtype=torch.bool)  # (m,)
        keep[last] = False
        return self._where(keep), self.item[last]

    def append(self, item: int) -> EventHistories:
        """The histories with one more event each, at the moment of their last; none if empty."""
        has_events = self.counts > 0  # (u,)
        last = self.offsets[1:][has_events] - 1  # (b,)
        copies = torch.ones_like(self.item)  # (m,)
        copies[last] = 2  # the last one, then the appended one
        event = torch.arange(len(self.item))  # (m,)
        event = event.repeat_interleave(copies)  # (m + b,)
        offsets = _offsets(self.counts + has_events)  # (u + 1,)
        longer = self._take(offsets, event)
        appended = offsets[1:][has_events] - 1  # (b,)
        longer.item[appended] = item
        return longer

    def _where(self, keep: Tensor) -> EventHistories:
        """The events for which keep (m,) is true."""
        kept_before = _offsets(keep)  # (m + 1,)
        offsets = kept_before[self.offsets]  # (u + 1,)
        return self._take(offsets, true_indices(keep))

    def _take(self, offsets: Tensor, event: Tensor) -> EventHistories:
        return replace(
            self,
            offsets=offsets,
            item=self.item[event],
            weight=self.weight[event],
            age=self.age[event],
            time_features=self.time_features[event],
        )


def _offsets(counts: Tensor) -> Tensor:
    """Where each of so many (n,) begins, and the end: (n + 1,)."""
    zero = torch.zeros(1, dtype=torch.int64)
    return torch.cat([zero, counts.cumsum(0)])


def users_with_events(
    data: Interactions,
    events: EventHistories,
    min_events: int,
    *,
    algorithm: str,
    need: str,
) -> Tensor:
    """Users with something to predict: (n,). Raises NotEnoughData where there are none."""
    users = true_indices(events.counts >= min_events)
    if not len(users):
        raise NotEnoughData(
            users=np.count_nonzero(data.users_with_pairs()),
            items=np.count_nonzero(data.items_with_pairs()),
            algorithm=algorithm,
            need=need,
        )
    return users


def histories(data: Interactions) -> EventHistories:
    """All events of every user, of equal weight and age."""
    events = data.events_by_time()
    offsets = indptr_of(data.user[events.pair], data.n_users)
    item = data.item[events.pair].astype(np.int64)
    m = len(item)
    return EventHistories(
        torch.from_numpy(offsets),
        torch.from_numpy(item),
        weight=torch.ones(m),
        age=torch.zeros(m),
        time_features=torch.empty(m, 0, dtype=torch.int64),
    )


class Packed(NamedTuple):
    """Some histories one after another, the longest first."""

    user: Tensor  # (b,)
    length: Tensor  # (b,) descending
    event: Tensor  # (t,) index of each among all events
    row: Tensor  # (t,) the history that each event is of, from 0
    position: Tensor  # (t,) of each event in its history, from 0

    @property
    def last(self) -> Tensor:
        """Index of each history's last event among the t: (b,)."""
        return self.length.cumsum(0) - 1

    def buckets(self) -> Buckets:
        """The histories in buckets of like length."""
        shapes = []
        cells = []
        first = begin = n_cells = 0  # history, event and cell
        while first < len(self.length):
            width = int(self.length[first])
            is_like = self.length[first:] >= MIN_BUCKET_FILL * width
            rows = int(is_like.sum())
            lengths = self.length[first : first + rows]  # (rows,)
            end = begin + int(lengths.sum())
            row = self.row[begin:end] - first  # (g,)
            cell = row * width + self.position[begin:end]  # (g,)
            shapes.append((rows, width))
            cells.append(n_cells + cell)
            first += rows
            begin = end
            n_cells += rows * width
        return Buckets(shapes, torch.cat(cells))


class Buckets(NamedTuple):
    """Histories side by side in (rows, width) cells each bucket, one bucket after another."""

    shapes: list[tuple[int, int]]
    cell: Tensor  # (t,) of each event

    @property
    def sizes(self) -> list[int]:
        """Cells of each bucket."""
        return [rows * width for rows, width in self.shapes]

    @property
    def event(self) -> Tensor:
        """The event in each cell, the first in those of padding: (n,)."""
        event = self.cell.new_zeros(sum(self.sizes))  # (n,)
        event[self.cell] = torch.arange(len(self.cell))
        return event

    def padding_masks(self) -> list[Tensor]:
        """Which cells of each bucket hold an event, for attention: (rows, 1, 1, width) each."""
        holds_event = torch.zeros(sum(self.sizes), dtype=torch.bool)  # (n,)
        holds_event[self.cell] = True
        parts = zip(holds_event.split(self.sizes), self.shapes, strict=True)
        return [part.view(rows, 1, 1, width) for part, (rows, width) in parts]
