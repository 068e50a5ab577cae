"""Jobs over the blocks of a side: each gets the rows of the other side that it needs, and its own.

Rows pass through this process where they are few, and go by tables where they are many; see
`interactions.IN_MEMORY`. A block does the same in both, so that both make the same bytes.
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
from embsql.engines.spark_workspace import Frame, Kept, SparkWorkspace, map_blocks
from embsql.run import Run


@dataclass(frozen=True, slots=True)
class Factors:
    """A row for each user or each item."""

    axes: Float32  # (f, d) what the rows are still to be multiplied by
    gramian: (
        Float64  # (f, f) of the rows, or of those of the matrix that they come from
    )
    # the rows (n, f) in a table or here; in neither: all are zero
    table: str | None = None
    rows: Float32 | None = None

    def turned(self, axes: Float32) -> Factors:
        """The same, to be multiplied by axes (d, e) after its own."""
        return dataclasses.replace(self, axes=self.axes @ axes)


@dataclass(frozen=True, slots=True)
class Swept:
    """What the blocks of a side made."""

    figures: list[Float64]  # of each block (any,)
    table: str | None = None  # with the rows, or they are here
    rows: Float32 | None = None  # (n, f)

    @property
    def total(self) -> Float64:
        """The figures (any,) of all blocks, added in their order."""
        total = np.zeros_like(self.figures[0])  # (any,)
        for figures in self.figures:
            total += figures
        return total

    def factors(self, axes: Float32, gramian: Float64) -> Factors:
        """The rows, still to be multiplied by axes (f, d)."""
        return Factors(axes, gramian, self.table, self.rows)


@dataclass(frozen=True, slots=True)
class Sweeper:
    """What runs tasks of blocks."""

    work: SparkWorkspace
    run: Run

    def sweep(
        self,
        matrix: Matrix,
        task: tasks.Task,
        fixed: Factors | None = None,
        own: Factors | None = None,
    ) -> Swept:
        """What a task makes of each block: of rows of the other side, its own, or both."""
        self.run.check()
        leading = fixed or own
        in_memory = leading is not None and leading.rows is not None
        sweep = self._in_memory if in_memory else self._in_tables
        return sweep(matrix, task, fixed, own)

    def drop(self, *factors: Factors) -> None:
        """Remove the tables of rows that nobody reads any more."""
        self.work.drop(*(one.table for one in factors if one.table))

    # --- in memory: rows go to the executors whole, and come back ---------------------------------

    def _in_memory(
        self, matrix: Matrix, task: tasks.Task, *given: Factors | None
    ) -> Swept:
        sweep = partial(tasks.sweep_kept, task, matrix.cut.edges)
        rows_given = (one and one.rows for one in given)
        made = self._pairs(matrix).map(sweep, *rows_given)
        rows, figures = zip(*made, strict=True)
        return Swept([*figures], rows=np.concatenate(rows))

    def _pairs(self, matrix: Matrix) -> Kept:
        """The pairs of a matrix, which the executors read once."""
        asked = training_sql("matrix")
        blocks = len(matrix.cut.ranges)
        return self.work.keep(matrix.table, blocks, asked, matrix=matrix.table)

    # --- in tables -------------------------------------------------------------------------------

    def _in_tables(
        self, matrix: Matrix, task: tasks.Task, *given: Factors | None
    ) -> Swept:
        table = self.work.fresh("factors")
        pairs = self.work.frame(training_sql("matrix"), matrix=matrix.table)
        sent = self._sent(matrix, *given)
        sweep = partial(tasks.sweep_block, task)
        made = map_blocks(pairs, sent, sweep, tasks.SWEPT)
        self.work.store(table, made)
        found = self.work.ask(training_sql("figures"), factors=table)
        packed = found["figures"]
        figures = [tasks.array(part, np.float64) for part in packed]
        return Swept(figures, table)

    def _sent(
        self, matrix: Matrix, fixed: Factors | None, own: Factors | None
    ) -> Frame:
        """The rows that each block gets."""
        sent = []
        if fixed and fixed.table:
            sent.append(
                send_rows(self.work, matrix, fixed.table, "f4", len(fixed.axes))
            )
        if own and own.table:
            asked = training_sql("own")
            sent.append(self.work.frame(asked, factors=own.table))
        first, *others = sent
        for other in others:
            first = first.union(other)
        return first


def unturned(width: int) -> Float32:
    """The axes (width, width) of rows that are as they lie."""
    return np.eye(width, dtype=np.float32)


def send_rows(
    work: SparkWorkspace, matrix: Matrix, fixed: str, dtype: str, width: int
) -> Frame:
    """The rows (n, width) of a table of the other side, sent to who needs them of a matrix."""
    factors = work.frame(training_sql("factors"), factors=fixed)
    links = work.frame(training_sql("links"), links=matrix.links)
    route = partial(tasks.send, dtype, width)
    return map_blocks(factors, links, route, tasks.SENT)
