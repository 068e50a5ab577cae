"""Alternating least squares over blocks: each half sweep is one job that writes a table.

Blocks send the rows that others need, which solve their own (Meng et al., 2016, "MLlib: machine
learning in Apache Spark", as its ALS does); the kernel is that of one machine.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from embsql.data import Float32, Float64
from embsql.distributed import tasks
from embsql.distributed.blocks import Matrix
from embsql.distributed.coding import training_sql
from embsql.engines.spark_workspace import Frame, Kept, SparkWorkspace, map_blocks
from embsql.factorization.cpu import System
from embsql.factorization.objective import Objective
from embsql.numeric.linalg import eigh
from embsql.run import Run


@dataclass(frozen=True, slots=True)
class Factors:
    """The factors of one side."""

    axes: Float32  # (f, f) what the rows are still to be multiplied by
    gramian: Float64  # (f, f) of the rows
    # the rows (n, f) in a table or here; in neither: all are zero
    table: str | None = None
    rows: Float32 | None = None


@dataclass(frozen=True, slots=True)
class BlockSolver:
    """See `objective.SideSolver`: matrices are `Matrix`, factors `Factors`."""

    work: SparkWorkspace
    run: Run
    _kept: dict[str, Kept] = field(default_factory=dict)  # by the matrix's table

    def solve_side(
        self,
        matrix: Matrix,
        fixed_factors: Factors,
        solved_factors: Factors,
        objective: Objective,
    ) -> tuple[Factors, Factors, float, float]:
        """See `objective.SideSolver`; the table that solved factors were in is dropped.

        Both ways make the same bytes, since each block does the same in both.
        """
        self.run.check()
        fixed = fixed_factors.axes.astype(np.float64)  # (f, f)
        eigenvalues, eigenvectors = eigh(fixed.T @ fixed_factors.gramian @ fixed)
        step = tasks.Step(
            System(eigenvalues, objective, matrix.n_columns),
            fixed_factors.axes @ eigenvectors,
            solved_factors.axes @ eigenvectors,
            matrix.scale,
        )
        solve = self._in_tables if fixed_factors.rows is None else self._in_memory
        solved, loss, penalty = solve(matrix, fixed_factors, solved_factors, step)
        fixed_now = dataclasses.replace(fixed_factors, axes=step.fixed_axes)
        return solved, fixed_now, loss, penalty

    # --- in memory: factors go to the executors whole, and come back ------------------------------

    def _in_memory(
        self, matrix: Matrix, fixed: Factors, solved: Factors, step: tasks.Step
    ) -> tuple[Factors, float, float]:
        """The factors that a job gives back, their loss and their penalty."""
        solve = partial(tasks.solve_kept, step, matrix.cut.edges)
        made = self._pairs(matrix).map(solve, fixed.rows, solved.rows)
        factors, losses, penalties, gramians = (
            [block[name] for block in made] for name in tasks.SOLVED.names[1:]
        )
        rows = np.concatenate(factors)  # (n, f)
        gramian = _added(gramians, len(step.fixed_axes))
        loss, penalty = (float(np.sum(parts)) for parts in (losses, penalties))
        return Factors(_unturned(gramian), gramian, rows=rows), loss, penalty

    def _pairs(self, matrix: Matrix) -> Kept:
        """The pairs of a matrix, which the executors read once."""
        if matrix.table not in self._kept:
            blocks = len(matrix.cut.ranges)
            asked = training_sql("matrix")
            self._kept[matrix.table] = self.work.keep(
                blocks, asked, matrix=matrix.table
            )
        return self._kept[matrix.table]

    # --- in tables -------------------------------------------------------------------------------

    def _in_tables(
        self, matrix: Matrix, fixed: Factors, solved: Factors, step: tasks.Step
    ) -> tuple[Factors, float, float]:
        """The factors that a job writes, their loss and their penalty."""
        table = self.work.fresh("factors")
        width = len(step.fixed_axes)
        sent = send_rows(self.work, matrix, str(fixed.table), "f4", width)
        if solved.table:
            own = self.work.frame(training_sql("own"), factors=solved.table)
            sent = sent.union(own)
        pairs = self.work.frame(training_sql("matrix"), matrix=matrix.table)
        solve = partial(tasks.solve_block, step)
        self.work.store(table, map_blocks(pairs, sent, solve, tasks.SOLVED))
        if solved.table:
            self.work.drop(solved.table)
        sums = self.work.ask(training_sql("sums"), factors=table)
        parts = [tasks.array(part, np.float64, width) for part in sums["gramian"]]
        gramian = _added(parts, width)
        loss, penalty = (
            float(np.sum(sums[name].to_numpy())) for name in ("loss", "penalty")
        )
        return Factors(_unturned(gramian), gramian, table), loss, penalty


def _added(gramians: list[Float64], width: int) -> Float64:
    """The Gramians of blocks, added in their order: (f, f)."""
    total = np.zeros((width, width))  # (f, f)
    for gramian in gramians:
        total += gramian
    return total


def _unturned(gramian: Float64) -> Float32:
    """The axes (f, f) of rows that lie as they are."""
    return np.eye(len(gramian), dtype=np.float32)


def send_rows(
    work: SparkWorkspace, matrix: Matrix, fixed: str, dtype: str, width: int
) -> Frame:
    """The rows (n, width) of a table of the other side, sent to who needs them of a matrix."""
    factors = work.frame(training_sql("factors"), factors=fixed)
    links = work.frame(training_sql("links"), links=matrix.links)
    route = partial(tasks.send, dtype, width)
    return map_blocks(factors, links, route, tasks.SENT)
