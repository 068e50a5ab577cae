"""The softmax over many items, a piece of its logits at a time: they never are in memory all at
once.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

PIECE = 1 << 19  # logits at a time: what a core's cache holds


class _Softmax(torch.autograd.Function):  # type: ignore[misc]  # torch is imported without its types
    """The loss and, because logits are only there once, its gradients at the same time."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(
        ctx: Any,
        state: Tensor,
        own: Tensor,
        others: Tensor,
        hit: Tensor,
        bias: float,
        weight: Tensor,
    ) -> Tensor:
        to_state, to_own, to_others = (
            torch.empty_like(state),
            torch.empty_like(own),
            torch.zeros_like(others),
        )
        total, size = state.new_zeros(()), max(1, PIECE // max(len(others), 1))
        parts = (part.split(size) for part in (state, own, hit, weight, to_state, to_own))
        for x, y, place, w, to_x, to_y in zip(*parts, strict=True):
            met, p = (x * y).sum(1), (x @ others.T).add_(bias)  # (c,), (c, n)
            hits = (place >= 0).nonzero()[:, 0]  # (h,)
            p[hits, place[hits]] = -math.inf  # the target is no other
            top = torch.maximum(p.amax(1), met)[:, None]  # (c, 1)
            own_share = (met[:, None] - top).exp()  # (c, 1)
            size_of = p.sub_(top).exp_().sum(1, keepdim=True) + own_share  # (c, 1)
            total += (size_of.log() + top)[:, 0].sub(met) @ w
            p *= w[:, None] / size_of
            pull = w[:, None] * (own_share / size_of - 1)  # (c, 1)
            torch.mul(x, pull, out=to_y)
            torch.mm(p, others, out=to_x).addcmul_(pull, y)
            to_others.addmm_(p.T, x)
        ctx.save_for_backward(to_state, to_own, to_others)
        return total

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """() -> what flows to state (t, d), own (t, d) and others (n, d)"""
        return *(part * gradient for part in ctx.saved_tensors), None, None, None


def softmax(
    state: Tensor, own: Tensor, others: Tensor, hit: Tensor, bias: float, weight: Tensor
) -> Tensor:
    """The weighted sum of -log of the share that its own item has of each state's scores,
    exponentiated.

    Of states (t, d), their own items (t, d), other items (n, d), whose scores are raised by bias,
    where among them each one's own is, or -1 (t,), and weights (t,).
    """
    loss: Tensor = _Softmax.apply(state, own, others, hit, bias, weight)
    return loss
