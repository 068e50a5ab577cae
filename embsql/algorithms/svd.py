"""Spectral embeddings: the truncated singular value decomposition of the interaction matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from embsql.algorithms import algorithm
from embsql.data import CsrMatrix, Embeddings, Float32, FoldIn, Interactions
from embsql.errors import Diverged
from embsql.options import Dim, check
from embsql.run import Run


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class SVD:
    """Spectral embeddings by singular value decomposition; no epochs, nothing to tune but `dim`.

    Normalized: the matrix R is divided by the roots of its row and column sums, so that neither
    busy users nor popular items own the leading vectors V. A history r scores items with (r /
    sqrt(d)) V V' sqrt(d), where d are the item sums: an ideal low-pass filter on the graph of
    interactions (Shen et al., 2021, "How powerful is graph convolution for recommendation?").
    Plain: R V and V, whose products are the best approximation of R by rank `dim` (PureSVD:
    Cremonesi et al., 2010).

    Found by randomized subspace iteration (Halko, Martinsson and Tropp, 2011). Vectors come
    strongest first, each with its largest item entry positive. Where the matrix has a lower rank
    than `dim`, the last columns are zero. Weights act in proportion: where a few are huge
    (quantities, seconds), train on ln(1 + weight).
    """

    name: ClassVar[str]  # set by @algorithm

    # length of the vectors: normalized gains up to 256 and more, plain is best with 32 to 128
    dim: Dim = 64
    # divide by roots of user and item sums, or not
    method: Literal["normalized", "plain"] = "normalized"

    def __post_init__(self) -> None:
        check(self)

    @property
    def epochs(self) -> int:
        """One: the decomposition is reported when it is found."""
        return 1

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Decompose the data.

        The reported loss is the share of the matrix's squares that is not captured.
        """
        # here: they bring the compiler, which listing does not need
        from embsql.numeric.linalg import multiply
        from embsql.numeric.svd import truncated_svd

        root_user, root_item = self._roots(data)  # (u,), (i,)
        weight = data.weight / root_user[data.user] / root_item[data.item]  # (n,)
        matrix = data.by_user(weight)
        right = truncated_svd(matrix, data.n_items, self.dim, run)  # (i, d)
        projected = multiply(matrix, right, run)  # (u, d)
        self._report(matrix, projected, run)
        scale = (
            None if self.method == "plain" else np.reciprocal(np.square(root_item))
        )  # (i,)
        users = projected * root_user[:, None]  # (u, d)
        items = right * root_item[:, None]  # (i, d)
        return Embeddings(users, items, fold_in=FoldIn("projection", item_scale=scale))

    def _roots(self, data: Interactions) -> tuple[Float32, Float32]:
        """What rows and columns are divided by: (n_users,), (n_items,)."""
        if self.method == "plain":
            return np.ones(data.n_users, np.float32), np.ones(data.n_items, np.float32)
        of_users = _root_of_sums(data.user, data.weight, data.n_users)
        of_items = _root_of_sums(data.item, data.weight, data.n_items)
        return of_users, of_items

    def _report(self, matrix: CsrMatrix, projected: Float32, run: Run) -> None:
        """Report the share of the squares of the matrix that its projection (u, d) leaves out."""
        whole = _sum_of_squares(matrix.data)
        captured = _sum_of_squares(projected)
        loss = 1 - captured / whole if whole else 0.0
        if not np.isfinite(loss):
            raise Diverged(algorithm=self.name, epoch=1, model=run.model_name)
        run.report(epoch=1, loss=loss)


def _sum_of_squares(array: Float32) -> float:
    return float(np.square(array).sum(dtype=np.float64))


def _root_of_sums(codes: Any, weight: Float32, n: int) -> Float32:
    """Root of the sum of weights of each code, 1 where it has none: (n,)."""
    total = np.bincount(codes, weight, n)  # (n,)
    return np.sqrt(np.where(total > 0, total, 1)).astype(np.float32)
