"""Histories packed without padding, and the networks that read them.

A batch is its events one after another, (t, d), the longest history first, so that whatever looks
at one event at a time wastes nothing on padding. A GRU takes them as they are, by position;
attention lays histories of like length out side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention
from torch.nn.utils.rnn import PackedSequence

from embsql.data import Interactions, indptr_of
from embsql.errors import NotEnoughData
from embsql.nn.tensors import true_indices

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Attentive, TrainingTask
    from embsql.algorithms.gru4rec import Gru4rec
    from embsql.algorithms.youtube_dnn import YoutubeDnn

MIN_BUCKET_FILL = 0.75  # of a bucket's width that its shortest history has at least
FFN_MULTIPLIER = 4  # the feed-forward layer is so many times as wide as the vectors
# events after which the slowest pair of components has turned once, over 2 pi
ROPE_BASE = 1e4


# --- histories -----------------------------------------------------------------------------------


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
            users=data.n_users, items=data.n_items, algorithm=algorithm, need=need
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

    def buckets(self) -> list[Bucket]:
        """The histories in buckets of like length."""
        buckets = []
        first = begin = 0  # history and event
        while first < len(self.length):
            width = int(self.length[first])
            is_like = self.length[first:] >= MIN_BUCKET_FILL * width
            rows = int(is_like.sum())
            lengths = self.length[first : first + rows]  # (rows,)
            end = begin + int(lengths.sum())
            row = self.row[begin:end] - first  # (g,)
            position = self.position[begin:end]  # (g,)
            buckets.append(Bucket(rows, width, cell=row * width + position))
            first += rows
            begin = end
        return buckets


class Bucket(NamedTuple):
    """Histories laid out side by side in (rows, width) cells."""

    rows: int
    width: int
    cell: Tensor  # (g,) of each event

    def to(self, device: torch.device) -> Bucket:
        """The same on a device."""
        return self._replace(cell=self.cell.to(device))


class Dropout(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Dropout whose randomness comes from the run's seed."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate = rate
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """(t, d) -> (t, d)"""
        if not (self.training and self.rate):
            return x
        keep_rate = 1 - self.rate
        keep = torch.empty(x.shape)
        keep.bernoulli_(keep_rate, generator=self.generator)
        scale = keep.div_(keep_rate)
        return x * scale.to(x.device)


def linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """A linear map without bias, with Xavier's random weights."""
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    return layer


# --- transformer ---------------------------------------------------------------------------------


