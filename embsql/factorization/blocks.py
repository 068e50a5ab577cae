"""Factorization of interactions that lie in blocks elsewhere: what is asked of that place.

Matrices and factors are whatever it calls them by; no array of all rows comes here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from embsql.data import Float32, Float64, FoldIn
from embsql.factorization.objective import SideSolver, Totals

if TYPE_CHECKING:
    from embsql.factorization.penalty import Noise


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


class UsersOfItems(NamedTuple):
    """What the leading columns of a matrix give users."""

    users: Any  # W times the items' rows, for good
    gramian: Float64  # (w, w) of A times the items
    # (w, w) of `penalty.normalized` times the items, whose rows it divides by roots of counts
    seen: Float64


class FinishedItems(NamedTuple):
    """Items as a run has them."""

    items: Any
    lengths: Float64  # (d,) of the columns that `UsersOfItems.seen` is of
    largest: (
        Float64  # (d,) of each column of A the entry that is the largest, with its sign
    )


class Products(Protocol):
    """A table of rows times the matrix A: weights W, divided by powers of row and column sums.

    Tables stay where the pairs lie, unless they are small, and have `turned(axes)`: what they are
    still to be multiplied by. Their rows of items are those that W is multiplied by.
    """

    @property
    def start(self) -> Any:
        """Random items (n_items, w)."""

    @property
    def squares(self) -> float:
        """The sum of those of A."""

    @property
    def item_divisors(self) -> Float32:
        """What the columns of A were divided by: (n_items,)."""

    def back_and_forth(self, items: Any) -> Any:
        """A' A times items; its `gramian` is (w, w) of that."""

    def project(self, items: Any) -> UsersOfItems:
        """What items give users."""

    def finish(self, items: Any) -> FinishedItems:
        """The items (n_items, d) times what A's columns were divided by, twice."""


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

    @property
    def noise(self) -> Noise:
        """What `penalty.noise` finds."""

    def products(self, exponents: Sides, width: int, seed: int) -> Products:
        """The pairs, divided by sums to these powers, to be multiplied by items (n_items, w)."""

    def matrices(self, scale: float) -> Sides:
        """The pairs by user and by item, their weights times a number."""

    def scaled(self, matrices: Sides, scale: float) -> Sides:
        """The same matrices with their weights times a number."""

    def start(self, dim: int, seed: int) -> Sides:
        """Users at zero, and items at `objective.initial_factors`."""

    def residuals(self, sweeps: int, damping: float) -> Residuals:
        """Ratings without their biases: damped means of items and of users, in turn."""
