"""The rows of a source as codes: each row holds the number of an id, and each id is held once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from embsql.data import Float64, Int32, Int64
from embsql.engines import Engine
from embsql.numeric.vocabulary import Numbering
from embsql.sources.columns import LARGEST
from embsql.sqlfiles import render

Mask = NDArray[np.bool_]
KEYS = ("user_key", "item_key")
NO_WEIGHT = 1e-37  # less is zero to a float
WEIGHT_FACTS = ("null_weight", "zero_weight", "negative", "infinite")


@dataclass(frozen=True, slots=True)
class Keys:
    """A column of ids."""

    distinct: pa.Array  # (k,) text or whole numbers
    position: Int32  # (n,) among those; -1 where there is none

    @property
    def missing(self) -> int:
        """Number of rows without an id."""
        return int((self.position < 0).sum())


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers."""

    values: NDArray[Any]  # (n,) anything where there is none
    known: Mask | None  # (n,); none: all are

    @property
    def missing(self) -> int:
        """Number of rows without one."""
        return 0 if self.known is None else int((~self.known).sum())

    def where(self, keep: Mask | None) -> Numbers:
        """Those for which keep (n,) is true; all without it."""
        if keep is None:
            return self
        return Numbers(
            self.values[keep], None if self.known is None else self.known[keep]
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a source in its order."""

    user: Keys
    item: Keys
    weight: Numbers | None  # none: each row counts 1
    time: Numbers | None  # none: the source has no times

    def __len__(self) -> int:
        return len(self.user.position)

    def usable(self, *, explicit: bool) -> Mask | None:
        """Which rows (n,) have two ids and a weight, which is not zero unless explicit.

        None: all of them.
        """
        masks = [keys.position >= 0 for keys in (self.user, self.item) if keys.missing]
        if self.weight and self.weight.known is not None:
            masks.append(self.weight.known)
        if self.weight and not explicit:
            masks.append(~_is_zero(self.weight))
        usable = np.logical_and.reduce(masks) if masks else None
        return None if usable is None or usable.all() else usable


def read_rows(engine: Engine, facts: dict[str, Any]) -> Rows:
    """The rows of a source, of which the engine has found out the facts; evaluated once.

    Raises SourceFailed or InexactId.
    """
    has = {"weight": facts["has_weight"], "event_time": facts["has_time"]}
    numbers: dict[str, list[pa.Array]] = {name: [] for name in has if has[name]}
    ids = {name: Numbering() for name in KEYS}
    rows = engine.batches(render.render_stage("source", facts), [*ids, *numbers])
    with closing(rows) as batches, ThreadPoolExecutor(len(ids)) as pool:
        for batch in batches:
            for name, parts in numbers.items():
                parts.append(batch[name])
            done = [
                pool.submit(copy_context().run, numbering.add, batch[name])
                for name, numbering in ids.items()
            ]
            for numbered in done:
                numbered.result()
    user, item = (Keys(*numbering.finish()) for numbering in ids.values())
    weight, time = (_numbers(numbers[name]) if has[name] else None for name in has)
    return Rows(user, item, weight, time)


def _numbers(parts: list[pa.Array]) -> Numbers:
    column = pa.chunked_array(parts, None if parts else pa.int64())
    if not column.null_count:
        return Numbers(column.to_numpy(), None)
    known = column.is_valid().to_numpy()  # (n,)
    return Numbers(column.fill_null(0).to_numpy(), known)


# --- what was found in them ----------------------------------------------------------------------


def summary(rows: Rows, now: int) -> dict[str, Any]:
    """What is missing, what cannot be, and what is strange; times after `now` are."""
    time = rows.time
    found = {
        "rows": len(rows),
        "no_user": rows.user.missing,
        "no_item": rows.item.missing,
        "null_time": time.missing if time else len(rows),
        "future_time": _count(time, time.values > now) if time else 0,
    }
    return found | _of_weights(rows)


def _of_weights(rows: Rows) -> dict[str, Any]:
    weight = rows.weight
    if weight is None:
        return dict.fromkeys(WEIGHT_FACTS, 0)
    is_infinite = ~(abs(weight.values) <= LARGEST)  # (n,) NaN too
    kinds = {"negative": weight.values < 0, "infinite": is_infinite}
    found: dict[str, Any] = {"null_weight": weight.missing}
    found["zero_weight"] = _count(weight, _is_zero(weight))
    for kind, mask in kinds.items():
        found[kind] = _count(weight, mask)
        found[f"{kind}_example"] = _example(rows, weight, mask)
    return found


def _is_zero(weight: Numbers) -> Mask:
    is_zero: Mask = abs(weight.values) < NO_WEIGHT
    return is_zero


def _count(numbers: Numbers, mask: Mask) -> int:
    """How many of the numbers that are there a mask (n,) is true for."""
    return int((mask if numbers.known is None else mask & numbers.known).sum())


def _example(rows: Rows, weight: Numbers, mask: Mask) -> str | None:
    """The first by its words of the rows with two ids for which a mask (n,) is true."""
    has_user = rows.user.position >= 0  # (n,)
    has_item = rows.item.position >= 0  # (n,)
    asked = np.flatnonzero(mask & has_user & has_item)
    users, items = (
        keys.distinct.take(pa.array(keys.position[asked])).to_pylist()
        for keys in (rows.user, rows.item)
    )
    weights = weight.values[asked].tolist()
    words = zip(users, items, weights, strict=True)
    return min((f"user {u}, item {i}, weight {w}" for u, i, w in words), default=None)


# --- rows that can be used -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CodedRows:
    """The rows of a source that can be used, in its order."""

    user: Int32  # (n,) position in the ids of users
    item: Int32  # (n,)
    weight: Float64 | None  # (n,); none: each counts 1
    time: Int64 | None  # (n,); none: no row has one
    ids: dict[str, pa.StringArray]  # of "user" and "item", in order by bytes

    def __len__(self) -> int:
        return len(self.user)


def code(rows: Rows, *, explicit: bool) -> CodedRows:
    """The rows that can be used; ids that no such row has are left out."""
    keep = rows.usable(explicit=explicit)
    users, user = _vocabulary(rows.user, keep)
    items, item = _vocabulary(rows.item, keep)
    weight = rows.weight.where(keep).values if rows.weight else None
    time = _filled(rows.time.where(keep)) if rows.time else None
    return CodedRows(user, item, weight, time, {"user": users, "item": items})


def _vocabulary(keys: Keys, keep: Mask | None) -> tuple[pa.StringArray, Int32]:
    """Ids in order, and which of them each row that is kept has."""
    position = keys.position if keep is None else keys.position[keep]  # (n,)
    texts = keys.distinct.cast(pa.string())
    order = pc.sort_indices(texts).to_numpy()  # (k,)
    if keep is not None:
        is_used = np.bincount(position, minlength=len(texts)) > 0  # (k,)
        order = order[is_used[order]]
    code_of = np.zeros(len(texts), np.int32)  # (k,)
    code_of[order] = np.arange(len(order), dtype=np.int32)
    return texts.take(pa.array(order)), code_of[position]


def _filled(time: Numbers) -> Int64 | None:
    """Times (n,), those that are missing older than all others; None where all are."""
    if time.known is None:
        return time.values
    if not time.known.any():  # they tell no order
        return None
    oldest = int(time.values[time.known].min())
    before = max(oldest - 1, np.iinfo(np.int64).min)
    return np.where(time.known, time.values, before)
