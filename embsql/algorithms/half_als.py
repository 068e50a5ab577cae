"""One side solved for fixed vectors of the other: half of alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from embsql.algorithms import algorithm
from embsql.data import CsrMatrix, Embeddings, Float32, Interactions
from embsql.factorization.objective import (
    UNOBSERVED_TO_OBSERVED,
    Objective,
    density,
    report,
    scaled,
    totals,
)
from embsql.features.vectors import item_vectors, user_vectors
from embsql.options import NonNegative, Positive, check
from embsql.run import Run

# conjugate gradient steps, as many as an exact solution to float32 takes on diagonal plus own pairs
CG_STEPS = 12


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class HalfALS:
    """Users solved for item vectors made elsewhere, as `als` would solve them, or items for users.

    The vectors (of texts, images, another model) are a column of lists of numbers in
    `item_features`; they are stored as given. Each user is the least-squares solution for them of
    the implicit objective of `als`: what was observed should score 1 and everything else 0, the
    latter with a small weight. Where a mean asks what a user's items have in common, the solution
    also asks what sets them apart from all others, so directions that every item shares carry
    nothing (Hu, Koren and Volinsky, 2008, equation 4, for fixed item factors; the first half step
    of iALS).

    An item without a vector is zero: it counts for nothing and scores 0. Lengths matter, as they
    do in a score.

    With fixed_side=users it is the other way round: the vectors are a column of `user_features`,
    and each item is solved for the users who have it; so an item that came later has its row among
    users whom another model knows.
    """

    # as `fixed_side` says
    sides: ClassVar[tuple[str, ...]] = ("item_features", "user_features")

    name: ClassVar[str]  # set by @algorithm

    # the column that holds them; none: the only one there is
    vector_col: str | None = None
    # whose vectors they are; the others are solved for them
    fixed_side: Literal["items", "users"] = "items"
    # pull towards zero, in units of the mean squared length of the given vectors
    reg: Positive = 0.005
    # the penalty grows with a row's evidence to this power: 1 in proportion, 0 not at all
    reg_exponent: NonNegative = 1.0
    # weight of an unseen pair where a seen one has 1 on average; none: 15 x density
    unobserved_weight: NonNegative | None = None

    def __post_init__(self) -> None:
        check(self)

    @property
    def epochs(self) -> int:
        """One: every row is solved once."""
        return 1

    @property
    def inputs(self) -> tuple[str, ...]:
        """Those of the side whose vectors are given."""
        return (f"{self.fixed_side.removesuffix('s')}_features",)

    @property
    def cold_start(self) -> tuple[str, ...]:
        """The same: these vectors are stored as given."""
        return self.inputs

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Solve the rows.

        The reported loss is the objective over what scoring everything 0 would give.
        """
        # here: it brings the compiler
        from embsql.factorization.cpu import CpuSolver, offering

        scale = totals(data).weight_scale
        fixed = self._fixed_factors(data)  # (i or u, d)
        matrix = self._matrix(data, scale)
        has_pairs = self._have_pairs(data)  # (i or u,)
        # whom nobody could have chosen yet says nothing by not being chosen
        known = fixed * has_pairs[:, None]  # (i or u, d)
        objective = self._objective(data, known)
        objective = objective._replace(n_columns=_counted(has_pairs))
        solved, loss, penalty = CpuSolver(run).solve_from_zero(
            matrix, known, objective
        )  # (u or i, d)
        report(run, self.name, 1, objective.relative(loss + penalty))
        if self.fixed_side == "users":
            of_users = self._objective(data, solved)
            fold_in = of_users.fold_in(weight_scale=scale)
            return Embeddings(fixed, solved, fold_in=fold_in)
        fold_in = objective.fold_in(weight_scale=scale)
        return Embeddings(
            solved, fixed, fold_in=offering(fold_in, fixed, has_pairs, run)
        )

    def _have_pairs(self, data: Interactions) -> NDArray[np.bool_]:
        """Which of those whose vectors are given have pairs: (i,) or (u,)."""
        if self.fixed_side == "items":
            return data.items_with_pairs()
        return data.users_with_pairs()

    def _fixed_factors(self, data: Interactions) -> Float32:
        """The vectors that were given, (i, d) or (u, d)."""
        if self.fixed_side == "items":
            return item_vectors(data, self.vector_col)
        return user_vectors(data, self.vector_col)

    def _matrix(self, data: Interactions, scale: float) -> CsrMatrix:
        """The interactions by row of the side that is solved."""
        from embsql.numeric.linalg import transpose

        by_user = data.by_user(scaled(data.weight, scale))
        return (
            by_user if self.fixed_side == "items" else transpose(by_user, data.n_items)
        )

    def _objective(self, data: Interactions, fixed: Float32) -> Objective:
        weight = self.unobserved_weight
        return Objective(
            confidence_offset=0,
            confidence_scale=1,
            target_offset=0,
            unobserved_weight=UNOBSERVED_TO_OBSERVED * density(data)
            if weight is None
            else weight,
            reg=self.reg * _mean_squared_length(fixed),
            reg_exponent=self.reg_exponent,
            cg_steps=CG_STEPS,
            zero_loss=len(data),
        )


def _counted(has_pairs: NDArray[np.bool_]) -> int | None:
    """How many of some columns (n,) have pairs; None where all have."""
    return None if has_pairs.all() else int(has_pairs.sum())


def _mean_squared_length(vectors: Float32) -> float:
    """Mean squared length of the vectors (n, d) that are not zero."""
    squares = np.square(vectors).sum(dtype=np.float64)
    return float(squares / max(1, vectors.any(axis=1).sum()))
