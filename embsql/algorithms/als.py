"""Matrix factorization by alternating least squares, of evidence or of ratings."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from embsql.algorithms import algorithm
from embsql.data import Embeddings, Float32, FoldIn, Interactions
from embsql.factorization.blocks import BlockEmbeddings, BlockInteractions, Sides
from embsql.factorization.objective import (
    EXPLICIT_REG,
    IMPLICIT_REG,
    UNOBSERVED_TO_OBSERVED,
    Objective,
    SideSolver,
    Totals,
    initial_factors,
    report,
    scaled,
    totals,
    without_specks,
)
from embsql.factorization.solver import solver
from embsql.options import Count, Dim, NonNegative, Positive, check, require
from embsql.run import Run

BIAS_SWEEPS = 5
BIAS_DAMPING = 5.0  # ratings at zero that every user and item is given


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class ALS:
    """Matrix factorization by alternating least squares.

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
    in_spark: ClassVar[bool] = True

    name: ClassVar[str]  # set by @algorithm

    # length of the vectors: more is better with much data, 128 or 256 where memory allows
    dim: Dim = 64
    epochs: Count = 8  # sweeps over users and items; more seldom helps
    # weights are evidence, or ratings to predict
    feedback: Literal["implicit", "explicit"] = "implicit"
    # pull towards zero; none: as strong as the noise of the pairs, from 0.005, which is what it is
    # where one of the three options below is given; 0.08 for explicit
    reg: NonNegative | None = None
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
        no_alpha = self.alpha is None
        no_weight = self.unobserved_weight is None
        require(self, "left out with alpha", unobserved_weight=no_alpha or no_weight)
        require(
            self,
            "left out with explicit feedback",
            unobserved_weight=not self.explicit or no_weight,
            alpha=not self.explicit or no_alpha,
        )

    @property
    def explicit(self) -> bool:
        """Whether weights are ratings to predict."""
        return self.feedback == "explicit"

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data.

        The reported loss is the objective over what scoring everything 0 would give.
        """
        made = replace(self, **self.defaults(data, run))
        fit = made._fit_ratings if self.explicit else made._fit_evidence
        return fit(data, run)

    def fit_blocks(self, data: BlockInteractions, run: Run) -> BlockEmbeddings:
        """Train on data that lie elsewhere in blocks, as on those here."""
        made = replace(self, **self.defaults_in_blocks(data))
        fit = made._fit_rating_blocks if self.explicit else made._fit_evidence_blocks
        return fit(data, run)

    def defaults(self, data: Interactions, run: Run) -> dict[str, Any]:
        """The options that are left out, with the values that these data give them."""
        found = self._usual(totals(data))
        if self._reg_is_measured:
            from embsql.factorization.penalty import noise

            found["reg"] = noise(data, run).reg
        return found

    def defaults_in_blocks(self, data: BlockInteractions) -> dict[str, Any]:
        """Those of data that lie elsewhere."""
        found = self._usual(data.totals)
        if self._reg_is_measured:
            found["reg"] = data.noise.reg
        return found

    @property
    def _reg_is_measured(self) -> bool:
        """Whether nothing is given that it goes with."""
        no_weight = self.unobserved_weight is None and self.alpha is None
        as_usual = no_weight and self.reg_exponent == 1 and not self.explicit
        return self.reg is None and as_usual

    def _usual(self, of: Totals) -> dict[str, Any]:
        """What options that are left out are, whatever the noise."""
        usual = {"reg": EXPLICIT_REG if self.explicit else IMPLICIT_REG}
        if not self.explicit and self.alpha is None:
            density = of.pairs / (of.users * of.items)
            usual["unobserved_weight"] = UNOBSERVED_TO_OBSERVED * density
        return {
            name: value for name, value in usual.items() if getattr(self, name) is None
        }

    # --- evidence --------------------------------------------------------------------------------

    def _fit_evidence(self, data: Interactions, run: Run) -> Embeddings:
        of = totals(data)
        scale = self._weight_scale(of)
        objective = self._evidence_objective(of)
        weight = scaled(data.weight, scale)  # (n,)
        users, items = self._factors(data, weight, objective, run)  # (u, d), (i, d)
        return Embeddings(users, items, fold_in=objective.fold_in(weight_scale=scale))

    def _fit_evidence_blocks(
        self, data: BlockInteractions, run: Run
    ) -> BlockEmbeddings:
        scale = self._weight_scale(data.totals)
        objective = self._evidence_objective(data.totals)
        start = data.start(self.dim, run.seed)
        factors = self._sweeps(data.solver, data.matrices(scale), start, objective, run)
        return BlockEmbeddings(factors, objective.fold_in(weight_scale=scale))

    def _weight_scale(self, of: Totals) -> float:
        """What weights are multiplied by."""
        return of.weight_scale if self.alpha is None else self.alpha

    def _evidence_objective(self, of: Totals) -> Objective:
        zero_loss = float(of.pairs)
        if self.alpha is not None:
            zero_loss += self.alpha * of.weight
        return Objective(
            confidence_offset=0,
            confidence_scale=1,
            target_offset=0 if self.alpha is None else 1,
            unobserved_weight=1.0 if self.alpha else _known(self.unobserved_weight),
            reg=_known(self.reg),
            reg_exponent=self.reg_exponent,
            cg_steps=self.cg_steps,
            zero_loss=zero_loss,
        )

    # --- ratings ---------------------------------------------------------------------------------

    def _fit_ratings(self, data: Interactions, run: Run) -> Embeddings:
        mean, user_bias, item_bias = baseline(data)
        residual = (
            data.weight - mean - user_bias[data.user] - item_bias[data.item]
        )  # (n,)
        # in units of it, one reg suits every rating scale
        std = residual.std(dtype=np.float64) or 1.0
        residual /= np.float32(std)
        squares = float(np.square(residual).sum(dtype=np.float64))
        objective = self._rating_objective(squares)
        users, items = self._factors(data, residual, objective, run)  # (u, d), (i, d)
        scale = np.float32(math.sqrt(std))
        best = float(data.weight.max())
        fold_in = _fold_in(objective, std, float(mean), best)
        return Embeddings(
            users * scale,
            items * scale,
            item_bias=item_bias,
            user_bias=user_bias + mean,
            fold_in=fold_in,
        )

    def _fit_rating_blocks(self, data: BlockInteractions, run: Run) -> BlockEmbeddings:
        found = data.residuals(BIAS_SWEEPS, BIAS_DAMPING)
        std = found.std or 1.0
        objective = self._rating_objective(found.squares / std**2)
        matrices = data.scaled(found.matrices, 1 / std)
        start = data.start(self.dim, run.seed)
        return BlockEmbeddings(
            self._sweeps(data.solver, matrices, start, objective, run),
            _fold_in(objective, std, found.mean, data.largest_weight),
            factor_scale=math.sqrt(std),
            biases=found.biases,
            mean=found.mean,
        )

    def _rating_objective(self, squares: float) -> Objective:
        """The objective of residuals whose squares add up to a number."""
        return Objective(
            confidence_offset=1,
            confidence_scale=0,
            target_offset=0,
            unobserved_weight=0,
            reg=_known(self.reg),
            reg_exponent=self.reg_exponent,
            cg_steps=self.cg_steps,
            zero_loss=squares or 1.0,
        )

    # --- both ------------------------------------------------------------------------------------

    def _factors(
        self, data: Interactions, weight: Float32, objective: Objective, run: Run
    ) -> tuple[Float32, Float32]:
        """The factors (n_users, dim) and (n_items, dim) that minimize the objective."""
        from embsql.numeric.linalg import transpose

        device = solver(run)
        matrix = data.by_user(weight)
        columns = transpose(matrix, data.n_items)
        matrices = Sides(device.put_matrix(matrix), device.put_matrix(columns))
        seen = columns.counts > 0  # (i,)
        initial = initial_factors(data.n_items, self.dim, run.seed)  # (i, d)
        items = device.put(initial * seen[:, None])  # (i, d) what is unseen stays zero
        users = device.put(np.zeros((data.n_users, self.dim), np.float32))  # (u, d)
        users, items = self._sweeps(
            device, matrices, Sides(users, items), objective, run
        )
        return without_specks(device.get(users)), without_specks(device.get(items))

    def _sweeps(
        self,
        device: SideSolver,
        matrices: Sides,
        start: Sides,
        objective: Objective,
        run: Run,
    ) -> Sides:
        """Solve users and items in turn."""
        users, items = start
        for epoch in range(1, self.epochs + 1):
            users, items, _, penalty = device.solve_side(
                matrices.user, items, users, objective
            )
            items, users, loss, _ = device.solve_side(
                matrices.item, users, items, objective
            )
            report(run, self.name, epoch, objective.relative(loss + penalty))
        return Sides(users, items)


def _known(value: float | None) -> float:
    """An option's value, which has one by now where it was left out."""
    assert value is not None  # noqa: S101 - see `fit`; for the type checker
    return value


def _fold_in(objective: Objective, std: float, mean: float, best: float) -> FoldIn:
    """How a history of ratings is folded in, of which the best counts where none is given."""
    return objective.fold_in(
        std, global_mean=mean, bias_damping=BIAS_DAMPING, default_rating=best
    )


def baseline(data: Interactions) -> tuple[np.float32, Float32, Float32]:
    """Mean rating, and biases of users (n_users,) and items (n_items,): damped means, in turn."""
    mean = data.weight.mean(dtype=np.float64)
    centered = data.weight - mean  # (n,)
    users = np.zeros(data.n_users)  # (u,)
    items = np.zeros(data.n_items)  # (i,)
    for _ in range(BIAS_SWEEPS):
        items = _damped_mean(centered - users[data.user], data.item, data.n_items)
        users = _damped_mean(centered - items[data.item], data.user, data.n_users)
    return np.float32(mean), users.astype(np.float32), items.astype(np.float32)


def _damped_mean(values: Any, codes: Any, n: int) -> Any:
    """Mean of the values (n_pairs,) of each code, drawn to 0 where there are few: (n,)."""
    counts = np.bincount(codes, minlength=n)  # (n,)
    return np.bincount(codes, values, n) / (counts + BIAS_DAMPING)
