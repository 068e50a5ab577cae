"""Interactions that lie in blocks in Spark, as algorithms ask for them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from typing import Any

import numpy as np
import pyarrow as pa

from embsql.data import Float32
from embsql.distributed import tasks
from embsql.distributed.blocks import Blocks, Matrix
from embsql.distributed.coding import training_sql
from embsql.distributed.products import BlockProducts, noise_of
from embsql.distributed.solver import BlockSolver
from embsql.distributed.sweeps import Factors, Sweeper, send_rows, unturned
from embsql.engines.spark_workspace import Frame, SparkWorkspace, map_blocks
from embsql.factorization.blocks import BlockEmbeddings, Residuals, Sides
from embsql.factorization.objective import Totals, random_factors
from embsql.factorization.penalty import PROBES, SEED, Noise
from embsql.run import Run

IN_MEMORY = (
    256 << 20
)  # bytes of factors that pass through this process; more go by tables
FACTORS = pa.schema(
    {
        "block": pa.int32(),
        "factors": pa.binary(),  # (n, any)
    }
)


@dataclass(frozen=True, slots=True)
class InSpark:
    """See `factorization.blocks.BlockInteractions`."""

    work: SparkWorkspace
    blocks: Blocks
    totals: Totals
    largest_weight: float
    newest_event: int | None
    run: Run

    @property
    def solver(self) -> BlockSolver:
        """Where sides are solved."""
        return BlockSolver(self._sweeper)

    @property
    def _sweeper(self) -> Sweeper:
        return Sweeper(self.work, self.run)

    @property
    def noise(self) -> Noise:
        """See `BlockInteractions`."""
        drawn = self.start(PROBES, SEED).item
        pairs = self.totals.pairs
        return noise_of(self._sweeper, self.blocks.matrices, drawn, pairs)

    def products(self, exponents: Sides, width: int, seed: int) -> BlockProducts:
        """See `BlockInteractions`."""
        drawn = self.start(width, seed).item
        matrices = self.blocks.matrices
        return BlockProducts.of(self._sweeper, matrices, exponents, drawn)

    def matrices(self, scale: float) -> Sides:
        """See `BlockInteractions`."""
        return self.scaled(self.blocks.matrices, scale)

    def scaled(self, matrices: Sides, scale: float) -> Sides:
        """See `BlockInteractions`."""
        return Sides(*(dataclasses.replace(one, scale=scale) for one in matrices))

    # --- where training starts -------------------------------------------------------------------

    def start(self, dim: int, seed: int) -> Sides:
        """See `BlockInteractions`; this process makes a block of items after the other."""
        axes = unturned(dim)  # (f, f)
        gramian = np.zeros((dim, dim))  # (f, f)
        parts = []
        table = None if self._fits(dim) else self.work.fresh("first_items")
        for block, factors in self._drawn(dim, seed):
            gramian += factors.T @ factors
            if table:
                self._put(table, block, factors)
            else:
                parts.append(factors)
        rows = None if table else np.concatenate(parts)  # (n_items, f)
        nothing = Factors(axes, np.zeros((dim, dim)))
        return Sides(nothing, Factors(axes, gramian, table, rows))

    def _fits(self, dim: int) -> bool:
        """Whether the factors of both sides may pass through this process."""
        size = 4 * dim * (self.totals.users + self.totals.items)
        return self.work.shares_memory and size <= IN_MEMORY

    def _drawn(self, dim: int, seed: int) -> Iterator[tuple[int, Float32]]:
        """The factors (n, f) that each block of items starts from."""
        draw = random_factors(dim, seed)
        items = self.blocks.matrices.item
        for block, (low, high) in enumerate(items.cut.ranges, 1):
            factors = draw(high - low)  # (n, f)
            if items.counts is not None:  # what is unseen stays zero
                factors *= (items.counts[low:high] > 0)[:, None]  # (n, f)
            yield block, factors

    def stored(self, made: BlockEmbeddings) -> BlockEmbeddings:
        """The same, with factors that lie here written as tables."""
        sides = zip(made.factors, self.blocks.matrices, strict=True)
        return dataclasses.replace(made, factors=Sides(*starmap(self._stored, sides)))

    def _stored(self, factors: Factors, matrix: Matrix) -> Factors:
        if factors.rows is None:
            return factors
        table = self.work.fresh("factors")
        for block, (low, high) in enumerate(matrix.cut.ranges, 1):
            self._put(table, block, factors.rows[low:high])
        return dataclasses.replace(factors, table=table, rows=None)

    def _put(self, table: str, block: int, factors: Any) -> None:
        """Write the rows of a block."""
        self.work.append(table, tasks.row(FACTORS, block=block, factors=factors))

    # --- ratings ---------------------------------------------------------------------------------

    def residuals(self, sweeps: int, damping: float) -> Residuals:
        """See `BlockInteractions`."""
        mean = self.totals.weight / self.totals.pairs
        biases = self._biases(mean, sweeps, damping)
        rounded = float(np.float32(mean))
        others = Sides(biases.item, biases.user)
        found = map(partial(self._leave, rounded), self.blocks.matrices, others, biases)
        matrices = Sides(*found)
        sums = self.work.ask(training_sql("residual_sums"), matrix=matrices.user.table)
        total, squares = (float(np.sum(sums[name])) for name in ("total", "squares"))
        left = total / self.totals.pairs
        variance = squares / self.totals.pairs - left**2
        std = math.sqrt(max(variance, 0.0))
        return Residuals(rounded, biases, matrices, std, squares)

    def _biases(self, mean: float, sweeps: int, damping: float) -> Sides:
        """Tables of the biases of users and items."""
        by_user, by_item = self.blocks.matrices
        users = self.work.fresh("no_biases")
        means = partial(tasks.damped_means, mean, damping)
        for block, (low, high) in enumerate(by_user.cut.ranges, 1):
            self._put(users, block, np.zeros(high - low))
        for _ in range(sweeps):
            items = self._swept(by_item, users, means)
            users = self._swept(by_user, items, means)
        return Sides(users, items)

    def _swept(self, matrix: Matrix, others: str, means: Any) -> str:
        """The biases of a side, of those of the other side; their table."""
        table = self.work.fresh("biases")
        sent = send_rows(self.work, matrix, others, "f8", 1)
        self.work.store(
            table, map_blocks(self._pairs(matrix), sent, means, tasks.BIASES)
        )
        return table

    def _leave(self, mean: float, matrix: Matrix, others: str, own: str) -> Matrix:
        """A matrix of what the mean and both biases leave of the weights."""
        table = f"{matrix.table}_left"
        sent = send_rows(self.work, matrix, others, "f8", 1)
        sent = sent.union(self.work.frame(training_sql("own"), factors=own))
        leave = partial(tasks.leave, mean)
        self.work.store(
            table, map_blocks(self._pairs(matrix), sent, leave, tasks.RESIDUALS)
        )
        return dataclasses.replace(matrix, table=table)

    def _pairs(self, matrix: Matrix) -> Frame:
        return self.work.frame(training_sql("matrix"), matrix=matrix.table)
