"""A source's columns in PostgreSQL's SQL: ids as text, weights as numbers, times as numbers."""

from __future__ import annotations

from dataclasses import dataclass

from embsql.engines._dialects import POSTGRESQL
from embsql.engines._readings import Column, Values
from embsql.engines._remedies import refusal
from embsql.engines.columns import inexact, quote

INTEGERS = {"smallint", "integer", "bigint"}
NUMBERS = INTEGERS | {"real", "double precision", "numeric", "boolean"}
TIMES = {"date", "timestamp without time zone", "timestamp with time zone"}
SPANS = {"daterange", "tsrange", "tstzrange"}
# What has several texts, as a session writes it.
NO_IDS = {
    "record",
    "interval",
    "money",
    "datemultirange",
    "tsmultirange",
    "tstzmultirange",
}
# from where on whole numbers are not told apart
EXACT = {"real": 2**24, "double precision": 2**53}


@dataclass(frozen=True, slots=True)
class PostgresColumns:
    """What is made of each column of a source in SQL."""

    query: str
    types: dict[str, str]
    values: Values

    def key(self, column: str) -> str:
        """An id is text; '' is no id."""
        type_ = self.types[column]
        if "[]" in type_ or type_ in NO_IDS:
            raise refusal(self._refused(column), "id")
        return _id(f"given.{quote(column)}", type_, column)

    def weight(self, column: str) -> str:
        """A number."""
        type_, given = self.types[column], f"given.{quote(column)}"
        if type_ not in NUMBERS:
            raise refusal(self._refused(column), "weight")
        number = f"CAST({given} AS integer)" if type_ == "boolean" else given
        return f"CAST({number} AS double precision)"

    def time(self, column: str) -> str:
        """Microseconds since 1970 of a date or timestamp.

        A whole number is an order and stays as it is.
        """
        type_, given = self.types[column], f"given.{quote(column)}"
        if type_ in INTEGERS:
            return f"CAST({given} AS bigint)"
        if type_ not in TIMES:
            raise refusal(self._refused(column), "time")
        # Of an infinite one there are none, as in DuckDB.
        return (
            f"CASE WHEN isfinite({given})"
            f" THEN CAST(extract(epoch FROM {given}) * 1000000 AS bigint) END"
        )

    def _refused(self, column: str) -> Column:
        """What there is to say about a column that cannot be taken."""
        return Column(
            column,
            self.types[column],
            self.values(self.query, column, self.types[column]),
            POSTGRESQL,
        )


def _id(given: str, type_: str, column: str) -> str:
    """What is equal has one text, as in DuckDB, however the session writes dates and zones."""
    if type_ in EXACT:
        return _of_floating_point(given, EXACT[type_], column)
    if type_ in SPANS:
        return _span(given, type_)
    made = {
        "numeric": f"CAST(trim_scale(nullif({given}, 'NaN')) AS text)",
        "bytea": f"encode({given}, 'hex')",
        "json": f"({given} #>> '{{}}')",
        "jsonb": f"({given} #>> '{{}}')",
        "date": _iso(given),
        "timestamp without time zone": _iso(given),
        "timestamp with time zone": _in_utc(given),
    }.get(type_, f"CAST({given} AS text)")
    return f"nullif({made}, '')"


def _iso(moment: str) -> str:
    """A date or a moment as ISO 8601 has it, but for a space in place of the T."""
    return f"replace(to_jsonb({moment}) #>> '{{}}', 'T', ' ')"


def _in_utc(moment: str) -> str:
    """A moment with its zone, which is always that of Greenwich."""
    return _iso(f"({moment} AT TIME ZONE 'UTC')") + " || '+00'"


def _span(given: str, type_: str) -> str:
    """A range of dates or moments, as PostgreSQL itself writes it where dates are ISO 8601's."""
    write = _in_utc if type_ == "tstzrange" else _iso
    mark = "''" if type_ == "daterange" else "'\"'"
    begin = write(f"lower({given})")
    end = write(f"upper({given})")
    lower = f"{mark} || {begin} || {mark}"
    upper = f"{mark} || {end} || {mark}"
    return f"""CASE
        WHEN isempty({given}) THEN 'empty'
        WHEN {given} IS NOT NULL THEN concat(
            CASE WHEN lower_inc({given}) THEN '[' ELSE '(' END, {lower}, ',', {upper},
            CASE WHEN upper_inc({given}) THEN ']' ELSE ')' END
        )
    END"""


def _of_floating_point(given: str, limit: int, column: str) -> str:
    """NaN is no id; a whole number is written as one.

    From the limit on there is no telling which it was, and the query fails.
    """
    text = f"CAST({given} AS text)"
    return f"""CASE
        WHEN {given} IS NULL OR {given} = 'NaN' THEN NULL
        WHEN {given} <> trunc({given}) THEN {text}
        WHEN abs({given}) < {limit} THEN CAST(CAST({given} AS bigint) AS text)
        ELSE CAST(CAST({inexact(text, limit, column)} AS bigint) AS text)
    END"""
