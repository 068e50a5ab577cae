"""What a skip-gram trainer is given, and what it does, on whichever device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Int32, Int64

# squared gradient that every row begins with: without it the first step would be the longest
INITIAL_SQUARE = 1.0
MIN_LR_SHARE = 0.01  # of lr that the last step still has


class Block(NamedTuple):
    """Sequences of tokens: sequence s is token[indptr[s]:indptr[s + 1]]."""

    indptr: Int64  # (s + 1,)
    token: Int32  # (t,)
    # (t,) in half-lives: two tokens count 2^-|difference|; none: all pairs count 1
    time: Float32 | None = None


class Corpus(Protocol):
    """Sequences to train on.

    Each epoch may give them anew, in blocks, so that not all must be in memory.
    """

    def blocks(self, epoch: int) -> Iterator[Block]:
        """The sequences of an epoch, counted from 1; for one seed always the same."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train; see the options of item2vec for the reasons."""

    dim: int = 64
    epochs: int = 10
    window: int = 5  # in tokens
    negatives: int = 5
    lr: float = 0.8
    # a token is a negative as often as its count to this power
    ns_exponent: float = 0.75
    sample: float = 0.0  # tokens above this share of all are dropped at random; 0: none
    cbow: bool = False
    dynamic_window: bool = True  # windows of 1 to `window`, by chance


@dataclass(slots=True)
class LrSchedule:
    """A learning rate that falls linearly from lr to MIN_LR_SHARE of it over all tokens."""

    lr: float
    total: int  # tokens of all epochs
    done: int = 0  # tokens before the present block

    def at(self, tokens: int) -> float:
        """The rate when so many tokens of the present block are done."""
        left = 1 - (self.done + tokens) / self.total
        return self.lr * max(MIN_LR_SHARE, left)


class Trainer(Protocol):
    """Where steps are computed."""

    def learn(self, block: Block, schedule: LrSchedule) -> NDArray[np.float64]:
        """Train on a block; the sum of losses and the number of pairs (2,)."""

    def vectors(self) -> tuple[Float32, Float32]:
        """Input and output vectors (n, dim)."""


def initial_squares(dim: int, n: int) -> Float32:
    """What the sums of squared gradients (n,) begin with; lr is for the mean of `dim` squares."""
    return np.full(n, INITIAL_SQUARE * dim, np.float32)
