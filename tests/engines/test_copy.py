"""PostgreSQL's binary COPY: what is written reads as it was given, by a reader that knows nothing
of the writer.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embsql.engines import _copy
from embsql.engines._copy import decode_copy, encode_copy
from embsql.errors import NulByte

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
NUMBERS = {
    "smallint": "!h",
    "integer": "!i",
    "bigint": "!q",
    "real": "!f",
    "double precision": "!d",
    "boolean": "!?",
}
TIMESTAMP = "timestamp without time zone"


def value(payload: bytes, word: str) -> Any:
    """One field, as the format's documentation has it."""
    if word in NUMBERS:
        return struct.unpack(NUMBERS[word], payload)[0]
    if word in {"vector", "halfvec"}:
        dim, unused = struct.unpack_from("!HH", payload)
        assert unused == 0
        return list(
            struct.unpack(f"!{dim}{'f' if word == 'vector' else 'e'}", payload[4:])
        )
    if word == TIMESTAMP:
        return dt.datetime(2000, 1, 1) + dt.timedelta(
            microseconds=struct.unpack("!q", payload)[0]
        )
    if word == "date":
        return dt.date(2000, 1, 1) + dt.timedelta(days=struct.unpack("!i", payload)[0])
    return payload.decode()


def decoded(given_blocks: Any, types: dict[str, str]) -> pa.Table:
    """What is read of a stream."""
    return pa.Table.from_batches(decode_copy(given_blocks, types))


def blocks(stream: bytes) -> Iterator[bytes]:
    """The stream as a server sends it: header and first row, a block a row, trailer."""
    at, start = len(HEADER), 0
    while stream[at : at + 2] != TRAILER:
        (fields,) = struct.unpack_from("!h", stream, at)
        at += 2
        for _ in range(fields):
            (length,) = struct.unpack_from("!i", stream, at)
            at += 4 + max(length, 0)
        yield stream[start:at]
        start = at
    if start == 0:
        yield stream[: len(HEADER)]
    yield stream[at:]


def rows(stream: bytes, words: list[str]) -> list[tuple[Any, ...]]:
    """The rows of a stream, read one by one."""
    assert stream.startswith(HEADER)
    assert stream.endswith(TRAILER)
    body, at, found = stream[: -len(TRAILER)], len(HEADER), []
    while at < len(body):
        assert struct.unpack_from("!h", body, at) == (len(words),)
        at, row = at + 2, []
        for word in words:
            (length,) = struct.unpack_from("!i", body, at)
            at += 4
            row.append(None if length == -1 else value(body[at : at + length], word))
            at += max(length, 0)
        found.append(tuple(row))
    return found


def stream(columns: dict[str, Any], types: dict[str, str]) -> bytes:
    return b"".join(encode_copy(columns, types))


def column(values: Any, word: str) -> list[Any]:
    """One column, written and read."""
    return [row[0] for row in rows(stream({"x": values}, {"x": word}), [word])]


@pytest.fixture
def small_chunks(monkeypatch) -> None:
    monkeypatch.setattr(_copy, "CHUNK", 3)
    monkeypatch.setattr(_copy, "PIECE", 3)


TEXT = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6
)
WORDS = {
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(width=32, allow_nan=False),
    "double precision": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "text": TEXT,
    "character varying": TEXT,
    TIMESTAMP: st.datetimes(),
    "date": st.dates(),
}
TYPES = {word: word for word in WORDS}
ROWS = st.lists(
    st.tuples(*(st.none() | values for values in WORDS.values())), max_size=8
)


def by_column(given_rows: list[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {word: [row[k] for row in given_rows] for k, word in enumerate(WORDS)}


@settings(deadline=None)  # a busy machine is no failure
@given(ROWS)
def test_every_type_is_written_as_the_format_has_it(given_rows) -> None:
    assert rows(stream(by_column(given_rows), TYPES), list(WORDS)) == given_rows


@settings(deadline=None)  # a busy machine is no failure
@given(ROWS)
def test_what_is_written_reads_back(given_rows) -> None:
    columns = by_column(given_rows)
    found = decoded(blocks(stream(columns, TYPES)), TYPES)
    assert found.to_pydict() == columns
    assert found.schema.field("text").type == pa.string()
    assert found.schema.field(TIMESTAMP).type == pa.timestamp("us")


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.none() | st.integers(0, 3)),
    st.lists(st.none() | TEXT, min_size=4, max_size=4),
    st.integers(0, 3),
)
def test_codes_are_written_as_their_words(codes, words, start) -> None:
    array = pa.DictionaryArray.from_arrays(
        pa.array(codes, pa.int8()), pa.array(words, pa.string())
    )
    wanted = [None if code is None else words[code] for code in codes]
    assert column(array[start:], "text") == wanted[start:]


