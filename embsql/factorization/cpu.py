"""Half sweeps of ALS on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32
from embsql.factorization.objective import Objective
from embsql.numeric import kernels
from embsql.numeric.linalg import eigen, gram, in_parallel, rotate, sparse_pieces
from embsql.run import Run

NO_PRIOR = np.empty((0, 0), np.float32)


@dataclass(frozen=True, slots=True)
class Cpu:
    """Arrays stay as they are; each row is one call's work in a compiled loop."""

    run: Run

    def put_rows(self, rows: CsrMatrix) -> CsrMatrix:
        """The rows themselves."""
        return rows

    def put(self, table: Float32) -> Float32:
        """The table itself."""
        return table

    def get(self, table: Float32) -> Float32:
        """The table itself."""
        return table

    def half_sweep(
        self,
        rows: CsrMatrix,
        fixed: Float32,
        solved: Float32,
        objective: Objective,
        prior: Float32 | None = None,
    ) -> tuple[Float32, Float32, float, float]:
        """See `objective.Solver`.

        The penalty of a row is for its distance from its prior (n, f), or from zero.
        """
        energy, axes = eigen(gram(fixed, self.run), self.run)  # (f,), (f, f)
        fixed, solved = (
            rotate(fixed, axes, self.run),
            rotate(solved, axes, self.run),
        )  # (m, f), (n, f)
        centre = NO_PRIOR if prior is None else rotate(prior, axes, self.run)  # (n, f)
        loss, penalty = self._solve(rows, fixed, solved, energy, objective, centre)
        return solved, fixed, loss, penalty

    def solve_for(
        self, rows: CsrMatrix, fixed: Float32, objective: Objective
    ) -> tuple[Float32, float, float]:
        """All rows (n, f) for the fixed table (m, f) in its own axes, and the two losses of
        `half_sweep`.
        """
        energy, axes = eigen(gram(fixed, self.run), self.run)  # (f,), (f, f)
        solved = np.zeros((len(rows.counts), fixed.shape[1]), np.float32)  # (n, f)
        losses = self._solve(
            rows, rotate(fixed, axes, self.run), solved, energy, objective, NO_PRIOR
        )
        return rotate(solved, np.ascontiguousarray(axes.T), self.run), *losses  # (n, f) turned back

    def _solve(
        self,
        rows: CsrMatrix,
        fixed: Float32,
        solved: Float32,
        energy: NDArray[np.float64],
        objective: Objective,
        prior: Float32,
    ) -> tuple[float, float]:
        """Solve rows (n, f), in place, in axes in which the fixed table's Gramian is the diagonal
        energy (f,).
        """
        diagonal = (objective.unseen * energy).astype(np.float32)  # (f,)
        terms = (
            np.float32(objective.curve0),
            np.float32(objective.curve1),
            np.float32(objective.pull0),
        )

        def part(low: int, high: int) -> NDArray[np.float64]:
            work, sums = np.empty((5, len(energy)), np.float32), np.zeros(2)  # (5, f), (2,)
            kernels.solve(
                low,
                high,
                rows.indptr,
                rows.indices,
                rows.data,
                fixed,
                solved,
                prior,
                diagonal,
                terms,
                objective.unseen * len(fixed),
                objective.reg,
                objective.nu,
                objective.steps,
                work,
                sums,
            )
            return sums

        loss, penalty = np.sum(
            in_parallel(part, sparse_pieces(rows, len(energy)), self.run), axis=0
        )
        return float(loss), float(penalty)