class Transformer(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Blocks of attention and a feed-forward layer, with layer norm first."""

    def __init__(
        self,
        dim: int,
        n_layers: int,
        n_heads: int,
        dropout: float,
        generator: torch.Generator,
        *,
        causal: bool,
    ) -> None:
        super().__init__()
        self.dropout = Dropout(dropout, generator)
        self.norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, n_heads, self.dropout, generator, causal=causal)
            for _ in range(n_layers)
        )

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        """(t, d) -> (t, d)"""
        device = x.device
        buckets = [bucket.to(device) for bucket in packed.buckets()]
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, buckets)
        return self.norm(x)


class TransformerBlock(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Attention over a history, then a layer for each event (Vaswani et al., 2017)."""

    def __init__(
        self,
        dim: int,
        n_heads: int,
        dropout: Dropout,
        generator: torch.Generator,
        *,
        causal: bool,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.causal = causal
        self.dropout = dropout
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.qkv_proj = linear(dim, 3 * dim, generator)
        self.out_proj = linear(dim, dim, generator)
        self.ffn_in = linear(dim, FFN_MULTIPLIER * dim, generator)
        self.ffn_out = linear(FFN_MULTIPLIER * dim, dim, generator)

    def forward(self, x: Tensor, buckets: list[Bucket]) -> Tensor:
        """(t, d) -> (t, d)"""
        attended = self._attention(self.norm1(x), buckets)  # (t, d)
        x = x + self.dropout(attended)
        transformed = self._feed_forward(self.norm2(x))  # (t, d)
        return x + self.dropout(transformed)

    def _feed_forward(self, x: Tensor) -> Tensor:
        """(t, d) -> (t, d)"""
        hidden = relu(self.ffn_in(x))  # (t, 4d)
        return self.ffn_out(hidden)

    def _attention(self, x: Tensor, buckets: list[Bucket]) -> Tensor:
        """(t, d) -> (t, d)"""
        sizes = [len(bucket.cell) for bucket in buckets]
        parts = self.qkv_proj(x).split(sizes)  # (g, 3d) each
        pairs = zip(parts, buckets, strict=True)
        attended = torch.cat(
            [self._attend(part, bucket) for part, bucket in pairs]
        )  # (t, d)
        return self.out_proj(attended)

    def _attend(self, qkv: Tensor, bucket: Bucket) -> Tensor:
        """(g, 3d) -> (g, d)"""
        rows, width, cell = bucket
        n_cells = rows * width
        cells = qkv.new_zeros(n_cells, qkv.shape[1]).index_copy(
            0, cell, qkv
        )  # (r * w, 3d)
        heads = cells.view(rows, width, 3, self.n_heads, -1)  # (r, w, 3, h, e)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (r, h, w, e) each
        # before an event there are only events, so that a causal mask needs no mask of padding
        mask = None if self.causal else _padding_mask(bucket)
        y = scaled_dot_product_attention(
            apply_rotary(q), apply_rotary(k), v, attn_mask=mask, is_causal=self.causal
        )  # (r, h, w, e)
        y = y.transpose(1, 2).reshape(n_cells, -1)  # (r * w, d)
        return y.index_select(0, cell)


def _padding_mask(bucket: Bucket) -> Tensor:
    """The cells of a bucket that hold an event: (r, 1, 1, w)."""
    rows, width, cell = bucket
    mask = cell.new_zeros(rows * width, dtype=torch.bool)
    mask[cell] = True
    return mask.view(rows, 1, 1, width)


def apply_rotary(x: Tensor) -> Tensor:
    """Rotary position embedding: (r, h, w, e) -> (r, h, w, e).

    Pairs of components are turned by position, so that products tell how far apart two events are.
    Unlike learned positions it has nothing to learn for those that only the longest histories
    reach, which is where their last events are (Su et al., 2021, "RoFormer").
    """
    width = x.shape[2]
    half = x.shape[3] // 2
    pair = torch.arange(half, device=x.device)  # (e / 2,)
    frequency = ROPE_BASE ** (-pair / half)  # (e / 2,)
    position = torch.arange(width, device=x.device)  # (w,)
    angle = position[:, None] * frequency  # (w, e / 2)
    cos, sin = angle.cos(), angle.sin()
    a, b = x.split(half, dim=3)  # (r, h, w, e / 2) each
    turned_a = a * cos - b * sin
    turned_b = a * sin + b * cos
    return torch.cat([turned_a, turned_b], dim=3)


# --- recurrent network, and means ----------------------------------------------------------------


class Gru(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Gated recurrent units (Cho et al., 2014) and a linear map back to the items' space."""

    def __init__(
        self, dim: int, n_layers: int, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.dropout = Dropout(dropout, generator)
        self.gru = nn.GRU(dim, dim, n_layers)
        self.out_proj = nn.Linear(dim, dim)
        bound = dim**-0.5
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound, generator=generator)

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        """(t, d) -> (t, d)"""
        position = packed.position  # (t,)
        by_position = position.argsort(stable=True).to(x.device)  # (t,)
        inputs = self.dropout(x)[by_position]  # (t, d)
        outputs, _ = self.gru(PackedSequence(inputs, position.bincount()))
        sorted_states = outputs.data  # (t, d)
        states = torch.empty_like(sorted_states)
        states = states.index_copy(0, by_position, sorted_states)
        return self.out_proj(self.dropout(states))


class MeanPooling(nn.Module):  # type: ignore[misc]  # torch is untyped
    """The mean of the events up to each, or of the whole history, through hidden layers if any.

    In training, events are left out of the means at random.
    """

    def __init__(
        self, dims: list[int], dropout: float, generator: torch.Generator, *, bag: bool
    ) -> None:
        super().__init__()
        self.bag = bag
        self.dropout = Dropout(dropout, generator)
        has_layers = len(dims) > 2
        shapes = pairwise(dims) if has_layers else ()
        layers = [linear(*shape, generator) for shape in shapes]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        """(t, d) -> (t, d)"""
        ones = torch.ones_like(x[:, :1])  # (t, 1)
        weight = self.dropout(ones)  # (t, 1)
        summands = torch.cat(
            [x * weight, weight], 1
        )  # (t, d + 1) the last is the divisor
        if self.bag:
            totals = _totals(summands, packed)  # (b, d + 1)
            return self._means(totals)[packed.row]
        totals = _running_totals(summands, packed)  # (t, d + 1)
        return self._means(totals)

    def _means(self, totals: Tensor) -> Tensor:
        """Means, through the layers: (n, d + 1) -> (n, d)"""
        sums, divisors = totals[:, :-1], totals[:, -1:]  # (n, d), (n, 1)
        x = sums / divisors.clamp(min=1)  # (n, d)
        for n, layer in enumerate(self.layers):
            x = layer(relu(x) if n else x)
        return x


def _running_totals(x: Tensor, packed: Packed) -> Tensor:
    """The sum of each event and those before it in its history: (t, d) -> (t, d)"""
    running = x.cumsum(0)  # (t, d) over all histories
    first = packed.last - packed.length + 1  # (b,)
    before = (running - x)[first]  # (b, d)
    return running - before[packed.row]


def _totals(x: Tensor, packed: Packed) -> Tensor:
    """The sum of each history: (t, d) -> (b, d)"""
    row = packed.row.to(x.device)  # (t,)
    totals = x.new_zeros(len(packed.length), x.shape[1])
    return totals.index_add(0, row, x)


# --- which network an algorithm has --------------------------------------------------------------


def _transformer(
    options: Attentive, task: TrainingTask, generator: torch.Generator
) -> Transformer:
    return Transformer(
        options.dim,
        options.n_layers,
        options.n_heads,
        options.dropout,
        generator,
        causal=task == "causal",
    )


def _gru(options: Gru4rec, _task: TrainingTask, generator: torch.Generator) -> Gru:
    return Gru(options.dim, options.n_layers, options.dropout, generator)


def _mean(
    options: YoutubeDnn, task: TrainingTask, generator: torch.Generator
) -> MeanPooling:
    hidden = [options.hidden_dim] * options.hidden_layers
    dims = [options.dim, *hidden, options.dim]
    return MeanPooling(dims, options.history_dropout, generator, bag=task == "bag")


# of options and training task
Builder = Callable[[Any, Any, torch.Generator], nn.Module]
NETWORKS: dict[str, Builder] = {"transformer": _transformer, "gru": _gru, "mean": _mean}
