"""Features of users and items as a sparse matrix, which a tower's first layer multiplies.

Arrow's types decide what a column is: text, booleans and dictionaries are categories, numbers are
numbers, dates and timestamps (as text too) are times, lists are tags, and text of which most rows
differ and have several words is prose. sql/prelude repeats the encoding
(embsql_internal.feature_tokens), so that it has one meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import types

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


# (feature, kind, value, center, scale); the value is None where the column stands for unknown
ColumnRow = tuple[str, str, str | None, float | None, float | None]


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
        n_values = len(self.values) if self.center is None else 1
        return 1 + n_values


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
        widths = [feature.n_columns for feature in self.features]
        return np.cumsum([1, *widths])[:-1]

    @property
    def n_columns(self) -> int:
        """Columns of the matrix."""
        return 1 + sum(feature.n_columns for feature in self.features)

    def columns(self) -> Iterator[ColumnRow]:
        """What each column stands for, in order."""
        yield "", "always", None, None, None
        for feature in self.features:
            yield feature.name, feature.kind, None, None, None
            values = feature.values if feature.center is None else ("",)
            for value in values:
                yield feature.name, feature.kind, value, feature.center, feature.scale


class FeatureEntries(NamedTuple):
    """The entries of one feature."""

    feature: Feature
    row: NDArray[Any]  # (entries,)
    column: NDArray[Any]  # (entries,) among those of the feature; 0 is unknown
    value: NDArray[Any]  # (entries,)


def _join(parts: list[FeatureEntries]) -> FeatureEntries:
    """The entries of several, under the first one's feature."""
    features, rows, columns, values = zip(*parts, strict=True)
    return FeatureEntries(
        features[0],
        np.concatenate(rows),
        np.concatenate(columns),
        np.concatenate(values),
    )


def _constant(feature: Feature, rows: NDArray[Any], column: int) -> FeatureEntries:
    """1 in a column, for rows (e,)."""
    n = len(rows)
    return FeatureEntries(feature, rows, np.full(n, column), np.ones(n))


ALWAYS = Feature("", "category")  # the feature of column 0, which every row has


def encode_features(
    table: pa.Table, option: str, learned: NDArray[np.bool_]
) -> FeatureMatrix:
    """The columns of a table (n, any) as one sparse matrix.

    Values, means and deviations are those of the rows that are learned from (n,): others have
    values that nothing is learned of. Raises BadFeatures for a type that is none of the kinds.
    """
    n = len(table)
    always = _constant(ALWAYS, np.arange(n), 0)
    parts = [always, *_encode_columns(table, option, learned)]
    widths = [part.feature.n_columns for part in parts]  # (features + 1,)
    lengths = [len(part.row) for part in parts]  # (features + 1,)
    first_column = np.cumsum(widths) - widths  # (features + 1,)
    feature = np.repeat(np.arange(len(parts)), lengths)  # (entries,)
    entries = _join(parts)
    column = first_column[feature] + entries.column  # (entries,)
    order = np.argsort(entries.row, kind="stable")  # (entries,)
    return FeatureMatrix(
        tuple(part.feature for part in parts[1:]),
        indptr_of(entries.row[order], n),
        column[order],
        entries.value[order].astype(np.float32),
        feature[order].astype(np.int32),
    )


def describe_columns(table: pa.Table, option: str) -> Iterator[Feature]:
    """What each column is taken for. Raises BadFeatures."""
    every = np.ones(len(table), np.bool_)  # (n,)
    return (part.feature for part in _encode_columns(table, option, every))


def _encode_columns(
    table: pa.Table, option: str, learned: NDArray[np.bool_]
) -> Iterator[FeatureEntries]:
    for name in table.column_names:
        array = _array(table[name])
        encoder = _encoder(array, name, option)
        yield encoder(array, name, learned)


# --- what kind a column is -----------------------------------------------------------------------

