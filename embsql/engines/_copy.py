"""PostgreSQL's binary COPY format, both ways, without a Python object per row.

A stream is a header, rows and a trailer. A row is its number of fields (2 bytes), then each field's
length (4 bytes, -1 for NULL) and payload, everything big-endian. Rows of different sizes cannot be
one structured array, so a piece of rows is one buffer of bytes, and every field is written or read
at its row's position in it at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from embsql.arrow import one_array
from embsql.errors import NulByte

CHUNK = 65_536  # rows read at once
PIECE = 32_768  # rows written at once: of more, the bytes leave the cache before they are sent
SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = SIGNATURE + bytes(8)  # no flags, no extension
TRAILER = b"\xff\xff"  # where the next row's number of fields would stand
TEXTS = {"text", "character varying"}
VECTORS = {"vector": ">f4", "halfvec": ">f2"}

Block = bytes | bytearray | memoryview
Bytes = NDArray[np.uint8]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A type whose values all have one size."""

    arrow: pa.DataType
    wire: str  # numpy's name of what COPY sends
    epoch: int = 0  # PostgreSQL's zero, 2000-01-01, in Arrow's units since 1970


SCALARS = {
    "smallint": Scalar(pa.int16(), ">i2"),
    "integer": Scalar(pa.int32(), ">i4"),
    "bigint": Scalar(pa.int64(), ">i8"),
    "real": Scalar(pa.float32(), ">f4"),
    "double precision": Scalar(pa.float64(), ">f8"),
    "boolean": Scalar(pa.bool_(), "u1"),
    "timestamp without time zone": Scalar(
        pa.timestamp("us"), ">i8", 946_684_800_000_000
    ),
    "date": Scalar(pa.date32(), ">i4", 10_957),
}


def encode_copy(
    columns: Mapping[str, Any], types: Mapping[str, str]
) -> Iterator[memoryview]:
    """The binary COPY stream of equally long columns: header, rows, trailer, in pieces.

    A column is a list, a numpy array or an Arrow array, an Arrow scalar the value of every row;
    vectors are a 2-d array (n, d) or lists of one length. Its type is PostgreSQL's word for it, as
    format_type() prints it. Raises TypeError for a type that is not known here and, when the piece
    in question is asked for, NulByte.
    """
    lengths = {len(of) for of in columns.values() if not isinstance(of, pa.Scalar)}
    if len(lengths) != 1:
        raise ValueError("the columns are not equally long")
    (n,) = lengths
    arrays = {name: _array(values, n) for name, values in columns.items()}
    return _stream(
        [_fields(name, array, types[name]) for name, array in arrays.items()]
    )


def decode_copy(
    rows: Iterable[Block], types: Mapping[str, str]
) -> Iterator[pa.RecordBatch]:
    """The rows of a binary COPY stream, one block a row as psycopg's Copy gives them, as columns.

    The header may stand before the first row or by itself. Raises TypeError for a type that is not
    known here, and ValueError when the stream is not one of such rows.
    """
    schema = pa.schema([(name, _arrow_type(word)) for name, word in types.items()])
    for blocks in _blocks(rows):
        yield _batch(blocks, types, schema)


# --- columns to bytes ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fixed:
    """One field of a piece's n rows, all values of one size."""

    lengths: Int64  # (n,) bytes, -1 for NULL
    values: NDArray[Any]  # (values that are not NULL,) as the wire has them

    def put(self, out: Bytes, at: Int64) -> None:
        """Write the payloads at positions (n,) of the buffer."""
        plain = f"V{self.values.dtype.itemsize}"  # one memcpy each, whatever they are made of
        whole = len(self.values) == len(at)
        _window(out, plain)[at if whole else at[self.lengths >= 0]] = self.values.view(
            plain
        )


