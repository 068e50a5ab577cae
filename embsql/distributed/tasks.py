"""What Spark's executors do with the rows of one block: Arrow tables in, Arrow tables out.

A block is a range of codes of users or of items, and its rows are one value of bytes. Everything is
done in the order of codes and of blocks, so that no byte depends on which executor was first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from embsql.data import CsrMatrix, Float32, Float64, Int64, Interactions, indptr_of
from embsql.factorization.cpu import System, solve_rows
from embsql.numeric.linalg import gramian, matmul
from embsql.run import Run

Key = tuple[pa.Scalar, ...]  # (block,)
Outcome = tuple[Float32, Float64]  # new rows (n, any), and figures (any,)
Kept = tuple[
    int, bytes, bytes, bytes, bytes
]  # block, indptr, indices, columns, weights
NOTHING = np.empty((0, 0), np.float32)  # of the other side
OWN = -1  # the block that a block's own rows seem to come from
NAMES = pa.schema(
    {
        "block": pa.int32(),
        "ids": pa.binary(),  # (n,) as an Arrow stream
        "counts": pa.binary(),  # int64 (n,) pairs of each
        "digest": pa.binary(),
    }
)
MATRIX = pa.schema(
    {
        "block": pa.int32(),
        "indptr": pa.binary(),  # int64 (n + 1,)
        "indices": pa.binary(),  # int32 (pairs,) positions in columns
        "columns": pa.binary(),  # int32 (m,) codes of the other side, ascending
        "weights": pa.binary(),  # float32 (pairs,)
        "times": pa.binary(),  # int64 (pairs,); NULL: the source has none
        "weight": pa.float64(),  # the sum of them
        "digest": pa.binary(),
    }
)
LINKS = pa.schema(  # which rows of a block another one needs
    {"block": pa.int32(), "destination": pa.int32(), "rows": pa.binary()}
)
SENT = pa.schema({"block": pa.int32(), "source": pa.int32(), "rows": pa.binary()})
SWEPT = pa.schema(
    {
        "block": pa.int32(),
        "factors": pa.binary(),  # float32 (n, f)
        "figures": pa.binary(),  # float64 (any,)
    }
)
BIASES = pa.schema(
    {
        "block": pa.int32(),
        "factors": pa.binary(),  # float64 (n,)
    }
)
RESIDUALS = pa.schema(
    {
        "block": pa.int32(),
        "indptr": pa.binary(),
        "indices": pa.binary(),
        "columns": pa.binary(),
        "weights": pa.binary(),
        "total": pa.float64(),
        "squares": pa.float64(),
    }
)


def array(value: pa.Scalar, dtype: DTypeLike, width: int = 0) -> NDArray[Any]:
    """Bytes as an array (n,), or (n, width)."""
    flat = np.frombuffer(value.as_buffer(), dtype)  # (n * width,)
    return flat.reshape(-1, width) if width else flat


def row(schema: pa.Schema, **values: Any) -> pa.Table:
    """A table of one row, in which arrays are bytes."""
    return pa.Table.from_pylist([_in_bytes(values)], schema)


def _in_bytes(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.tobytes() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
    }


# --- cutting -------------------------------------------------------------------------------------


def pack_names(key: Key, rows: pa.Table) -> pa.Table:
    """The ids of a block, in order of code."""
    ordered = rows.sort_by("code").combine_chunks()
    ids = ordered.select(["id"])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, ids.schema) as stream:
        stream.write_table(ids)
    packed = sink.getvalue().to_pybytes()
    digest = hashlib.sha256()
    for name in ids["id"].to_pylist():
        digest.update(name.encode() + b"\0")
    return row(
        NAMES,
        block=key[0].as_py(),
        ids=packed,
        counts=ordered["pairs"].to_numpy(),
        digest=digest.digest(),
    )


def unpack_names(packed: pa.Scalar) -> pa.StringArray:
    """The ids that were packed."""
    rows = pa.ipc.open_stream(packed.as_buffer()).read_all()
    return rows["id"].combine_chunks().cast(pa.string())


def build_matrix(edges: Int64, key: Key, rows: pa.Table) -> pa.Table:
    """The pairs of a block as a sparse matrix; edges (blocks + 1,) are where blocks begin."""
    block = key[0].as_py()
    names = ("row", "column", "weight", "last_time")
    code, column, weight, time = (rows[name].to_numpy() for name in names)
    order = np.lexsort((column, code))  # (pairs,)
    code = code[order] - edges[block - 1]
    n_rows = int(edges[block] - edges[block - 1])
    weight = weight[order].astype(np.float32)
    has_time = not rows["last_time"].null_count
    times = time[order].astype(np.int64) if has_time else None
    made = matrix_columns(code, column[order], weight, times, n_rows)
    return row(MATRIX, block=block, **made)


def matrix_columns(
    code: NDArray[Any],
    column: NDArray[Any],
    weight: Float32,
    times: Int64 | None,
    n_rows: int,
) -> dict[str, Any]:
    """The pairs (n,) of a block, ordered by row and column, as MATRIX has them."""
    columns, indices = np.unique(column, return_inverse=True)
    parts: dict[str, NDArray[Any]] = {
        "indptr": indptr_of(code, n_rows),  # (n_rows + 1,)
        "indices": indices.astype(np.int32),
        "columns": columns.astype(np.int32),
        "weights": weight,
    }
    digest = hashlib.sha256()
    for part in (*parts.values(), times):
        digest.update(b"none" if part is None else part.data)
    total = float(weight.sum(dtype=np.float64))
    return {**parts, "times": times, "weight": total, "digest": digest.digest()}


def link(edges: Int64, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Of each block's columns those in every block of the other side, as rows there."""
    for batch in batches:
        for block, packed in zip(batch["block"], batch["columns"], strict=True):
            columns = array(packed, np.int32)  # (m,)
            bounds = np.searchsorted(columns, edges)  # (blocks + 1,)
            for other in np.flatnonzero(np.diff(bounds)):
                local = columns[bounds[other] : bounds[other + 1]] - edges[other]
                made = row(
                    LINKS,
                    block=int(other) + 1,
                    destination=block.as_py(),
                    rows=local.astype(np.int32),
                )
                yield from made.to_batches()


