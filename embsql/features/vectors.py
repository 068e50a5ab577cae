"""Vectors that were made elsewhere, as a column of lists of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Float32, Interactions
from embsql.errors import BadFeatures

BLOCK = 1024  # rows that are brought to length 1 at a time
MAX_DIM = 16_000  # as many as pgvector stores
LIST_TYPES = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
NUMBER_TYPES = (pa.types.is_floating, pa.types.is_integer, pa.types.is_decimal)


def item_vectors(data: Interactions, name: str | None) -> Float32:
    """The vectors (n_items, d) in a column of the items' features, zero where an item has none.

    Without a name it is the only such column. Raises BadFeatures as `vector_column` does, and where
    there is no such column.
    """
    return _named(data.item_features, name, data.items, "item_features")


def user_vectors(data: Interactions, name: str | None) -> Float32:
    """The vectors (n_users, d) in a column of the users' features; see `item_vectors`.

    Raises BadFeatures.
    """
    return _named(data.user_features, name, data.users, "user_features")


def _named(
    table: pa.Table | None, name: str | None, ids: pa.StringArray, option: str
) -> Float32:
    table = pa.table({}) if table is None else table
    column = _column_name(table, name, option)
    return vector_column(table[column], ids, option)


def vector_column(column: pa.ChunkedArray, ids: pa.StringArray, option: str) -> Float32:
    """A column of lists of numbers as (n, d), zero where there is no list; it may be read-only.

    Ids (n,) name an example in errors. Raises BadFeatures for lengths that differ or exceed 16,000,
    for NaN and infinity, and where there is no list.
    """
    if not _is_list(column.type):
        found = f"vectors of type {column.type}, where lists of numbers are wanted"
        raise BadFeatures(option=option, found=found)
    known = column.drop_null()
    dim = _common_length(known, option)
    table = _numbers(pc.list_flatten(known)).reshape(
        len(known), dim
    )  # (k * d,) to (k, d)
    if column.null_count:
        rows = table
        table = np.zeros((len(column), dim), np.float32)  # (n, d)
        table[column.is_valid().to_numpy()] = rows
    _require_finite(table, ids, option)
    return table


def _numbers(values: pa.ChunkedArray) -> Float32:
    """Numbers of any type as float32 (n,), NaN for a missing one, infinity for a too large one."""
    if pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    numbers = values.to_numpy()  # (n,)
    with np.errstate(over="ignore"):
        floats: Float32 = numbers.astype(np.float32, copy=False)
    return floats


def _common_length(lists: pa.ChunkedArray, option: str) -> int:
    """The length that all lists have. Raises BadFeatures."""
    lengths = pc.list_value_length(lists).unique().to_pylist()
    if len(lengths) == 1:
        length = int(lengths[0])
        if 0 < length <= MAX_DIM:
            return length
    examples = [f"{length:,}" for length in sorted(lengths)[:3]]
    listed = " and ".join(examples) or "no length: there are none"
    found = f"vectors of {listed}, where all must have one length from 1 to 16,000"
    raise BadFeatures(option=option, found=found)


def _require_finite(table: Float32, ids: pa.StringArray, option: str) -> None:
    """Raise BadFeatures where a number is not finite."""
    ends = table.min(axis=1), table.max(axis=1)  # (n,) each; NaN where there is one
    bad = ~(np.isfinite(ends[0]) & np.isfinite(ends[1]))  # (n,)
    _refuse(bad, "NaN, NULL or infinity in {} vectors", ids, option)


def require_norms(table: Float32, ids: pa.StringArray, option: str) -> None:
    """Raise BadFeatures where a vector's length, squared, is too large for a float."""
    with np.errstate(over="ignore"):
        squares = np.square(table).sum(axis=1)  # (n,)
    too_long = "{} vectors longer than 1.8e19, whose squared length no float holds"
    _refuse(np.isinf(squares), too_long, ids, option)


def _refuse(bad: Any, problem: str, ids: pa.StringArray, option: str) -> None:
    """Raise BadFeatures with a problem of so many vectors where any (n,) are bad."""
    rows = np.flatnonzero(bad)  # (b,)
    if len(rows):
        found = problem.format(len(rows))
        example = f"{found}, for example that of {ids[int(rows[0])].as_py()}"
        raise BadFeatures(option=option, found=example, shared={"found": found})


def unit_or_zero(table: Float32) -> Float32:
    """The vectors (n, d) at length 1; what is zero stays so."""
    unit = np.empty(table.shape, np.float32)  # (n, d)
    for first in range(0, len(table), BLOCK):
        rows = slice(first, first + BLOCK)
        unit[rows] = _unit_rows(table[rows])
    return unit


def _unit_rows(table: Float32) -> Float32:
    """The same of rows (n, d) few enough to stay in the cache."""
    largest = abs(table).max(axis=1, initial=0, keepdims=True)  # (n, 1)
    _, exponent = np.frexp(largest)  # (n, 1)
    scaled = np.ldexp(table, -exponent)  # (n, d) exactly, and no square overflows
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)  # (n, 1)
    divisor = np.where(lengths > 0, lengths, 1)  # (n, 1)
    unit: Float32 = (scaled / divisor).astype(np.float32)  # (n, d)
    return unit


def vector_columns(table: pa.Table) -> list[str]:
    """The names of the columns that hold vectors."""
    return [field.name for field in table.schema if is_vector(field.type)]


def is_vector(type_: pa.DataType) -> bool:
    """Whether a column of this type holds vectors: lists of numbers with a fraction."""
    if not _is_list(type_):
        return False
    return not pa.types.is_integer(type_.value_type)


def _is_list(type_: pa.DataType) -> bool:
    """Whether a column of this type holds lists of numbers."""
    if not any(is_list(type_) for is_list in LIST_TYPES):
        return False
    return any(is_number(type_.value_type) for is_number in NUMBER_TYPES)


def _column_name(table: pa.Table, wanted: str | None, option: str) -> str:
    """The name of the column of vectors. Raises BadFeatures."""
    names = vector_columns(table)
    if not table.column_names:
        raise BadFeatures(option=option, found="nothing, as it is left out")
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is not None and wanted in names:
        return wanted
    columns = ", ".join(table.column_names)
    known = f"columns {columns}"
    if names:
        known = f"vectors in {', '.join(names)}"
    asked = f'no vectors "{wanted}"' if wanted else "no column of vectors to choose"
    found = f"{asked}, but {known}; vectors are lists of FLOAT or DOUBLE"
    raise BadFeatures(option=option, found=found)
