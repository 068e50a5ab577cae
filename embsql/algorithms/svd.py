"""Spectral embeddings: the truncated singular value decomposition of the interaction matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from embsql.algorithms import algorithm
from embsql.data import Embeddings, Float32, Float64, FoldIn, Interactions
from embsql.factorization.blocks import BlockEmbeddings, BlockInteractions, Sides
from embsql.factorization.objective import report
from embsql.options import Dim, Share, check
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.factorization.penalty import Noise

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

    in_spark: ClassVar[bool] = True

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
        from embsql.numeric.svd import divisors, truncated_svd

        of = self._exponents
        of_users = divisors(data.user, data.weight, data.n_users, of.user)  # (u,)
        of_items = divisors(data.item, data.weight, data.n_items, of.item)  # (i,)
        weight = data.weight / of_users[data.user] / of_items[data.item]  # (n,)
        matrix = data.by_user(weight)
        right = truncated_svd(matrix, data.n_items, self.dim, run)  # (i, d)
        if self._normalizes:
            right = right * _is_signal(right / of_items[:, None], data, run)  # (i, d)
        projected = multiply(matrix, right, run)  # (u, d)
        self._report(_sum_of_squares(projected), _sum_of_squares(matrix.data), run)
        users = projected * of_users[:, None]  # (u, d)
        items = right * of_items[:, None]  # (i, d)
        return Embeddings(users, items, fold_in=self._fold_in(of_items))

    def fit_blocks(self, data: BlockInteractions, run: Run) -> BlockEmbeddings:
        """Decompose data that lie elsewhere in blocks, as those here."""
        from embsql.numeric.linalg import eigh
        from embsql.numeric.svd import (
            POWER_ITERATIONS,
            orthonormal_axes,
            subspace_width,
        )

        width = subspace_width(self.dim, data.totals.items)
        products = data.products(self._exponents, width, run.seed)
        items = products.start
        for _ in range(POWER_ITERATIONS):
            items = products.back_and_forth(items)
            items = items.turned(orthonormal_axes(items.gramian))
        projected = products.project(items)
        eigenvalues, eigenvectors = eigh(projected.gramian)  # (w,), (w, w)
        leading = np.eye(width, self.dim, dtype=np.float32)  # (w, d)
        leading = eigenvectors @ leading  # (w, d) as many as there are, then 0
        finished = products.finish(items.turned(leading))
        signs = np.where(finished.largest < 0, -1, 1)  # (d,)
        kept = signs.astype(np.float32)  # (d,)
        if self._normalizes:
            strength = _lengths_along(projected.seen, leading)  # (d,)
            kept *= strength > _threshold(data.noise) * finished.lengths
        strongest = eigenvalues[: self.dim]  # (min(w, d),)
        captured = strongest * abs(kept[:width])  # (min(w, d),)
        self._report(float(captured.sum()), products.squares, run)
        users = projected.users.turned(leading * kept)
        items = finished.items.turned(np.diag(kept))
        fold_in = self._fold_in(products.item_divisors)
        return BlockEmbeddings(Sides(users, items), fold_in)

    @property
    def _normalizes(self) -> bool:
        return self.method == "normalized"

    @property
    def _exponents(self) -> Sides:
        """Of the sums that rows and columns are divided by."""
        if not self._normalizes:
            return Sides(0.0, 0.0)
        return Sides(self.user_exponent, self.item_exponent)

    def _fold_in(self, of_items: Float32) -> FoldIn:
        """How histories are folded in, where columns were divided by numbers (i,)."""
        scale = np.reciprocal(np.square(of_items)) if self._normalizes else None  # (i,)
        return FoldIn("projection", item_scale=scale)

    def _report(self, captured: float, whole: float, run: Run) -> None:
        """Report the share of the squares of the matrix that is not captured."""
        loss = 1 - captured / whole if whole else 0.0
        report(run, self.name, 1, loss)


def _sum_of_squares(array: Float32) -> float:
    return float(np.square(array).sum(dtype=np.float64))


def _is_signal(items: Float32, data: Interactions, run: Run) -> NDArray[np.bool_]:
    """Which of some directions of items (i, d) are stronger than chance makes them: (d,).

    Each is compared where noise is known, in the matrix of pairs divided by the roots of counts.
    """
    from embsql.factorization.penalty import noise, normalized
    from embsql.numeric.linalg import multiply

    counts = np.bincount(data.item, minlength=data.n_items)  # (i,)
    vectors = items * np.sqrt(counts, dtype=np.float32)[:, None]  # (i, d)
    length = np.linalg.norm(vectors, axis=0)  # (d,)
    strength = np.linalg.norm(multiply(normalized(data), vectors, run), axis=0)  # (d,)
    threshold = _threshold(noise(data, run))
    is_signal: NDArray[np.bool_] = strength > threshold * length
    return is_signal


def _threshold(of: Noise) -> float:
    """How much stronger than its length a direction is where noise is no more."""
    return min(SIGNAL_TO_NOISE * of.level, STRONG) * of.share


def _lengths_along(gramian: Float64, axes: Float32) -> Float64:
    """The lengths (d,) of columns with a Gramian (w, w), turned by axes (w, d)."""
    squares = np.einsum("vd,vw,wd->d", axes, gramian, axes)  # (d,)
    lengths: Float64 = np.sqrt(squares.clip(min=0))  # (d,)
    return lengths
