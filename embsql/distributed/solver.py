"""Alternating least squares over blocks: each half sweep is one job.

Blocks send the rows that others need, which solve their own (Meng et al., 2016, "MLlib: machine
learning in Apache Spark", as its ALS does); the kernel is that of one machine.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from embsql.distributed import tasks
from embsql.distributed.blocks import Matrix
from embsql.distributed.sweeps import Factors, Sweeper, unturned
from embsql.factorization.cpu import System
from embsql.factorization.objective import Objective
from embsql.numeric.linalg import eigh


@dataclass(frozen=True, slots=True)
class BlockSolver:
    """See `objective.SideSolver`: matrices are `Matrix`, factors `Factors`."""

    sweeper: Sweeper

    def solve_side(
        self,
        matrix: Matrix,
        fixed_factors: Factors,
        solved_factors: Factors,
        objective: Objective,
    ) -> tuple[Factors, Factors, float, float]:
        """See `objective.SideSolver`; the table that solved factors were in is dropped."""
        fixed = fixed_factors.axes.astype(np.float64)  # (f, f)
        eigenvalues, eigenvectors = eigh(fixed.T @ fixed_factors.gramian @ fixed)
        step = tasks.Step(
            System(eigenvalues, objective, matrix.n_columns),
            fixed_factors.axes @ eigenvectors,
            solved_factors.axes @ eigenvectors,
            matrix.scale,
        )
        swept = self.sweeper.sweep(matrix, step, fixed_factors, solved_factors)
        self.sweeper.drop(solved_factors)
        loss, penalty, *products = swept.total
        gramian = np.reshape(products, step.fixed_axes.shape)  # (f, f)
        axes = unturned(len(gramian))  # (f, f)
        solved = swept.factors(axes, gramian)
        fixed_now = dataclasses.replace(fixed_factors, axes=step.fixed_axes)
        return solved, fixed_now, float(loss), float(penalty)
