"""The leading singular vectors of a sparse matrix, by randomized subspace iteration (Halko et al.,
2011).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embsql.data import CsrMatrix, Float32
from embsql.numeric.linalg import eigen, gram, multiply, rotate, transpose
from embsql.run import Run

OVERSAMPLING = 16  # vectors found beyond those asked for, so that the last asked for are right
# multiplications by the matrix and its transpose; more give exacter vectors, not better answers
POWER_ITERATIONS = 4
NOISE = 1e-6  # share of the largest eigenvalue below which float32 sees only rounding


def truncated_svd(rows: CsrMatrix, n_columns: int, dim: int, run: Run) -> Float32:
    """Leading right singular vectors of a sparse matrix (n, m) as columns (m, dim), zero beyond its
    rank.
    """
    width, columns = min(dim + OVERSAMPLING, n_columns), transpose(rows, n_columns)
    basis = np.random.default_rng(run.seed).standard_normal(
        (n_columns, width), np.float32
    )  # (m, w)
    for _ in range(POWER_ITERATIONS):
        basis = multiply(
            columns, multiply(rows, basis, run), run
        )  # (m, w) nearer to the leading vectors
        energy, axes = eigen(gram(basis, run), run)  # (w,), (w, w)
        basis = rotate(basis, axes * _inverse_root(energy), run)  # (m, w) orthonormal again
    _, axes = eigen(
        gram(multiply(rows, basis, run), run), run
    )  # (w,), (w, w) the best axes within the basis
    found = rotate(basis, axes[:, :dim], run)  # (m, min(dim, w))
    found *= np.where(
        np.take_along_axis(found, abs(found).argmax(0)[None], 0) < 0, np.float32(-1), np.float32(1)
    )
    return np.pad(found, ((0, 0), (0, dim - found.shape[1])))  # (m, dim)


def _inverse_root(energy: Any) -> Float32:
    """1 / sqrt of eigenvalues (w,), and 0 where they are noise."""
    signal = energy > NOISE**2 * energy.max(initial=0)
    return np.where(signal, 1 / np.sqrt(np.where(signal, energy, 1)), 0).astype(np.float32)