# --- sending -------------------------------------------------------------------------------------


def send(
    dtype: str, width: int, key: Key, fixed: pa.Table, links: pa.Table
) -> pa.Table:
    """The rows (n, width) of a block that each other one needs."""
    factors = array(fixed["factors"][0], dtype, width)  # (n, width)
    sent = [
        row(
            SENT,
            block=destination.as_py(),
            source=key[0].as_py(),
            rows=factors[array(rows, np.int32)],
        )
        for destination, rows in zip(links["destination"], links["rows"], strict=True)
    ]
    return pa.concat_tables(sent) if sent else SENT.empty_table()


@dataclass(frozen=True, slots=True)
class Arrived:
    """A block's own rows, and those of others that its columns stand for."""

    own: NDArray[Any] | None  # (n, width); none: it starts from zero
    others: NDArray[Any]  # (m, width)

    @classmethod
    def of(
        cls, sent: pa.Table, dtype: DTypeLike, width: int, own_width: int
    ) -> Arrived:
        """Those that came, in the order of the blocks that they came from."""
        by_source = dict(zip(sent["source"].to_pylist(), sent["rows"], strict=True))
        own = by_source.pop(OWN, None)
        parts = [array(by_source[source], dtype, width) for source in sorted(by_source)]
        nothing = np.empty((0, width), dtype)  # of a block without a pair
        others = np.concatenate([nothing, *parts])  # (m, width)
        return cls(None if own is None else array(own, dtype, own_width), others)


def _matrix(rows: pa.Table) -> CsrMatrix:
    """The block of a matrix."""
    (found,) = rows.select(["indptr", "indices", "weights"]).to_batches()
    indptr, indices, weights = (column[0] for column in found.columns)
    return CsrMatrix(
        array(indptr, np.int64), array(indices, np.int32), array(weights, np.float32)
    )


def interactions(
    rows: pa.Table, users: pa.StringArray, items: pa.StringArray
) -> Interactions:
    """The pairs of one block of users, who are numbered within it."""
    indptr = array(rows["indptr"][0], np.int64)  # (n + 1,)
    columns = array(rows["columns"][0], np.int32)  # (m,)
    indices = array(rows["indices"][0], np.int32)  # (pairs,)
    times = rows["times"][0]
    return Interactions(
        np.repeat(np.arange(len(users), dtype=np.int32), np.diff(indptr)),
        columns[indices],
        array(rows["weights"][0], np.float32),
        array(times, np.int64) if times.is_valid else None,
        users,
        items,
    )


# --- sweeping ------------------------------------------------------------------------------------


