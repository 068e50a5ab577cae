"""What a step loses: over the scores of its positives and negatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus

MASKED = -1e4  # score of what is no negative


class Scores(NamedTuple):
    """What a step's loss is made of."""

    met: Tensor  # (b,) scores of the met items
    others: Tensor  # (b, s) of the negatives
    hits: Tensor  # (b, s) where a negative does not count, as it is the met item itself
    expected: Tensor  # (s,) how often each negative is expected in a step


def softmax(s: Scores, *_: float) -> Tensor:
    """The met item against all: each negative counts 1 / expected, for those that were not drawn
    (logQ: Yi 2019).
    """
    others = (s.others - s.expected.log()).masked_fill_(s.hits, MASKED)  # (b, s)
    return softplus(others.logsumexp(1) - s.met).mean()


def bpr(s: Scores, *_: float) -> Tensor:
    """How surely the met item is above each negative (Rendle 2009)."""
    return _mean(softplus(s.others - s.met[:, None]), s.hits)


def triplet(s: Scores, margin: float, *_: float) -> Tensor:
    """By how much a negative comes nearer to the met item's score than the margin."""
    return _mean(relu(s.others - s.met[:, None] + margin), s.hits)


def contrastive(s: Scores, margin: float, push: float) -> Tensor:
    """The met item towards a score of 1, negatives, which weigh push, below the margin (Mao 2021,
    SimpleX).
    """
    return relu(1 - s.met).mean() + push * _mean(relu(s.others - margin), s.hits)


def _mean(losses: Tensor, hits: Tensor) -> Tensor:
    return losses.masked_fill(hits, 0).sum() / (~hits).sum().clamp(min=1)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "softmax": softmax,
    "bpr": bpr,
    "triplet": triplet,
    "contrastive": contrastive,
}
