"""Means over histories that lie one after another."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from embsql.nn.packed import Dropout, Packed
from embsql.nn.transformer import linear

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Reading
    from embsql.algorithms.youtube_dnn import YoutubeDnn


class Pooling(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """The mean of the events up to each, or of the whole history, through hidden layers where
    widths name some.

    In training, events are left out of the means at random.
    """

    def __init__(
        self, widths: list[int], dropout: float, generator: torch.Generator, *, whole: bool
    ) -> None:
        super().__init__()
        self.whole, self.drop = whole, Dropout(dropout, generator)
        hidden = pairwise(widths) if len(widths) > 2 else ()
        self.layers = nn.ModuleList(linear(*pair, generator) for pair in hidden)

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        """(t, d) -> (t, d)"""
        kept = self.drop(torch.ones_like(x[:, :1]))  # (t, 1)
        both = torch.cat([x * kept, kept], 1)  # (t, d + 1)
        if self.whole:
            return self._through(self._totals(both, packed))[packed.owner]  # (t, d)
        return self._through(self._running(both, packed))  # (t, d)

    def _running(self, both: Tensor, packed: Packed) -> Tensor:
        """The sum of each event and those before it in its history: (t, d + 1) -> (t, d + 1)"""
        running = both.cumsum(0)  # (t, d + 1)
        first = (running - both)[
            packed.last - packed.length + 1
        ]  # (b, d + 1) what ran up before each history
        return running - first[packed.owner]

    def _totals(self, both: Tensor, packed: Packed) -> Tensor:
        """The sum of each history: (t, d + 1) -> (b, d + 1)"""
        return both.new_zeros(len(packed.length), both.shape[1]).index_add(
            0, packed.owner.to(both.device), both
        )

    def _through(self, sums: Tensor) -> Tensor:
        """Means of what was kept, through the layers: (n, d + 1) -> (n, d)"""
        x = sums[:, :-1] / sums[:, -1:].clamp(min=1)  # (n, d)
        for n, layer in enumerate(self.layers):
            x = layer(relu(x) if n else x)
        return x


def network(options: YoutubeDnn, reads: Reading, generator: torch.Generator) -> Pooling:
    """The network of an algorithm's options."""
    widths = [options.dim, *[options.hidden_dim] * options.hidden_layers, options.dim]
    return Pooling(widths, options.history_dropout, generator, whole=reads == "whole")
