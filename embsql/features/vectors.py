"""Vectors that were made elsewhere, as a column of lists of numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Float32, Interactions
from embsql.errors import BadFeatures

LONGEST = 16_000  # numbers in a vector, as many as pgvector stores


def item_vectors(data: Interactions, name: str | None) -> Float32:
    """The vectors (n_items, d) in a column of the items' features, zero where an item has none.

    Without a name it is the only such column. Raises BadFeatures as `vectors` does, and where there
    is no such column.
    """
    return _named(data.item_features, name, data.items, "item_features")


def user_vectors(data: Interactions, name: str | None) -> Float32:
    """The vectors (n_users, d) in a column of the users' features; see `item_vectors`.

    Raises BadFeatures.
    """
    return _named(data.user_features, name, data.users, "user_features")


def _named(table: pa.Table | None, name: str | None, ids: pa.StringArray, option: str) -> Float32:
    table = pa.table({}) if table is None else table
    return vectors(table[_column(table, name, option)], ids, option)


def vectors(column: pa.ChunkedArray, ids: pa.StringArray, option: str) -> Float32:
    """A column of lists of numbers as (n, d), zero where there is no list.

    Ids (n,) are for what is said of them.

    Raises BadFeatures for lengths that differ or exceed 16,000, for NaN and infinity, and where
    there is no list.
    """
    if not _is_list(column.type):
        raise BadFeatures(
            option=option, found=f"vectors of type {column.type}, where lists of numbers are wanted"
        )
    lists = column.cast(pa.large_list(pa.float64())).combine_chunks()
    known = lists.drop_null()
    lengths = sorted(set(pc.list_value_length(known).to_pylist()))
    if len(lengths) != 1 or not 0 < lengths[0] <= LONGEST:
        told = " and ".join(f"{length:,}" for length in lengths[:3]) or "no length: there are none"
        raise BadFeatures(
            option=option,
            found=f"vectors of {told}, where all must have one length from 1 to 16,000",
        )
    table = np.zeros((len(lists), lengths[0]), np.float32)  # (n, d)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinity, which is refused
        flat = (
            known.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        )  # (k * d,); a missing number is NaN
    table[lists.is_valid().to_numpy(zero_copy_only=False)] = flat.reshape(
        len(known), lengths[0]
    )  # (k, d)
    bad = np.flatnonzero(~np.isfinite(table).all(axis=1))  # (b,)
    if len(bad):
        found = f"NaN, NULL or infinity in {len(bad)} vectors"
        example = f"{found}, for example that of {ids[int(bad[0])].as_py()}"
        raise BadFeatures(option=option, found=example, shared={"found": found})
    return table


def unit(table: Float32) -> Float32:
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


def _column(table: pa.Table, wanted: str | None, option: str) -> str:
    """The name of the column of vectors. Raises BadFeatures."""
    there = [str(field.name) for field in table.schema if is_vector(field.type)]
    if wanted is None and len(there) == 1:
        return there[0]
    if wanted is not None and wanted in there:
        return wanted
    asked = f'no vectors "{wanted}"' if wanted else "no column of vectors to choose"
    known = (
        f"vectors in {', '.join(there)}"
        if there
        else f"columns {', '.join(table.column_names) or '(none)'}"
    )
    raise BadFeatures(
        option=option, found=f"{asked}, but {known}; vectors are lists of FLOAT or DOUBLE"
    )
