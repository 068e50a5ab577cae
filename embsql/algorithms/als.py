"""Matrix factorisation by alternating least squares, for what people did (implicit) or how they
rated (explicit).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from embsql.algorithms import algorithm
from embsql.data import CsrMatrix, Embeddings, Float32, Interactions
from embsql.errors import Diverged
from embsql.factorization.objective import (
    EXPLICIT_REG,
    FIRST_LENGTH,
    IMPLICIT_REG,
    UNSEEN_TO_SEEN,
    Objective,
)
from embsql.factorization.solver import solver
from embsql.options import Count, Dim, NonNegative, Positive, check, require
from embsql.run import Run

BIAS_SWEEPS = 5
BIAS_DAMPING = 5.0  # ratings at zero that every user and item is given


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class ALS:
    """Matrix factorisation by alternating least squares.

    Implicit: a seen pair should score 1 and every other pair 0; a seen pair counts with its weight
    over the mean weight, any pair with `unobserved_weight`. The penalty of a user or item grows
    with its evidence, so one `reg` suits all sizes (Rendle et al., 2021, "Revisiting the
    performance of iALS on item recommendation benchmarks"). Neither the unit of the weights nor the
    size of the data needs tuning. With `alpha`, a seen pair instead counts 1 + alpha * weight and
    any other 1 (Hu, Koren and Volinsky, 2008); reg_exponent=0 gives their penalty.

    Weights act in proportion: where a few are huge (quantities, seconds), train on ln(1 + weight).

    Explicit: the weight is a rating; mean + user bias + item bias + user . item predicts it,
    learned from the rated pairs only. The mean is part of the user bias.
    """

    on_gpu: ClassVar[bool] = True

    name: ClassVar[str]  # set by @algorithm

    # length of the vectors: more is better with much data, 128 or 256 where memory allows
    dim: Dim = 64
    epochs: Count = 8  # sweeps over users and items; more seldom helps
    # weights are evidence, or ratings to predict
    feedback: Literal["implicit", "explicit"] = "implicit"
    reg: NonNegative | None = None  # pull towards zero; none: 0.005 for implicit, 0.08 for explicit
    # the penalty grows with a row's evidence to this power: 1 in proportion, 0 not at all
    reg_exponent: NonNegative = 1.0
    # weight of an unseen pair where a seen one has 1 on average; none: 15 x density
    unobserved_weight: NonNegative | None = None
    # confidence per unit of weight, 1 + alpha * weight; none: see unobserved_weight
    alpha: Positive | None = None
    # conjugate gradient steps per row and sweep; 3 are as good as an exact solution
    cg_steps: Count = 2

    def __post_init__(self) -> None:
        check(self)
        require(
            self,
            "left out with alpha",
            unobserved_weight=self.alpha is None or self.unobserved_weight is None,
        )
        require(
            self,
            "left out with explicit feedback",
            unobserved_weight=not self.explicit or self.unobserved_weight is None,
            alpha=not self.explicit or self.alpha is None,
        )

    @property
    def explicit(self) -> bool:
        """Whether weights are ratings to predict."""
        return self.feedback == "explicit"

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data.

        The reported loss is the objective over what scoring everything 0 would give.
        """
        return self._fit_ratings(data, run) if self.explicit else self._fit_evidence(data, run)

    def _fit_evidence(self, data: Interactions, run: Run) -> Embeddings:
        total = float(data.weight.sum(dtype=np.float64))
        scale = len(data) / total if self.alpha is None else self.alpha
        seen = len(data) if self.alpha is None else len(data) + self.alpha * total
        objective = Objective(
            0,
            1,
            0 if self.alpha is None else 1,
            self._unseen(data),
            IMPLICIT_REG if self.reg is None else self.reg,
            self.reg_exponent,
            self.cg_steps,
            seen,
        )
        users, items = self._factors(
            data, data.weight * np.float32(scale), objective, run
        )  # (u, d), (i, d)
        return Embeddings(users, items, fold_in=objective.fold_in(scale=scale))

    def _unseen(self, data: Interactions) -> float:
        if self.alpha is not None:
            return 1.0
        return (
            UNSEEN_TO_SEEN * len(data) / (data.n_users * data.n_items)
            if self.unobserved_weight is None
            else self.unobserved_weight
        )

    def _fit_ratings(self, data: Interactions, run: Run) -> Embeddings:
        mean, user_bias, item_bias = baseline(data)
        rest = data.weight - mean - user_bias[data.user] - item_bias[data.item]  # (n,)
        spread = (
            rest.std(dtype=np.float64) or 1.0
        )  # in units of it, one reg suits every rating scale
        rest /= np.float32(spread)
        zero = float(np.square(rest).sum(dtype=np.float64)) or 1.0
        objective = Objective(
            1,
            0,
            0,
            0,
            EXPLICIT_REG if self.reg is None else self.reg,
            self.reg_exponent,
            self.cg_steps,
            zero,
        )
        users, items = self._factors(data, rest, objective, run)  # (u, d), (i, d)
        scale = np.float32(math.sqrt(spread))
        fold_in = objective.fold_in(
            spread, mean=float(mean), damping=BIAS_DAMPING, usual=float(data.weight.max())
        )
        return Embeddings(
            users * scale,
            items * scale,
            item_bias=item_bias,
            user_bias=user_bias + mean,
            fold_in=fold_in,
        )

    def _factors(
        self, data: Interactions, weight: Float32, objective: Objective, run: Run
    ) -> tuple[Float32, Float32]:
        """The two tables (n_users, dim) and (n_items, dim) that minimise the objective."""
        from embsql.numeric.linalg import (
            transpose,
        )  # here: it brings the compiler, which listing does not need

        place, rows = solver(run), CsrMatrix(data.by_user().indptr, data.item, weight)
        by_user, by_item = place.put_rows(rows), place.put_rows(transpose(rows, data.n_items))
        users = place.put(np.zeros((data.n_users, self.dim), np.float32))  # (u, d)
        met = (
            np.bincount(data.item, minlength=data.n_items) > 0
        )  # (i,) the others are zero and stay so
        items = place.put(self._random(data.n_items, run.seed) * met[:, None])  # (i, d)
        for epoch in range(1, self.epochs + 1):
            users, items, _, penalty = place.half_sweep(by_user, items, users, objective)
            items, users, loss, _ = place.half_sweep(by_item, users, items, objective)
            loss = (loss + penalty) / objective.zero + 1
            if not math.isfinite(loss):
                raise Diverged(algorithm=self.name, epoch=epoch, model=run.model_name)
            run.report(epoch=epoch, loss=loss)
        return place.get(users), place.get(items)

    def _random(self, n: int, seed: int) -> Float32:
        table = np.random.default_rng(seed).standard_normal((n, self.dim), np.float32)  # (n, d)
        return table * np.float32(FIRST_LENGTH / math.sqrt(self.dim))


def baseline(data: Interactions) -> tuple[np.float32, Float32, Float32]:
    """Mean rating, and how far each user (n_users,) and item (n_items,) is from it: damped means,
    in turn.
    """
    mean = data.weight.mean(dtype=np.float64)
    rest = data.weight - mean  # (n,)
    users, items = np.zeros(data.n_users), np.zeros(data.n_items)  # (u,), (i,)
    for _ in range(BIAS_SWEEPS):
        items = _damped_mean(rest - users[data.user], data.item, data.n_items)
        users = _damped_mean(rest - items[data.item], data.user, data.n_users)
    return np.float32(mean), users.astype(np.float32), items.astype(np.float32)


def _damped_mean(values: Any, codes: Any, n: int) -> Any:
    """Mean of the values (n_pairs,) of each code, drawn to 0 where there are few: (n,)."""
    return np.bincount(codes, values, n) / (np.bincount(codes, minlength=n) + BIAS_DAMPING)


def _none_or(value: float | None) -> bool:
    """Whether an option is left out, or finite and not negative."""
    return value is None or 0 <= value < math.inf
