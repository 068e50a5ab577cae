"""Layers that several networks are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Dropout whose randomness comes from the run's seed."""

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        super().__init__()
        self.rate = rate
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """(t, d) -> (t, d)"""
        return self.of_rows(x, len(x), None)

    def of_rows(self, x: Tensor, n: int, rows: Tensor | None) -> Tensor:
        """Some rows of n, none: all, each as if all were there: (s, d) -> (s, d)

        What chance does to a row depends on the seed, not on which rows are wanted.
        """
        if not (self.training and self.rate):
            return x
        keep_rate = 1 - self.rate
        # what bernoulli_ makes of the same seed, in less time
        chance = torch.rand(
            n, x.shape[1], dtype=torch.float64, generator=self.generator
        )  # (n, d)
        keep = (chance < keep_rate).to(x.device)  # (n, d)
        scale = select_rows(keep, rows).float() / keep_rate  # (s, d)
        return x * scale


def select_rows(x: Tensor, rows: Tensor | None) -> Tensor:
    """Some rows (s,), none: all: (t, d) -> (s, d)"""
    return x if rows is None else x.index_select(0, rows)


def linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    """A linear map without bias, with Xavier's random weights."""
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    return layer
