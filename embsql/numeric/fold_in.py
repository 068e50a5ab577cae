"""Vectors of histories without training: in numpy what embsql_internal.fold_in_system is in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Float64, FoldIn, Int32
from embsql.numeric.blas import one_blas_thread


class Folded(NamedTuple):
    """The users of some histories, in their order."""

    vectors: Float32  # (n, d)
    bias: Float32  # (n,)
    known: NDArray[np.bool_]  # (n,) whether the history has a vector


@dataclass(frozen=True, slots=True)
class Catalog:
    """A run's items, and how it makes a user's vector of them."""

    vectors: Float64  # (m, d)
    bias: Float64  # (m,)
    how: FoldIn

    def fold_in(self, histories: CsrMatrix) -> Folded:
        """The users of histories (n, m), a row per user; one without weight has no vector."""
        n = len(histories.counts)
        dim = self.vectors.shape[1]
        folded = Folded(
            np.zeros((n, dim), np.float32),
            np.zeros(n, np.float32),
            np.zeros(n, np.bool_),
        )
        with one_blas_thread():  # others would spin between products so small
            gramian = self.how.gramian  # (d, d)
            if gramian is None:
                gramian = self.vectors.T @ self.vectors  # (d, d)
            for row, (start, end) in enumerate(pairwise(histories.indptr)):
                items = histories.indices[start:end]  # (h,)
                weight = histories.data[start:end].astype(np.float64)  # (h,)
                if self._is_known(weight):
                    vector, bias = self._user(items, weight, gramian)
                    folded.vectors[row] = vector
                    folded.bias[row] = bias
                    folded.known[row] = True
        return folded

    def _is_known(self, weight: Float64) -> bool:
        """Whether weights (h,) of known items make a vector: a mean of nothing is none."""
        return len(weight) > 0 and (self.how.kind != "mean" or weight.sum() != 0)

    def _user(
        self, items: Int32, weight: Float64, gramian: Float64
    ) -> tuple[Float64, float]:
        """The vector (d,) and the bias of a history: codes (h,) and weights (h,) of items."""
        n, vectors = self.how.settings, self.vectors[items]  # (h, d)
        rest, own, mean = self._rests(items, weight)
        share = n.get("weight_scale", 1.0)
        if self.how.kind == "mean":
            share /= weight.sum()
        amount = share * (rest - own)  # (h,)
        pulled = (n.get("target_offset", 0.0) + amount) @ vectors  # (d,)
        if self.how.kind != "least_squares":
            return pulled, own + mean
        curves = n["confidence_offset"] + n["confidence_scale"] * amount  # (h,)
        unobserved = n["unobserved_weight"]
        n_columns = n.get("n_columns", len(self.vectors))
        mass = curves.sum() + unobserved * n_columns
        system = vectors.T @ (curves[:, None] * vectors)  # (d, d)
        system += unobserved * gramian
        system += n["reg"] * mass ** n["reg_exponent"] * np.eye(len(pulled))
        return np.asarray(np.linalg.solve(system, pulled), np.float64), own + mean

    def _rests(self, items: Int32, weight: Float64) -> tuple[Float64, float, float]:
        """What ratings (h,) leave to user and vectors, the user's share of it, and the mean.

        Where nothing was rated: the weights themselves, and zeros.
        """
        scale = self.how.item_scale
        weight = weight if scale is None else weight * scale[items]  # (h,)
        mean = self.how.settings.get("global_mean")
        if mean is None:
            return weight, 0.0, 0.0
        rest = weight - mean - self.bias[items]  # (h,)
        damping = self.how.settings["bias_damping"]
        return rest, float(rest.sum() / (len(rest) + damping)), mean
