"""What to write in the SELECT for a column of a type that cannot be taken, found by looking at its values.

One function makes every such advice. A remedy is an expression of the engine's own dialect to stand in place of the
column; where the values allow two readings, there are two.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from embsql.errors import BadColumnType

MOST = 10_000  # distinct values that are looked at
LONGEST = 24  # letters of one that a message shows
PLAIN = {"user_id", "item_id", "weight", "event_time"}  # names that need no quotes

NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?"
POINT = r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?"  # 1,234.5
COMMA = r"[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?"  # 1.234,5 and 1,5
SPACED = r"(?<=\d)\s(?=\d{3}(\D|$))"  # the space in 1 234,5
ISO = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?"
ZONE = r"(Z|[-+]\d{2}(:?\d{2})?)"

DATES = [
    *("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *(f"{first}{sign}{then}{sign}%Y" for sign in "/.-" for first, then in (("%m", "%d"), ("%d", "%m"))),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y"),
]
CLOCKS = ["", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"]
FORMATS = [date + clock for date, clock in itertools.product(DATES, CLOCKS)]
SWAPPED = str.maketrans("md", "dm")  # of a format: day and month in each other's place
POSTGRES = {
    "%Y": "YYYY", "%m": "MM", "%d": "DD", "%b": "Mon", "%B": "Month",
    "%H": "HH24", "%I": "HH12", "%M": "MI", "%S": "SS", "%p": "AM",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine writes what a remedy needs."""

    number: str  # its type of floating-point numbers
    text: str  # its type of text
    json: str  # the text of a JSON value, with {} for the value
    parse: Callable[[str, str], str]  # a text by a format, as a moment

    def as_text(self, value: str, type_: str) -> str:
        """A value of any type as text."""
        json = type_.lower() in ("json", "jsonb")
        return f"({self.json.format(value)})" if json else f"CAST({value} AS {self.text})"


DUCKDB = Dialect("DOUBLE", "VARCHAR", "{} ->> '$'", lambda value, form: f"strptime({value}, '{form}')")
POSTGRESQL = Dialect(
    "double precision", "text", "{} #>> '{{}}'",
    lambda value, form: f"CAST(to_timestamp({value}, '{_of_postgres(form)}') AS timestamp)",
)  # fmt: skip


def _of_postgres(form: str) -> str:
    return re.sub(r"%\w", lambda found: POSTGRES[found[0]], form)


@dataclass(frozen=True, slots=True)
class Column:
    """A column that cannot be taken: its name, its type, and some of its values as text."""

    name: str
    type: str
    values: Sequence[str]
    dialect: Dialect
    file: Callable[[str], str] | None = None  # where it is no SELECT's: one with an expression in its place
    found: str = ""  # the type it was taken for, where the remedies read it as another

    @property
    def written(self) -> str:
        """The name as SQL."""
        return self.name if self.name in PLAIN else '"' + self.name.replace('"', '""') + '"'

    @property
    def filled(self) -> list[str]:
        """The values that are not blank."""
        return [value for value in self.values if value.strip()]

    @property
    def as_text(self) -> str:
        """The column as text, NULL where it is blank."""
        text = self.dialect.as_text(self.written, self.type) if self.has("JSON", "ENUM") else self.written
        return f"nullif(trim({text}), '')" if len(self.filled) < len(self.values) else text

    def has(self, *types: str) -> bool:
        """Whether its type is one of these, however the engine completes their names."""
        return self.type.upper().startswith(types)

    @property
    def is_clock(self) -> bool:
        """Whether it is a time of day."""
        return self.has("TIME") and not self.has("TIMESTAMP")

    @property
    def is_text(self) -> bool:
        """Whether its values say what they are."""
        return self.has("VARCHAR", "TEXT", "CHARACTER", "ENUM", "JSON") or self.type in ("name", '"char"')


@dataclass(frozen=True, slots=True)
class Advice:
    """Expressions to choose from, each with when it is right, and a reason where nothing better can be said."""

    remedies: list[tuple[str, str]] = field(default_factory=list)
    reason: str = ""


def refusal(column: Column, role: str) -> BadColumnType:
    """The error for a column in the role of an id, a weight or a time, whose remedies can be typed as they are."""
    allowed = {
        "id": "text, a number or a UUID",
        "weight": "a number",
        "time": "a timestamp, a date or a whole number",
    }
    advice = {"id": _id, "weight": _weight, "time": _time}[role](column)
    remedies = [
        column.file(remedy) if column.file else f"{remedy} AS {column.written}" for remedy, _ in advice.remedies
    ]
    told = ", or ".join(f"{remedy}{when}" for remedy, (_, when) in zip(remedies, advice.remedies, strict=True))
    where = "Say" if column.file else "In the SELECT, say"
    found = column.found or column.type
    return BadColumnType(
        column=column.name, allowed=allowed[role], found=found + _example(column), remedies=remedies,
        advice=f"{advice.reason}{where} {told}", shared={"found": found},
    )  # fmt: skip


def _example(column: Column) -> str:
    """One value, short."""
    if not column.filled:
        return ""
    value = column.filled[0]
    shown = value if len(value) <= LONGEST else value[:LONGEST] + "..."
    return f", for example {shown!r}"


