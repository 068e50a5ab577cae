"""How the pairs of one snapshot differ from those of another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Float32, Int64
from embsql.evaluation.splits import Mask

# stands for no time: the least number that a source can order by
TIMELESS = np.iinfo(np.int64).min
IDS = ("user_id", "item_id")


@dataclass(frozen=True, slots=True)
class Changes:
    """What a snapshot has that another has not, and the other way around."""

    added: Mask  # (new,)
    ended: Mask  # (old,)

    @property
    def kept(self) -> int:
        """How many rows both have as they are."""
        return int(len(self.added) - self.added.sum())

    def __bool__(self) -> bool:
        return bool(self.added.any() or self.ended.any())


def rows_of_parts(parts: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Columns as they are written, as one table of user_id, item_id, weight and last_time."""
    tables = [_part(columns) for columns in parts]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _part(columns: Mapping[str, Any]) -> pa.Table:
    n = len(columns["user_id"])
    time = columns.get("last_time", pa.scalar(None, pa.int64()))
    if isinstance(time, pa.Scalar):
        time = pa.repeat(time, n)
    named = {name: _coded(columns[name]) for name in IDS}
    rest = {"weight": columns["weight"], "last_time": time}
    return pa.table(named | rest).cast(SCHEMA)


def _coded(ids: Any) -> Any:
    """Ids as codes into a vocabulary."""
    arrow = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(ids)
    if pa.types.is_dictionary(arrow.type):
        return arrow
    return arrow.dictionary_encode()


SCHEMA = pa.schema(
    [
        ("user_id", pa.dictionary(pa.int32(), pa.string())),
        ("item_id", pa.dictionary(pa.int32(), pa.string())),
        ("weight", pa.float32()),
        ("last_time", pa.int64()),
    ]
)


def changes(new: pa.Table, old: pa.Table) -> Changes:
    """Compare two snapshots, each pair being in each of them once at most."""
    columns = [new[name].chunk(0) for name in IDS]
    vocabularies = [column.dictionary for column in columns]
    key = _keys([column.indices for column in columns], vocabularies)  # (new,)
    codes = [
        pc.index_in(old[name], value_set=words)
        for name, words in zip(IDS, vocabularies, strict=True)
    ]
    known = _keys(codes, vocabularies)  # (old,) -1 of a pair with a new id
    order = np.argsort(key, kind="stable")  # (new,) sorted already, as a rule
    rank = np.searchsorted(key, known, sorter=order)  # (old,)
    position = order[np.minimum(rank, len(key) - 1)]  # (old,)
    same = (
        (key[position] == known)
        & (_weights(new)[position] == _weights(old))
        & (_times(new)[position] == _times(old))
    )  # (old,)
    added = np.ones(len(key), bool)
    added[position[same]] = False
    return Changes(added, ~same)


def _keys(codes: list[Any], vocabularies: list[pa.Array]) -> Int64:
    """One number for a pair of codes (n,); -1 where one is missing."""
    user, item = (
        column.fill_null(-1).to_numpy().astype(np.int64) for column in codes
    )  # (n,) each
    is_missing = (user < 0) | (item < 0)  # (n,)
    key = user * len(vocabularies[1]) + item  # (n,)
    return np.where(is_missing, -1, key)


def _weights(rows: pa.Table) -> Float32:
    weights: Float32 = rows["weight"].to_numpy()
    return weights


def _times(rows: pa.Table) -> Int64:
    times: Int64 = rows["last_time"].fill_null(TIMELESS).to_numpy()
    return times
