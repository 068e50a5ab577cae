"""Means over histories that lie one after another."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from embsql.algorithms._packed import Dropout, Packed
from embsql.algorithms._transformer import linear


class Pooling(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """The mean of the events up to each, or of the user's others, through hidden layers where widths name some."""

    def __init__(self, widths: list[int], dropout: float, generator: torch.Generator, *, others: bool) -> None:
        super().__init__()
        self.others, self.drop = others, Dropout(dropout, generator)
        hidden = pairwise(widths) if len(widths) > 2 else ()
        self.layers = nn.ModuleList(linear(*pair, generator) for pair in hidden)

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        """(t, d) -> (t, d)"""
        x = self._others(self.drop(x), packed) if self.others else self._before(self.drop(x), packed)
        for n, layer in enumerate(self.layers):
            x = layer(relu(x) if n else x)
        return x

    def _before(self, x: Tensor, packed: Packed) -> Tensor:
        """The mean of each event and those before it: (t, d) -> (t, d)"""
        running = x.cumsum(0)  # (t, d)
        first = (running - x)[packed.last - packed.length + 1]  # (b, d) what ran up before each history
        count = (packed.place + 1)[:, None].to(x.device)  # (t, 1)
        return (running - first[packed.owner]) / count

    def _others(self, x: Tensor, packed: Packed) -> Tensor:
        """The mean of a history, in training without the event itself, which is to be predicted: (t, d) -> (t, d)"""
        out = int(self.training)
        total = x.new_zeros(len(packed.length), x.shape[1]).index_add(0, packed.owner.to(x.device), x)  # (b, d)
        count = (packed.length - out).clamp(min=1)[packed.owner, None].to(x.device)  # (t, 1)
        return (total[packed.owner] - out * x) / count
