"""Vectors that were made elsewhere, as a column of lists of numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Float32, Interactions
from embsql.errors import BadFeatures

MAX_DIM = 16_000  # as many as pgvector stores


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


def _named(table: pa.Table | None, name: str | None, ids: pa.StringArray, option: str) -> Float32:
    table = pa.table({}) if table is None else table
    column = _column_name(table, name, option)
    return vector_column(table[column], ids, option)


def vector_column(column: pa.ChunkedArray, ids: pa.StringArray, option: str) -> Float32:
    """A column of lists of numbers as (n, d), zero where there is no list.

    Ids (n,) name an example in errors. Raises BadFeatures for lengths that differ or exceed 16,000,
    for NaN and infinity, and where there is no list.
    """
    if not _is_list(column.type):
        found = f"vectors of type {column.type}, where lists of numbers are wanted"
        raise BadFeatures(option=option, found=found)
    lists = column.cast(pa.large_list(pa.float64())).combine_chunks()
    known = lists.drop_null()
    dim = _common_length(known, option)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, which is refused
        numbers = known.flatten().to_numpy(zero_copy_only=False)  # (k * d,) a missing one is NaN
        flat = numbers.astype(np.float32)  # (k * d,)
    has_list = lists.is_valid().to_numpy(zero_copy_only=False)  # (n,)
    table = np.zeros((len(lists), dim), np.float32)  # (n, d)
    table[has_list] = flat.reshape(len(known), dim)
    _require_finite(table, ids, option)
    return table


def _common_length(lists: pa.Array, option: str) -> int:
    """The length that all lists have. Raises BadFeatures."""
    lengths = sorted(set(pc.list_value_length(lists).to_pylist()))
    if len(lengths) == 1 and 0 < lengths[0] <= MAX_DIM:
        return int(lengths[0])
    listed = " and ".join(f"{length:,}" for length in lengths[:3]) or "no length: there are none"
    found = f"vectors of {listed}, where all must have one length from 1 to 16,000"
    raise BadFeatures(option=option, found=found)


def _require_finite(table: Float32, ids: pa.StringArray, option: str) -> None:
    """Raise BadFeatures where a number is not finite."""
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))  # (b,)
    if len(bad):
        found = f"NaN, NULL or infinity in {len(bad)} vectors"
        example = f"{found}, for example that of {ids[int(bad[0])].as_py()}"
        raise BadFeatures(option=option, found=example, shared={"found": found})


def unit_or_zero(table: Float32) -> Float32:
    """The vectors (n, d) at length 1; what is zero stays so."""
    lengths = np.linalg.norm(table, axis=1, keepdims=True)  # (n, 1)
    directions: Float32 = (table / np.where(lengths > 0, lengths, 1)).astype(np.float32)  # (n, d)
    return directions


def is_vector(type_: pa.DataType) -> bool:
    """Whether a column of this type holds vectors: lists of numbers with a fraction."""
    return _is_list(type_) and not pa.types.is_integer(type_.value_type)


def _is_list(type_: pa.DataType) -> bool:
    """Whether a column of this type holds lists of numbers."""
    is_ = pa.types
    if not (is_.is_list(type_) or is_.is_large_list(type_) or is_.is_fixed_size_list(type_)):
        return False
    entry = type_.value_type
    return bool(is_.is_floating(entry) or is_.is_integer(entry) or is_.is_decimal(entry))


def _column_name(table: pa.Table, wanted: str | None, option: str) -> str:
    """The name of the column of vectors. Raises BadFeatures."""
    names = [str(field.name) for field in table.schema if is_vector(field.type)]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted is not None and wanted in names:
        return wanted
    columns = ", ".join(table.column_names) or "(none)"
    known = f"vectors in {', '.join(names)}" if names else f"columns {columns}"
    asked = f'no vectors "{wanted}"' if wanted else "no column of vectors to choose"
    found = f"{asked}, but {known}; vectors are lists of FLOAT or DOUBLE"
    raise BadFeatures(option=option, found=found)
