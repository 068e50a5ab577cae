"""The rows of a run that was trained in Spark, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from embsql.data import Float32, Int64, Interactions
from embsql.distributed import tasks
from embsql.distributed.coding import training_sql
from embsql.distributed.interactions import InSpark
from embsql.factorization.blocks import BlockEmbeddings
from embsql.factorization.objective import without_specks


@dataclass(frozen=True, slots=True)
class SideRows:
    """A block of users or of items."""

    ids: pa.StringArray  # (n,)
    vectors: Float32  # (n, dim)
    bias: Float32 | None  # (n,)
    counts: Int64  # (n,) pairs of each


@dataclass(frozen=True, slots=True)
class TrainedRows:
    """What a training in Spark made, to be read in the order of the ids."""

    data: InSpark
    made: BlockEmbeddings

    @property
    def dim(self) -> int:
        """Length of every vector."""
        return int(self.made.factors.item.axes.shape[1])

    def side(self, side: str) -> Iterator[SideRows]:
        """The users or the items, a block at a time."""
        matrix = getattr(self.data.blocks.matrices, side)
        factors = getattr(self.made.factors, side)
        biases = self.made.biases and getattr(self.made.biases, side)
        axes = self.made.final_axes(factors)  # (f, dim)
        width = len(axes)
        for block, _ in enumerate(matrix.cut.ranges, 1):
            rows = self._block(factors.table, block, np.float32, width)  # (n, f)
            names = self._names(side, block)
            yield SideRows(
                tasks.unpack_names(names["ids"][0]),
                without_specks(rows @ axes),
                None if biases is None else self._bias(biases, side, block),
                tasks.array(names["counts"][0], np.int64),
            )

    def users(self) -> Iterator[str]:
        """The ids of users, of which those of one block are here at a time."""
        for block, _ in enumerate(self.data.blocks.matrices.user.cut.ranges, 1):
            yield from self._ids("user", block).to_pylist()

    @property
    def items(self) -> pa.StringArray:
        """The ids of all items."""
        ranges = self.data.blocks.matrices.item.cut.ranges
        parts = [self._ids("item", block) for block, _ in enumerate(ranges, 1)]
        return pa.concat_arrays(parts)

    def interactions(self) -> Iterator[Interactions]:
        """The pairs of a block of users at a time, with the ids of all items."""
        work = self.data.work
        matrix = self.data.blocks.matrices.user
        items = self.items
        for block, _ in enumerate(matrix.cut.ranges, 1):
            found = work.ask(
                training_sql("block_of_pairs"), matrix=matrix.table, block=block
            )
            yield tasks.interactions(found, self._ids("user", block), items)

    def _bias(self, table: str, side: str, block: int) -> Float32:
        """The biases (n,) of a block; the mean is a part of the users'."""
        biases = self._block(table, block, np.float64, 1)[:, 0]  # (n,)
        mean = self.made.mean if side == "user" else 0.0
        return biases.astype(np.float32) + np.float32(mean)

    def _block(self, table: str, block: int, dtype: type, width: int) -> NDArray[Any]:
        found = self.data.work.ask(
            training_sql("block_of_factors"), factors=table, block=block
        )
        return tasks.array(found["factors"][0], dtype, width)  # (n, width)

    def _ids(self, side: str, block: int) -> pa.StringArray:
        return tasks.unpack_names(self._names(side, block)["ids"][0])

    def _names(self, side: str, block: int) -> pa.Table:
        asked = training_sql("block_of_names")
        return self.data.work.ask(asked, names=f"{side}_names", block=block)
