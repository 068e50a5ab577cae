"""Top-k tables of a run that was published to Spark, made there: users are shared out.

The items go to every executor whole; of the users, and of the items whose neighbors are wanted, one
block after the other is ranked as `topk_tables` does, so that the rows are the same. The executors'
Python needs embsql.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.arrow import as_matrix
from embsql.data import Interactions
from embsql.derived.topk_tables import Materialized, neighbor_rows, top_item_rows
from embsql.engines import Engine
from embsql.errors import InvalidArgument
from embsql.lifecycle import registry
from embsql.lifecycle.loaded import Loaded, Side, side
from embsql.lifecycle.spark_lock import publishing
from embsql.lifecycle.spark_publish import make_room
from embsql.options import Similarity
from embsql.run import Run
from embsql.sqlfiles.files import statements

if TYPE_CHECKING:
    from embsql.engines.spark import Spark

# what an executor makes of its blocks of rows
Blocks = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def materialize_in_spark(
    engine: Engine,
    reference: str,
    *,
    k: int,
    users: bool,
    items: bool,
    threads: int | None,
) -> Materialized:
    """Write top-k tables of a published run, in place of earlier ones; see `materialize`.

    Raises UnknownModel, UnknownRun, AlreadyPublishing, and InvalidArgument for `threads`.
    """
    if threads is not None:
        allowed = "left out in Spark, where each executor's cores have a block each"
        raise InvalidArgument(name="threads", allowed=allowed, value=threads)
    there = cast("Spark", engine)
    record = registry.finished_run(there, reference)
    run_id = int(record["run_id"])
    catalog = _Catalog(side(there, run_id, "item"), record["similarity"], k, run_id)
    counts = {"top_items": 0, "neighbors": 0}
    with publishing(there):
        if users:
            counts["top_items"] = _derive(there, "top_items", run_id, catalog.top_items)
        if items:
            counts["neighbors"] = _derive(there, "neighbors", run_id, catalog.neighbors)
    return Materialized(run_id, **counts)


def _derive(there: Spark, table: str, run_id: int, rows: Blocks) -> int:
    """Write a table of a run, its rows made of blocks; how many there are."""
    asked = statements("spark/materialize.sql")
    make_room(there, run_id, table)
    there.derive(asked[table], rows, table, run_id=run_id)
    (found,) = there.rows(asked[f"count_{table}"], run_id=run_id)
    return int(found["rows"])


@dataclass(frozen=True, slots=True)
class _Catalog:
    """The items of a run, as they go to the executors."""

    items: Side
    similarity: Similarity
    k: int
    run_id: int

    def top_items(self, blocks: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of embsql.top_items for blocks of user_id, embedding, bias, and the items seen."""
        for block in blocks:
            loaded = Loaded(
                _side(block, "user_id"), self.items, self.similarity, self._pairs(block)
            )
            yield self._batch(top_item_rows(self._run(), loaded, self.k))

    def neighbors(self, blocks: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows of embsql.neighbors for blocks of item_id, embedding and bias."""
        for block in blocks:
            some = _side(block, "item_id")
            yield self._batch(neighbor_rows(self._run(), some, self.items, self.k))

    def _pairs(self, block: pa.RecordBatch) -> Interactions:
        """What the users of a block have seen, by codes."""
        seen = block["seen"]  # (b,) lists
        user = pc.list_parent_indices(seen).to_numpy().astype(np.int32)  # (pairs,)
        item = pc.index_in(pc.list_flatten(seen), value_set=self.items.ids)  # (pairs,)
        there = item.is_valid().to_numpy(zero_copy_only=False)  # (pairs,)
        known = item.fill_null(-1).to_numpy()[there].astype(np.int32)
        ones = np.ones(len(known), np.float32)
        return Interactions(
            user[there], known, ones, None, block["user_id"], self.items.ids
        )

    def _run(self) -> Run:
        return Run(threads=1)

    def _batch(self, rows: dict[str, Any]) -> pa.RecordBatch:
        """Rows with their run, ids as text."""
        ids = [name for name in rows if name.endswith("_id") or name == "entity"]
        texts = {name: rows[name].cast(pa.string()) for name in ids}
        of_run = {"run_id": np.full(len(rows["rank"]), self.run_id, np.int64)}
        return pa.RecordBatch.from_pydict(rows | texts | of_run)


def _side(block: pa.RecordBatch, id_column: str) -> Side:
    """A block's users or items."""
    bias = (
        block["bias"].to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    )  # (b,)
    return Side(block[id_column], as_matrix(block["embedding"]), bias)
