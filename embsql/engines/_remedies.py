"""What to write in the SELECT for a column of a type that cannot be read.

It is found by looking at the column's values.

One function makes every such advice. A remedy is an expression of the engine's own dialect to stand
in place of the column; where the values allow two readings, there are two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from embsql.engines._readings import (
    Column,
    Readings,
    as_numbers,
    is_finite,
    moments,
    numbers,
    numbers_since_1970,
    way,
)
from embsql.engines.files import literal
from embsql.errors import BadColumnType

LONGEST = 24  # letters of one that a message shows
FEW = 8  # words among other values that a remedy names one by one
# for who may not see them
UNNAMED = "Some of its values cannot be read: leave them out"

RUNS = re.compile("[0-9]+|[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Advice:
    """Expressions to choose from, each with when it is right.

    Or a reason, where nothing better can be said.
    """

    remedies: list[tuple[str, str]] = field(default_factory=list)
    reason: str = ""
    quotes: bool = False  # whether it shows values


def refusal(column: Column, role: str) -> BadColumnType:
    """The error for a column in the role of an id, a weight or a time.

    Its remedies can be typed as they are.
    """
    allowed = {
        "id": "text, a number or a UUID",
        "weight": "a number",
        "time": "a timestamp, a date or a whole number",
    }
    advice = {"id": _id, "weight": _weight, "time": _time}[role](column)
    remedies = [
        column.file(remedy) if column.file else f"{remedy} AS {column.written}"
        for remedy, _ in advice.remedies
    ]
    choices = ", or ".join(
        f"{remedy}{when}"
        for remedy, (_, when) in zip(remedies, advice.remedies, strict=True)
    )
    where = "Say" if column.file else "In the SELECT, say"
    found = column.found or column.type
    return BadColumnType(
        column=column.name,
        allowed=allowed[role],
        found=found + _example(column),
        remedies=remedies,
        advice=f"{advice.reason}{where} {choices}",
        shared={"found": found} | ({"advice": UNNAMED} if advice.quotes else {}),
    )


def _example(column: Column) -> str:
    """One value, short."""
    if not column.filled:
        return ""
    return f", for example {_short(column.filled[0])}"


def _short(value: str) -> str:
    """A value, quoted and cut where it is long."""
    return repr(value if len(value) <= LONGEST else value[:LONGEST] + "...")


def _id(column: Column) -> Advice:
    return Advice([(f"CAST({column.written} AS {column.dialect.text})", "")])


# --- most values ---------------------------------------------------------------------------------


def _of_most(
    column: Column, words: list[str], read: Callable[[Column], Readings], kind: str
) -> Advice | None:
    """What reads most values and leaves the words among them out.

    None where more rows have these than the others.
    """
    rest = column.without(words)
    if column.rows(words) > column.rows(rest.filled):
        return None
    found = read(rest)
    if not found:
        return None
    if len(words) <= FEW and all(map(_can_be_named, words)):
        listed = ", ".join(map(literal, words))
        guard = f"CASE WHEN {column.plain} NOT IN ({listed}) THEN {{}} END"
        reason = (
            f"{listed} among its values "
            f"{f'are no {kind}s' if len(words) > 1 else f'is no {kind}'}. "
        )
    else:
        guard = column.dialect.attempt or _of_a_shape(column.plain, rest.filled, words)
        reason = (
            f"{len(words)} of its {len(column.filled)} values are no {kind}s, for example "
            f"{_short(words[0])}. "
        )
    if not guard:
        return None
    return Advice(
        [(guard.format(sql), when) for sql, when in found], reason, quotes=True
    )


def _of_a_shape(text: str, values: Sequence[str], words: Sequence[str]) -> str:
    """What keeps an expression, {}, from other values than those: a pattern that no word fits.

    Nothing where there is none.
    """
    shapes = {RUNS.sub(_any_of, re.escape(value)) for value in values}
    pattern = f"^({'|'.join(sorted(shapes))})$"
    if (
        len(shapes) > FEW
        or any(re.search(pattern, word) for word in words)
        or "{" in pattern
    ):
        return ""
    return f"CASE WHEN {text} ~ {literal(pattern)} THEN {{}} END"


def _any_of(run: re.Match[str]) -> str:
    """A run of digits or letters as a pattern of any."""
    return "[0-9]+" if run[0].isdigit() else "[A-Za-z]+"


def _can_be_named(word: str) -> bool:
    """Whether a word fits into a message, and between the quotes of Python."""
    return (
        len(word) <= LONGEST
        and word.isprintable()
        and '"' not in word
        and "{" not in word
    )


def _nothing(
    words: list[str], column: Column, kind: str, left: tuple[str, str]
) -> Advice:
    """Where no one way reads most rows; whether some could be read is said."""
    readable = column.rows(column.filled) - column.rows(filter(str.strip, words))
    if not words or not readable:
        return Advice([left], f"Its values are no {kind}s. ")
    few = f"Only {readable} of {column.rows(column.values)} rows"
    reason = f"{few} can be read as a {kind}: mend the others, or lose all. "
    return Advice([left], reason)


# --- weights -------------------------------------------------------------------------------------


def _weight(column: Column) -> Advice:
    """A number for every value, or for most."""
    every = ("1", ", which counts every row as 1")
    if column.is_clock or column.has("INTERVAL"):
        return Advice(
            [(f"extract(epoch FROM {column.written})", ", which is in seconds")]
        )
    if column.type == "money":
        return Advice([(f"CAST({column.written} AS numeric)", "")])
    if not column.is_text:
        return Advice([every], "Its values are no numbers. ")
    empty = [value for value in column.values if not re.search("[0-9]", value)]
    if column.rows(empty) > column.rows(column.values) / 2:  # which any way leaves out
        return _nothing(empty, column, "number", every)
    words = [
        value
        for value in column.filled
        if not numbers(replace(column, values={value: 1}))
    ]
    most = _of_most(column, words, as_numbers, "number") if words else None
    found = [] if most else as_numbers(column)
    return most or (
        Advice(found) if found else _nothing(words, column, "number", every)
    )


# --- times ---------------------------------------------------------------------------------------


def _time(column: Column) -> Advice:
    """A moment for every value or for most, or an order."""
    if column.is_clock:
        day = f"CAST('2026-01-01' AS date) + {column.written}"
        return Advice(
            [(day, ", with the day it belongs to")], "A time of day is no moment. "
        )
    left_out = ("CAST(NULL AS timestamp)", ", which leaves the time out")
    if column.has("FLOAT", "DOUBLE", "DECIMAL", "REAL", "NUMERIC"):
        words, read = (
            [value for value in column.filled if not is_finite(value)],
            numbers_since_1970,
        )
    elif column.is_text:
        fits = way(column.filled)
        words, read = (
            [value for value in column.filled if not fits(value.strip())],
            moments,
        )
    else:
        return Advice([left_out], "Its values are no times. ")
    found = [] if words else read(column)
    most = _of_most(column, words, read, "time") if words else None
    return most or (
        Advice(found) if found else _nothing(words, column, "time", left_out)
    )
