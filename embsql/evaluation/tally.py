"""What lists of some users come to, as sums, so that those of all users are those of their parts.

The figures of a user stay where they are made: what is added up is as long as there are figures
and items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Float64
from embsql.evaluation import metrics

Key = tuple[str, str, int]  # of a figure: segment, metric, k


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a model on a split, with the same figure of the two baselines."""

    # all, users:new, users:light, users:heavy, items:head, items:torso, items:tail; asked: counts
    segment: str
    # recall ndcg hit_rate mrr map coverage diversity novelty average_popularity
    metric: str
    k: int  # length of the lists; 0 for a count
    value: float
    # None where the baseline's lists are too short for the figure, or were not made
    popular_value: float | None
    itemknn_value: float | None
    # 95% interval over users; None for coverage, which is not a mean over users
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums of the figures of the model's lists, and of each baseline's behind it (r rankings)."""

    keys: list[Key]  # (c,)
    sums: Float64  # (r, 2c) see `metrics.sums`
    resamples: Float32  # (1000, 2c) of the model's, see `metrics.resampled`
    listed: NDArray[
        np.bool_
    ]  # (r, lengths, n_items) which items are in a list of each length

    def __add__(self, other: Tally) -> Tally:
        """That of both's users."""
        return Tally(
            self.keys,
            self.sums + other.sums,
            self.resamples + other.resamples,
            self.listed | other.listed,
        )

    def rows(self, lengths: Sequence[int], n_known: int) -> list[Metric]:
        """The figures, of lists of these lengths, where so many items may be in one."""
        _, sizes = np.hsplit(self.sums[0], 2)  # (c,)
        keys = [key for key, size in zip(self.keys, sizes, strict=True) if size]
        there = np.tile(
            sizes > 0, 2
        )  # (2c,) of the figures in which some user has part
        low, high = metrics.percentiles(self.resamples[:, there])  # (c,) each
        means = [metrics.ratios(sums[there]) for sums in self.sums]  # r of (c,)
        rows = _joined(means, low, high)
        found = [Metric(*key, *row) for key, row in zip(keys, rows, strict=True)]
        return found + self._coverage(lengths, n_known)

    def _coverage(self, lengths: Sequence[int], n_known: int) -> list[Metric]:
        """The share of items that are in a list."""
        shares = np.count_nonzero(self.listed, axis=2) / max(1, n_known)  # (r, lengths)
        nothing = np.full(len(lengths), np.nan)
        rows = _joined(list(shares), nothing, nothing)
        return [
            Metric("all", "coverage", k, *row)
            for k, row in zip(lengths, rows, strict=True)
        ]


def _joined(
    values: list[Float64], low: Float64, high: Float64
) -> Iterator[tuple[Any, ...]]:
    """The model's values (n,), those of the baselines there are, and the ends of intervals."""
    missing = [np.full(len(low), np.nan)] * (3 - len(values))
    for value, *others in np.column_stack([*values, *missing, low, high]).tolist():
        yield value, *map(_finite, others)


def _finite(value: float) -> float | None:
    """The value, None for NaN: no table may hold one."""
    return float(value) if np.isfinite(value) else None
