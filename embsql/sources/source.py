"""What a caller may give where rows are wanted: SQL, a file, or a table that Python holds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from embsql.engines import Engine
from embsql.engines.duckdb import DuckDB
from embsql.engines.duckdb_columns import framed
from embsql.engines.files import exactly, literal
from embsql.errors import (
    BadColumnType,
    BadWeights,
    EmbsqlError,
    IdTooLong,
    InexactId,
    InvalidArgument,
    NulByte,
    SourceFailed,
)
from embsql.options import shortened, shown, text

ALLOWED = (
    "a SELECT, the name of a table or file, a path, or a table in memory that Arrow can "
    "read: of pandas, polars, "
    "pyarrow or DuckDB"
)
ONE_ID = "text, a number or another value that an id can be"
LONGEST_NAME = 255  # bytes of a file's name; the system has no longer ones
GIVEN = "given"  # what a table in memory is called where it is read
# where a run remembered one
UNNAMED = "-- a SELECT that named somebody who was forgotten"


@dataclass(frozen=True, slots=True)
class Given:
    """Rows that this process holds: DuckDB reads them here, wherever the model lives."""

    text: str  # what is recorded: a file's name in quotes, or what the table was
    table: pa.Table | None = None  # none: it is a file

    def __str__(self) -> str:
        return self.text


Source = str | Given


def source(value: Any, option: str) -> Source:
    """What a caller gave for an option as a source. Raises InvalidArgument."""
    if isinstance(value, str):
        if value == UNNAMED:
            raise SourceFailed(
                reason=f"{option} named somebody who was forgotten; write it again"
            )
        # an empty text is refused later, as no SELECT
        return text(option, value, ALLOWED) if value.strip() else value
    if isinstance(value, os.PathLike):
        path = text(option, str(os.fspath(value)), ALLOWED)
        if len(Path(path).name.encode()) > LONGEST_NAME:
            raise InvalidArgument(name=option, allowed=ALLOWED, value=shortened(path))
        return Given(literal(path if Path(path).is_dir() else exactly(path)))
    kind = f"{type(value).__module__.split('.')[0].lstrip('_')}.{type(value).__name__}"
    if not hasattr(value, "__arrow_c_stream__") and kind != "pandas.DataFrame":
        raise InvalidArgument(name=option, allowed=ALLOWED, value=kind)
    table = _table(value, kind, option)
    return Given(
        f"{kind} of {table.num_rows} rows: {', '.join(table.column_names)}", table
    )


def optional(value: Any, option: str) -> Source | None:
    """The same, where nothing may be given."""
    return None if value is None else source(value, option)


def _table(value: Any, kind: str, option: str) -> pa.Table:
    """A table of whatever library as Arrow's.

    Raises SourceFailed, or InvalidArgument for a single column.
    """
    try:
        table = (
            pa.Table.from_pandas(value)
            if kind == "pandas.DataFrame"
            else pa.table(value)
        )
    except Exception as error:
        lines = str(error).strip().splitlines()
        if "non-struct type" in str(error):  # a Series, an array
            value = f"one column, {kind}"
            raise InvalidArgument(name=option, allowed=ALLOWED, value=value) from None
        raise _unreadable(kind, lines[0] if lines else type(error).__name__) from None
    ambiguous = _ambiguous(table.column_names)
    if ambiguous:
        raise _unreadable(kind, f"Duplicate column names found: {ambiguous}")
    return _without_halves(table)


def _unreadable(kind: str, problem: str) -> EmbsqlError:
    """The error for what is no table of Arrow's, and what to do."""
    remedy = "give each column one type, ids as text"
    if problem.startswith("Duplicate column names"):
        remedy = "names that differ by case alone are one: rename the columns, or leave some out"
    return SourceFailed(
        reason=f"{kind} cannot be read as an Arrow table ({problem}); {remedy}"
    )


def _ambiguous(names: list[str]) -> list[str]:
    """The names that are one to DuckDB, which would call all but the first otherwise."""
    counts = Counter(name.lower() for name in names)
    return [name for name in names if counts[name.lower()] > 1]


def _without_halves(table: pa.Table) -> pa.Table:
    """The same with 32 bits for each number of 16, which DuckDB cannot read."""
    for position, field in enumerate(table.schema):
        if "halffloat" in str(field.type):
            column = table[field.name].cast(_full(field.type))
            table = table.set_column(position, field.name, column)
    return table


def _full(kind: pa.DataType) -> pa.DataType:
    """A type with 32 bits for each number of 16."""
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_full(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_full(kind.value_type))
    return kind


def recorded(given: Source) -> str | dict[str, str]:
    """What a run remembers of a source: text that can be read again, or what it was."""
    return (
        {"table": given.text}
        if isinstance(given, Given) and given.table is not None
        else str(given)
    )


@contextmanager
def reading(engine: Engine, given: Source) -> Iterator[tuple[Engine, str]]:
    """The engine that reads a source, and what it reads.

    Of a table in memory no other statement can see the name.
    """
    if isinstance(given, str) or (given.table is None and engine.embedded):
        yield engine, given if isinstance(given, str) else str(given)
        return
    with closing(DuckDB(":memory:")) as local:
        if given.table is None:
            yield local, given.text
            return
        local.show(GIVEN, given.table)
        try:
            yield local, GIVEN
        except InexactId as error:
            raise of_table(error) from None


def of_table(error: EmbsqlError) -> EmbsqlError:
    """An error whose remedy is for a SELECT as that about a table in memory."""
    remedy = error.values.get("remedy")
    if isinstance(error, BadWeights):
        return error.but(remedy=framed(where=f" {remedy}"))
    if isinstance(error, InexactId | IdTooLong | NulByte):
        return error.but(remedy=framed(str(remedy)))
    return error


def _as_column(value: Any) -> pa.Array:
    """A value of Python as a column of one row. Raises InvalidArgument."""
    try:
        return pa.array([value])
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        pass  # what Arrow has no type for has a text of its own: a UUID, an enumeration
    try:
        missing = bool(value != value)  # noqa: PLR0124 - as NaN and NaT are, and NA has no answer
        texts = None if missing else [str(value)]
        return pa.array(texts)
    except Exception:
        raise InvalidArgument(name="id", allowed=ONE_ID, value=shown(value)) from None


def text_of(value: Any, *, in_file: bool = False) -> str:
    """A value of Python as the id that a source with it has.

    A file may hold what no source may have any more: an id with NUL, which no server can store.
    Raises InvalidArgument, or InexactId.
    """
    if isinstance(value, str):
        return _id_of(value, nul=in_file)
    column = _as_column(value)
    with closing(DuckDB(":memory:")) as local:
        local.show(GIVEN, pa.table({"id": column}))
        try:
            found: list[str | None] = local.gather(GIVEN, ["id"])["id"].to_pylist()
        except BadColumnType:
            raise InvalidArgument(
                name="id", allowed=ONE_ID, value=shown(value)
            ) from None
    if found[0] is None:
        raise InvalidArgument(name="id", allowed=ONE_ID, value=repr(value))
    return found[0]


def _id_of(value: str, *, nul: bool) -> str:
    """A text as the id it is, also one of spaces. Raises InvalidArgument."""
    # of a surrogate pair
    is_half = any("\ud800" <= letter <= "\udfff" for letter in value)
    if not value or is_half or ("\0" in value and not nul):
        allowed = "an id: text, a number, a date or a UUID"
        raise InvalidArgument(name="user_id", allowed=allowed, value=shown(value))
    return value