@dataclass(frozen=True, slots=True)
class Text:
    """One field of a piece's n rows: stretches of a buffer that many rows may share."""

    lengths: Int64  # (n,) bytes, -1 for NULL
    starts: Int64  # (n,) where each begins in data
    data: Bytes  # (bytes,)
    name: str  # the column's, for messages

    def put(self, out: Bytes, at: Int64) -> None:
        """Write the payloads at positions (n,) of the buffer. Raises NulByte."""
        for rows in _by_length(self.lengths):  # (some of n,)
            plain = f"V{self.lengths[rows[0]]}"  # one memcpy each
            found = _window(self.data, plain)[self.starts[rows]]
            if not found.view(np.uint8).all():
                self._complain(
                    rows[(found.view(np.uint8) == 0).argmax() // found.itemsize]
                )
            _window(out, plain)[at[rows]] = found

    def _complain(self, row: int) -> NoReturn:
        """Of a row whose text has a byte that PostgreSQL's have not. Raises NulByte."""
        start = self._value(row).replace("\0", "")[:20]
        remedy = f"replace({self.name}, chr(0), '')"
        raise NulByte(
            column=self.name, start=start, remedy=remedy, shared={"start": ""}
        )

    def _value(self, row: int) -> str:
        """One row's text."""
        start = self.starts[row]
        return self.data[start : start + self.lengths[row]].tobytes().decode()


def _stream(columns: list[Iterator[Fixed | Text]]) -> Iterator[memoryview]:
    """Header, rows, trailer."""
    yield memoryview(HEADER)
    for fields in zip(*columns, strict=True):
        yield _rows(fields)
    yield memoryview(TRAILER)


def _rows(fields: tuple[Fixed | Text, ...]) -> memoryview:
    """One piece's rows."""
    ends = np.cumsum(
        2 + sum(4 + np.maximum(field.lengths, 0) for field in fields)
    )  # (n,)
    out = np.empty(ends[-1], np.uint8)
    at = np.concatenate(([0], ends[:-1]))  # (n,)
    _window(out, ">i2")[at] = len(fields)
    at += 2
    for field in fields:
        _window(out, ">i4")[at] = field.lengths
        at += 4
        field.put(out, at)
        at += np.maximum(field.lengths, 0)
    return out.data


def _array(values: Any, n: int) -> pa.ChunkedArray:
    """A column (n,) as Arrow's; vectors (n, d) become lists of d that share the array's memory."""
    if isinstance(values, pa.Scalar):
        values = pa.repeat(values, n)
    elif isinstance(values, np.ndarray) and values.ndim == 2:
        d = values.shape[1]
        bounds = np.arange(n + 1, dtype=np.int64) * d  # (n + 1,)
        flat = np.ascontiguousarray(values).reshape(n * d)  # (n, d) to (n * d,)
        values = pa.LargeListArray.from_arrays(bounds, flat)
    elif not isinstance(values, pa.Array | pa.ChunkedArray):
        values = pa.array(values)  # very long text becomes several chunks
    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])


def _fields(name: str, array: pa.ChunkedArray, word: str) -> Iterator[Fixed | Text]:
    """A column, piece by piece."""
    if word in VECTORS:
        return (
            _vectors(name, piece, VECTORS[word])
            for piece in _pieces(_typed(array, pa.list_(pa.float32())))
        )
    if word not in TEXTS:
        scalar = _scalar(word)
        return (
            _numbers(piece, scalar) for piece in _pieces(_typed(array, scalar.arrow))
        )
    array = _typed(array, pa.large_string())
    if pa.types.is_dictionary(array.type):
        return _coded(name, array)
    return (_text(name, piece) for piece in _pieces(array))


def _typed(array: pa.ChunkedArray, type_: pa.DataType) -> pa.ChunkedArray:
    """The column, or one of the given type where it holds nothing.

    Not every type of nothing can be cast.
    """
    return (
        pa.chunked_array([pa.nulls(len(array), type_)])
        if array.null_count == len(array)
        else array
    )


def _scalar(word: str) -> Scalar:
    """What is known of a type. Raises TypeError."""
    if word not in SCALARS:
        raise TypeError(f'type "{word}" has no binary form here')
    return SCALARS[word]


