"""Alternating least squares over blocks: each half sweep is one job that writes a table.

Blocks send the rows that others need, which solve their own (Meng et al., 2016, "MLlib: machine
learning in Apache Spark", as its ALS does); the kernel is that of one machine.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial

import numpy as np

from embsql.data import Float32, Float64
from embsql.distributed import tasks
from embsql.distributed.blocks import Matrix
from embsql.distributed.coding import training_sql
from embsql.engines.spark_workspace import Frame, SparkWorkspace, map_blocks
from embsql.factorization.cpu import System
from embsql.factorization.objective import Objective
from embsql.numeric.linalg import eigh
from embsql.run import Run


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of one side."""

    table: str | None  # none: all are zero
    axes: Float32  # (f, f) what the rows in the table are still to be multiplied by
    gramian: Float64  # (f, f) of the rows in the table


@dataclass(frozen=True, slots=True)
class BlockSolver:
    """See `objective.SideSolver`: matrices are `Matrix`, factors `Factors`."""

    work: SparkWorkspace
    run: Run

    def solve_side(
        self,
        matrix: Matrix,
        fixed_factors: Factors,
        solved_factors: Factors,
        objective: Objective,
    ) -> tuple[Factors, Factors, float, float]:
        """See `objective.SideSolver`; the table that solved factors were in is dropped."""
        self.run.check()
        fixed = fixed_factors.axes.astype(np.float64)  # (f, f)
        eigenvalues, eigenvectors = eigh(fixed.T @ fixed_factors.gramian @ fixed)
        step = tasks.Step(
            System(eigenvalues, objective, matrix.n_columns),
            fixed_factors.axes @ eigenvectors,
            solved_factors.axes @ eigenvectors,
            matrix.scale,
        )
        table = self.work.fresh("factors")
        self._solve(table, matrix, fixed_factors, solved_factors, step)
        if solved_factors.table:
            self.work.drop(solved_factors.table)
        solved, loss, penalty = self._solved(table, len(eigenvalues))
        fixed_now = dataclasses.replace(fixed_factors, axes=step.fixed_axes)
        return solved, fixed_now, loss, penalty

    def _solve(
        self,
        table: str,
        matrix: Matrix,
        fixed: Factors,
        solved: Factors,
        step: tasks.Step,
    ) -> None:
        """Run the job."""
        width = len(step.fixed_axes)
        sent = send_rows(self.work, matrix, str(fixed.table), "f4", width)
        if solved.table:
            sent = sent.union(
                self.work.frame(training_sql("own"), factors=solved.table)
            )
        pairs = self.work.frame(training_sql("matrix"), matrix=matrix.table)
        solve = partial(tasks.solve_block, step)
        self.work.store(table, map_blocks(pairs, sent, solve, tasks.SOLVED))

    def _solved(self, table: str, width: int) -> tuple[Factors, float, float]:
        """What a job wrote, its loss and its penalty."""
        sums = self.work.ask(training_sql("sums"), factors=table)
        gramian = np.zeros((width, width))  # (f, f)
        for part in sums["gramian"]:
            gramian += tasks.array(part, np.float64, width)
        loss, penalty = (
            float(np.sum(sums[name].to_numpy())) for name in ("loss", "penalty")
        )
        return Factors(table, np.eye(width, dtype=np.float32), gramian), loss, penalty


def send_rows(
    work: SparkWorkspace, matrix: Matrix, fixed: str, dtype: str, width: int
) -> Frame:
    """The rows (n, width) of a table of the other side, sent to who needs them of a matrix."""
    factors = work.frame(training_sql("factors"), factors=fixed)
    links = work.frame(training_sql("links"), links=matrix.links)
    route = partial(tasks.send, dtype, width)
    return map_blocks(factors, links, route, tasks.SENT)
