"""Users by their items: means of vectors that items bring along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from embsql.algorithms import algorithm
from embsql.algorithms.base.profile import weighted_means
from embsql.data import Embeddings, Float32, Interactions
from embsql.errors import BadFeatures, Diverged
from embsql.features.time import DAY
from embsql.options import NonNegative, Positive, check, require
from embsql.run import Run


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Users as means of vectors that items bring along; nothing is trained.

    The vectors (of texts, images, another model) are a column of lists of numbers in
    `item_features`. A user's vector is the mean of its items', by weight, recency or both, and
    scores are cosines. An item without a vector counts for nothing and is never recommended;
    `embsql.source_checks` tells how many there are.

    With `like_threshold` the weights are ratings: items rated so or higher count as liked, others
    as disliked, and the user's vector is the mean of the liked minus `dislike_weight` times the
    mean of the disliked (Rocchio, 1971, "Relevance feedback in information retrieval", without the
    query).

    With `separate_profiles` the two means stay two profiles, one after the other in a vector twice
    as long: users are [liked, disliked], items [v, -dislike_weight * v] at length 1. A score is
    still nearness to the liked minus `dislike_weight` times nearness to the disliked, so every
    user's ranking is the same, and so is the cosine of two items; what changes is that users are
    alike only when both their profiles are, and that other models can read each by itself.
    """

    sides: ClassVar[tuple[str, ...]] = ("item_features",)
    cold_start: ClassVar[tuple[str, ...]] = ("item_features",)

    name: ClassVar[str]  # set by @algorithm

    # the column that holds them; none: the only one there is
    vector_col: str | None = None
    # whether an item with more weight counts more
    weighting: Literal["weight", "equal"] = "weight"
    # days before a user's last event that halve what one counts; none: all count
    half_life: Positive | None = None
    # the least rating of an item that is liked; none: every item is liked
    like_threshold: float | None = None
    # how much the mean of the disliked is taken off; 0 leaves them out
    dislike_weight: NonNegative = 0.5
    # whether liked and disliked stay two profiles in a vector twice as long
    separate_profiles: bool = False

    def __post_init__(self) -> None:
        check(self)
        rated = self.like_threshold is not None
        require(
            self,
            "equal with like_threshold: ratings are no amounts",
            weighting=not rated or self.weighting == "equal",
        )
        require(
            self,
            "false without like_threshold: there is one profile",
            separate_profiles=rated or not self.separate_profiles,
        )

    @property
    def epochs(self) -> int:
        """One: there is nothing to train."""
        return 1

    @property
    def explicit(self) -> bool:
        """Whether weights are ratings."""
        return self.like_threshold is not None

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Take the means; the reported loss is the share of users without a vector.

        Raises BadFeatures.
        """
        # here: it brings what listing does not need
        from embsql.features.vectors import item_vectors, unit_or_zero

        items = unit_or_zero(item_vectors(data, self.vector_col))  # (i, d)
        amount = self._amounts(data)  # (n,)
        if self.like_threshold is None:
            users = weighted_means(data, amount, items, run)  # (u, d)
        else:
            is_liked = (data.weight >= self.like_threshold).astype(np.float32)  # (n,)
            liked_profile = weighted_means(
                data, amount * is_liked, items, run
            )  # (u, d)
            disliked_profile = weighted_means(
                data, amount * (1 - is_liked), items, run
            )  # (u, d)
            users, items = self._combine(liked_profile, disliked_profile, items)
        if not np.isfinite(users).all():
            raise Diverged(algorithm=self.name, epoch=1, model=run.model_name)
        is_zero = ~users.any(axis=1)  # (u,)
        run.report(epoch=1, loss=float(is_zero.mean()))
        return Embeddings(users, items, similarity="cosine")

    def _combine(
        self, liked_profile: Float32, disliked_profile: Float32, items: Float32
    ) -> tuple[Float32, Float32]:
        """Users and items of two profiles (u, d) each and items (i, d). Raises BadFeatures."""
        from embsql.features.vectors import MAX_DIM, unit_or_zero

        weight = np.float32(self.dislike_weight)
        if not self.separate_profiles:
            return liked_profile - weight * disliked_profile, items  # (u, d), (i, d)
        dim = items.shape[1]
        if 2 * dim > MAX_DIM:
            found = f"vectors of {dim:,}, where two profiles take {MAX_DIM // 2:,}"
            raise BadFeatures(option="item_features", found=found)
        users = np.concatenate([liked_profile, disliked_profile], 1)  # (u, 2d)
        return users, unit_or_zero(
            np.concatenate([items, -weight * items], 1)
        )  # (i, 2d)

    def _amounts(self, data: Interactions) -> Float32:
        """How much each pair counts: (n,)."""
        by_weight = self.weighting == "weight"
        amount = data.weight if by_weight else np.ones(len(data), np.float32)  # (n,)
        if self.half_life is None:
            return amount
        missing = "left out where the source has no event_time"
        require(self, missing, half_life=data.time is not None)
        assert data.time is not None  # noqa: S101 - just required; tells the type checker
        last = np.full(data.n_users, np.iinfo(np.int64).min)  # (u,)
        np.maximum.at(last, data.user, data.time)
        age = (last[data.user] - data.time) / DAY  # (n,) days
        return (amount * np.exp2(-age / self.half_life)).astype(np.float32)