def _pieces(array: pa.ChunkedArray) -> Iterator[pa.Array]:
    """The column in arrays of one piece's rows."""
    for start in range(0, len(array), PIECE):
        yield one_array(array.slice(start, PIECE))


def _lengths(piece: pa.Array, size: int) -> Int64:
    """Lengths (n,) of values of one size."""
    if not piece.null_count:
        return np.full(len(piece), size)
    return np.where(piece.is_valid().to_numpy(zero_copy_only=False), size, -1)


def _numbers(piece: pa.Array, scalar: Scalar) -> Fixed:
    """Numbers, dates and the like."""
    # as SQL does; elsewhere a value that does not fit is an error
    rounds = pa.types.is_floating(scalar.arrow)
    values = (
        piece.cast(scalar.arrow, safe=not rounds)
        .drop_null()
        .to_numpy(zero_copy_only=False)
    )  # (not NULL,)
    # a time before what PostgreSQL can say must not wrap round to a late one
    if scalar.epoch:
        values = (
            np.maximum(values.view(np.int64), np.iinfo(scalar.wire).min + scalar.epoch)
            - scalar.epoch
        )
    return Fixed(
        _lengths(piece, np.dtype(scalar.wire).itemsize), values.astype(scalar.wire)
    )


def _vectors(name: str, piece: pa.Array, wire: str) -> Fixed:
    """Vectors: dimension, two bytes unused, components.

    Raises ValueError where dimensions differ.
    """
    dims = (
        pc.list_value_length(piece).drop_null().to_numpy()
    )  # (m,), m of them not NULL
    dim = int(dims[0]) if len(dims) else 0
    if (dims != dim).any():
        raise ValueError(f"{name} holds vectors of different dimensions")
    values = np.zeros(
        len(dims), [("dim", ">u2"), ("unused", ">u2"), ("components", wire, (dim,))]
    )
    values["dim"] = dim
    # a number too large for a half becomes infinite, which the server refuses
    with np.errstate(over="ignore"):
        values["components"] = (
            piece.flatten().to_numpy(zero_copy_only=False).reshape(len(dims), dim)
        )  # (m, dim)
    return Fixed(_lengths(piece, values.dtype.itemsize), values)


def _text(name: str, piece: pa.Array) -> Text:
    """Text, read from Arrow's buffers where it lies."""
    piece = piece.cast(pa.large_string())
    _, offsets, data = piece.buffers()
    bounds = np.frombuffer(offsets, np.int64)[
        piece.offset : piece.offset + len(piece) + 1
    ]  # (n + 1,)
    lengths = np.where(
        piece.is_valid().to_numpy(zero_copy_only=False), np.diff(bounds), -1
    )  # (n,)
    return Text(lengths, bounds[:-1], np.frombuffer(data or b"", np.uint8), name)


def _coded(name: str, array: pa.ChunkedArray) -> Iterator[Text]:
    """Text in codes, never written out: every row points into the vocabulary."""
    # small codes may not count the words of all chunks
    wide = pa.dictionary(pa.int32(), array.type.value_type)
    array = array.cast(wide).unify_dictionaries()
    words = _text(
        name,
        pa.concat_arrays(
            [array.chunk(0).dictionary, pa.nulls(1, array.type.value_type)]
        ),
    )
    null = len(words.lengths) - 1  # the NULL that was added, for rows without a code
    for piece in _pieces(pa.chunked_array([chunk.indices for chunk in array.chunks])):
        codes = piece.cast(pa.int64()).fill_null(null).to_numpy()
        yield Text(
            words.lengths[codes], words.starts[codes], words.data, name
        )  # (n_words,) to (n,)


def _by_length(lengths: Int64) -> list[Int64]:
    """The rows in groups of one length each, without those that have no bytes."""
    order = np.argsort(lengths, kind="stable")  # (n,)
    ends = np.flatnonzero(np.diff(lengths[order])) + 1
    return [rows for rows in np.split(order, ends) if lengths[rows[0]] > 0]


# --- bytes to columns ----------------------------------------------------------------------------


