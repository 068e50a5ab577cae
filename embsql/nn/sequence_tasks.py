"""What sequence models learn to predict of a batch of histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from embsql.nn.histories import EventHistories, Packed
from embsql.nn.tensors import true_indices

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import TrainingTask

MASK_RATE = 0.2  # share of events that a model learns to fill in
# share of histories of which only the last event is masked, as when recommending
LAST_ONLY_RATE = 0.1


class SequenceBatch(NamedTuple):
    """A batch of histories, and what is predicted of them."""

    packed: Packed
    inputs: Tensor  # (t,) items, or masks, that the network reads
    state_at: Tensor | None  # (s,) events whose states predict; none: all
    target: Tensor  # (p,) predicted events, by their index among all
    # (p,) which of the states predicts each; none: one each
    state_of: Tensor | None = None


@dataclass(frozen=True, slots=True)
class NextItem:
    """Predict every event from those before it."""

    events: EventHistories

    def batch(self, users: Tensor) -> SequenceBatch:
        """Of the histories of users (b,)."""
        packed = self.events.pack(users, drop_last=1)
        inputs = self.events.item[packed.event]  # (t,)
        return SequenceBatch(packed, inputs, None, target=packed.event + 1)


@dataclass(frozen=True, slots=True)
class Bag:
    """Predict all events of a user from some of them; the network chooses which."""

    events: EventHistories

    def batch(self, users: Tensor) -> SequenceBatch:
        """Of the histories of users (b,)."""
        packed = self.events.pack(users)
        inputs = self.events.item[packed.event]  # (t,)
        return SequenceBatch(
            packed, inputs, packed.last, packed.event, state_of=packed.row
        )


@dataclass(frozen=True, slots=True)
class MaskedItem:
    """Predict events behind a mask from all others (Devlin et al., 2019; Sun et al., 2019)."""

    events: EventHistories
    mask_token: int
    generator: torch.Generator

    def batch(self, users: Tensor) -> SequenceBatch:
        """Of the histories of users (b,)."""
        packed = self.events.pack(users)
        is_masked = self._mask(packed)  # (t,)
        items = self.events.item[packed.event]  # (t,)
        inputs = items.masked_fill(is_masked, self.mask_token)  # (t,)
        masked = true_indices(is_masked)  # (p,)
        return SequenceBatch(packed, inputs, masked, target=packed.event[masked])

    def _mask(self, packed: Packed) -> Tensor:
        """Which events are masked, at least one of every history: (t,)."""
        is_last_only = self._random(len(packed.user)) < LAST_ONLY_RATE  # (b,)
        is_masked = self._random(len(packed.event)) < MASK_RATE  # (t,)
        is_masked &= ~is_last_only[packed.row]
        has_none = torch.ones_like(is_last_only)  # (b,)
        has_none[packed.row[is_masked]] = False
        is_masked[packed.last[has_none]] = True
        return is_masked

    def _random(self, n: int) -> Tensor:
        return torch.rand(n, generator=self.generator)


Task = NextItem | Bag | MaskedItem


def make_task(
    name: TrainingTask,
    events: EventHistories,
    mask_token: int,
    generator: torch.Generator,
) -> Task:
    """What a model with this training task predicts of the events."""
    if name == "masked":
        return MaskedItem(events, mask_token, generator)
    return NextItem(events) if name == "causal" else Bag(events)
