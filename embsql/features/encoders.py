"""Features of users and items as a sparse matrix, which a tower's first layer multiplies.

Arrow's types decide what a column is: text, booleans and dictionaries are categories, numbers are
numbers, dates and timestamps (as text too) are times, lists are tags, and text of which most rows
differ and have several words is prose. sql/prelude repeats the encoding (embsql.feature_tokens), so
that it has one meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from embsql.data import Float32, Int32, Int64, indptr_of
from embsql.errors import BadFeatures
from embsql.features.time import DAY

Kind = Literal["category", "tags", "text", "number", "time"]
# between the words of a text: spaces and the punctuation of ASCII
WORD_BREAKS = r"[ \t\n\r!-/:-@\[-`{-~]+"
# a value on fewer rows counts as unknown: nothing can be learned from it, and the column of unknown
# values needs learning
MIN_COUNT = 2
MAX_VALUES = 50_000  # of a feature that are kept, the most frequent first
# bytes of a value; longer ones count as unknown, and would not fit into an index
MAX_VALUE_BYTES = 500
CLIP_STD = 4.0  # standard deviations from the mean at which a number is clipped


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of the caller's table: its kind, its values, and figures for the report."""

    name: str
    kind: Kind
    values: tuple[str, ...] = ()  # known categories, tags or words, by their bytes
    center: float | None = None  # mean of a number, or of a time in days since 1970
    scale: float | None = None  # its standard deviation, 1 where it is constant
    missing: int = 0  # rows
    distinct: int = 0

    @property
    def n_columns(self) -> int:
        """Columns of the matrix: one for unknown, then one for each value, or for the number."""
        return 1 + (len(self.values) if self.center is None else 1)


@dataclass(frozen=True, slots=True)
class FeatureMatrix:
    """Features one-hot and standardized, as a sparse matrix by rows (n, n_columns).

    Column 0 is 1 in every row.
    """

    features: tuple[Feature, ...]
    indptr: Int64  # (n + 1,)
    column: Int64  # (entries,)
    value: Float32  # (entries,)
    feature: Int32  # (entries,) from 1; 0 is the entry that every row has

    @property
    def unknown(self) -> Int64:
        """The column of each feature for what is missing or unknown: (features,)."""
        return np.cumsum([1, *(feature.n_columns for feature in self.features)])[:-1]

    @property
    def n_columns(self) -> int:
        """Columns of the matrix."""
        return 1 + sum(feature.n_columns for feature in self.features)

    def columns(self) -> Iterator[tuple[str, str, str | None, float | None, float | None]]:
        """(feature, kind, value, center, scale) of each column, in order.

        The value is None where the column stands for unknown.
        """
        yield "", "always", None, None, None
        for feature in self.features:
            yield feature.name, feature.kind, None, None, None
            values = feature.values if feature.center is None else ("",)
            for value in values:
                yield feature.name, feature.kind, value, feature.center, feature.scale


class Block(NamedTuple):
    """The entries of one feature."""

    feature: Feature
    row: NDArray[np.int64]  # (entries,)
    column: NDArray[np.int64]  # (entries,) among those of the feature; 0 is unknown
    value: NDArray[Any]  # (entries,)


def encode(table: pa.Table, option: str) -> FeatureMatrix:
    """The columns of a table (n, any) as one sparse matrix.

    Raises BadFeatures for a type that is none of the kinds.
    """
    n = len(table)
    blocks = [_encode_column(table[name], name, option) for name in table.column_names]
    widths = [1, *(block.feature.n_columns for block in blocks)]  # (features + 1,)
    offsets = np.cumsum(widths[:-1])  # (features,) column at which each begins
    lengths = [n, *(len(block.row) for block in blocks)]  # (features + 1,)
    columns = (block.column + offset for block, offset in zip(blocks, offsets, strict=True))
    row = np.concatenate([np.arange(n), *(block.row for block in blocks)])  # (entries,)
    column = np.concatenate([np.zeros(n, np.int64), *columns])  # (entries,)
    value = np.concatenate([np.ones(n), *(block.value for block in blocks)])  # (entries,)
    feature = np.repeat(np.arange(len(lengths)), lengths)  # (entries,)
    order = np.argsort(row, kind="stable")  # (entries,)
    return FeatureMatrix(
        tuple(block.feature for block in blocks),
        indptr_of(row[order], n),
        column[order],
        value[order].astype(np.float32),
        feature[order].astype(np.int32),
    )


