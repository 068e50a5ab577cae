"""A recurrent network over histories that lie one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from embsql.nn.packed import Dropout, Packed

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Reading
    from embsql.algorithms.gru4rec import Gru4rec


class Recurrent(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """Gated recurrent units (Cho et al., 2014) and a linear map back to the items' space."""

    def __init__(self, dim: int, layers: int, dropout: float, generator: torch.Generator) -> None:
        super().__init__()
        self.drop, self.cells, self.back = (
            Dropout(dropout, generator),
            nn.GRU(dim, dim, layers),
            nn.Linear(dim, dim),
        )
        for weight in self.parameters():
            nn.init.uniform_(weight, -(dim**-0.5), dim**-0.5, generator=generator)

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        """(t, d) -> (t, d)"""
        order = packed.place.argsort(stable=True).to(
            x.device
        )  # (t,) first events first, as the cells take them
        steps = PackedSequence(self.drop(x)[order], packed.place.bincount())
        state = self.cells(steps)[0].data  # (t, d)
        return self.back(self.drop(torch.empty_like(state).index_copy(0, order, state)))


def network(options: Gru4rec, reads: Reading, generator: torch.Generator) -> Recurrent:  # noqa: ARG001 - as others are made
    """The network of an algorithm's options."""
    return Recurrent(options.dim, options.n_layers, options.dropout, generator)
