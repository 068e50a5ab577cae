"""How each engine writes what a remedy needs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

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


OF_SPARK = {
    "%Y": "yyyy",
    "%m": "MM",
    "%d": "dd",
    "%b": "MMM",
    "%B": "MMMM",
    "%H": "HH",
    "%I": "hh",
    "%M": "mm",
    "%S": "ss",
    "%p": "a",
    "%a": "EEE",
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

SPARK = Dialect(
    "DOUBLE",
    "STRING",
    "CAST({} AS STRING)",
    lambda value, form: f"to_timestamp({value}, '{_of_spark(form)}')",
)


def _of_postgres(form: str) -> str:
    # GMT and T are literal text: to_timestamp wants them quoted
    quoted = re.sub(r"(?<!%)\b(GMT)|(?<=%d)(T)", r'"\1\2"', form)
    return re.sub(r"%\w", lambda found: POSTGRES[found[0]], quoted)


def _of_spark(form: str) -> str:
    # in quotes that stand in a text, and so are doubled
    quoted = re.sub(r"(?<!%)\b(GMT)|(?<=%d)(T)", r"''\1\2''", form)
    return re.sub(r"%\w", lambda found: OF_SPARK[found[0]], quoted)