@settings(deadline=None)  # a busy machine is no failure
@given(
    st.lists(st.lists(st.floats(width=16, allow_nan=False), min_size=3, max_size=3)),
    st.data(),
)
def test_vectors_are_written_whole(vectors, data) -> None:
    keep = data.draw(
        st.lists(st.booleans(), min_size=len(vectors), max_size=len(vectors))
    )
    wanted = [
        vector if kept else None for vector, kept in zip(vectors, keep, strict=True)
    ]
    for word in ("vector", "halfvec"):
        assert column(np.array(vectors, "f4").reshape(len(vectors), 3), word) == vectors
        for type_ in (
            pa.list_(pa.float32()),
            pa.large_list(pa.float64()),
            pa.list_(pa.float32(), 3),
        ):
            assert column(pa.array(wanted, type_)[1:], word) == wanted[1:]


@pytest.mark.usefixtures("small_chunks")
def test_rows_keep_their_order_across_chunks() -> None:
    n = 11
    texts = [None if k % 4 == 1 else "é" * (k % 3) for k in range(n)]
    words = pa.chunked_array(
        [
            pa.array(texts[:5]).dictionary_encode(),
            pa.array(texts[5:]).dictionary_encode(),
        ]
    )
    pieces = pa.chunked_array(
        [pa.array(texts[:2]), pa.array(texts[2:9]), pa.array(texts[9:])]
    )
    vectors = np.arange(2.0 * n, dtype="f4").reshape(n, 2)
    columns = {"a": np.arange(n), "b": texts, "c": words, "d": pieces, "e": vectors}
    types = {"a": "integer", "b": "text", "c": "text", "d": "text", "e": "vector"}
    wanted = list(zip(range(n), texts, texts, texts, vectors.tolist(), strict=True))
    assert rows(stream(columns, types), list(types.values())) == wanted
    plain = {name: types[name] for name in "abcd"}
    found = decoded(
        blocks(stream({name: columns[name] for name in plain}, types)), plain
    )
    assert found.to_pydict() == {
        "a": list(range(n)),
        "b": texts,
        "c": texts,
        "d": texts,
    }


@pytest.mark.parametrize(
    "type_", [pa.string(), pa.large_string(), pa.string_view()], ids=str
)
def test_sliced_text_of_any_layout_is_written(type_) -> None:
    texts = ["no", None, "", "a longer text than twelve bytes", "ß"]
    assert column(pa.array(texts, type_)[1:4], "text") == texts[1:4]
    assert (
        column(
            pa.chunked_array([pa.array(texts, type_)[3:], pa.array(texts, type_)]),
            "text",
        )
        == texts[3:] + texts
    )


def test_sliced_numbers_are_written() -> None:
    assert column(pa.array([1, None, 3, 4])[1:3], "bigint") == [None, 3]
    assert column(pa.array([True, None, False])[1:], "boolean") == [None, False]
    assert column(np.arange(6)[::2], "smallint") == [0, 2, 4]


def test_many_words_in_small_codes_are_written() -> None:
    codes = pa.array(range(100), pa.int8())
    parts = [
        pa.DictionaryArray.from_arrays(codes, [f"{part}{k}" for k in range(100)])
        for part in "ab"
    ]
    assert column(pa.chunked_array(parts), "text") == [
        f"{part}{k}" for part in "ab" for k in range(100)
    ]


@pytest.mark.parametrize("word", [*WORDS, "vector", "halfvec"])
@pytest.mark.parametrize(
    "type_", [pa.null(), pa.list_(pa.int8()), pa.float64(), pa.string()], ids=str
)
def test_nothing_of_any_type_is_null(word, type_) -> None:
    assert column(pa.nulls(3, type_), word) == [None] * 3


def test_values_are_converted() -> None:
    assert column([1, 2**24 + 1], "real") == [1.0, 2.0**24]  # rounded, as SQL does
    assert column(np.array([1.0, 2.0]), "integer") == [1, 2]
    assert column([7, None], "text") == ["7", None]
    day = dt.datetime(1999, 12, 31)
    assert column(np.array([day, None], "M8[s]"), TIMESTAMP) == [day, None]
    assert column(np.array([day], "M8[us]"), "date") == [day.date()]


