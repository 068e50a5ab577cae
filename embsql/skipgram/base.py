"""What a skip-gram trainer is given, and what it does, on whichever device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Int32, Int64

# squared gradient that every row begins with: without it the first step would be the longest
FIRST_SQUARE = 1.0

Rate = Callable[[int], float]  # the step length by tokens done in a block


class Block(NamedTuple):
    """Sequences of tokens: sequence s is token[start[s]:start[s + 1]]."""

    start: Int64  # (s + 1,)
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
    ns_exponent: float = 0.75  # a token is a negative as often as its count to this power
    sample: float = 0.0  # tokens above this share of all are dropped at random; 0: none
    cbow: bool = False
    dynamic_window: bool = True  # windows of 1 to `window`, by chance


class Trainer(Protocol):
    """Where steps are computed."""

    def learn(self, block: Block, rate: Rate) -> NDArray[np.float64]:
        """Train on a block; the sum of losses and the number of pairs (2,)."""

    def vectors(self) -> tuple[Float32, Float32]:
        """Input and output vectors (n, dim)."""


def first_squares(dim: int, n: int) -> Float32:
    """What the sums of squared gradients (n,) begin with; lr is for the mean of `dim` squares."""
    return np.full(n, FIRST_SQUARE * dim, np.float32)