def _arrow_type(word: str) -> pa.DataType:
    """What a type becomes. Raises TypeError."""
    return pa.string() if word in TEXTS else _scalar(word).arrow


def _blocks(rows: Iterable[Block]) -> Iterator[list[Block]]:
    """The rows in chunks, without header and trailer."""
    rest = iter(rows)
    first = bytes(next(rest, b""))
    if not first.startswith(SIGNATURE):
        raise ValueError("this is no binary COPY stream: its signature is missing")
    rest = chain([first[len(HEADER) :]], rest)
    while chunk := list(islice(rest, CHUNK)):
        # a header by itself leaves an empty block
        yield [block for block in chunk if len(block) > len(TRAILER)]


def _batch(
    blocks: list[Block], types: Mapping[str, str], schema: pa.Schema
) -> pa.RecordBatch:
    """One chunk's rows as columns. Raises ValueError when they have others."""
    # any number can be read at the end, NULL or not
    data = np.frombuffer(b"".join([*blocks, bytes(8)]), np.uint8)
    ends = np.cumsum(np.fromiter(map(len, blocks), np.int64, len(blocks)))  # (n,)
    at = np.concatenate(([0], ends))[:-1]  # (n,)
    if (_window(data, ">i2")[at] != len(types)).any():
        raise ValueError(f"a row has not the {len(types)} fields that were asked for")
    at += 2
    arrays = [_read(data, at, name, word) for name, word in types.items()]
    if (at != ends).any():
        raise ValueError("a block is not one row")
    return pa.record_batch(arrays, schema)


def _read(data: Bytes, at: Int64, name: str, word: str) -> pa.Array:
    """One field of all rows; moves the positions (n,) to the next."""
    lengths = _window(data, ">i4")[at].astype(np.int64)  # (n,)
    at += 4
    if word in TEXTS:
        array = _read_text(data, at, lengths)
    elif set(np.unique(lengths)) <= {-1, np.dtype(_scalar(word).wire).itemsize}:
        array = _read_numbers(data, at, lengths == -1, _scalar(word))
    else:
        raise ValueError(f"{name} is not {word}")
    at += np.maximum(lengths, 0)
    return array


def _read_numbers(
    data: Bytes, at: Int64, null: NDArray[np.bool_], scalar: Scalar
) -> pa.Array:
    """The numbers at positions (n,); where null (n,), what is read there counts for nothing."""
    wire = np.dtype(scalar.wire)
    values = _window(data, wire)[at]  # (n,)
    # infinity is the largest number, and must not wrap round to the smallest
    if scalar.epoch:
        values = np.minimum(values, np.iinfo(wire).max - scalar.epoch) + scalar.epoch
    return pa.array(values.astype(wire.newbyteorder("=")), mask=null).cast(scalar.arrow)


def _read_text(data: Bytes, at: Int64, lengths: Int64) -> pa.Array:
    """The text at positions (n,), as Arrow's buffers."""
    sizes = np.maximum(lengths, 0)
    bounds = np.concatenate(([0], np.cumsum(sizes)))  # (n + 1,)
    valid = np.packbits(lengths >= 0, bitorder="little")  # (n / 8,)
    buffers = [pa.py_buffer(part) for part in (valid, bounds, data[_spread(at, sizes)])]
    return pa.Array.from_buffers(pa.large_string(), len(at), buffers).cast(pa.string())


# --- positions -----------------------------------------------------------------------------------


def _window(data: Bytes, dtype: DTypeLike) -> NDArray[Any]:
    """A view that has at every position the value that begins there.

    Each overlaps the next ones.
    """
    dtype = np.dtype(dtype)
    return np.ndarray(
        (max(data.size - dtype.itemsize + 1, 0),), dtype, data.data, strides=(1,)
    )


def _spread(starts: Int64, sizes: Int64) -> Int64:
    """The positions of all bytes of stretches: (n,) and (n,) to (sum of sizes,)."""
    ends = np.cumsum(sizes)
    return np.repeat(starts - ends + sizes, sizes) + np.arange(
        ends[-1] if len(ends) else 0
    )
