"""What a caller may give where rows are wanted: SQL, a file, or a table that Python holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embsql.engines import Engine
from embsql.engines.duckdb import DuckDB
from embsql.engines.duckdb_columns import framed
from embsql.engines.files import exactly, literal, named_file
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

if TYPE_CHECKING:
    import pyarrow as pa

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
    class_ = type(value)
    package = class_.__module__.split(".")[0].lstrip("_")
    kind = f"{package}.{class_.__name__}"
    if not hasattr(value, "__arrow_c_stream__") and kind != "pandas.DataFrame":
        raise InvalidArgument(name=option, allowed=ALLOWED, value=kind)
    from embsql.sources.in_memory import (
        as_table,
    )  # here: Arrow takes as long to load as DuckDB

    table = as_table(value, kind, option, ALLOWED)
    return Given(
        f"{kind} of {table.num_rows} rows: {', '.join(table.column_names)}", table
    )


def optional(value: Any, option: str) -> Source | None:
    """The same, where nothing may be given."""
    return None if value is None else source(value, option)


def lasting(text: str) -> str:
    """What a source is called from any folder: of a file its whole path."""
    path = named_file(text.strip())
    if path is None or "://" in path or Path(path).is_absolute():
        return text
    return literal(str(Path.cwd() / path))


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


def text_of(value: Any, *, in_file: bool = False) -> str:
    """A value of Python as the id that a source with it has.

    A file may hold what no source may have any more: an id with NUL, which no server can store.
    Raises InvalidArgument, or InexactId.
    """
    if isinstance(value, str):
        return _id_of(value, nul=in_file)
    from embsql.sources.in_memory import of_id

    column = of_id(value, ONE_ID)
    with closing(DuckDB(":memory:")) as local:
        local.show(GIVEN, column)
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