def _id(column: Column) -> Advice:
    return Advice([(f"CAST({column.written} AS {column.dialect.text})", "")])


# --- weights -------------------------------------------------------------------------------------


def _weight(column: Column) -> Advice:
    """A number for every value."""
    nothing = Advice([("1", ", which counts every row as 1")], "Its values are no numbers. ")
    if column.is_clock or column.has("INTERVAL"):
        return Advice([(f"extract(epoch FROM {column.written})", ", which is in seconds")])
    if column.type == "money":
        return Advice([(f"CAST({column.written} AS numeric)", "")])
    if not column.is_text:
        return nothing
    found = [(f"CAST({text} AS {column.dialect.number})", when) for text, when in _numbers(column)]
    return Advice(found) if found else nothing


def _numbers(column: Column) -> list[tuple[str, str]]:
    """Texts to cast, each with when it is right; none where some value is no number however it is read."""
    values, text = [value.strip() for value in column.filled], column.as_text
    if not values:
        return []
    if not _all(f"{NUMBER}|{POINT}|{COMMA}", values):
        bare = [re.sub(r"[^0-9.,-]", "", value) for value in values]
        whole = (re.sub(SPACED, "", value) for value in values)
        if not all(number in value and "(" not in value for number, value in zip(bare, whole, strict=True)):
            return []  # what is left of it stood in pieces, or in brackets, as what is owed does
        values, text = bare, f"regexp_replace({text}, '[^0-9.,-]', '', 'g')"
        if not all(values):  # words stand in for what is missing
            values, text = [value for value in values if value], f"nullif({text}, '')"
    if not values:
        return []
    if _all(NUMBER, values):
        return [(text, "")]
    english, comma = f"replace({text}, ',', '')", f"replace(replace({text}, '.', ''), ',', '.')"
    fits = [_all(f"{NUMBER}|{POINT}", values), _all(COMMA, values)]
    if all(fits):
        return [(comma, " where the comma is a decimal one"), (english, " where it parts thousands")]
    return [(english, "")] if fits[0] else [(comma, "")] if fits[1] else []


def _all(pattern: str, values: Sequence[str]) -> bool:
    return all(re.fullmatch(pattern, value, re.IGNORECASE) for value in values)


# --- times ---------------------------------------------------------------------------------------


def _time(column: Column) -> Advice:
    """A moment for every value, or an order."""
    if column.is_clock:
        day = f"CAST('2026-01-01' AS date) + {column.written}"
        return Advice([(day, ", with the day it belongs to")], "A time of day is no moment. ")
    if column.has("FLOAT", "DOUBLE", "DECIMAL", "REAL", "NUMERIC"):
        whole = f"nullif({column.written}, 'NaN')" if "nan" in map(str.lower, column.values) else column.written
        found = _since_1970(column, whole)
    else:
        found = _moments(column) if column.is_text else []
    left_out = [("CAST(NULL AS timestamp)", ", which leaves the time out")]
    return Advice(found) if found else Advice(left_out, "Its values are no times. ")


def _since_1970(column: Column, number: str) -> list[tuple[str, str]]:
    """Seconds, or parts of one, by how large the numbers are; small ones are only an order."""
    values = [float(value) for value in column.filled if value.strip().lower() != "nan"]
    if not values or max(map(abs, values)) > 9.2e18:  # no whole number is so large
        return []
    size = median(map(abs, values))
    if size < 1e8:
        return [(f"CAST({number} AS bigint)", ", which is taken as an order")]
    part = next(part for part, limit in ((1, 1e11), (1000, 1e14), (10**6, 1e17), (10**9, 1e20)) if size < limit)
    return [(f"to_timestamp({number} / {part})" if part > 1 else f"to_timestamp({number})", "")]


def _moments(column: Column) -> list[tuple[str, str]]:
    """What reads every text as a moment; two where day and month cannot be told apart."""
    values, text = [value.strip() for value in column.filled], column.as_text
    if not values:
        return []
    if _all(ISO, values) and all(map(_is_iso, values)):
        return [(f"CAST({text} AS timestamp)", "")]
    if _all(f"{ISO}{ZONE}", values) and all(map(_is_iso, values)):
        return [(f"CAST({text} AS timestamptz)", "")]
    form = next((form for form in FORMATS if _fits(form, values)), None)
    if form is None:
        return _since_1970(column, f"CAST({text} AS {column.dialect.number})") if _all(NUMBER, values) else []
    read, other = column.dialect.parse, form.translate(SWAPPED)
    if other == form or other not in FORMATS or not _fits(other, values):
        return [(read(text, form), "")]
    return [(read(text, form), " where the month is first"), (read(text, other), " where the day is first")]


def _is_iso(value: str) -> bool:
    return _reads(lambda: datetime.fromisoformat(value))


def _fits(form: str, values: Sequence[str]) -> bool:
    """Whether all values have a format; most formats end with the first."""
    return all(_reads(lambda value=value: datetime.strptime(value, form)) for value in values)  # type: ignore[misc]  # bound in time


def _reads(attempt: Callable[[], datetime]) -> bool:
    try:
        attempt()
    except ValueError:
        return False
    return True
