"""What Arrow's columns hold, however they are cut into chunks.

As a matrix, and as a digest of rows, without a Python object for each value.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def as_matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """A column of n lists of d numbers each, none of them NULL: (n, d).

    Raises ValueError for lists of several lengths.
    """
    if len(pc.unique(pc.list_value_length(column))) > 1:
        raise ValueError("the lists have several lengths")
    numbers: NDArray[Any] = pc.list_flatten(column).to_numpy()  # (n * d,)
    flat = numbers.astype(np.float32, copy=False)  # (n * d,)
    return flat.reshape(len(column), len(flat) // max(len(column), 1))  # (n, d)


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array; copied only where it has several chunks.

    pyarrow's combine_chunks copies a single one too (findings/pyarrow_combine_one_chunk.sh).
    """
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


class Digest:
    """A SHA-256 of rows in their order: equal rows have an equal one."""

    def __init__(self) -> None:
        # by table, column and part: what is added reaches all of them
        self._parts: defaultdict[tuple[str, str, int], Any] = defaultdict(
            hashlib.sha256
        )

    def add(self, table: str, rows: pa.Table) -> None:
        """The next rows of a table."""
        for name, column in zip(rows.column_names, rows.columns, strict=True):
            for array in column.chunks:
                for part, values in enumerate(_parts(array) if len(array) else ()):
                    contiguous = np.ascontiguousarray(values)
                    self._parts[table, name, part].update(contiguous.data)

    def hexdigest(self) -> str:
        """The sum of all that was added."""
        whole = hashlib.sha256()
        for key in sorted(self._parts):
            whole.update(repr(key).encode() + self._parts[key].digest())
        return whole.hexdigest()


def _parts(array: pa.Array) -> Iterator[NDArray[Any]]:
    """What an array (n,) says: validity (n,), lengths (n,) where they can differ, and values."""
    yield _validity(array)
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = pc.list_value_length(array).fill_null(0).cast(pa.int64())
        yield lengths.to_numpy()
        yield from _parts(array.flatten())  # (n,) lists to (sum of lengths,)
    elif pa.types.is_fixed_size_list(kind):
        yield from _parts(array.flatten())  # (n, d) to (n * d,)
    elif pa.types.is_floating(kind) or pa.types.is_integer(kind):
        filled = array.fill_null(0) if array.null_count else array
        yield filled.to_numpy()
    else:
        yield from _text_parts(_as_bytes(array).drop_null())


def _validity(array: pa.Array) -> NDArray[np.bool_]:
    """Which values of an array are not NULL: (n,)."""
    if array.null_count:
        found: NDArray[np.bool_] = array.is_valid().to_numpy(zero_copy_only=False)
        return found
    return np.ones(len(array), bool)


def _as_bytes(array: pa.Array) -> pa.Array:
    """Values of any other type (n,) as bytes: those of their text but for bytes themselves."""
    if pa.types.is_nested(array.type):  # a struct or a map: nothing casts it
        array = pa.array(map(repr, array.to_pylist()), pa.large_string())
    if not (pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type)):
        array = array.cast(pa.large_string())
    return array.cast(pa.large_binary())


def _text_parts(array: pa.Array) -> Iterator[NDArray[Any]]:
    """The lengths (n,) of byte strings, none of them NULL, and all bytes."""
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int64)[array.offset :][: len(array) + 1]
    yield np.diff(bounds)
    yield np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
