"""Truncated SVD of a sparse matrix by randomized subspace iteration (Halko et al., 2011)."""

from __future__ import annotations

from typing import Any

import numpy as np

from embsql.data import CsrMatrix, Float32, Float64
from embsql.numeric.linalg import eigh, gramian, matmul, multiply, transpose
from embsql.run import Run

# vectors found beyond those asked for, so that the last asked for are right
OVERSAMPLING = 16
# multiplications by the matrix and its transpose; more give exacter vectors, not better answers
POWER_ITERATIONS = 4
NOISE = 1e-6  # share of the largest eigenvalue below which float32 sees only rounding


def truncated_svd(matrix: CsrMatrix, n_columns: int, dim: int, run: Run) -> Float32:
    """Leading right singular vectors of a sparse matrix (n, m), as columns (m, dim).

    The largest entry of each is positive; beyond the matrix's rank they are 0.
    """
    width = subspace_width(dim, n_columns)
    transposed = transpose(matrix, n_columns)
    rng = np.random.default_rng(run.seed)
    basis = rng.standard_normal((n_columns, width), np.float32)  # (m, w)
    for _ in range(POWER_ITERATIONS):
        basis = multiply(transposed, multiply(matrix, basis, run), run)  # (m, w)
        axes = orthonormal_axes(gramian(basis, run))  # (w, w)
        basis = matmul(basis, axes, run)  # (m, w)
    projected = multiply(matrix, basis, run)  # (n, w)
    _, eigenvectors = eigh(gramian(projected, run))  # (w, w)
    vectors = matmul(basis, eigenvectors[:, :dim], run)  # (m, min(dim, w))
    vectors *= _signs(vectors)
    missing = dim - vectors.shape[1]
    return np.pad(vectors, ((0, 0), (0, missing)))  # (m, dim)


def subspace_width(dim: int, n_columns: int) -> int:
    """How many vectors are found, for so many that are asked for."""
    return min(dim + OVERSAMPLING, n_columns)


def orthonormal_axes(gramian: Float64) -> Float32:
    """What makes columns with this Gramian orthonormal: (w, w)."""
    eigenvalues, eigenvectors = eigh(gramian)  # (w,), (w, w)
    return eigenvectors * _inverse_root(eigenvalues)


def divisors(codes: Any, weight: Float32, n: int, exponent: float) -> Float32:
    """Sums of the weights of each code to a power, 1 where it has none: (n,)."""
    total = np.bincount(codes, weight, n)  # (n,)
    raised = np.where(total > 0, total, 1) ** exponent  # (n,)
    return raised.astype(np.float32)


def _inverse_root(eigenvalues: Any) -> Float32:
    """1 / sqrt of eigenvalues (w,), and 0 where they are noise."""
    signal = eigenvalues > NOISE**2 * eigenvalues.max(initial=0)  # (w,)
    roots = np.sqrt(np.where(signal, eigenvalues, 1))  # (w,)
    return np.where(signal, 1 / roots, 0).astype(np.float32)


def _signs(vectors: Float32) -> Float32:
    """The sign of each column's largest entry, (1, w)."""
    largest = abs(vectors).argmax(0)[None]  # (1, w)
    entries = np.take_along_axis(vectors, largest, 0)  # (1, w)
    return np.where(entries < 0, np.float32(-1), np.float32(1))
