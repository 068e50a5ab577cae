"""Puts generated calls to the engines and compares what they answer with the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.oracle.answers import answer
from tests.oracle.calls import Call, Many
from tests.oracle.compare import Found, Refused, difference, undecided, unordered
from tests.oracle.data import Row, World
from tests.oracle.engines import Asked


@dataclass(frozen=True)
class Checked:
    """One answer of an engine, and what is wrong with it."""

    call: Call | Many
    wrong: str | None
    undecided: bool  # whether rounding decides a part of it


def check(
    world: World, ask: Asked, asked: list[Call] | list[Many]
) -> Iterator[Checked]:
    """An engine's answers, compared."""
    for call, found in zip(asked, ask([one.sql for one in asked]), strict=True):
        yield (
            _many(world, call, found)
            if isinstance(call, Many)
            else _one(world, call, found)
        )


def _one(world: World, call: Call, found: Found) -> Checked:
    right = answer(world, call.question, call.arguments)
    return Checked(call, difference(right, found), undecided(right))


def _many(world: World, call: Many, found: Found) -> Checked:
    """Each value's rows are those of a call for it alone; one that is refused refuses all."""
    right = [answer(world, call.question, arguments) for arguments in call.calls]
    refused = [one for one in right if isinstance(one, Refused)]
    if isinstance(found, Exception) or refused:
        wrong = [difference(one, found) for one in refused or right]
        return Checked(call, None if None in wrong else wrong[0], undecided=False)
    rows: list[list[Row]] = [[] for _ in right]
    for n, *row in found:
        rows[n].append(tuple(row))
    each = (
        difference(unordered(one), mine) for one, mine in zip(right, rows, strict=True)
    )
    return Checked(call, next(filter(None, each), None), any(map(undecided, right)))
