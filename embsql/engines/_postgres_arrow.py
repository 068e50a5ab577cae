"""What PostgreSQL sends, as Arrow."""

from __future__ import annotations

from typing import Any

import numpy as np
import psycopg
import pyarrow as pa

FLOATS = {"vector": ">f4", "halfvec": ">f2"}
# PostgreSQL's number of a type -> Arrow's type; what is missing is left to Arrow to find out.
ARROW = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int16(),
    23: pa.int32(),
    700: pa.float32(),
    701: pa.float64(),
    19: pa.string(),
    25: pa.string(),
    1042: pa.string(),
    1043: pa.string(),
    2950: pa.string(),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", "UTC"),
    1009: pa.list_(pa.string()),
    1016: pa.list_(pa.int64()),
    1021: pa.list_(pa.float32()),
    1022: pa.list_(pa.float64()),
}


def sent(cursor: psycopg.Cursor[Any], n: int) -> list[bytes | None]:
    """A column as the server sent it, past the loaders of a connection that may be a caller's."""
    result = cursor.pgresult
    return [result.get_value(row, n) for row in range(result.ntuples)] if result else []


def vectors_as_lists(values: list[bytes | None], float_: str) -> pa.Array:
    """Vectors (n,) as the server sends them, as lists of floats.

    Each is two 16-bit words, then big-endian floats.
    """
    size = np.dtype(float_).itemsize
    lengths = np.array(
        [0 if value is None else (len(value) - 4) // size for value in values], np.int64
    )  # (n,)
    floats = np.frombuffer(
        b"".join(value[4:] for value in values if value is not None), float_
    ).astype("<f4")
    offsets = np.concatenate(([0], np.cumsum(lengths)))  # (n + 1,)
    missing = pa.array([value is None for value in values], pa.bool_())
    return pa.LargeListArray.from_arrays(
        offsets, floats, mask=missing if any(v is None for v in values) else None
    )
