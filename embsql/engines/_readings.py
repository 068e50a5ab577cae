"""How the values of a column can be read as numbers or as moments: expressions to choose from."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from embsql.engines._dialects import Dialect
from embsql.engines.columns import quote

if TYPE_CHECKING:
    import pyarrow as pa

MOST = 10_000  # distinct values that are looked at
TRIED = 200  # values by which the way to read all is chosen
PLAIN = {"user_id", "item_id", "weight", "event_time"}  # names that need no quotes
NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?"
POINT = r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?"  # 1,234.5
COMMA = r"[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?"  # 1.234,5 and 1,5
SPACED = r"(?<=\d)\s(?=\d{3}(\D|$))"  # the space in 1 234,5
LARGEST_WHOLE = 9.2e18
ISO = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?"
ZONE = r"(Z|[-+]\d{2}(:?\d{2})?)"
DATES = [
    *("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *(
        f"{first}{sign}{then}{sign}%Y"
        for sign in "/.-"
        for first, then in (("%m", "%d"), ("%d", "%m"))
    ),
    *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%b %d %Y", "%d %B %Y", "%B %d, %Y"),
]
OTHERS = ["%Y-%m", "%Y%m%dT%H%M%S", "%a, %d %b %Y %H:%M:%S GMT"]
CLOCKS = ["", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"]
FORMATS = [date + time for date, time in itertools.product(DATES, CLOCKS)] + OTHERS
SWAPPED = str.maketrans("md", "dm")  # of a format: day and month in each other's place
Readings = list[tuple[str, str]]  # expressions, each with when it is right
# of a query, a column and its type: some values, and the rows of each
Values = Callable[[str, str, str], dict[str, int]]


def common_values(
    ask: Callable[[str], pa.Table],
    dialect: Dialect,
    query: str,
    column: str,
    type_: str,
) -> dict[str, int]:
    """The most common values of a query's column, as text, and how many rows have each."""
    text = dialect.as_text(f"given.{quote(column)}", type_)
    found = ask(
        f"SELECT {text}, count(*) FROM (\n{query}\n) AS given"
        f" GROUP BY 1 ORDER BY 2 DESC, 1 ASC LIMIT {MOST}"
    )
    values, rows = (part.to_pylist() for part in found.columns)
    return {
        value: n for value, n in zip(values, rows, strict=True) if value is not None
    }


@dataclass(frozen=True, slots=True)
class Column:
    """A column that cannot be taken: its name, its type, and its most common values as text."""

    name: str
    type: str
    values: Mapping[str, int]  # and how many rows have each
    dialect: Dialect
    # where it is no SELECT's: one with an expression in its place
    file: Callable[[str], str] | None = None
    found: str = ""  # the type it was taken for, where the remedies read it as another

    @property
    def written(self) -> str:
        """The name as SQL."""
        return (
            self.name
            if self.name in PLAIN
            else '"' + self.name.replace('"', '""') + '"'
        )

    @property
    def filled(self) -> list[str]:
        """The values that are not blank."""
        return [value for value in self.values if value.strip()]

    @property
    def plain(self) -> str:
        """The column as text, or as the number it is."""
        return (
            self.dialect.as_text(self.written, self.type)
            if self.has("JSON", "ENUM")
            else self.written
        )

    @property
    def as_text(self) -> str:
        """The column as text, NULL where it is blank."""
        return (
            f"nullif(trim({self.plain}), '')"
            if len(self.filled) < len(self.values)
            else self.plain
        )

    def without(self, words: Sequence[str]) -> Column:
        """The same without some of its values."""
        gone = set(words)
        kept = {value: rows for value, rows in self.values.items() if value not in gone}
        return replace(self, values=kept)

    def rows(self, values: Iterable[str]) -> int:
        """How many rows have one of some values."""
        return sum(self.values[value] for value in values)

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
        return self.has(
            "VARCHAR", "TEXT", "CHARACTER", "ENUM", "JSON"
        ) or self.type in ("name", '"char"')


def as_numbers(column: Column) -> Readings:
    return [
        (f"CAST({text} AS {column.dialect.number})", when)
        for text, when in numbers(column)
    ]


