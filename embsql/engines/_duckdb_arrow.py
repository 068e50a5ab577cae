"""Columns on their way into DuckDB, as Arrow: apart, as it takes as long to load as DuckDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

ROW_GROUP = 122_880  # rows of one of DuckDB's row groups: a batch of as many is one thread's work


def rows_of(columns: Mapping[str, Any]) -> pa.Table:
    """Columns, equally long, as a table that several threads can read."""
    rows = pa.table({name: _column(values) for name, values in columns.items()})
    return pa.Table.from_batches(rows.to_batches(max_chunksize=ROW_GROUP), rows.schema)


def _column(values: Any) -> Any:
    """A column for Arrow; vectors (n, d) become lists that share one buffer."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        n, d = values.shape
        offsets = np.arange(n + 1, dtype=np.int64) * d
        return pa.LargeListArray.from_arrays(
            offsets, np.ascontiguousarray(values).reshape(n * d)
        )
    return values