Encoder = Callable[[pa.Array, str, NDArray[np.bool_]], FeatureEntries]
NUMBERS = (types.is_integer, types.is_floating, types.is_decimal)
TIMES = (types.is_date, types.is_timestamp)
FEW_VALUES = (types.is_boolean, types.is_null)
TEXTS = (types.is_string, types.is_large_string)
LISTS = (types.is_list, types.is_large_list)
TAGS = (*TEXTS, types.is_integer, types.is_null)  # vectors are none


def _array(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array, without a dictionary."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # as older Arrow gives it
        chunks = array.chunks or [pa.array([], array.type)]
        array = pa.concat_arrays(chunks)
    if types.is_dictionary(array.type):
        return array.dictionary_decode()
    return array


def _encoder(array: pa.Array, name: str, option: str) -> Encoder:
    """How a column is encoded. Raises BadFeatures."""
    type_ = array.type
    if _is_any(type_, NUMBERS):
        return _encode_number
    if _is_any(type_, TIMES):
        return _encode_time
    if _is_any(type_, FEW_VALUES):
        return _encode_category
    if _is_any(type_, TEXTS):
        return _encoder_of_text(array)
    if _is_any(type_, LISTS) and _is_any(type_.value_type, TAGS):
        return _encode_tags
    found = f'a column "{name}" of type {type_}'
    raise BadFeatures(option=option, found=found)


def _is_any(
    type_: pa.DataType, tests: tuple[Callable[[pa.DataType], bool], ...]
) -> bool:
    return any(test(type_) for test in tests)


def _encoder_of_text(array: pa.Array) -> Encoder:
    """Whether text is dates, prose or categories."""
    texts = array.drop_null()
    if _look_like_dates(texts):
        return _encode_time if _are_dates(texts) else _encode_category
    return _encode_text if _are_prose(texts) else _encode_category


def _look_like_dates(texts: pa.Array) -> bool:
    matches = pc.match_substring_regex(texts, r"^\d{4}-\d\d-\d\d")
    all_match: bool = pc.all(matches).as_py()
    return len(texts) > 0 and all_match


def _are_dates(texts: pa.Array) -> bool:
    try:
        texts.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True


def _are_prose(texts: pa.Array) -> bool:
    """Whether most texts differ and have several words."""
    n = len(texts)
    words_of_each = pc.list_value_length(_words(texts))
    n_words = pc.sum(words_of_each).as_py() or 0
    n_distinct = len(texts.unique())
    return n_words >= 2 * n and n_distinct > n / 2


def _words(array: pa.Array) -> pa.ListArray:
    return pc.split_pattern_regex(pc.utf8_lower(array), WORD_BREAKS)


# --- categories, tags and words ------------------------------------------------------------------


def _encode_category(
    array: pa.Array, name: str, learned: NDArray[np.bool_]
) -> FeatureEntries:
    n = len(array)
    feature = Feature(name, "category", missing=array.null_count)
    value = array.cast(pa.string())
    return _encode_values(np.arange(n), value, learned, feature)


def _encode_tags(
    array: pa.Array, name: str, learned: NDArray[np.bool_]
) -> FeatureEntries:
    feature = Feature(name, "tags", missing=array.null_count)
    return _encode_lists(array, feature, learned)


def _encode_text(
    array: pa.Array, name: str, learned: NDArray[np.bool_]
) -> FeatureEntries:
    feature = Feature(name, "text", missing=array.null_count)
    return _encode_lists(_words(array), feature, learned)


def _encode_lists(
    lists: pa.Array, feature: Feature, learned: NDArray[np.bool_]
) -> FeatureEntries:
    """Lists as entries, each value once in a row."""
    row = pc.list_parent_indices(lists).cast(pa.int64())
    value = pc.list_flatten(lists).cast(pa.string())
    entries = pa.table({"row": row, "value": value})
    is_value = pc.not_equal(value, "")  # neither NULL nor empty
    entries = entries.filter(is_value)
    entries = entries.group_by(["row", "value"]).aggregate([])
    entries = entries.sort_by("row")
    row = entries["row"].to_numpy()
    value = entries["value"].combine_chunks()
    return _encode_values(row, value, learned, feature)


def _encode_values(
    row: Any, value: pa.Array, learned: NDArray[np.bool_], feature: Feature
) -> FeatureEntries:
    """Entries (row, value) of rows: each row's known values, together of length 1.

    A row that has none is unknown.
    """
    n = len(learned)
    is_learned = pa.array(learned[row])  # (entries,)
    values, distinct = _frequent(value.filter(is_learned))
    feature = replace(feature, values=tuple(values), distinct=distinct)
    position = pc.index_in(value, pa.array(values, pa.string()))  # (entries,)
    is_known = position.is_valid().to_numpy(zero_copy_only=False)  # (entries,)
    position = position.drop_null().to_numpy()  # (known,)
    column = 1 + position.astype(np.int64)  # (known,)
    row = row[is_known]  # (known,)
    per_row = np.bincount(row, minlength=n)  # (n,)
    known = FeatureEntries(feature, row, column, per_row[row] ** -0.5)
    unknown = _constant(feature, np.flatnonzero(per_row == 0), 0)
    return _join([known, unknown])


def _frequent(value: pa.Array) -> tuple[list[str], int]:
    """The values that are kept, in order of their bytes, and how many there are in all."""
    short_enough = pc.less_equal(pc.binary_length(value), MAX_VALUE_BYTES)
    counted = value.filter(short_enough).value_counts()
    counts = counted.field("counts").to_numpy()  # (distinct,)
    by_count = np.argsort(-counts, kind="stable")  # (distinct,)
    frequent = by_count[:MAX_VALUES]
    frequent = frequent[counts[frequent] >= MIN_COUNT]
    values = counted.field("values").take(pa.array(frequent))
    in_order = sorted(values.to_pylist(), key=str.encode)
    return in_order, len(counts)


# --- numbers and times ---------------------------------------------------------------------------


def days(column: pa.Array | pa.ChunkedArray) -> Any:
    """Dates and timestamps, as text too, in days since 1970, NaN where there is none: (n,)."""
    timestamps = column.cast(pa.timestamp("us"))
    microseconds = _floats(timestamps.cast(pa.int64()))
    return np.asarray(microseconds) / DAY


def _floats(column: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Numbers as floats, NaN where there is none."""
    floats = column.cast(pa.float64(), safe=False)
    return floats.fill_null(np.nan)


def _encode_time(
    array: pa.Array, name: str, learned: NDArray[np.bool_]
) -> FeatureEntries:
    return _encode_numeric(days(array), name, "time", learned)


def _encode_number(
    array: pa.Array, name: str, learned: NDArray[np.bool_]
) -> FeatureEntries:
    numbers = _floats(array).to_numpy(zero_copy_only=False)
    return _encode_numeric(numbers, name, "number", learned)


def _encode_numeric(
    x: Any, name: str, kind: Kind, learned: NDArray[np.bool_]
) -> FeatureEntries:
    """Numbers (n,) in standard deviations from their mean, clipped; NaN is unknown."""
    finite = x[np.isfinite(x) & learned]
    center, scale = _center_and_scale(finite)
    known = np.flatnonzero(~np.isnan(x))  # (k,)
    unknown = np.flatnonzero(np.isnan(x))  # (n - k,)
    feature = Feature(
        name,
        kind,
        center=center,
        scale=scale,
        missing=len(unknown),
        distinct=len(np.unique(finite)),
    )
    z = (x[known] - center) / scale  # (k,)
    clipped = np.clip(z, -CLIP_STD, CLIP_STD)
    numbers = _constant(feature, known, 1)._replace(value=clipped)
    return _join([numbers, _constant(feature, unknown, 0)])


def _center_and_scale(finite: Any) -> tuple[float, float]:
    """Mean and standard deviation of numbers (m,); 1 for what is as good as constant."""
    if not len(finite):
        return 0.0, 1.0
    center = float(finite.mean())
    std = float(finite.std())
    rounding_error = 1e-9 * max(1.0, abs(center))
    return center, std if std > rounding_error else 1.0