def numbers(column: Column) -> Readings:
    """Texts to cast, each with when it is right.

    None where some value is no number however it is read.
    """
    values, text = [value.strip() for value in column.filled], column.as_text
    if not values:
        return []
    if not _all(f"{NUMBER}|{POINT}|{COMMA}", values):
        bare = [re.sub(r"[^0-9.,-]", "", value) for value in values]
        whole = (re.sub(SPACED, "", value) for value in values)
        if not all(
            number in value and "(" not in value
            for number, value in zip(bare, whole, strict=True)
        ):
            return []  # what is left of it stood in pieces, or in brackets, as what is owed does
        values, text = bare, f"regexp_replace({text}, '[^0-9.,-]', '', 'g')"
        if not all(values):  # words stand in for what is missing
            values, text = [value for value in values if value], f"nullif({text}, '')"
    if not values:
        return []
    if _all(NUMBER, values):
        return [(text, "")]
    english, comma = (
        f"replace({text}, ',', '')",
        f"replace(replace({text}, '.', ''), ',', '.')",
    )
    fits = [_all(f"{NUMBER}|{POINT}", values), _all(COMMA, values)]
    if all(fits):
        return [
            (comma, " where the comma is a decimal one"),
            (english, " where it parts thousands"),
        ]
    return [(english, "")] if fits[0] else [(comma, "")] if fits[1] else []


def _all(pattern: str, values: Sequence[str]) -> bool:
    return all(re.fullmatch(pattern, value, re.IGNORECASE) for value in values)


def is_finite(value: str) -> bool:
    """Whether a number is no larger than a whole one can be."""
    return abs(float(value)) <= LARGEST_WHOLE  # NaN is not


def numbers_since_1970(column: Column) -> Readings:
    return _since_1970(column, column.written)


def _since_1970(column: Column, number: str) -> Readings:
    """Seconds, or parts of one, by how large the numbers are; small ones are only an order."""
    values = [float(value) for value in column.filled]
    if not values or max(map(abs, values)) > LARGEST_WHOLE:
        return []
    size = median(map(abs, values))
    if size < 1e8:
        return [(f"CAST({number} AS bigint)", ", which is taken as an order")]
    part = next(
        part
        for part, limit in ((1, 1e11), (1000, 1e14), (10**6, 1e17), (10**9, 1e20))
        if size < limit
    )
    return [
        (
            f"to_timestamp({number} / {part})"
            if part > 1
            else f"to_timestamp({number})",
            "",
        )
    ]


def way(values: Sequence[str]) -> Callable[[str], bool]:
    """The way to read a text as a moment that fits most of some values."""
    shown = [value.strip() for value in values[:TRIED]]
    forms = [lambda value, form=form: _fits(form, [value]) for form in FORMATS]
    ways: list[Callable[[str], bool]] = [
        _is_plain,
        _is_moment,
        *forms,
        lambda value: _all(NUMBER, [value]),
    ]
    return max(ways, key=lambda fits: sum(map(fits, shown)))


def _is_plain(value: str) -> bool:
    """Whether a text is a moment as ISO 8601 writes it, without a zone."""
    return re.fullmatch(ISO, value) is not None and _is_iso(value)


def _is_moment(value: str) -> bool:
    """Whether a text is a moment as ISO 8601 writes it."""
    return re.fullmatch(f"{ISO}{ZONE}?", value) is not None and _is_iso(value)


def moments(column: Column) -> Readings:
    """What reads every text as a moment; two where day and month cannot be told apart."""
    values, text = [value.strip() for value in column.filled], column.as_text
    if not values:
        return []
    if all(map(_is_plain, values)):
        return [(f"CAST({text} AS timestamp)", "")]
    if all(map(_is_moment, values)):
        mixed = not _all(f"{ISO}{ZONE}", values)
        when = (
            ", where a time without a zone is in that of the session" if mixed else ""
        )
        return [(f"CAST({text} AS timestamptz)", when)]
    form = next((form for form in FORMATS if _fits(form, values)), None)
    if form is None:
        return (
            _since_1970(column, f"CAST({text} AS {column.dialect.number})")
            if _all(NUMBER, values)
            else []
        )
    read, other = column.dialect.parse, form.translate(SWAPPED)
    if other == form or other not in FORMATS or not _fits(other, values):
        return [(read(text, form), "")]
    return [
        (read(text, form), " where the month is first"),
        (read(text, other), " where the day is first"),
    ]


def _is_iso(value: str) -> bool:
    return _reads(lambda: datetime.fromisoformat(value))


def _fits(form: str, values: Sequence[str]) -> bool:
    """Whether all values have a format; most formats end with the first."""
    return all(_reads(partial(datetime.strptime, value, form)) for value in values)


def _reads(attempt: Callable[[], datetime]) -> bool:
    try:
        attempt()
    except ValueError:
        return False
    return True
