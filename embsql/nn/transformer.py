"""A transformer over histories that lie one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

from embsql.nn.packed import Dropout, Group, Packed

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Attentive, Reading

WIDER = 4  # times the vectors' length: the hidden layer behind attention
SLOWEST = 1e4  # events after which the slowest pair of numbers has turned once, over 2 pi


class Transformer(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """Blocks of attention and a hidden layer, each with the norm first."""

    def __init__(
        self,
        dim: int,
        blocks: int,
        heads: int,
        dropout: float,
        generator: torch.Generator,
        *,
        causal: bool,
    ) -> None:
        super().__init__()
        self.drop, self.norm = Dropout(dropout, generator), nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(
            Block(dim, heads, self.drop, causal=causal, generator=generator) for _ in range(blocks)
        )

    def forward(self, x: Tensor, packed: Packed) -> Tensor:
        """(t, d) -> (t, d)"""
        groups = [Group(rows, width, place.to(x.device)) for rows, width, place in packed.groups()]
        x = self.drop(x)
        for block in self.blocks:
            x = block(x, groups)
        return self.norm(x)


class Block(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """Attention over a history, then a hidden layer for each event (Vaswani et al., 2017)."""

    def __init__(
        self, dim: int, heads: int, drop: Dropout, *, causal: bool, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.heads, self.causal, self.drop = heads, causal, drop
        self.before, self.between = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.project, self.join = linear(dim, 3 * dim, generator), linear(dim, dim, generator)
        self.inner, self.outer = (
            linear(dim, WIDER * dim, generator),
            linear(WIDER * dim, dim, generator),
        )

    def forward(self, x: Tensor, groups: list[Group]) -> Tensor:
        """(t, d) -> (t, d)"""
        parts = self.project(self.before(x)).split(
            [len(group.place) for group in groups]
        )  # (g, 3d) each
        attended = torch.cat(
            [self._attend(part, group) for part, group in zip(parts, groups, strict=True)]
        )  # (t, d)
        x = x + self.drop(self.join(attended))
        return x + self.drop(self.outer(relu(self.inner(self.between(x)))))

    def _attend(self, x: Tensor, group: Group) -> Tensor:
        """(g, 3d) -> (g, d)"""
        rows, width, place = group
        laid = x.new_zeros(rows * width, x.shape[1]).index_copy(0, place, x)  # (r * w, 3d)
        q, k, v = laid.view(rows, width, 3, self.heads, -1).permute(
            2, 0, 3, 1, 4
        )  # (r, h, w, d / h) each
        there = None if self.causal else self._there(group, x)
        y = scaled_dot_product_attention(
            turned(q), turned(k), v, attn_mask=there, is_causal=self.causal
        )
        return y.transpose(1, 2).reshape(rows * width, -1).index_select(0, place)

    def _there(self, group: Group, x: Tensor) -> Tensor:
        """Where a group has events: (r, 1, 1, w).

        Before an event there are only events, so causal ones do without.
        """
        there = torch.zeros(group.rows * group.width, dtype=torch.bool, device=x.device)
        return there.index_fill(0, group.place, value=True).view(group.rows, 1, 1, group.width)


def turned(x: Tensor) -> Tensor:
    """Pairs of numbers turned by place, so that products tell how far apart two are: (r, h, w, e)
    -> (r, h, w, e).

    Unlike learned places it has nothing to learn for places that only the longest histories reach,
    which is where their last events are (Su et al., 2021, "RoFormer").
    """
    width, half = x.shape[2], x.shape[3] // 2
    speed = SLOWEST ** (-torch.arange(half, device=x.device) / half)  # (e / 2,)
    angle = torch.arange(width, device=x.device)[:, None] * speed  # (w, e / 2)
    a, b, cos, sin = x[..., :half], x[..., half:], angle.cos(), angle.sin()
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=3)


def linear(inside: int, outside: int, generator: torch.Generator) -> nn.Linear:
    """A linear map that starts at random."""
    layer = nn.Linear(inside, outside, bias=False)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    return layer


def network(options: Attentive, reads: Reading, generator: torch.Generator) -> Transformer:
    """The network of an algorithm's options."""
    causal = reads == "before"
    return Transformer(
        options.dim, options.n_layers, options.n_heads, options.dropout, generator, causal=causal
    )
