"""A transformer over packed histories: attention lays those of like length side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

from embsql.nn.histories import Buckets, Packed
from embsql.nn.layers import Dropout, linear, select_rows

FFN_MULTIPLIER = 4  # the feed-forward layer is so many times as wide as the vectors
# events after which the slowest pair of components has turned once, over 2 pi
ROPE_BASE = 1e4


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
        self.n_heads = n_heads
        self.causal = causal
        self.dropout = Dropout(dropout, generator)
        self.norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, n_heads, self.dropout, generator, causal=causal)
            for _ in range(n_layers)
        )

    def forward(
        self, x: Tensor, packed: Packed, state_at: Tensor | None = None
    ) -> Tensor:
        """The states at some events (s,), none: all: (t, d) -> (s, d)"""
        layout = lay_out(packed, x, self.n_heads)
        x = self.dropout(x)
        *blocks, last = self.blocks
        for block in blocks:
            x = block(x, layout)
        return self.norm(last(x, layout, state_at))


class Layout(NamedTuple):
    """What attention needs to know of a batch, the same in all blocks."""

    buckets: Buckets
    event: Tensor  # (n,) in each cell
    masks: list[Tensor]  # (r, 1, 1, w) of each bucket: where there is an event
    cos: Tensor  # (t, 2d) of the angle by which each query and key is turned
    sin: Tensor  # (t, 2d)


def lay_out(packed: Packed, x: Tensor, n_heads: int) -> Layout:
    """The layout of a batch of events (t, d), on their device."""
    buckets = packed.buckets()
    masks = [mask.to(x.device) for mask in buckets.padding_masks()]
    cos, sin = (
        table.to(x.device)[packed.position.to(x.device)]
        for table in rotary_tables(int(packed.length[0]), x.shape[1], n_heads)
    )
    event = buckets.event.to(x.device)
    return Layout(
        buckets._replace(cell=buckets.cell.to(x.device)), event, masks, cos, sin
    )


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

    def forward(
        self, x: Tensor, layout: Layout, state_at: Tensor | None = None
    ) -> Tensor:
        """The states at some events (s,), none: all: (t, d) -> (s, d)"""
        n = len(x)
        attended = self._attention(self.norm1(x), layout)  # (t, d)
        # what follows looks at one event at a time
        x = select_rows(x, state_at)  # (s, d)
        attended = self.out_proj(select_rows(attended, state_at))  # (s, d)
        x = x + self.dropout.of_rows(attended, n, state_at)
        transformed = self._feed_forward(self.norm2(x))  # (s, d)
        return x + self.dropout.of_rows(transformed, n, state_at)

    def _feed_forward(self, x: Tensor) -> Tensor:
        """(t, d) -> (t, d)"""
        hidden = relu(self.ffn_in(x))  # (t, 4d)
        return self.ffn_out(hidden)

    def _attention(self, x: Tensor, layout: Layout) -> Tensor:
        """(t, d) -> (t, d)"""
        shapes, cell = layout.buckets
        qkv = self.qkv_proj(x)  # (t, 3d)
        qkv = apply_rotary(qkv, layout.cos, layout.sin, self.n_heads)  # (t, 3d)
        # padding holds the first event, as finite as any: nobody attends to it
        cells = qkv.index_select(0, layout.event)  # (n, 3d)
        parts = cells.split(layout.buckets.sizes)  # (r * w, 3d) each
        attended = [
            self._attend(part.unflatten(0, shape), mask)
            for part, shape, mask in zip(parts, shapes, layout.masks, strict=True)
        ]
        return torch.cat(attended).index_select(0, cell)

    def _attend(self, qkv: Tensor, mask: Tensor) -> Tensor:
        """(r, w, 3d) -> (r * w, d)"""
        heads = qkv.unflatten(2, (3, self.n_heads, -1))  # (r, w, 3, h, e)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (r, h, w, e) each
        # before an event there are only events, so that a causal mask needs no mask of padding
        y = scaled_dot_product_attention(
            q, k, v, attn_mask=None if self.causal else mask, is_causal=self.causal
        )  # (r, h, w, e)
        by_event = y.transpose(1, 2)  # (r, w, h, e)
        return by_event.flatten(0, 1).flatten(1)  # (r * w, d)


def rotary_tables(n: int, dim: int, n_heads: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the first n positions, of all heads' queries and keys: (n, 2d) each.

    The sine of a pair's first component is negative.
    """
    half = dim // n_heads // 2
    frequency = ROPE_BASE ** (-torch.arange(half) / half)  # (e / 2,)
    angle = torch.arange(n)[:, None] * frequency  # (n, e / 2)
    cos, sin = angle.cos(), angle.sin()
    cos_of_head = torch.cat([cos, cos], 1)  # (n, e)
    sin_of_head = torch.cat([-sin, sin], 1)  # (n, e)
    return cos_of_head.repeat(1, 2 * n_heads), sin_of_head.repeat(1, 2 * n_heads)


def apply_rotary(qkv: Tensor, cos: Tensor, sin: Tensor, n_heads: int) -> Tensor:
    """Rotary position embedding of queries and keys: (t, 3d) -> (t, 3d).

    Pairs of components are turned by position, so that products tell how far apart two events are.
    Unlike learned positions it has nothing to learn for those that only the longest histories
    reach, which is where their last events are (Su et al., 2021, "RoFormer").
    """
    turned: Tensor = _Rotary.apply(qkv, cos, sin, n_heads)
    return turned


class _Rotary(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped
    """A rotation, whose gradient is turned back: half as many passes as torch finds by itself."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor, n_heads: int
    ) -> Tensor:
        ctx.save_for_backward(cos, sin)
        ctx.n_heads = n_heads
        return _rotate(qkv, cos, sin, n_heads)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """(t, 3d) -> the gradient of qkv (t, 3d)"""
        cos, sin = ctx.saved_tensors
        return _rotate(gradient, cos, -sin, ctx.n_heads), None, None, None


def _rotate(qkv: Tensor, cos: Tensor, sin: Tensor, n_heads: int) -> Tensor:
    """(t, 3d) -> (t, 3d) with queries and keys turned"""
    rotated = qkv.clone()  # (t, 3d)
    qk = rotated[:, : cos.shape[1]]  # (t, 2d)
    pairs = qk.unflatten(1, (2 * n_heads, 2, -1))  # (t, 2h, 2, e / 2)
    a, b = pairs.split(1, dim=2)  # (t, 2h, 1, e / 2) each
    partner = torch.cat([b, a], 2).flatten(1)  # (t, 2d)
    qk.mul_(cos).add_(partner.mul_(sin))
    return rotated
