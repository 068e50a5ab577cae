"""A source's columns in DuckDB's SQL: ids as text, weights as numbers, times as microseconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from embsql.engines._dialects import DUCKDB
from embsql.engines._readings import Column, Values
from embsql.engines._remedies import refusal
from embsql.engines.columns import inexact, quote
from embsql.engines.files import File

INTEGERS = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
    "UHUGEINT",
}
WIDE = {"HUGEINT", "UHUGEINT"}  # Arrow has no such numbers
NUMBERS = INTEGERS | {"FLOAT", "DOUBLE", "BOOLEAN"}
# moments with a time zone: from DuckDB 2.0 on those in nanoseconds have a type of their own
ZONED = {"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"}
# from where on whole numbers are not told apart
EXACT = {"FLOAT": 2**24, "DOUBLE": 2**53}
BYTES = "COLLATE C"  # texts are equal, and in order, by their bytes


@dataclass(frozen=True, slots=True)
class DuckDBColumns:
    """What is made of each column of a source in SQL."""

    query: str
    types: dict[str, str]
    values: Values
    file: File | None  # which it is
    frame: bool = False  # whether it is a table in memory
    ids: tuple[str, ...] = ()  # the columns that are read as text where a file has them

    def key(self, column: str) -> str:
        """An id: whole numbers stay as they are (faster to code), all else becomes text.

        '' is no id. Texts of different bytes are different, whatever collation a session has.
        """
        type_, given = self.types[column], f"given.{quote(column)}"
        if type_.endswith("]") or type_.startswith(
            ("STRUCT", "TUPLE", "MAP", "INTERVAL")
        ):
            raise refusal(self._refused(column), "id")
        reader = self.file.reader if self.file else "read_parquet"
        if reader == "read_csv" and type_ in INTEGERS:
            return _digits(given)
        if reader != "read_parquet":  # read as text, whatever it is taken for
            return f"nullif({given}, '') {BYTES}"
        return _id(given, type_, column)

    def weight(self, column: str) -> str:
        """A number."""
        if not is_number(self.types[column]):
            raise refusal(self._refused(column), "weight")
        given = f"given.{quote(column)}"
        if self.types[column] == "BOOLEAN":  # a CSV file has words for it
            given = f"CAST({given} AS BOOLEAN)"
        return f"CAST({given} AS DOUBLE)"

    def time(self, column: str) -> str:
        """Microseconds since 1970 of a date or timestamp.

        A whole number is an order and stays as it is.
        """
        type_, given = self.types[column], f"given.{quote(column)}"
        if type_ in INTEGERS:
            return f"CAST({given} AS BIGINT)"
        if not type_.startswith(("TIMESTAMP", "DATE")):
            raise refusal(self._refused(column), "time")
        if type_ in ZONED:
            # A cast to TIMESTAMP would go through the session's time zone.
            return f"epoch_us(CAST({given} AS TIMESTAMPTZ))"
        return f"epoch_us(CAST({given} AS TIMESTAMP))"

    def _refused(self, column: str) -> Column:
        """What there is to say about a column that cannot be taken."""
        found = self.types[column]
        type_ = self._read_as(found)
        values = self.values(self.query, column, type_)
        return Column(
            column, type_, values, DUCKDB, self._instead(column, type_), found
        )

    def _read_as(self, found: str) -> str:
        """The type that a remedy finds a column in.

        Of a CSV file text, as its first rows prove nothing.
        """
        is_csv = self.file is not None and self.file.reader == "read_csv"
        return "VARCHAR" if is_csv and found != "TIME" else found

    def _instead(self, column: str, type_: str) -> Callable[[str], str] | None:
        """A SELECT of a file, or of a table in memory, with an expression in place of a column."""
        if self.frame:
            return lambda sql: framed(f"{sql} AS {quote(column)}")
        if self.file is None:
            return None
        query = self._all(self.file, {column: type_})
        return lambda sql: query.replace(
            "SELECT *", f"SELECT * REPLACE ({sql} AS {quote(column)})", 1
        )

    def _all(self, file: File, read: dict[str, str]) -> str:
        """A SELECT of a file whose ids are what they are where it is named."""
        if file.reader == "read_parquet":
            return file.select()
        ids = [name for name in self.ids if self.types[name] != "VARCHAR"]
        types = dict.fromkeys(ids, "VARCHAR") | read
        if file.reader == "read_csv":
            return file.select(types)
        return file.select(self.types | types)


def framed(replaced: str = "", where: str = "") -> str:
    """Python that gives a DataFrame or an Arrow table df with a column replaced or fewer rows."""
    columns = f"* REPLACE ({replaced})" if replaced else "*"
    raw = "r" if "\\" in columns else ""
    return f'duckdb.sql({raw}"""SELECT {columns} FROM df{where}""")'


def _digits(given: str) -> str:
    """An id in text as a whole number, if that has the same text; else the query fails."""
    number = f"CAST({given} AS BIGINT)"
    return (
        f"CASE WHEN CAST({number} AS VARCHAR) <> {given}"
        f" THEN error('no whole number') ELSE {number} END"
    )


def _id(given: str, type_: str, column: str) -> str:
    """What is equal has one text.

    Numbers are without zeros at their end, moments in UTC, bytes in hexadecimal digits.
    """
    text = f"CAST({given} AS VARCHAR)"
    if type_ in INTEGERS - WIDE:
        return given
    if type_ in EXACT:
        return _of_floating_point(given, EXACT[type_], column)
    if type_.startswith("DECIMAL"):
        return _of_decimal(text, *map(int, re.findall(r"\d+", type_)))
    if type_ in ZONED:
        moment = f"CAST({given} AS TIMESTAMPTZ)"
        return f"CAST(make_timestamp(epoch_us({moment})) AS VARCHAR) || '+00'"
    made = {"BLOB": f"lower(hex({given}))", "JSON": f"({given} ->> '$')"}.get(
        type_, text
    )
    return f"nullif({made}, '') {BYTES}"


def _of_decimal(text: str, width: int, scale: int) -> str:
    """A decimal's text without zeros at its end.

    Of one that has no digits before the point DuckDB writes .5, not 0.5.
    """
    if not scale:
        return text
    full = f"regexp_replace({text}, '^(-?)[.]', '\\10.')" if width == scale else text
    return f"rtrim(rtrim({full}, '0'), '.')"


def _of_floating_point(given: str, limit: int, column: str) -> str:
    """NaN is no id; a whole number is written as one.

    From the limit on there is no telling which it was, and the query fails.
    """
    text = f"CAST({given} AS VARCHAR)"
    return f"""CASE
        WHEN {given} IS NULL OR isnan({given}) THEN NULL
        WHEN {given} <> trunc({given}) THEN {text}
        WHEN abs({given}) < {limit} THEN CAST(CAST({given} AS BIGINT) AS VARCHAR)
        ELSE error({inexact(text, limit, column)})
    END"""


def is_number(type_: str) -> bool:
    """Whether values of a type of DuckDB are numbers."""
    return type_ in NUMBERS or type_.startswith("DECIMAL")