@pytest.mark.parametrize(
    ("values", "word"), [([2**40], "integer"), ([1.5], "bigint"), (["x"], "real")]
)
def test_what_does_not_fit_is_an_error(values, word) -> None:
    with pytest.raises(pa.ArrowInvalid):
        stream({"x": values}, {"x": word})


def test_numbers_that_are_none_are_left_to_the_server() -> None:
    for word in ("vector", "halfvec"):
        (found,) = column(np.array([[np.nan, np.inf, -np.inf, 1]], "f4"), word)
        assert math.isnan(found[0])
        assert found[1:] == [math.inf, -math.inf, 1]
    assert column(np.array([[1e9]], "f4"), "halfvec") == [[math.inf]]
    found = decoded(
        blocks(stream({"x": [math.nan, None]}, {"x": "real"})), {"x": "real"}
    ).column("x")
    assert found.null_count == 1
    assert math.isnan(found[0].as_py())


def test_infinite_times_do_not_wrap_round() -> None:
    block = HEADER + struct.pack("!hiq", 1, 8, 2**63 - 1)
    (found,) = (
        decoded([block, TRAILER], {"x": TIMESTAMP})
        .column("x")
        .cast(pa.int64())
        .to_pylist()
    )
    assert found == 2**63 - 1
    written = stream(
        {"x": pa.array([-(2**63) + 1], pa.timestamp("us"))}, {"x": TIMESTAMP}
    )
    assert struct.unpack_from("!q", written, len(HEADER) + 6) == (-(2**63),)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_nul_character_is_named(encoded) -> None:
    texts = pa.array(["fine", None, "", "a" * 15 + "\0" + "é" * 9, "also fine"])
    with pytest.raises(NulByte) as error:
        stream(
            {"x": [1] * 5, "title": texts.dictionary_encode() if encoded else texts},
            {"x": "real", "title": "text"},
        )
    remedy = "replace(title, chr(0), '')"
    assert error.value.values == {
        "column": "title",
        "start": "a" * 15 + "é" * 5,
        "remedy": remedy,
    }


@pytest.mark.parametrize(
    "empty",
    [[], np.zeros((0, 3), "f4"), pa.array([], pa.string()), pa.chunked_array([], "i8")],
)
def test_no_rows_are_header_and_trailer(empty) -> None:
    for word in (*WORDS, "vector"):
        assert stream({"x": empty}, {"x": word}) == HEADER + TRAILER


def test_no_rows_read_as_no_rows() -> None:
    for given_blocks in ([HEADER, TRAILER], [HEADER + TRAILER]):
        found = decoded(given_blocks, {"a": "text", "b": "date"})
        assert found.num_rows == 0
        assert found.schema == pa.schema({"a": pa.string(), "b": pa.date32()})


def test_the_header_may_stand_alone_and_blocks_be_views() -> None:
    first, *rest = blocks(stream({"x": [None, 2]}, {"x": "integer"}))
    given_blocks = [HEADER, first[len(HEADER) :], *rest]
    assert decoded(map(memoryview, given_blocks), {"x": "integer"}).to_pydict() == {
        "x": [None, 2]
    }


def test_other_streams_are_refused() -> None:
    two = list(blocks(stream({"x": [1, 2]}, {"x": "integer"})))
    for wrong, types, reason in [
        ([b"1\t2\n"], {"x": "integer"}, "signature"),
        (two, {"x": "bigint"}, "x is not bigint"),
        (two, {"x": "integer", "y": "integer"}, "2 fields"),
        ([b"".join(two[:2])], {"x": "integer"}, "not one row"),
    ]:
        with pytest.raises(ValueError, match=reason):
            decoded(wrong, types)


def test_other_columns_are_refused() -> None:
    with pytest.raises(TypeError, match="numeric"):
        encode_copy({"x": [1]}, {"x": "numeric"})
    with pytest.raises(TypeError, match="vector"):
        decoded([HEADER, TRAILER], {"x": "vector"})
    with pytest.raises(ValueError, match="equally long"):
        encode_copy({"x": [1], "y": []}, {"x": "real", "y": "real"})
    with pytest.raises(ValueError, match="x holds vectors of different dimensions"):
        stream({"x": [[1.0], [1.0, 2.0]]}, {"x": "vector"})