class Task(Protocol):
    """What is done with each block of a side."""

    @property
    def width(self) -> int:
        """Numbers in a row of the other side."""

    @property
    def own_width(self) -> int:
        """Numbers in a row of its own."""

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """What it makes of a block's pairs and of the rows that it got."""


def sweep_block(task: Task, key: Key, matrix: pa.Table, sent: pa.Table) -> pa.Table:
    """What a task makes of a block, with the rows that came."""
    arrived = Arrived.of(sent, np.float32, task.width, task.own_width)
    factors, figures = task(_matrix(matrix), arrived)
    return row(SWEPT, block=key[0].as_py(), factors=factors, figures=figures)


def sweep_kept(
    task: Task, edges: Int64, kept: Kept, fixed: Float32 | None, own: Float32 | None
) -> Outcome:
    """The same of a block in memory, for all fixed factors (m, f) and all own ones (n, f).

    Edges (blocks + 1,) are where blocks begin.
    """
    block, indptr, indices, columns, weights = kept
    pairs = CsrMatrix(
        np.frombuffer(indptr, np.int64),
        np.frombuffer(indices, np.int32),
        np.frombuffer(weights, np.float32),
    )
    mine = None if own is None else own[edges[block - 1] : edges[block]]  # (b, f)
    if fixed is None:
        return task(pairs, Arrived(mine, NOTHING))
    needed = fixed[np.frombuffer(columns, np.int32)]  # (columns, f)
    return task(pairs, Arrived(mine, needed))


# --- solving -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """Least squares of all blocks of a side; figures are loss, penalty and the rows' Gramian."""

    system: System
    # (f, f) from the fixed factors as they lie to the axes of the system
    fixed_axes: Float32
    own_axes: Float32  # (f, f) from the solved ones as they lie
    scale: float  # of weights

    @property
    def width(self) -> int:
        """See `Task`."""
        return len(self.fixed_axes)

    @property
    def own_width(self) -> int:
        """See `Task`."""
        return len(self.own_axes)

    def __call__(self, pairs: CsrMatrix, arrived: Arrived) -> Outcome:
        """See `Task`."""
        run = Run(threads=1)
        weights = pairs.data * np.float32(self.scale)  # (pairs,)
        pairs = CsrMatrix(pairs.indptr, pairs.indices, weights)
        fixed = matmul(arrived.others, self.fixed_axes, run)  # (m, f)
        if arrived.own is None:
            solved = np.zeros((len(pairs.counts), self.width), np.float32)  # (n, f)
        else:
            solved = matmul(arrived.own, self.own_axes, run)  # (n, f)
        sums = solve_rows(pairs, fixed, solved, self.system, run)
        products = gramian(solved, run).ravel()  # (f * f,)
        return solved, np.concatenate([sums, products])


# --- biases --------------------------------------------------------------------------------------


def damped_means(
    mean: float, damping: float, key: Key, matrix: pa.Table, sent: pa.Table
) -> pa.Table:
    """The biases of a block: means of what the others' biases leave, drawn to 0 by `damping`."""
    pairs = _matrix(matrix)
    others = Arrived.of(sent, np.float64, 1, 1).others[:, 0]  # (m,)
    left = (pairs.data - mean) - others[pairs.indices]  # (pairs,)
    rows = np.repeat(np.arange(len(pairs.counts)), pairs.counts)  # (pairs,)
    total: Any = np.bincount(rows, left, len(pairs.counts))  # (n,)
    biases = total / (pairs.counts + damping)  # (n,)
    return row(BIASES, block=key[0].as_py(), factors=biases)


def leave(mean: float, key: Key, matrix: pa.Table, sent: pa.Table) -> pa.Table:
    """The block of a matrix with what the mean and both biases leave of its weights."""
    pairs = _matrix(matrix)
    arrived = Arrived.of(sent, np.float64, 1, 1)
    others = arrived.others[:, 0].astype(np.float32)  # (m,)
    own = np.zeros(len(pairs.counts), np.float32)  # (n,)
    if arrived.own is not None:
        own = arrived.own[:, 0].astype(np.float32)  # (n,)
    left = pairs.data - np.float32(mean) - np.repeat(own, pairs.counts)  # (pairs,)
    left -= others[pairs.indices]
    return row(
        RESIDUALS,
        block=key[0].as_py(),
        indptr=pairs.indptr,
        indices=pairs.indices,
        columns=array(matrix["columns"][0], np.int32),
        weights=left,
        total=float(left.sum(dtype=np.float64)),
        squares=float(np.square(left).sum(dtype=np.float64)),
    )
