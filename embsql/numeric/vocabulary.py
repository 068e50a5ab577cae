"""Distinct ids numbered as they come, so that a source's texts need not be held for every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from embsql.data import Int32
from embsql.numeric.plain import are_few

STEP = 1 << 14  # ids numbered before the table is looked at for room
FEWEST_SLOTS = 1 << 16


class Numbering:
    """The distinct values of a column of texts or whole numbers, and which of them each row has."""

    def __init__(self) -> None:
        self._first: list[
            pa.Array
        ] = []  # rows, until they are too many for Arrow's own way
        self._codes: list[Int32] = []
        self._table: _HashTable | None = None
        self._type: pa.DataType = pa.string()

    def add(self, ids: pa.Array) -> None:
        """The next rows."""
        if not pa.types.is_integer(ids.type):
            ids = ids.cast(pa.string())
        if self._table is None:
            self._first.append(ids)
            if are_few(sum(map(len, self._first))):
                return
            self._table, self._type = _HashTable(), ids.type
            ids = pa.concat_arrays(self._first)
            self._first.clear()
        codes = self._table.encode(*_as_bytes(ids))  # (rows,)
        if ids.null_count:
            codes[~ids.is_valid().to_numpy(zero_copy_only=False)] = -1
        self._codes.append(codes)

    def finish(self) -> tuple[pa.Array, Int32]:
        """Distinct values (k,), and which each row (n,) has, -1 where it has none.

        Where rows have none there may be a value that no row has.
        """
        if self._table is None:
            rows = pa.chunked_array(self._first, None if self._first else self._type)
            coded = rows.combine_chunks().dictionary_encode()
            return coded.dictionary, coded.indices.fill_null(-1).to_numpy()
        return self._table.values(self._type), np.concatenate(self._codes)


def _as_bytes(ids: pa.Array) -> tuple[Int32, NDArray[np.uint8]]:
    """Where each value's bytes begin and the last ones end (n + 1,), and all bytes."""
    *_, offsets, data = ids.buffers()
    content = np.frombuffer(data or b"", np.uint8)
    if pa.types.is_integer(ids.type):
        size = ids.type.byte_width
        bounds = (ids.offset + np.arange(len(ids) + 1)) * size
        return bounds.astype(np.int32), content
    bounds = np.frombuffer(offsets, np.int32)[ids.offset :]
    return bounds[: len(ids) + 1], content


class _HashTable:
    """Byte strings by number."""

    def __init__(self) -> None:
        from embsql.numeric import vocabulary_kernels  # here: it brings the compiler

        self._kernels = vocabulary_kernels
        self._count = 0
        self._slots = np.zeros((FEWEST_SLOTS, 4), np.uint64)
        self._bounds = np.zeros(FEWEST_SLOTS, np.int64)  # (at least count + 1,)
        self._bytes = np.empty(FEWEST_SLOTS, np.uint8)
        self._words = np.empty((vocabulary_kernels.BLOCK, 3), np.uint64)

    def encode(self, offsets: Int32, data: NDArray[np.uint8]) -> Int32:
        """The numbers (n,) of byte strings bounded by offsets (n + 1,)."""
        codes = np.empty(len(offsets) - 1, np.int32)
        for low in range(0, len(codes), STEP):
            part = codes[low : low + STEP]
            bounds = offsets[low : low + len(part) + 1]
            self._make_room(len(part), int(bounds[-1] - bounds[0]))
            self._count = self._kernels.encode(
                bounds,
                data,
                part,
                self._slots,
                self._bounds,
                self._bytes,
                self._count,
                self._words,
            )
        return codes

    def values(self, kind: pa.DataType) -> pa.Array:
        """What was numbered (count,)."""
        bounds = self._bounds[: self._count + 1]
        content = self._bytes[: bounds[-1]]
        if pa.types.is_integer(kind):
            return pa.array(content.view(kind.to_pandas_dtype()))
        buffers = [None, pa.py_buffer(bounds), pa.py_buffer(content)]
        texts = pa.Array.from_buffers(pa.large_string(), self._count, buffers)
        return texts.cast(pa.string())

    def _make_room(self, n: int, n_bytes: int) -> None:
        """Room for n more byte strings of so many bytes, with half of the slots free."""
        while len(self._slots) < 2 * (self._count + n):
            larger = np.zeros((2 * len(self._slots), 4), np.uint64)
            self._kernels.move(self._slots, larger)
            self._slots = larger
        self._bounds = _grown(self._bounds, self._count + n + 1)
        self._bytes = _grown(self._bytes, int(self._bounds[self._count]) + n_bytes)


def _grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    """The same array, or one that has at least this size and begins with it."""
    if len(array) >= size:
        return array
    larger = np.empty(max(size, 2 * len(array)), array.dtype)
    larger[: len(array)] = array
    return larger
