"""Losses of pairs: over the scores of a batch's positives and negatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import relu, softplus

MASKED = -1e4  # score of what is no negative


class Scores(NamedTuple):
    """What a batch's loss is made of."""

    positive: Tensor  # (b,) score of each pair
    negatives: Tensor  # (b, s)
    accidental_hits: (
        Tensor  # (b, s) where a negative does not count, as it is the positive
    )
    expected_counts: Tensor  # (s,) how often each negative is expected in a batch


def sampled_softmax(scores: Scores, *_: float) -> Tensor:
    """The positive against the whole catalog, which the negatives stand for (Yi et al., 2019).

    Each counts 1 / expected, for those that were not sampled (logQ correction).
    """
    corrected = scores.negatives - scores.expected_counts.log()  # (b, s)
    corrected = corrected.masked_fill_(scores.accidental_hits, MASKED)
    all_negatives = corrected.logsumexp(1)  # (b,)
    return softplus(all_negatives - scores.positive).mean()


def bpr(scores: Scores, *_: float) -> Tensor:
    """How surely the positive is above each negative (Rendle et al., 2009)."""
    difference = scores.negatives - scores.positive[:, None]  # (b, s)
    return _mean(softplus(difference), scores.accidental_hits)


def triplet(scores: Scores, margin: float, *_: float) -> Tensor:
    """By how much a negative comes nearer to the positive's score than the margin."""
    difference = scores.negatives - scores.positive[:, None]  # (b, s)
    return _mean(relu(difference + margin), scores.accidental_hits)


def contrastive(scores: Scores, margin: float, negative_weight: float) -> Tensor:
    """The positive towards a score of 1, negatives below the margin (Mao et al., 2021)."""
    positive_loss = relu(1 - scores.positive).mean()
    above_margin = relu(scores.negatives - margin)  # (b, s)
    negative_loss = _mean(above_margin, scores.accidental_hits)
    return positive_loss + negative_weight * negative_loss


def _mean(losses: Tensor, accidental_hits: Tensor) -> Tensor:
    """The mean over the negatives that count: (b, s) -> ()"""
    count = (~accidental_hits).sum().clamp(min=1)
    return losses.masked_fill(accidental_hits, 0).sum() / count


Loss = Callable[..., Tensor]
LOSSES: dict[str, Loss] = {
    "softmax": sampled_softmax,
    "bpr": bpr,
    "triplet": triplet,
    "contrastive": contrastive,
}
