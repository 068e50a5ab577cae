"""Columns on their way into DuckDB, as Arrow: apart, as it takes as long to load as DuckDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.arrow import one_array

ROW_GROUP = 122_880  # rows of one of DuckDB's row groups: a batch of as many is one thread's work


def table_of(columns: Mapping[str, Any]) -> pa.Table:
    """The rows of columns (n,), in batches that several threads can read."""
    arrays = {name: _column(values) for name, values in columns.items()}
    (n,) = {len(of) for of in arrays.values() if not isinstance(of, pa.Scalar)}
    schema = pa.schema([(name, of.type) for name, of in arrays.items()])
    # a value that all rows share is held for one batch
    whole = {
        name: pa.repeat(of, min(n, ROW_GROUP)) if isinstance(of, pa.Scalar) else of
        for name, of in arrays.items()
    }
    batches = [
        pa.record_batch(
            [
                _piece(
                    of, 0 if isinstance(arrays[name], pa.Scalar) else first, n - first
                )
                for name, of in whole.items()
            ],
            schema,
        )
        for first in range(0, n, ROW_GROUP)
    ]
    return pa.Table.from_batches(batches, schema)


def _column(values: Any) -> Any:
    """A column for Arrow; vectors (n, d) become lists that share one buffer."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        n, d = values.shape
        offsets = np.arange(n + 1, dtype=np.int64) * d
        return pa.LargeListArray.from_arrays(
            offsets, np.ascontiguousarray(values).reshape(n * d)
        )
    is_arrow = isinstance(values, pa.Array | pa.ChunkedArray | pa.Scalar)
    return values if is_arrow else pa.array(values)


def _piece(column: Any, first: int, left: int) -> pa.Array:
    """The rows of a batch from one on, of which so many are left."""
    part = column.slice(first, min(left, ROW_GROUP))
    if isinstance(part, pa.ChunkedArray):
        part = one_array(part)
    return _of_used(part) if pa.types.is_dictionary(part.type) else part


def _of_used(part: pa.DictionaryArray) -> pa.DictionaryArray:
    """The same with the words from the first to the last that is used: DuckDB reads them all."""
    span = pc.min_max(part.indices).as_py()
    if span["min"] is None:
        return part
    words = part.dictionary.slice(span["min"], span["max"] - span["min"] + 1)
    return pa.DictionaryArray.from_arrays(pc.subtract(part.indices, span["min"]), words)
