"""What least squares minimize, and where a solver computes it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, FoldIn, Interactions
from embsql.errors import Diverged
from embsql.run import Run

# weight of all unseen pairs together, over that of the seen: best on published data is 7 to 28
UNOBSERVED_TO_OBSERVED = 15.0
IMPLICIT_REG = 0.005
EXPLICIT_REG = 0.08
SPECK = np.float32(1e-12)  # of a row's largest entry; float32 tells 1e-7 apart
NOTHING = np.float32(1e-15)
BLOCK = 1 << 12  # rows looked at together
INITIAL_NORM = 0.1  # of the random vectors that training starts from


class Objective(NamedTuple):
    """What is minimized, for scores s = user . item.

    The sum over observed pairs of confidence s^2 - 2 target s, where
    confidence = confidence_offset + confidence_scale weight and target = target_offset + weight;
    plus unobserved_weight s^2 over all pairs; plus for each row of either side its squared length
    times reg (sum of its confidences + unobserved_weight * number of columns)^reg_exponent.
    Columns that nobody could choose are 0, and are not counted.
    """

    confidence_offset: float
    confidence_scale: float
    target_offset: float
    unobserved_weight: float
    reg: float
    reg_exponent: float
    cg_steps: int  # conjugate gradient steps per row and sweep
    zero_loss: (
        float  # the sum of squares where every score is 0, to which losses are compared
    )
    n_columns: int | None = None  # that are counted; none: all

    def relative(self, loss: float) -> float:
        """A loss as the solvers give it, plus its constant, as a share of the loss of all zeros."""
        return loss / self.zero_loss + 1

    def fold_in(self, variance: float = 1.0, **settings: float) -> FoldIn:
        """How SQL solves a user's row.

        `settings` say in which unit a history's weights are, `variance` what items were scaled by
        the root of.
        """
        own = {
            "confidence_offset": self.confidence_offset,
            "confidence_scale": self.confidence_scale,
            "target_offset": self.target_offset,
            "unobserved_weight": self.unobserved_weight,
            "reg_exponent": self.reg_exponent,
            "reg": self.reg * variance,
        }
        if self.n_columns is not None:
            own["n_columns"] = self.n_columns
        return FoldIn("least_squares", own | settings)


class Totals(NamedTuple):
    """What an objective depends on of all interactions."""

    users: int
    items: int
    pairs: int
    weight: float  # the sum of all

    @property
    def weight_scale(self) -> float:
        """What weights are multiplied by so that their mean is 1."""
        return self.pairs / self.weight


def totals(data: Interactions) -> Totals:
    """Those of interactions in memory."""
    weight = float(data.weight.sum(dtype=np.float64))
    return Totals(data.n_users, data.n_items, len(data), weight)


def density(data: Interactions) -> float:
    """Which share of all pairs is there, of users and items that have one."""
    users = np.count_nonzero(data.users_with_pairs())
    items = np.count_nonzero(data.items_with_pairs())
    return len(data) / (users * items)


def scaled(weight: Float32, scale: float) -> Float32:
    """Weights (n,) times a number; themselves where that is 1."""
    return weight if scale == 1 else weight * np.float32(scale)


def initial_factors(n: int, dim: int, seed: int) -> Float32:
    """Random factors (n, dim) to start from."""
    return random_factors(dim, seed)(n)


def random_factors(dim: int, seed: int) -> Callable[[int], Float32]:
    """What gives the next n rows (n, dim) of the factors to start from.

    However many are asked for at a time, they are the same.
    """
    chance = np.random.default_rng(seed)
    size = np.float32(INITIAL_NORM / math.sqrt(dim))
    return lambda n: chance.standard_normal((n, dim), np.float32) * size


def without_specks(factors: Float32) -> Float32:
    """Factors (n, f) with 0 for entries that are nothing next to their row's largest, or next to 1.

    What is factorized is about 1, and no float32 sum feels them. They are left where dimensions
    exceed what the data fill, or where regularization wins; pgvector refuses to multiply what comes
    out too small for a float.
    """
    blocks = [factors[first : first + BLOCK] for first in range(0, len(factors), BLOCK)]
    if not any(_is_speck(block).any() for block in blocks):
        return factors
    zero = np.float32(0)
    return np.concatenate([np.where(_is_speck(block), zero, block) for block in blocks])


def _is_speck(factors: Float32) -> NDArray[np.bool_]:
    """Which entries (n, f) are not 0, and yet nothing."""
    size = abs(factors)  # (n, f)
    largest = size.max(axis=1, keepdims=True)  # (n, 1)
    is_small: NDArray[np.bool_] = size < np.maximum(SPECK * largest, NOTHING)
    return is_small & (size > 0)


def report(run: Run, algorithm: str, epoch: int, loss: float, **figures: float) -> None:
    """Report the loss of an epoch. Raises Diverged where it is not finite."""
    if not math.isfinite(loss):
        raise Diverged(algorithm=algorithm, epoch=epoch, model=run.model_name)
    run.report(epoch=epoch, loss=loss, **figures)


class SideSolver(Protocol):
    """Where one side is solved."""

    def solve_side(
        self, matrix: Any, fixed_factors: Any, solved_factors: Any, objective: Objective
    ) -> tuple[Any, Any, float, float]:
        """Solve all rows (n, f) for the fixed factors (m, f), starting where they are.

        Both may be changed where they lie.

        Returns both, solved first, in the eigenvectors of the fixed factors' Gramian. Their
        products are unchanged, and each row's system becomes a diagonal plus its own pairs, which
        two preconditioned steps solve. Then the loss, without its constant and the fixed factors'
        penalty, and the solved rows' penalty.
        """


class Solver(SideSolver, Protocol):
    """Where least squares are solved: arrays are put there, and factors fetched at the end."""

    def put_matrix(self, matrix: CsrMatrix) -> Any:
        """A sparse matrix, as the solver keeps it."""

    def put(self, factors: Float32) -> Any:
        """A table of factors, as the solver keeps it."""

    def get(self, factors: Any) -> Float32:
        """A table of the solver's as an array."""
