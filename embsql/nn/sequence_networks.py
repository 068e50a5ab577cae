"""The networks that read packed histories: from events to the states after them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.utils.rnn import PackedSequence

from embsql.nn.histories import Packed
from embsql.nn.layers import Dropout, linear, select_rows
from embsql.nn.transformer import Transformer

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Attentive, TrainingTask
    from embsql.algorithms.gru4rec import Gru4rec
    from embsql.algorithms.youtube_dnn import YoutubeDnn


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

    def forward(
        self, x: Tensor, packed: Packed, state_at: Tensor | None = None
    ) -> Tensor:
        """The states at some events (s,), none: all: (t, d) -> (s, d)"""
        position = packed.position  # (t,)
        by_position = position.argsort(stable=True).to(x.device)  # (t,)
        inputs = self.dropout(x)[by_position]  # (t, d)
        outputs, _ = self.gru(PackedSequence(inputs, position.bincount()))
        sorted_states = outputs.data  # (t, d)
        states = torch.empty_like(sorted_states)
        states = states.index_copy(0, by_position, sorted_states)
        wanted = select_rows(self.dropout(states), state_at)  # (s, d)
        return self.out_proj(wanted)


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

    def forward(
        self, x: Tensor, packed: Packed, state_at: Tensor | None = None
    ) -> Tensor:
        """The means at some events (s,), none: all: (t, d) -> (s, d)"""
        ones = torch.ones_like(x[:, :1])  # (t, 1)
        weight = self.dropout(ones)  # (t, 1)
        summands = torch.cat(
            [x * weight, weight], 1
        )  # (t, d + 1) the last is the divisor
        if self.bag:
            totals = _totals(summands, packed)  # (b, d + 1)
            means = self._means(totals)[packed.row]  # (t, d)
        else:
            totals = _running_totals(summands, packed)  # (t, d + 1)
            means = self._means(totals)  # (t, d)
        return select_rows(means, state_at)

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
