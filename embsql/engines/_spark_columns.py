"""A source's columns in Spark's SQL: ids as text, weights as numbers, times as microseconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embsql.engines._dialects import SPARK
from embsql.engines._readings import MOST, Column
from embsql.engines._remedies import refusal
from embsql.engines.columns import inexact

if TYPE_CHECKING:
    import pyarrow as pa

INTEGERS = {"tinyint", "smallint", "int", "bigint"}
NUMBERS = INTEGERS | {"float", "double", "boolean"}
# from where on whole numbers are not told apart
EXACT = {"float": 2**24, "double": 2**53}
NO_IDS = ("array", "map", "struct", "interval", "variant", "void")
DAY = 86_400_000_000  # microseconds


def backticked(name: str) -> str:
    """An identifier, whatever it contains, as Spark's SQL."""
    return "`" + name.replace("`", "``") + "`"


@dataclass(frozen=True, slots=True)
class SparkColumns:
    """What is made of each column of a source in SQL."""

    query: str
    types: dict[str, str]
    ask: Callable[[str], pa.Table]

    def key(self, column: str) -> str:
        """An id: whole numbers stay as they are, all else becomes text; '' is no id."""
        type_ = self.types[column]
        if type_.startswith(NO_IDS):
            raise refusal(self._refused(column), "id")
        return _id(f"given.{backticked(column)}", type_, column)

    def weight(self, column: str) -> str:
        """A number."""
        type_ = self.types[column]
        if type_ not in NUMBERS and not type_.startswith("decimal"):
            raise refusal(self._refused(column), "weight")
        return f"CAST(given.{backticked(column)} AS DOUBLE)"

    def time(self, column: str) -> str:
        """Microseconds since 1970 of a date or timestamp.

        A whole number is an order and stays as it is.
        """
        type_, given = self.types[column], f"given.{backticked(column)}"
        if type_ in INTEGERS:
            return f"CAST({given} AS BIGINT)"
        if not self.is_clock(column):
            raise refusal(self._refused(column), "time")
        return {
            "date": f"unix_date({given}) * {DAY}L",
            "timestamp": f"unix_micros({given})",
            "timestamp_ntz": f"timestampdiff(MICROSECOND, TIMESTAMP_NTZ '1970-01-01', {given})",
        }[type_]

    def is_clock(self, column: str) -> bool:
        """Whether a column holds dates or moments."""
        return self.types[column] in ("date", "timestamp", "timestamp_ntz")

    def _refused(self, column: str) -> Column:
        """What there is to say about a column that cannot be taken."""
        type_ = self.types[column].upper()
        return Column(column, type_, self._values(column), SPARK)

    def _values(self, column: str) -> dict[str, int]:
        """The most common values of a column, as text, and how many rows have each."""
        given = f"CAST(given.{backticked(column)} AS STRING)"
        found = self.ask(
            f"SELECT {given} AS value, count(*) AS n FROM (\n{self.query}\n) AS given"
            f" WHERE {given} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 ASC LIMIT {MOST}"
        )
        return dict(zip(*(part.to_pylist() for part in found.columns), strict=True))


def _id(given: str, type_: str, column: str) -> str:
    """What is equal has one text, as in DuckDB, whatever zone a session is in."""
    if type_ in INTEGERS:
        return given
    if type_ in EXACT:
        return _of_floating_point(given, type_, column)
    text = f"CAST({given} AS STRING)"
    if type_.startswith("decimal"):
        is_whole = re.fullmatch(r"decimal\(\d+,0\)", type_)
        return text if is_whole else f"rtrim('.', rtrim('0', {text}))"
    in_utc = (
        f"convert_timezone(current_timezone(), 'UTC', CAST({given} AS TIMESTAMP_NTZ))"
    )
    made = {
        "binary": f"lower(hex({given}))",
        "timestamp": f"concat(CAST({in_utc} AS STRING), '+00')",
    }.get(type_, text)
    return f"nullif({made}, '')"


def _of_floating_point(given: str, type_: str, column: str) -> str:
    """NaN is no id; a whole number is written as one.

    From the limit on there is no telling which it was, and the query fails.
    """
    text = f"CAST({given} AS STRING)"
    refused = inexact(text, EXACT[type_], column)
    return f"""CASE
        WHEN {given} IS NULL OR isnan({given}) THEN NULL
        WHEN {given} <> rint({given}) THEN {text}
        WHEN abs({given}) < {EXACT[type_]} THEN CAST(CAST({given} AS BIGINT) AS STRING)
        ELSE CAST(raise_error({refused}) AS STRING)
    END"""
