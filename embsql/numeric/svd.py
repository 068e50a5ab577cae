"""Truncated SVD of a sparse matrix by randomized subspace iteration (Halko et al., 2011)."""

from __future__ import annotations

from typing import Any

import numpy as np

from embsql.data import CsrMatrix, Float32
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
    width = min(dim + OVERSAMPLING, n_columns)
    transposed = transpose(matrix, n_columns)
    rng = np.random.default_rng(run.seed)
    basis = rng.standard_normal((n_columns, width), np.float32)  # (m, w)
    for _ in range(POWER_ITERATIONS):
        basis = multiply(transposed, multiply(matrix, basis, run), run)  # (m, w)
        basis = _orthonormal(basis, run)  # (m, w)
    projected = multiply(matrix, basis, run)  # (n, w)
    _, eigenvectors = eigh(gramian(projected, run))  # (w, w)
    vectors = matmul(basis, eigenvectors[:, :dim], run)  # (m, min(dim, w))
    vectors *= _signs(vectors)
    missing = dim - vectors.shape[1]
    return np.pad(vectors, ((0, 0), (0, missing)))  # (m, dim)


def _orthonormal(basis: Float32, run: Run) -> Float32:
    """Orthonormal columns (m, w) that span the same space."""
    eigenvalues, eigenvectors = eigh(gramian(basis, run))  # (w,), (w, w)
    return matmul(basis, eigenvectors * _inverse_root(eigenvalues), run)


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
