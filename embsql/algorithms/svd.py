"""Spectral embeddings: the truncated singular value decomposition of the interaction matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from embsql.algorithms import algorithm
from embsql.data import CsrMatrix, Embeddings, Float32, FoldIn, Interactions
from embsql.errors import Diverged
from embsql.options import Dim, Share, check
from embsql.run import Run

# strength from which a vector is kept, over the level of noise: 0.9 to 1 is best where little rises
# above it
SIGNAL_TO_NOISE = 0.9
STRONG = (
    0.7  # kept whatever the noise: where users have two or three items, all are strong
)


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class SVD:
    """Spectral embeddings by singular value decomposition; no epochs, nothing to tune but `dim`.

    Normalized: the matrix R is divided by powers of its row and column sums, so that neither
    busy users nor popular items own the leading vectors V. A history r scores items with
    (r / d^b) V V' d^b, where d are the item sums and b is `item_exponent`: with both exponents at
    0.5 an ideal low-pass filter on the graph of interactions (Shen et al., 2021, "How powerful is
    graph convolution for recommendation?"). Vectors that are no stronger than chance makes them are
    0. Plain: R V and V, whose products are the best approximation of R by rank `dim` (PureSVD:
    Cremonesi et al., 2010).

    Found by randomized subspace iteration (Halko, Martinsson and Tropp, 2011). Vectors come
    strongest first, each with its largest item entry positive. Where the matrix has a lower rank
    than `dim`, the last columns are zero. Weights act in proportion: where a few are huge
    (quantities, seconds), train on ln(1 + weight).
    """

    name: ClassVar[str]  # set by @algorithm

    # length of the vectors: normalized gains up to 256 and more, plain is best with 32 to 128
    dim: Dim = 64
    # divide by powers of user and item sums and leave noise out, or not
    method: Literal["normalized", "plain"] = "normalized"
    # the power of users' sums; only for normalized; worth trying 0.25
    user_exponent: Share = 0.5
    # the power of items' sums; only for normalized; worth trying 0.4
    item_exponent: Share = 0.5

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

        of_users, of_items = self._divisors(data)  # (u,), (i,)
        weight = data.weight / of_users[data.user] / of_items[data.item]  # (n,)
        matrix = data.by_user(weight)
        right = truncated_svd(matrix, data.n_items, self.dim, run)  # (i, d)
        if self.method == "normalized":
            right = right * _is_signal(right / of_items[:, None], data, run)  # (i, d)
        projected = multiply(matrix, right, run)  # (u, d)
        self._report(matrix, projected, run)
        scale = (
            None if self.method == "plain" else np.reciprocal(np.square(of_items))
        )  # (i,)
        users = projected * of_users[:, None]  # (u, d)
        items = right * of_items[:, None]  # (i, d)
        return Embeddings(users, items, fold_in=FoldIn("projection", item_scale=scale))

    def _divisors(self, data: Interactions) -> tuple[Float32, Float32]:
        """What rows and columns are divided by: (n_users,), (n_items,)."""
        if self.method == "plain":
            return np.ones(data.n_users, np.float32), np.ones(data.n_items, np.float32)
        users = _sums(data.user, data.weight, data.n_users)  # (u,)
        items = _sums(data.item, data.weight, data.n_items)  # (i,)
        of_users = users**self.user_exponent
        of_items = items**self.item_exponent
        return of_users.astype(np.float32), of_items.astype(np.float32)

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


def _sums(codes: Any, weight: Float32, n: int) -> Any:
    """Sum of the weights of each code, 1 where it has none: (n,)."""
    total = np.bincount(codes, weight, n)  # (n,)
    return np.where(total > 0, total, 1)


def _is_signal(items: Float32, data: Interactions, run: Run) -> NDArray[np.bool_]:
    """Which of some directions of items (i, d) are stronger than chance makes them: (d,).

    Each is compared where noise is known, in the matrix of pairs divided by the roots of counts.
    """
    from embsql.factorization.penalty import noise_level, noise_share, normalized
    from embsql.numeric.linalg import multiply

    counts = np.bincount(data.item, minlength=data.n_items)  # (i,)
    vectors = items * np.sqrt(counts, dtype=np.float32)[:, None]  # (i, d)
    length = np.linalg.norm(vectors, axis=0)  # (d,)
    strength = np.linalg.norm(multiply(normalized(data), vectors, run), axis=0)  # (d,)
    noise = min(SIGNAL_TO_NOISE * noise_level(data), STRONG)
    threshold = noise * noise_share(data, run)
    is_signal: NDArray[np.bool_] = strength > threshold * length
    return is_signal
