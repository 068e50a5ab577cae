"""Least squares over interactions that lie in blocks elsewhere: what is asked of that place.

Matrices and factors are whatever it calls them by; no array of all rows comes here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from embsql.data import Float32, FoldIn
from embsql.factorization.objective import SideSolver, Totals


class Sides(NamedTuple):
    """What there is of users and of items."""

    user: Any
    item: Any


class Residuals(NamedTuple):
    """What biases leave of ratings."""

    mean: float  # of all ratings
    biases: Sides
    matrices: Sides  # the pairs by user and by item, with rating - mean - both biases
    std: float
    squares: float  # their sum


@dataclass(frozen=True, slots=True)
class BlockEmbeddings:
    """What training gives, by block."""

    factors: Sides
    fold_in: FoldIn
    factor_scale: float = 1.0  # what factors are still to be multiplied by
    biases: Sides | None = None
    mean: float = 0.0  # what is still to be added to the biases of users

    def final_axes(self, factors: Any) -> Float32:
        """What the factors of a side, as they lie, are to be multiplied by: (f, dim)."""
        axes: Float32 = factors.axes * np.float32(self.factor_scale)
        return axes


class BlockInteractions(Protocol):
    """Interactions in blocks of users and of items, and what is computed there."""

    @property
    def totals(self) -> Totals:
        """Of all of them."""

    @property
    def largest_weight(self) -> float:
        """That of any pair."""

    @property
    def solver(self) -> SideSolver:
        """Where sides are solved."""

    def matrices(self, scale: float) -> Sides:
        """The pairs by user and by item, their weights times a number."""

    def scaled(self, matrices: Sides, scale: float) -> Sides:
        """The same matrices with their weights times a number."""

    def start(self, dim: int, seed: int) -> Sides:
        """Users at zero, and items at `objective.initial_factors`."""

    def residuals(self, sweeps: int, damping: float) -> Residuals:
        """Ratings without their biases: damped means of items and of users, in turn."""
