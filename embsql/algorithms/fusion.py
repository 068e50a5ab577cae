"""Behaviour and content in one space: alternating least squares whose items are drawn to what their
features say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from embsql.algorithms import algorithm
from embsql.data import Embeddings, Float32, Interactions, Rows
from embsql.errors import Diverged
from embsql.factorization.objective import FIRST_LENGTH, IMPLICIT_REG, UNSEEN_TO_SEEN, Objective
from embsql.options import Count, Dim, NonNegative, Positive, check
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.features.dense import DenseFeatures

WORTH = (1.0, 10.0, 100.0, 1000.0)  # tried where none is given
HELD_OUT = 0.1  # share of the pairs that they are compared on
STEPS = 3  # conjugate gradient steps per row and sweep
K = 20


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """Matrix factorisation that falls back on content: for items that few have met, their features
    speak.

    Users and items are solved in turn as `als` does, but an item is not drawn to zero: it is drawn
    to the vector that its features predict, by a linear map that is learned along with it
    (regression-based latent factors: Agarwal and Chen, 2009). `worth` says how many interactions
    the features of an item are worth; an item met less often lies near the prediction, one met more
    often where its own history puts it, and in between it moves smoothly.

    Features are any columns of `item_features`: vectors from elsewhere (lists of numbers, taken as
    directions) and categories, tags, words, numbers and times. Where `worth` is left out, 1, 10,
    100 and 1000 are compared on a tenth of the pairs, and the training log shows how good each was.
    """

    name: ClassVar[str]  # set by @algorithm
    encodes: ClassVar[bool] = True
    sides: ClassVar[tuple[str, ...]] = ("item_features",)

    dim: Dim = 64  # length of the vectors
    epochs: Count = 8  # sweeps over users and items
    # pull of users towards zero and of items towards what their features predict
    reg: Positive = IMPLICIT_REG
    # weight of an unseen pair where a seen one has 1 on average; none: 15 x density
    alpha0: NonNegative | None = None
    # interactions that an item's features are worth; none: best on held-out pairs
    worth: Positive | None = None

    def __post_init__(self) -> None:
        check(self)

    @property
    def explicit(self) -> bool:
        """Weights are evidence."""
        return False

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data.

        The reported loss is the objective over what scoring everything 0 would give.
        """
        from embsql.features.dense import (
            dense_item_features,
        )  # here: it brings the compiler, which listing does not need

        content = dense_item_features(data)
        if self.worth is not None:
            return self._fit(data, content, self.worth, run)
        shares = self._compared(data, content, run)
        shown = {f"held_out_hits_worth_{worth:g}": share for worth, share in shares.items()}
        return self._fit(data, content, max(shares, key=lambda worth: shares[worth]), run, shown)

    def _compared(self, data: Interactions, content: DenseFeatures, run: Run) -> dict[float, float]:
        """For some values of `worth` the share of held-out pairs that the lists hold."""
        held = np.random.default_rng(run.seed).random(len(data)) < HELD_OUT  # (n,)
        known, asked, quiet = data.where(~held), data.where(held), replace(run, on_report=None)
        return {
            worth: _hits(self._fit(known, content, worth, quiet), known, asked, quiet)
            for worth in WORTH
        }

    def _fit(
        self,
        data: Interactions,
        content: DenseFeatures,
        worth: float,
        run: Run,
        shown: Mapping[str, float] | None = None,
    ) -> Embeddings:
        """Train with one value; `shown` is reported with the first epoch."""
        from embsql.factorization.cpu import Cpu
        from embsql.numeric.linalg import transpose

        scale = len(data) / float(data.weight.sum(dtype=np.float64))
        by_user = Rows(data.by_user().start, data.item, data.weight * np.float32(scale))
        by_item, met = (
            transpose(by_user, data.n_items),
            np.bincount(data.item, minlength=data.n_items) > 0,
        )  # (i,)
        of_users, of_items = self._objectives(data, worth)
        sweeps, predict = Cpu(run), content.ridge_map(met)  # (p, met items)
        users = np.zeros((data.n_users, self.dim), np.float32)  # (u, d)
        items = _random(data.n_items, self.dim, run.seed) * met[:, None]  # (i, d)
        for epoch in range(1, self.epochs + 1):
            users, items, _, penalty = sweeps.half_sweep(by_user, items, users, of_users)
            weights = (predict @ items[met]).astype(np.float32)  # (p, d)
            prior = (content.table @ weights) * met[:, None]  # (i, d)
            items, users, loss, _ = sweeps.half_sweep(by_item, users, items, of_items, prior)
            loss = (loss + penalty) / of_users.zero + 1
            if not math.isfinite(loss):
                raise Diverged(algorithm=self.name, epoch=epoch, model=run.model_name)
            run.report(epoch=epoch, loss=loss, **(shown or {} if epoch == 1 else {}))
        weights = (predict @ items[met]).astype(np.float32)  # (p, d)
        items[~met] = content.table[~met] @ weights  # who was never met is what the features say
        tower = content.tower(weights)
        towers = {"item": tower} if tower else {}
        return Embeddings(users, items, fold_in=of_users.fold_in(scale=scale), towers=towers)

    def _objectives(self, data: Interactions, worth: float) -> tuple[Objective, Objective]:
        """The same scores and weights.

        Users are drawn in proportion to their evidence, items with constant force.
        """
        density = len(data) / (data.n_users * data.n_items)
        unseen = UNSEEN_TO_SEEN * density if self.alpha0 is None else self.alpha0
        of_users = Objective(0, 1, 0, unseen, self.reg, 1.0, STEPS, len(data))
        return of_users, of_users._replace(reg=self.reg * (worth + unseen * data.n_users), nu=0.0)


def _hits(found: Embeddings, known: Interactions, asked: Interactions, run: Run) -> float:
    """Share of the pairs asked about whose item is among the K best for the user."""
    from embsql.numeric.topk import top_k

    codes, _ = top_k(found.users, found.items, K, seen=known.by_user(), run=run)  # (u, K)
    return float((codes[asked.user] == asked.item[:, None]).any(axis=1).sum() / max(1, len(asked)))


def _random(n: int, dim: int, seed: int) -> Float32:
    table = np.random.default_rng(seed).standard_normal((n, dim), np.float32)  # (n, d)
    return table * np.float32(FIRST_LENGTH / math.sqrt(dim))
