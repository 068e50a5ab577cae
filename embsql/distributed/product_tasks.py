"""What Spark's executors do with a block to multiply the pairs' matrix, divided by powers of sums.

The matrix is A = D W E of the weights W, where D and E divide rows and columns by their sums to a
power. A row of a side lies as what the other side multiplies by W: divided by its own divisor once
more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embsql.data import CsrMatrix, Float32, Float64
from embsql.distributed.tasks import Arrived, Outcome
from embsql.numeric.linalg import gramian, matmul, multiply
from embsql.numeric.svd import divisors
from embsql.run import Run

ONE_THREAD = Run(threads=1)
NO_ROWS = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class Product:
    """What products have in common."""

    width: int  # numbers in a row of the other side
    own_width: int  # numbers in a row of its own
    exponent: float  # of the sums that own rows are divided by


@dataclass(frozen=True, slots=True)
class Divide(Product):
    """Own rows divided, with one more column, 1 / divisor^2; figures are the divisors."""

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """See `tasks.Task`."""
        own = _own(arrived)  # (n, f)
        divisor = row_divisors(pairs, self.exponent)  # (n, 1)
        column = divisor**-2  # (n, 1)
        rows = np.hstack([own / divisor, column])  # (n, f + 1)
        figures = divisor[:, 0]  # (n,)
        return rows, figures.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Squares(Product):
    """No rows; the figure is the sum of the squares of the matrix."""

    axes: Float32  # (f, 1) which column of the other side's rows is 1 / divisor^2

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """See `tasks.Task`."""
        column = matmul(arrived.others, self.axes, ONE_THREAD)  # (m, 1)
        squared = np.square(pairs.data)  # (pairs,)
        weights = CsrMatrix(pairs.indptr, pairs.indices, squared)
        sums = multiply(weights, column, ONE_THREAD)  # (n, 1)
        divisor = row_divisors(pairs, self.exponent)  # (n, 1)
        squares = sums / np.square(divisor)  # (n, 1)
        total = squares.sum(dtype=np.float64)
        return NO_ROWS, np.array([total])


@dataclass(frozen=True, slots=True)
class Multiply(Product):
    """Rows of A times a table of the other side, as they lie; figures are their Gramian in A."""

    axes: (
        Float32  # (f, w) what the rows of the other side are still to be multiplied by
    )

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """See `tasks.Task`."""
        fixed = matmul(arrived.others, self.axes, ONE_THREAD)  # (m, w)
        rows = multiply(pairs, fixed, ONE_THREAD)  # (n, w)
        divisor = row_divisors(pairs, self.exponent)  # (n, 1)
        rows /= divisor
        products = gramian(rows, ONE_THREAD)  # (w, w)
        return rows / divisor, products.ravel()


@dataclass(frozen=True, slots=True)
class ProjectUsers(Product):
    """Rows of W times a table of the other side, which is the last.

    Figures are the Gramian of the rows of A times it, and that of the rows of ones divided by the
    roots of counts, as `penalty.normalized` has them: (2, w, w).
    """

    axes: (
        Float32  # (f, w) what the rows of the other side are still to be multiplied by
    )

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """See `tasks.Task`."""
        fixed = matmul(arrived.others, self.axes, ONE_THREAD)  # (m, w)
        rows = multiply(pairs, fixed, ONE_THREAD)  # (n, w)
        seen = multiply(ones(pairs), fixed, ONE_THREAD)  # (n, w)
        seen *= roots(pairs)
        divisor = row_divisors(pairs, self.exponent)  # (n, 1)
        captured = gramian(rows / divisor, ONE_THREAD)  # (w, w)
        strength = gramian(seen, ONE_THREAD)  # (w, w)
        figures = np.stack([captured, strength])  # (2, w, w)
        return rows, figures.ravel()


@dataclass(frozen=True, slots=True)
class FinishItems(Product):
    """Own rows as a run has them, for good.

    Figures are, of each column, the squares of what `penalty.normalized` multiplies, added up, and
    the entry that is largest where A is multiplied: (2, d).
    """

    axes: Float32  # (f, d) what own rows are still to be multiplied by

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """See `tasks.Task`."""
        own = _own(arrived)  # (n, f)
        rows = matmul(own, self.axes, ONE_THREAD)  # (n, d)
        squares = np.square(rows, dtype=np.float64)  # (n, d)
        lengths = pairs.counts @ squares  # (d,)
        divisor = row_divisors(pairs, self.exponent)  # (n, 1)
        vectors = rows * divisor  # (n, d)
        largest = abs(vectors).argmax(0)[None]  # (1, d)
        entries = np.take_along_axis(vectors, largest, 0)  # (1, d)
        figures = np.concatenate([lengths, entries[0]])  # (2 d,)
        return vectors * divisor, figures


# --- what rises above noise ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Probe(Product):
    """Signs of own rows over the roots of counts, and 1 / count; see `penalty.structure`.

    Figures are the rows that have pairs, and the signs times the roots, added up: (1 + p,).
    """

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """See `tasks.Task`."""
        own = _own(arrived)  # (n, p)
        signs = np.sign(own)  # (n, p)
        along = np.sqrt(pairs.counts) @ signs  # (p,)
        filled = np.count_nonzero(pairs.counts)
        over = roots(pairs)  # (n, 1)
        share = np.square(over)  # (n, 1)
        rows = np.hstack([signs * over, share])  # (n, p + 1)
        return rows, np.array([filled, *along])


@dataclass(frozen=True, slots=True)
class WalkOut(Product):
    """To users: what probes walk, and 1 / count.

    Figures are the rows that have pairs, and both terms of the walks from an item to another and
    back by the same user: (3,).
    """

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """See `tasks.Task`."""
        share = np.square(roots(pairs))  # (n, 1)
        seen = ones(pairs)
        sums = multiply(seen, arrived.others, ONE_THREAD)  # (n, p + 1)
        sums *= share
        of_items = arrived.others[:, -1:]  # (m, 1)
        fourth = multiply(seen, np.square(of_items), ONE_THREAD)  # (n, 1)
        fourth *= np.square(share)
        filled = np.count_nonzero(pairs.counts)
        squares = _squares(sums[:, -1])
        total = fourth.sum(dtype=np.float64)
        walked = sums[:, :-1]  # (n, p)
        rows = np.hstack([walked, share])  # (n, p + 1)
        return rows, np.array([filled, squares, total])


@dataclass(frozen=True, slots=True)
class WalkBack(Product):
    """To items again, without what chance and popularity explain; no rows.

    Figures are the squares of what was walked, of what stays and of what returns, added up: (3,).
    """

    along: Float64  # (p,) popularity of items times probes
    n_pairs: int

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """See `tasks.Task`."""
        over = roots(pairs)  # (n, 1)
        counts = pairs.counts[:, None]  # (n, 1)
        sums = multiply(ones(pairs), arrived.others, ONE_THREAD)  # (n, p + 1)
        share = np.square(over)  # (n, 1)
        returns = sums[:, -1:] * share  # (n, 1)
        stays = returns - counts / self.n_pairs  # (n, 1)
        popular = np.sqrt(counts / self.n_pairs)  # (n, 1)
        own = _own(arrived)[:, :-1]  # (n, p)
        walked = sums[:, :-1] * over  # (n, p)
        explained = popular * self.along  # (n, p)
        explained += stays * np.sign(own)
        parts = (walked - explained, stays, returns)
        squares = [_squares(part) for part in parts]
        return NO_ROWS, np.array(squares)


# --- of a block ----------------------------------------------------------------------------------


def row_divisors(pairs: CsrMatrix, exponent: float) -> Float32:
    """What the rows of a block are divided by: (n, 1)."""
    counts = pairs.counts  # (n,)
    n = len(counts)
    rows = np.repeat(np.arange(n), counts)  # (pairs,)
    found = divisors(rows, pairs.data, n, exponent)  # (n,)
    return found[:, None]


def ones(pairs: CsrMatrix) -> CsrMatrix:
    """The same pairs, which all weigh 1."""
    weights = np.ones_like(pairs.data)  # (pairs,)
    return CsrMatrix(pairs.indptr, pairs.indices, weights)


def roots(pairs: CsrMatrix) -> Float32:
    """1 over the roots of the counts of rows, and 1 where there are no pairs: (n, 1)."""
    counts = np.maximum(pairs.counts, 1)  # (n,)
    exact = 1 / np.sqrt(counts)  # (n,)
    over: Float32 = exact.astype(np.float32)  # (n,)
    return over[:, None]


def _own(arrived: Arrived) -> Float32:
    """A block's own rows (n, f). Raises ValueError where none were sent."""
    if arrived.own is None:
        raise ValueError("the block's own rows were not sent")
    return arrived.own


def _squares(table: Float32 | Float64) -> float:
    return float(np.square(table, dtype=np.float64).sum())
