"""A transformer over packed histories: attention lays those of like length side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

from embsql.nn.histories import Bucket, Packed
from embsql.nn.layers import Dropout, linear

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
