"""Whether an engine's answer is the oracle's: ids and ranks exactly, numbers as float32 has them.

Where scores are nearer to each other than rounding, either order is right; where they are the same,
ids decide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

from tests.oracle.data import Row, by_bytes

T = TypeVar("T")
FLOAT32 = 2e-6  # a dozen roundings of float32, relative to numbers above 1
# what conjugate gradients to a millionth leave, times the systems' condition
SOLVED = 1e-4


class _Any:
    """A value that rounding decides: whatever comes is right."""

    def __repr__(self) -> str:
        return "ANY"


class _Rank:
    """The row's position in its list, from 1."""

    def __repr__(self) -> str:
        return "RANK"


ANY, RANK = _Any(), _Rank()


class Refused(Exception):
    """The call is an error, whose message holds the words given.

    `idle` says that it asks for nothing: then no rows are right too.
    """

    idle = False


@dataclass(frozen=True)
class Entry:
    """One row of a list that is ranked by a score."""

    row: Row
    score: float | None  # none: at the end
    twin: Hashable  # twins have the same score to the last bit, so that ids order them
    ids: tuple[str, ...]  # what orders twins


@dataclass(frozen=True)
class Ranked:
    """The best k of all entries. `parts` leading columns divide them into lists of k each."""

    entries: list[Entry]
    k: int | None
    tolerance: float = FLOAT32
    parts: int = 0
    in_order: bool = True  # of the lists


@dataclass(frozen=True)
class Listed:
    """All rows, in this order."""

    rows: list[Row]
    tolerance: float = FLOAT32


@dataclass(frozen=True)
class Value:
    """One value."""

    value: Any
    tolerance: float = FLOAT32


Answer = Ranked | Listed | Value | Refused
Found = list[Row] | Exception


def difference(answer: Answer, found: Found) -> str | None:
    """What is wrong with an engine's answer, or nothing."""
    if isinstance(answer, Refused):
        return _refusal(answer, found)
    if isinstance(found, Exception):
        return f"error: {str(found).strip().splitlines()[0]}"
    if isinstance(answer, Value):
        return _listed([(answer.value,)], found, answer.tolerance)
    if isinstance(answer, Listed):
        return _listed(answer.rows, found, answer.tolerance)
    return _ranked(answer, found)


def _refusal(answer: Refused, found: Found) -> str | None:
    if not isinstance(found, Exception):
        if answer.idle and not found:
            return None
        return f"expected an error with {str(answer)!r}, got {found[:3]}"
    return (
        None
        if str(answer) in str(found)
        else f"expected an error with {str(answer)!r}, got {str(found)[:200]!r}"
    )


def _listed(rows: Sequence[Row], found: list[Row], tolerance: float) -> str | None:
    if len(rows) != len(found):
        return f"{len(found)} rows instead of {len(rows)}: {found[:3]} instead of {list(rows)[:3]}"
    wrong = (
        (n, a, b)
        for n, (a, b) in enumerate(zip(rows, found, strict=True))
        if not same(a, b, tolerance)
    )
    return next((f"row {n}: {b} instead of {a}" for n, a, b in wrong), None)


def _ranked(answer: Ranked, found: list[Row]) -> str | None:
    if answer.parts == 0:
        return _best(answer, answer.entries, found)
    lists = _by_part(answer.entries, lambda entry: entry.row[: answer.parts])
    given = _by_part(found, lambda row: row[: answer.parts])
    order = list(lists) if answer.k is None or answer.k > 0 else []
    if (list(given) != order) if answer.in_order else (set(given) != set(order)):
        return f"lists of {list(given)} instead of {order}"
    return next(
        filter(None, (_best(answer, lists[part], given[part]) for part in order)), None
    )


def _by_part(rows: list[T], part: Callable[[T], Row]) -> dict[Row, list[T]]:
    """Rows by the list they are in, lists in order of their first row."""
    lists: dict[Row, list[T]] = {}
    for row in rows:
        lists.setdefault(part(row), []).append(row)
    return lists


def _best(answer: Ranked, entries: list[Entry], found: list[Row]) -> str | None:
    """What is wrong with one list."""
    wanted = len(entries) if answer.k is None else min(len(entries), max(answer.k, 0))
    if len(found) != wanted:
        return (
            f"{len(found)} rows instead of {wanted}: {found[:3]}, "
            f"of {[e.row for e in entries[:3]]}"
        )
    left, taken = list(entries), list[Entry]()
    for rank, row in enumerate(found, 1):
        position = next(
            (
                n
                for n, entry in enumerate(left)
                if _is(row, entry, rank, answer.tolerance)
            ),
            None,
        )
        if position is None:
            near = [
                entry.row
                for entry in left
                if entry.row[answer.parts] == row[answer.parts]
            ]
            return f"row {rank}: {row} instead of {near or [entry.row for entry in left][:5]}"
        taken.append(left.pop(position))
    wrong = (
        f"{b.row} after {a.row}"
        for a, b in pairwise(taken)
        if not _before(a, b, answer)
    )
    return next(wrong, None) or _left_out(answer, taken, left)


def _is(row: Row, entry: Entry, rank: int, tolerance: float) -> bool:
    return same(
        tuple(rank if value is RANK else value for value in entry.row), row, tolerance
    )


def _before(a: Entry, b: Entry, answer: Ranked) -> bool:
    """Whether one entry may stand right before another."""
    if a.twin == b.twin:
        return [by_bytes(one) for one in a.ids] < [by_bytes(one) for one in b.ids]
    if a.score is None or b.score is None:
        return b.score is None
    return a.score >= b.score - answer.tolerance * max(1, abs(b.score))


def _left_out(answer: Ranked, taken: list[Entry], left: list[Entry]) -> str | None:
    """Whether something better than the last one taken is missing."""
    wrong = (
        f"{b.row} is missing, better than {a.row}"
        for b in left
        for n, a in enumerate(taken, 1)
        if (n == len(taken) or a.twin == b.twin) and not _before(a, b, answer)
    )
    return next(wrong, None)


def unordered(answer: Answer) -> Answer:
    """The same rows in any order, where none of their columns says which."""
    if isinstance(answer, Ranked) and not any(
        value is RANK for entry in answer.entries for value in entry.row
    ):
        answer = Listed([entry.row for entry in answer.entries], answer.tolerance)
    if isinstance(answer, Ranked):
        return replace(answer, in_order=False)
    if not isinstance(answer, Listed):
        return answer
    return Ranked(
        [Entry(row, None, object(), ()) for row in answer.rows], None, answer.tolerance
    )


def undecided(answer: Answer) -> bool:
    """Whether rounding decides a part of an answer."""
    rows: list[Row] = answer.rows if isinstance(answer, Listed) else []
    if isinstance(answer, Ranked):
        rows = [entry.row for entry in answer.entries]
    return any(value is ANY for row in rows for value in row)


def same(expected: Any, found: Any, tolerance: float) -> bool:
    """Whether two values are the same, numbers within the tolerance."""
    if expected is ANY:
        return True
    if isinstance(expected, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(expected) == len(found)
            and all(same(a, b, tolerance) for a, b in zip(expected, found, strict=True))
        )
    if (
        isinstance(expected, float)
        and isinstance(found, float | int)
        and not isinstance(found, bool)
    ):
        return math.isclose(expected, found, rel_tol=tolerance, abs_tol=tolerance)
    return type(expected) is type(found) and bool(expected == found)
