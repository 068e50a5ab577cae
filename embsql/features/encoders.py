"""What is known of users and items beside their interactions, as a sparse matrix that a tower's
first layer multiplies.

Arrow's types decide what a column is: text, booleans and dictionaries are categories, numbers are
numbers, dates and timestamps (as text too) are times, lists are tags, and text of which most rows
differ and have several words is prose. sql/prelude repeats the encoding (embsql.feature_tokens), so
that it has one meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Float32, Int32, Int64, indptr_of
from embsql.errors import BadFeatures
from embsql.features.time import DAY

Kind = Literal["category", "tags", "text", "number", "time"]
# between the words of a text: spaces and the punctuation of ASCII
BREAKS = r"[ \t\n\r!-/:-@\[-`{-~]+"
# a value on fewer rows counts as unknown: nothing can be learned from it, and that place needs
# learning
SELDOM = 2
MOST = 50_000  # values of a feature that are kept, the most frequent first
LONGEST = 500  # bytes of a value; longer ones count as unknown, and would not fit into an index
FAR = 4.0  # standard deviations at which a number is cut off


@dataclass(frozen=True, slots=True)
class Feature:
    """One column: its kind, what it was seen to say, and what the report tells of it."""

    name: str
    kind: Kind
    values: tuple[str, ...] = ()  # known categories, tags or words, by their bytes
    center: float | None = None  # mean of a number, or of a time in days since 1970
    scale: float | None = None  # its standard deviation, 1 where it is constant
    missing: int = 0  # rows
    distinct: int = 0

    @property
    def slots(self) -> int:
        """Rows of the first layer's table: one for unknown, then one per value, or a slope."""
        return 1 + (len(self.values) if self.center is None else 1)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A sparse matrix by rows: row r adds factor * table[slot] over its entries.

    Slot 0 is every row's.
    """

    features: tuple[Feature, ...]
    start: Int64  # (n + 1,)
    slot: Int64  # (entries,)
    factor: Float32  # (entries,)
    feature: Int32  # (entries,) from 1; 0 is the entry that every row has

    @property
    def unknown(self) -> Int64:
        """The slot of each feature for what is missing or unknown: (features,)."""
        return np.cumsum([1, *(feature.slots for feature in self.features)])[:-1]

    @property
    def slots(self) -> int:
        """Rows of the table."""
        return 1 + sum(feature.slots for feature in self.features)

    def rows(self) -> Iterator[tuple[str, str, str | None, float | None, float | None]]:
        """(feature, kind, value, center, scale) of each slot, in order.

        No value is what stands for unknown.
        """
        yield "", "always", None, None, None
        for feature in self.features:
            yield feature.name, feature.kind, None, None, None
            for value in feature.values if feature.center is None else ("",):
                yield feature.name, feature.kind, value, feature.center, feature.scale


def encode(table: pa.Table, option: str) -> Encoded:
    """The columns of a table (n, any) as one sparse matrix.

    Raises BadFeatures for a type that is none of the kinds.
    """
    columns = [_encoded(table[name], name, option) for name in table.column_names]
    slots = np.cumsum([1, *(feature.slots for feature, _, _, _ in columns)])  # (features + 1,)
    every = np.arange(len(table))  # (n,)
    row = np.concatenate([every, *(rows for _, rows, _, _ in columns)])  # (entries,)
    order = np.argsort(row, kind="stable")  # (entries,)
    slot = np.concatenate(
        [0 * every, *(begin + place for begin, (_, _, place, _) in zip(slots[:-1], columns))]  # noqa: B905 - slots has the end too
    )
    factor = np.concatenate([0 * every + 1, *(amounts for _, _, _, amounts in columns)])
    feature = np.concatenate(
        [0 * every, *(0 * rows + n for n, (_, rows, _, _) in enumerate(columns, 1))]
    )
    return Encoded(
        tuple(feature for feature, _, _, _ in columns),
        indptr_of(row[order], len(table)),
        slot[order],
        factor[order].astype(np.float32),
        feature[order].astype(np.int32),
    )


def described(table: pa.Table, option: str) -> Iterator[Feature]:
    """What each column is taken for. Raises BadFeatures."""
    return (_encoded(table[name], name, option)[0] for name in table.column_names)


Column = tuple[
    Feature, Any, Any, Any
]  # the feature, and of each entry: row, place among the feature's slots, factor


def _encoded(column: pa.ChunkedArray, name: str, option: str) -> Column:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # as older Arrow gives it
        array = pa.concat_arrays(array.chunks) if array.chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return _encoder(array, name, option)(array, name)


def _encoder(array: pa.Array, name: str, option: str) -> Callable[[pa.Array, str], Column]:
    """How a column is encoded. Raises BadFeatures."""
    is_, type_ = pa.types, array.type
    if is_.is_integer(type_) or is_.is_floating(type_) or is_.is_decimal(type_):
        return _number
    if is_.is_date(type_) or is_.is_timestamp(type_):
        return _time
    if is_.is_boolean(type_) or is_.is_null(type_):
        return _category
    if is_.is_string(type_) or is_.is_large_string(type_):
        return _of_text(array)
    if (is_.is_list(type_) or is_.is_large_list(type_)) and _is_word(type_.value_type):
        return _tags
    raise BadFeatures(option=option, found=f'a column "{name}" of type {type_}')


def _is_word(type_: pa.DataType) -> bool:
    """Whether a list of this type can be tags: vectors are none."""
    is_ = pa.types
    return bool(
        is_.is_string(type_)
        or is_.is_large_string(type_)
        or is_.is_integer(type_)
        or is_.is_null(type_)
    )


def _of_text(array: pa.Array) -> Callable[[pa.Array, str], Column]:
    """Whether text is dates, prose or categories."""
    known = array.drop_null()
    if len(known) and pc.all(pc.match_substring_regex(known, r"^\d{4}-\d\d-\d\d")).as_py():
        try:
            known.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            return _category
        return _time
    words = pc.sum(pc.list_value_length(_split(known))).as_py() or 0
    prose = words >= 2 * len(known) and len(known.unique()) > len(known) / 2
    return _text if prose else _category


def _split(array: pa.Array) -> pa.ListArray:
    return pc.split_pattern_regex(pc.utf8_lower(array), BREAKS)


def _category(array: pa.Array, name: str) -> Column:
    return _valued(
        np.arange(len(array)),
        array.cast(pa.string()),
        len(array),
        name,
        "category",
        array.null_count,
    )


def _tags(array: pa.Array, name: str) -> Column:
    return _many(array, name, "tags", array.null_count)


def _text(array: pa.Array, name: str) -> Column:
    return _many(_split(array), name, "text", array.null_count)


def _many(lists: pa.Array, name: str, kind: Kind, missing: int) -> Column:
    """Lists as entries, each value once in a row."""
    row, value = pc.list_parent_indices(lists), pc.list_flatten(lists).cast(pa.string())
    once = (
        pa.table({"row": row.cast(pa.int64()), "value": value})
        .group_by(["row", "value"])
        .aggregate([])
    )
    once = once.filter(
        pc.and_(pc.is_valid(once["value"]), pc.not_equal(once["value"], ""))
    ).sort_by("row")
    return _valued(
        once["row"].to_numpy(), once["value"].combine_chunks(), len(lists), name, kind, missing
    )


def _valued(row: Any, value: pa.Array, n: int, name: str, kind: Kind, missing: int) -> Column:
    """Entries (row, value) of n rows: their known values, together of length 1, or unknown for a
    row that has none.
    """
    counts = value.filter(pc.less_equal(pc.binary_length(value), LONGEST)).value_counts()
    seen, times = (
        counts.field("values"),
        counts.field("counts").to_numpy(),
    )  # (distinct,), (distinct,)
    often = np.argsort(-times, kind="stable")[:MOST]
    often = often[times[often] >= SELDOM]
    values = sorted(seen.take(pa.array(often)).to_pylist(), key=str.encode)
    place = pc.index_in(value, pa.array(values, pa.string()))  # (entries,)
    known = place.is_valid().to_numpy(zero_copy_only=False)
    row, place = row[known], place.drop_null().to_numpy().astype(np.int64) + 1
    share = np.bincount(row, minlength=n)  # (n,) known values of each row
    bare = np.flatnonzero(share == 0)
    feature = Feature(name, kind, tuple(values), missing=missing, distinct=len(seen))
    return (
        feature,
        np.concatenate([row, bare]),
        np.concatenate([place, 0 * bare]),
        np.concatenate([share[row] ** -0.5, np.ones(len(bare))]),
    )


def days(column: pa.Array | pa.ChunkedArray) -> Any:
    """Dates and timestamps, as text too, in days since 1970, NaN where there is none: (n,)."""
    moments = column.cast(pa.timestamp("us")).cast(pa.int64())
    return np.asarray(moments.cast(pa.float64(), safe=False).fill_null(np.nan)) / DAY


def _time(array: pa.Array, name: str) -> Column:
    return _measured(days(array), name, "time")


def _number(array: pa.Array, name: str) -> Column:
    return _measured(
        array.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False),
        name,
        "number",
    )


def _measured(x: Any, name: str, kind: Kind) -> Column:
    """Numbers (n,) in standard deviations from their mean, not too far; NaN is unknown."""
    finite, known = x[np.isfinite(x)], ~np.isnan(x)
    center = float(finite.mean()) if len(finite) else 0.0
    scale = float(finite.std()) if len(finite) else 0.0
    scale = scale if scale > 1e-9 * max(1.0, abs(center)) else 1.0
    z = np.clip((x[known] - center) / scale, -FAR, FAR)
    feature = Feature(name, kind, (), center, scale, int((~known).sum()), len(np.unique(finite)))
    bare = np.flatnonzero(~known)
    return (
        feature,
        np.concatenate([np.flatnonzero(known), bare]),
        np.concatenate([np.ones(len(z), np.int64), 0 * bare]),
        np.concatenate([z, np.ones(len(bare))]),
    )