def describe_columns(table: pa.Table, option: str) -> Iterator[Feature]:
    """What each column is taken for. Raises BadFeatures."""
    return (_encode_column(table[name], name, option).feature for name in table.column_names)


# --- what kind a column is -----------------------------------------------------------------------

Encoder = Callable[[pa.Array, str], Block]


def _encode_column(column: pa.ChunkedArray, name: str, option: str) -> Block:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # as older Arrow gives it
        array = pa.concat_arrays(array.chunks) if array.chunks else pa.array([], array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    encoder = _encoder(array, name, option)
    return encoder(array, name)


def _encoder(array: pa.Array, name: str, option: str) -> Encoder:
    """How a column is encoded. Raises BadFeatures."""
    is_, type_ = pa.types, array.type
    if is_.is_integer(type_) or is_.is_floating(type_) or is_.is_decimal(type_):
        return _encode_number
    if is_.is_date(type_) or is_.is_timestamp(type_):
        return _encode_time
    if is_.is_boolean(type_) or is_.is_null(type_):
        return _encode_category
    if is_.is_string(type_) or is_.is_large_string(type_):
        return _encoder_of_text(array)
    if (is_.is_list(type_) or is_.is_large_list(type_)) and _is_tag(type_.value_type):
        return _encode_tags
    raise BadFeatures(option=option, found=f'a column "{name}" of type {type_}')


def _is_tag(type_: pa.DataType) -> bool:
    """Whether a list of this type can be tags: vectors are none."""
    is_ = pa.types
    is_text = is_.is_string(type_) or is_.is_large_string(type_)
    return bool(is_text or is_.is_integer(type_) or is_.is_null(type_))


def _encoder_of_text(array: pa.Array) -> Encoder:
    """Whether text is dates, prose or categories."""
    texts = array.drop_null()
    if _look_like_dates(texts):
        return _encode_time if _are_dates(texts) else _encode_category
    return _encode_text if _are_prose(texts) else _encode_category


def _look_like_dates(texts: pa.Array) -> bool:
    matches = pc.match_substring_regex(texts, r"^\d{4}-\d\d-\d\d")
    return len(texts) > 0 and pc.all(matches).as_py()


def _are_dates(texts: pa.Array) -> bool:
    try:
        texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True


def _are_prose(texts: pa.Array) -> bool:
    """Whether most texts differ and have several words."""
    n_words = pc.sum(pc.list_value_length(_words(texts))).as_py() or 0
    n_distinct = len(texts.unique())
    return n_words >= 2 * len(texts) and n_distinct > len(texts) / 2


def _words(array: pa.Array) -> pa.ListArray:
    return pc.split_pattern_regex(pc.utf8_lower(array), WORD_BREAKS)


# --- categories, tags and words ------------------------------------------------------------------


def _encode_category(array: pa.Array, name: str) -> Block:
    n = len(array)
    feature = Feature(name, "category", missing=array.null_count)
    return _encode_values(np.arange(n), array.cast(pa.string()), n, feature)


def _encode_tags(array: pa.Array, name: str) -> Block:
    return _encode_lists(array, Feature(name, "tags", missing=array.null_count))


def _encode_text(array: pa.Array, name: str) -> Block:
    return _encode_lists(_words(array), Feature(name, "text", missing=array.null_count))


def _encode_lists(lists: pa.Array, feature: Feature) -> Block:
    """Lists as entries, each value once in a row."""
    row = pc.list_parent_indices(lists).cast(pa.int64())
    value = pc.list_flatten(lists).cast(pa.string())
    entries = pa.table({"row": row, "value": value}).group_by(["row", "value"]).aggregate([])
    is_value = pc.and_(pc.is_valid(entries["value"]), pc.not_equal(entries["value"], ""))
    entries = entries.filter(is_value).sort_by("row")
    value = entries["value"].combine_chunks()
    return _encode_values(entries["row"].to_numpy(), value, len(lists), feature)


def _encode_values(row: Any, value: pa.Array, n: int, feature: Feature) -> Block:
    """Entries (row, value) of n rows: each row's known values, together of length 1.

    A row that has none is unknown.
    """
    values, distinct = _frequent(value)
    column = pc.index_in(value, pa.array(values, pa.string()))  # (entries,)
    known = column.is_valid().to_numpy(zero_copy_only=False)  # (entries,)
    row = row[known]
    column = 1 + column.drop_null().to_numpy().astype(np.int64)
    per_row = np.bincount(row, minlength=n)  # (n,)
    feature = replace(feature, values=tuple(values), distinct=distinct)
    block = Block(feature, row, column, per_row[row] ** -0.5)
    return _with_unknown(block, np.flatnonzero(per_row == 0))


def _frequent(value: pa.Array) -> tuple[list[str], int]:
    """The values that are kept, in order of their bytes, and how many there are in all."""
    short_enough = pc.less_equal(pc.binary_length(value), MAX_VALUE_BYTES)
    counted = value.filter(short_enough).value_counts()
    counts = counted.field("counts").to_numpy()  # (distinct,)
    frequent = np.argsort(-counts, kind="stable")[:MAX_VALUES]
    frequent = frequent[counts[frequent] >= MIN_COUNT]
    values = counted.field("values").take(pa.array(frequent)).to_pylist()
    return sorted(values, key=str.encode), len(counts)


def _with_unknown(block: Block, rows: NDArray[np.int64]) -> Block:
    """The entries, and for rows (u,) one that says unknown."""
    n = len(rows)
    return Block(
        block.feature,
        np.concatenate([block.row, rows]),
        np.concatenate([block.column, np.zeros(n, np.int64)]),
        np.concatenate([block.value, np.ones(n)]),
    )


# --- numbers and times ---------------------------------------------------------------------------


def days(column: pa.Array | pa.ChunkedArray) -> Any:
    """Dates and timestamps, as text too, in days since 1970, NaN where there is none: (n,)."""
    moments = column.cast(pa.timestamp("us")).cast(pa.int64())
    return np.asarray(moments.cast(pa.float64(), safe=False).fill_null(np.nan)) / DAY


def _encode_time(array: pa.Array, name: str) -> Block:
    return _encode_numeric(days(array), name, "time")


def _encode_number(array: pa.Array, name: str) -> Block:
    numbers = array.cast(pa.float64(), safe=False).fill_null(np.nan)
    return _encode_numeric(numbers.to_numpy(zero_copy_only=False), name, "number")


def _encode_numeric(x: Any, name: str, kind: Kind) -> Block:
    """Numbers (n,) in standard deviations from their mean, clipped; NaN is unknown."""
    finite = x[np.isfinite(x)]
    known = ~np.isnan(x)
    center, scale = _center_and_scale(finite)
    z = np.clip((x[known] - center) / scale, -CLIP_STD, CLIP_STD)
    missing = int((~known).sum())
    feature = Feature(name, kind, (), center, scale, missing, len(np.unique(finite)))
    block = Block(feature, np.flatnonzero(known), np.ones(len(z), np.int64), z)
    return _with_unknown(block, np.flatnonzero(~known))


def _center_and_scale(finite: Any) -> tuple[float, float]:
    """Mean and standard deviation of numbers (m,); 1 for what is as good as constant."""
    if not len(finite):
        return 0.0, 1.0
    center, std = float(finite.mean()), float(finite.std())
    varies = std > 1e-9 * max(1.0, abs(center))
    return center, std if varies else 1.0
