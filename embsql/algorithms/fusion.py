"""Behavior and content in one space: ALS whose items are drawn to what their features predict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from embsql.algorithms import algorithm
from embsql.data import Embeddings, Interactions
from embsql.factorization.objective import (
    IMPLICIT_REG,
    UNOBSERVED_TO_OBSERVED,
    Objective,
    density,
    initial_factors,
    report,
    scaled,
    totals,
    without_specks,
)
from embsql.options import Count, Dim, NonNegative, Positive, check
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.features.dense import DenseFeatures

PRIOR_STRENGTHS = (1.0, 10.0, 100.0, 1000.0)  # tried where none is given
HELD_OUT_SHARE = 0.1  # share of the pairs that they are compared on
CG_STEPS = 3  # conjugate gradient steps per row and sweep
K = 20


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """Matrix factorization that falls back on content for items with few interactions.

    Users and items are solved in turn as `als` does, but an item is not drawn to zero: it is drawn
    to the vector that its features predict, by a linear map that is learned along with it
    (regression-based latent factors: Agarwal and Chen, 2009). `prior_strength` says how many
    interactions the features of an item are worth; an item with fewer lies near the prediction,
    one with more where its own history puts it, and in between it moves smoothly.

    Features are any columns of `item_features`: vectors from elsewhere (lists of numbers, taken as
    directions) and categories, tags, words, numbers and times. Where `prior_strength` is left out,
    1, 10, 100 and 1000 are compared on a tenth of the pairs, and the training log shows how good
    each was.
    """

    name: ClassVar[str]  # set by @algorithm
    encodes: ClassVar[bool] = True
    sides: ClassVar[tuple[str, ...]] = ("item_features",)
    cold_start: ClassVar[tuple[str, ...]] = ("item_features",)

    dim: Dim = 64  # length of the vectors
    epochs: Count = 8  # sweeps over users and items
    # pull of users towards zero and of items towards what their features predict; none: as that of
    # als, as strong as the noise of the pairs, or 0.005 where unobserved_weight is given
    reg: Positive | None = None
    # weight of an unseen pair where a seen one has 1 on average; none: 15 x density
    unobserved_weight: NonNegative | None = None
    # interactions that an item's features are worth; none: best on held-out pairs
    prior_strength: Positive | None = None

    def __post_init__(self) -> None:
        check(self)

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data.

        The reported loss is the objective over what scoring everything 0 would give.
        """
        # here: it brings the compiler
        from embsql.features.dense import dense_item_features

        content = dense_item_features(data)
        made = replace(self, **self.defaults(data, run))
        if self.prior_strength is not None:
            return made._fit(data, content, self.prior_strength, run)
        recalls = made._compare(data, content, run)
        figures = {
            f"recall@{K}_prior_{strength:g}": recall
            for strength, recall in recalls.items()
        }
        best = max(recalls, key=recalls.__getitem__)
        return made._fit(data, content, best, run, figures)

    def defaults(self, data: Interactions, run: Run) -> dict[str, Any]:
        """The options that are left out, with the values that these data give them."""
        from embsql.factorization.penalty import noise

        found: dict[str, Any] = {}
        if self.unobserved_weight is None:
            found["unobserved_weight"] = UNOBSERVED_TO_OBSERVED * density(data)
        if self.reg is not None:
            return found
        found["reg"] = IMPLICIT_REG
        if self.unobserved_weight is None:
            found["reg"] = noise(data, run).reg
        return found

    def _compare(
        self, data: Interactions, content: DenseFeatures, run: Run
    ) -> dict[float, float]:
        """For some values of `prior_strength` the share of held-out pairs that the lists hold."""
        held_out = (
            np.random.default_rng(run.seed).random(len(data)) < HELD_OUT_SHARE
        )  # (n,)
        train = data.where(~held_out)
        test = data.where(held_out)
        silent = replace(run, on_report=None)
        recalls = {}
        for strength in PRIOR_STRENGTHS:
            embeddings = self._fit(train, content, strength, silent)
            recalls[strength] = _recall(embeddings, train, test, silent)
        return recalls

    def _fit(
        self,
        data: Interactions,
        content: DenseFeatures,
        strength: float,
        run: Run,
        figures: Mapping[str, float] | None = None,
    ) -> Embeddings:
        """Train with one prior strength; `figures` are reported with the first epoch."""
        from embsql.factorization.cpu import CpuSolver, offering
        from embsql.numeric.linalg import transpose

        scale = totals(data).weight_scale
        by_user = data.by_user(scaled(data.weight, scale))
        by_item = transpose(by_user, data.n_items)
        of_users, of_items = self._objectives(data, strength)
        cpu = CpuSolver(run)
        seen = by_item.counts > 0  # (i,)
        if not seen.all():
            of_users = of_users._replace(n_columns=int(seen.sum()))
        to_weights = content.ridge_map(seen)  # (p, seen items)
        users = np.zeros((data.n_users, self.dim), np.float32)  # (u, d)
        items = (
            initial_factors(data.n_items, self.dim, run.seed) * seen[:, None]
        )  # (i, d)
        for epoch in range(1, self.epochs + 1):
            users, items, _, penalty = cpu.solve_side(by_user, items, users, of_users)
            weights = (to_weights @ items[seen]).astype(np.float32)  # (p, d)
            prior = (content.table @ weights) * seen[:, None]  # (i, d)
            items, users, loss, _ = cpu.solve_side(
                by_item, users, items, of_items, prior
            )
            first = figures or {} if epoch == 1 else {}
            report(run, self.name, epoch, of_users.relative(loss + penalty), **first)
        weights = (to_weights @ items[seen]).astype(np.float32)  # (p, d)
        # nothing but what the features predict
        items[~seen] = content.table[~seen] @ weights
        tower = content.tower(weights)
        towers = {"item": tower} if tower else {}
        items = without_specks(items)
        fold_in = of_users.fold_in(weight_scale=scale)
        return Embeddings(
            without_specks(users),
            items,
            fold_in=offering(fold_in, items, seen, run),
            towers=towers,
        )

    def _objectives(
        self, data: Interactions, strength: float
    ) -> tuple[Objective, Objective]:
        """Of users and of items: the same but for the penalty.

        Users are drawn in proportion to their evidence, items with constant force.
        """
        reg, weight = self._given
        of_users = Objective(
            confidence_offset=0,
            confidence_scale=1,
            target_offset=0,
            unobserved_weight=weight,
            reg=reg,
            reg_exponent=1.0,
            cg_steps=CG_STEPS,
            zero_loss=len(data),
        )
        evidence = strength + of_users.unobserved_weight * data.n_users
        return of_users, of_users._replace(reg=reg * evidence, reg_exponent=0.0)

    @property
    def _given(self) -> tuple[float, float]:
        """The penalty, and the weight of unseen pairs. Raises ValueError before `defaults`."""
        if self.reg is None or self.unobserved_weight is None:
            raise ValueError("options are left to the data: see defaults")
        return self.reg, self.unobserved_weight


def _recall(
    embeddings: Embeddings, train: Interactions, test: Interactions, run: Run
) -> float:
    """Share of the test pairs whose item is among the K best for the user."""
    from embsql.numeric.topk import top_k

    codes, _ = top_k(
        embeddings.users, embeddings.items, K, seen=train.by_user(), run=run
    )  # (u, K)
    hits = (codes[test.user] == test.item[:, None]).any(axis=1)  # (pairs,)
    return float(hits.sum() / max(1, len(test)))
