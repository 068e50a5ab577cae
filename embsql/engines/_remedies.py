"""What to write in the SELECT for a column of a type that cannot be read.

It is found by looking at the column's values.

One function makes every such advice. A remedy is an expression of the engine's own dialect to stand
in place of the column; where the values allow two readings, there are two.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from statistics import median

from embsql.engines.files import literal
from embsql.errors import BadColumnType

MOST = 10_000  # distinct values that are looked at
LONGEST = 24  # letters of one that a message shows
FEW = 8  # words among other values that a remedy names one by one
TRIED = 200  # values by which the way to read all is chosen
# for who may not see them
UNNAMED = "Some of its values cannot be read: leave them out"
PLAIN = {"user_id", "item_id", "weight", "event_time"}  # names that need no quotes

NUMBER = r"[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?"
POINT = r"[-+]?\d{1,3}(,\d{3})+(\.\d*)?"  # 1,234.5
COMMA = r"[-+]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?"  # 1.234,5 and 1,5
RUNS = re.compile("[0-9]+|[A-Za-z]+")
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
FORMATS = [date + clock for date, clock in itertools.product(DATES, CLOCKS)] + OTHERS
SWAPPED = str.maketrans("md", "dm")  # of a format: day and month in each other's place
POSTGRES = {
    "%Y": "YYYY",
    "%m": "MM",
    "%d": "DD",
    "%b": "Mon",
    "%B": "Month",
    "%H": "HH24",
    "%I": "HH12",
    "%M": "MI",
    "%S": "SS",
    "%p": "AM",
    "%a": "Dy",
}


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine writes what a remedy needs."""

    number: str  # its type of floating-point numbers
    text: str  # its type of text
    json: str  # the text of a JSON value, with {} for the value
    parse: Callable[[str, str], str]  # a text by a format, as a moment
    # NULL where an expression, {}, fails; nothing where there is no such thing
    attempt: str = ""

    def as_text(self, value: str, type_: str) -> str:
        """A value of any type as text."""
        json = type_.lower() in ("json", "jsonb")
        return (
            f"({self.json.format(value)})" if json else f"CAST({value} AS {self.text})"
        )


DUCKDB = Dialect(
    "DOUBLE",
    "VARCHAR",
    "{} ->> '$'",
    lambda value, form: f"strptime({value}, '{form}')",
    "TRY({})",
)
POSTGRESQL = Dialect(
    "double precision",
    "text",
    "{} #>> '{{}}'",
    lambda value, form: (
        f"CAST(to_timestamp({value}, '{_of_postgres(form)}') AS timestamp)"
    ),
)


def _of_postgres(form: str) -> str:
    # GMT and T are literal text: to_timestamp wants them quoted
    quoted = re.sub(r"(?<!%)\b(GMT)|(?<=%d)(T)", r'"\1\2"', form)
    return re.sub(r"%\w", lambda found: POSTGRES[found[0]], quoted)


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

Readings = list[tuple[str, str]]  # expressions, each with when it is right


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
        if not _numbers(replace(column, values={value: 1}))
    ]
    most = _of_most(column, words, _as_numbers, "number") if words else None
    found = [] if most else _as_numbers(column)
    return most or (
        Advice(found) if found else _nothing(words, column, "number", every)
    )


def _as_numbers(column: Column) -> Readings:
    return [
        (f"CAST({text} AS {column.dialect.number})", when)
        for text, when in _numbers(column)
    ]


def _numbers(column: Column) -> Readings:
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
            [value for value in column.filled if not _is_finite(value)],
            _numbers_since_1970,
        )
    elif column.is_text:
        fits = _way(column.filled)
        words, read = (
            [value for value in column.filled if not fits(value.strip())],
            _moments,
        )
    else:
        return Advice([left_out], "Its values are no times. ")
    found = [] if words else read(column)
    most = _of_most(column, words, read, "time") if words else None
    return most or (
        Advice(found) if found else _nothing(words, column, "time", left_out)
    )


def _is_finite(value: str) -> bool:
    """Whether a number is no larger than a whole one can be."""
    return abs(float(value)) <= LARGEST_WHOLE  # NaN is not


def _numbers_since_1970(column: Column) -> Readings:
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


def _way(values: Sequence[str]) -> Callable[[str], bool]:
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


def _moments(column: Column) -> Readings:
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
