"""One side solved for vectors of the other that are given, and stay as they are: half of
alternating least squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from embsql.algorithms import algorithm
from embsql.data import CsrMatrix, Embeddings, Float32, Interactions
from embsql.errors import Diverged
from embsql.factorization.objective import UNSEEN_TO_SEEN, Objective
from embsql.options import NonNegative, Positive, check
from embsql.run import Run

# conjugate gradient steps, as many as an exact solution to float32 takes on diagonal plus own pairs
STEPS = 12


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class HalfALS:
    """Users solved for item vectors that were made elsewhere, as `als` would solve them.

    Or items for user vectors.

    The vectors (of texts, images, another model) are a column of lists of numbers in
    `item_features`; they are stored as given. Each user is the least-squares solution for them of
    the implicit objective of `als`: what was met should score 1 and everything else 0, the latter
    with a small weight. Where a mean asks what the items met have in common, the solution also asks
    what sets them apart from all others, so directions that every item shares carry nothing (Hu,
    Koren and Volinsky, 2008, equation 4, for fixed item factors; the first half step of iALS).

    An item without a vector is zero: met without consequence and scored 0. Lengths matter, as they
    do in a score.

    With fixed_side=users it is the other way round: the vectors are a column of `user_features`,
    and each item is solved for the users who met it; so an item that came later has its place among
    users whom another model knows.
    """

    sides: ClassVar[tuple[str, ...]] = ("item_features", "user_features")  # as `fixed_side` says

    name: ClassVar[str]  # set by @algorithm

    vector_col: str | None = None  # the column that holds them; none: the only one there is
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
    def explicit(self) -> bool:
        """Weights are evidence."""
        return False

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Solve the rows.

        The reported loss is the objective over what scoring everything 0 would give.
        """
        from embsql.factorization.cpu import (
            Cpu,
        )  # here: it brings the compiler, which listing does not need
        from embsql.features.vectors import item_vectors, user_vectors
        from embsql.numeric.linalg import transpose

        scale = len(data) / float(data.weight.sum(dtype=np.float64))
        rows = CsrMatrix(data.by_user().indptr, data.item, data.weight * np.float32(scale))
        if self.fixed_side == "items":
            fixed = item_vectors(data, self.vector_col)  # (i, d)
        else:
            fixed, rows = (
                user_vectors(data, self.vector_col),
                transpose(rows, data.n_items),
            )  # (u, d)
        objective = self._objective(data, fixed)
        solved, loss, penalty = Cpu(run).solve_for(rows, fixed, objective)  # (u or i, d)
        total = (loss + penalty) / objective.zero + 1
        if not math.isfinite(total):
            raise Diverged(algorithm=self.name, epoch=1, model=run.model_name)
        run.report(epoch=1, loss=total)
        users, items = (solved, fixed) if self.fixed_side == "items" else (fixed, solved)
        return Embeddings(users, items, fold_in=self._objective(data, items).fold_in(scale=scale))

    def _objective(self, data: Interactions, fixed: Float32) -> Objective:
        density = len(data) / (data.n_users * data.n_items)
        unseen = (
            UNSEEN_TO_SEEN * density if self.unobserved_weight is None else self.unobserved_weight
        )
        size = float(
            np.square(fixed).sum(dtype=np.float64) / max(1, fixed.any(axis=1).sum())
        )  # mean squared length
        return Objective(0, 1, 0, unseen, self.reg * size, self.reg_exponent, STEPS, len(data))
