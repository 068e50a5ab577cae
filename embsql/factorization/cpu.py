"""Least squares on the CPU: a compiled loop over the rows of one side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Float64, FoldIn
from embsql.factorization.objective import Objective
from embsql.numeric import kernels
from embsql.numeric.linalg import (
    csr_ranges,
    eigh,
    gramian,
    matmul,
    parallel_map,
    rotate,
)
from embsql.run import Run

SCRATCH_VECTORS = 5  # that kernels.solve works in


def offering(
    how: FoldIn, items: Float32, could_be_chosen: NDArray[np.bool_], run: Run
) -> FoldIn:
    """How a run folds in of whose items (n, d) some were not there to be left."""
    if could_be_chosen.all():
        return how
    return replace(how, gramian=gramian(items[could_be_chosen], run))


@dataclass(frozen=True, slots=True)
class CpuSolver:
    """Arrays stay as they are; each row is solved by one thread."""

    run: Run

    def put_matrix(self, matrix: CsrMatrix) -> CsrMatrix:
        """The matrix itself."""
        return matrix

    def put(self, factors: Float32) -> Float32:
        """The factors themselves."""
        return factors

    def get(self, factors: Float32) -> Float32:
        """The factors themselves."""
        return factors

    def solve_side(
        self,
        matrix: CsrMatrix,
        fixed_factors: Float32,
        solved_factors: Float32,
        objective: Objective,
        prior: Float32 | None = None,
    ) -> tuple[Float32, Float32, float, float]:
        """See `objective.Solver`.

        The penalty of a row is for its distance from its prior (n, f), or from zero.
        """
        eigenvalues, eigenvectors = self._eigh(fixed_factors)  # (f,), (f, f)
        fixed = rotate(fixed_factors, eigenvectors, self.run)  # (m, f)
        solved = rotate(solved_factors, eigenvectors, self.run)  # (n, f)
        if prior is not None:
            prior = matmul(prior, eigenvectors, self.run)  # (n, f)
        system = System(eigenvalues, objective, objective.n_columns or len(fixed))
        loss, penalty = solve_rows(matrix, fixed, solved, system, self.run, prior)
        return solved, fixed, loss, penalty

    def solve_from_zero(
        self, matrix: CsrMatrix, fixed_factors: Float32, objective: Objective
    ) -> tuple[Float32, float, float]:
        """All rows (n, f) in the axes of the fixed factors (m, f), and the loss and penalty."""
        eigenvalues, eigenvectors = self._eigh(fixed_factors)  # (f,), (f, f)
        fixed = matmul(fixed_factors, eigenvectors, self.run)  # (m, f)
        solved = np.zeros((len(matrix.counts), fixed.shape[1]), np.float32)  # (n, f)
        system = System(eigenvalues, objective, objective.n_columns or len(fixed))
        loss, penalty = solve_rows(matrix, fixed, solved, system, self.run)
        back = np.ascontiguousarray(eigenvectors.T)  # (f, f)
        return matmul(solved, back, self.run), loss, penalty

    def _eigh(self, factors: Float32) -> tuple[Float64, Float32]:
        """Eigenvalues (f,) and eigenvectors (f, f) of the factors' Gramian."""
        return eigh(gramian(factors, self.run))


class System(NamedTuple):
    """What the rows of a side have in common."""

    eigenvalues: Float64  # (f,) of the Gramian of all fixed rows, which is diagonal
    objective: Objective
    n_columns: int  # fixed rows that could be chosen


def solve_rows(
    matrix: CsrMatrix,
    fixed: Float32,
    solved: Float32,
    system: System,
    run: Run,
    prior: Float32 | None = None,
) -> tuple[float, float]:
    """Solve rows (n, f) in place for the fixed rows (m, f) that the matrix has columns of.

    Those may be a part of all that are fixed. Returns the loss and the penalty; see
    `objective.Solver`.
    """
    if prior is None:
        prior = np.zeros((1, fixed.shape[1]), np.float32)  # (1, f)
    objective = system.objective
    unobserved = objective.unobserved_weight * system.eigenvalues  # (f,)
    diagonal = unobserved.astype(np.float32)  # (f,)
    terms = kernels.Terms(*map(np.float32, objective[:3]))
    penalties = _penalties(matrix, system.n_columns, objective)  # (n,)
    width = len(diagonal)

    def solve_range(low: int, high: int) -> Float64:
        work = np.empty((SCRATCH_VECTORS, width), np.float32)
        sums = np.zeros(2)  # loss, penalty
        kernels.solve(
            low,
            high,
            matrix.indptr,
            matrix.indices,
            matrix.data,
            fixed,
            solved,
            prior,
            diagonal,
            penalties,
            terms,
            objective.cg_steps,
            work,
            sums,
        )
        return sums

    sums = parallel_map(solve_range, csr_ranges(matrix, width), run)
    loss, penalty = np.sum(sums, axis=0)
    return float(loss), float(penalty)


def _penalties(matrix: CsrMatrix, n_columns: int, objective: Objective) -> Float32:
    """The penalty of each row's squared length (n,)."""
    filled = matrix.counts > 0  # (n,)
    weight = np.zeros(len(filled))  # (n,) sum of a row's
    begin = matrix.indptr[:-1][filled]
    weight[filled] = np.add.reduceat(matrix.data, begin, dtype=np.float64)
    evidence = (
        objective.unobserved_weight * n_columns
        + objective.confidence_offset * matrix.counts
        + objective.confidence_scale * weight
    )  # (n,)
    penalties: Float32 = (objective.reg * evidence**objective.reg_exponent).astype(
        np.float32
    )
    return penalties
