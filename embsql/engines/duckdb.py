"""DuckDB: the embedded engine, a file or memory."""

from __future__ import annotations

import atexit
import re
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from embsql.engines._columns import FILE, NAME, find, need, quote
from embsql.errors import (
    BadColumnType,
    CannotOpen,
    DatabaseBusy,
    NotASelect,
    ReadOnly,
    SourceFailed,
)  # fmt: skip
from embsql.model import Columns

ROW_GROUP = 122_880  # rows of one of DuckDB's row groups: a batch of as many is one thread's work
STORAGE = "v1.4.0"  # so that clients of DuckDB 1.4 and later read the file
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
NUMBERS = INTEGERS | {"FLOAT", "DOUBLE", "BOOLEAN"}


OPEN: weakref.WeakSet[DuckDB] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """DuckDB 2 complains at length when a process ends with a connection open that knows a Python function."""
    for engine in list(OPEN):
        with suppress(duckdb.Error):  # closed already, or busy in another thread: the process ends anyway
            engine.withdraw()
            engine.close()


class DuckDB:
    """One open DuckDB database.

    A caller's own connection is only read from (its temporary tables and uncommitted rows are visible there);
    everything embsql writes goes through a cursor of its own, so the caller's transaction never changes.
    """

    name = "duckdb"
    embedded = True

    def __init__(self, target: str | duckdb.DuckDBPyConnection, *, read_only: bool = False) -> None:
        self.path = target if isinstance(target, str) else ""
        self.place = self.path or "an open DuckDB connection"
        self._owned = isinstance(target, str)
        self._caller = _open(target, read_only) if isinstance(target, str) else target
        self._own = self._caller if self._owned else self._caller.cursor()
        OPEN.add(self)
        self.read_only = self._is_read_only()

    def _is_read_only(self) -> bool:
        rows = self.ask("SELECT readonly FROM duckdb_databases() WHERE database_name = current_database()").to_pylist()
        return bool(rows and rows[0]["readonly"])

    # --- the seven -------------------------------------------------------------------------------

    def run(self, sql: str, **values: Any) -> int:
        """Run one or several statements; the number of rows the last one changed."""
        with translated(self.path), interruptible():
            rows = self._own.execute(sql, values or None).fetchall()
        return int(rows[0][0]) if rows and len(rows[0]) == 1 and isinstance(rows[0][0], int) else 0

    def ask(self, sql: str, **values: Any) -> pa.Table:
        """The answer of one query."""
        with translated(self.path), interruptible():
            return _arrow(self._own, sql, values)

    @staticmethod
    def owns(target: object) -> bool:
        """Whether an open connection is DuckDB's."""
        return isinstance(target, duckdb.DuckDBPyConnection)

    def complaint(self, error: Exception) -> str | None:
        """DuckDB's message, whose first line has no position markers."""
        return _first_line(error) if isinstance(error, duckdb.Error) else None

    def conflict(self, error: Exception) -> bool:
        """Whether another writer was first: DuckDB says so in several ways, some only at COMMIT."""
        return isinstance(error, duckdb.TransactionException | duckdb.ConstraintException)

    def read(
        self, select: str, script: str, queries: Mapping[str, str], done: str, **values: Any
    ) -> dict[str, pa.Table]:
        """Evaluate a source where the caller's own tables are visible, then the script, each query, what tidies up."""
        try:
            with interruptible():
                self._caller.execute(f"CREATE OR REPLACE TEMP TABLE embsql_source AS {select}").fetchall()
                self._caller.execute(script).fetchall()
                return {name: _arrow(self._caller, sql, values.get(name, {})) for name, sql in queries.items()}
        except duckdb.Error as error:
            raise SourceFailed(reason=_first_line(error)) from None
        finally:
            with suppress(duckdb.Error):  # a caller's transaction that has failed tidies up by itself
                self._caller.execute(done).fetchall()

    def write(self, table: str, columns: Mapping[str, Any], *, schema: str = "embsql") -> int:
        """Append columns (equally long; a 2-d float array is a column of vectors) to a table."""
        rows = pa.table({name: _column(values) for name, values in columns.items()})
        rows = pa.Table.from_batches(rows.to_batches(max_chunksize=ROW_GROUP), rows.schema)
        view = f"embsql_{uuid.uuid4().hex}"  # a name no table of the caller can have
        self._own.register(view, rows)
        try:
            names = ", ".join(quote(name) for name in columns)
            target = f"{quote(schema)}.{quote(table)}"
            with interruptible():
                self._own.execute(f"INSERT INTO {target} ({names}) SELECT {names} FROM {view}").fetchall()  # noqa: S608 - quoted names
        finally:
            self._own.unregister(view)
        return int(rows.num_rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Conflicts with other writers surface as duckdb.TransactionException."""
        self._own.execute("BEGIN").fetchall()
        try:
            yield
            with interruptible():
                self._own.execute("COMMIT").fetchall()
        except BaseException:
            with suppress(duckdb.TransactionException):  # a failed COMMIT leaves nothing to roll back
                self._own.execute("ROLLBACK").fetchall()
            raise

    def index(self, run_id: int) -> None:
        """Nothing: DuckDB scans exactly, which is fast at these sizes and never wrong."""

    def close(self) -> None:
        """Give back what was opened here."""
        self._own.close()
        if self._owned:
            self._caller.close()

    # --- what only DuckDB needs ------------------------------------------------------------------

    def second(self) -> duckdb.DuckDBPyConnection:
        """Another connection to the same database, for another thread or from within a function."""
        return self._caller.cursor()

    def offer(self, command: Callable[[list[str | None]], list[str | None]]) -> None:
        """Make a Python function callable as embsql_command; the database has it once, whoever connects again."""
        listed = self._own.execute("SELECT 1 FROM duckdb_functions() WHERE function_name = 'embsql_command'").fetchall()
        if not listed:
            # With side effects, or EXPLAIN would train; with special NULLs, or a NULL argument gives a silent NULL.
            self._own.create_function(  # type: ignore[call-overload]  # the home of the enum it wants moved in 2.0
                "embsql_command", command, ["VARCHAR[]"], "VARCHAR[]", side_effects=True, null_handling="special"
            )

    def withdraw(self) -> None:
        """Take embsql_command back; only the connection that offered it can."""
        with suppress(duckdb.Error):
            self._own.remove_function("embsql_command")

    def source(self, text: str, columns: Columns, *, explicit: bool) -> dict[str, Any]:
        """What the preparing script needs to know of a source, its columns found and their types checked.

        Raises NotASelect, SourceFailed, MissingColumn or BadColumnType.
        """
        query, types = self._select(text), self.describe(text)
        weight = find(types, columns.weight, "weight", "weight_col")
        time = find(types, columns.time, "event_time", "time_col")
        return {
            "query": query, "explicit": explicit,
            "user": _key(types, need(types, columns.user, "user_id", "user_col")),
            "item": _key(types, need(types, columns.item, "item_id", "item_col")),
            "weight": _weight(types, weight) if weight else "CAST(1 AS DOUBLE)",
            "time": _time(types, time) if time else "CAST(NULL AS BIGINT)",
            "has_weight": weight is not None, "has_time": time is not None,
            "clock": bool(time and not _is_number(types[time])),
        }  # fmt: skip

    def describe(self, text: str) -> dict[str, str]:
        """Names and types of a source's columns, without running it. Raises NotASelect or SourceFailed."""
        query = self._select(text)
        try:
            with interruptible():
                rows = self._caller.execute(f"DESCRIBE SELECT * FROM (\n{query}\n) AS given").fetchall()  # noqa: S608 - one SELECT
        except duckdb.Error as error:
            raise SourceFailed(reason=_first_line(error)) from None
        return {name: type_ for name, type_, *_ in rows}

    def gather(self, text: str) -> pa.Table:
        """A caller's SELECT as it stands. Raises NotASelect or SourceFailed."""
        query = self._select(text)
        try:
            with interruptible():
                return _arrow(self._caller, f"SELECT * FROM (\n{query}\n) AS given", {})  # noqa: S608 - one SELECT
        except duckdb.Error as error:
            raise SourceFailed(reason=_first_line(error)) from None

    def _select(self, text: str) -> str:
        """The source as one SELECT: as it stands, or for the name of a table or file."""
        text = text.strip().rstrip(";").strip()
        if FILE.fullmatch(text):
            return "SELECT * FROM '" + text.replace("'", "''") + "'"  # noqa: S608 - a quoted string
        if NAME.fullmatch(text):
            return "SELECT * FROM " + ".".join(quote(part.strip('"')) for part in text.split("."))  # noqa: S608 - quoted names
        try:
            parsed = self._caller.extract_statements(text)
        except duckdb.Error as error:
            raise SourceFailed(reason=_first_line(error)) from None
        kinds = [statement.type.name for statement in parsed]
        if [kind.removesuffix("_STATEMENT") for kind in kinds] != ["SELECT"]:
            raise NotASelect(found=" and ".join(kinds).replace("_STATEMENT", "") or "nothing")
        return str(parsed[0].query).strip().rstrip(";")


# --- opening -------------------------------------------------------------------------------------


def _open(path: str, read_only: bool) -> duckdb.DuckDBPyConnection:
    if (
        Path(path).stem.lower() == "embsql"
    ):  # DuckDB calls a database by its file's name, and then embsql.x is ambiguous
        raise CannotOpen(path=path, reason="a file of this name hides the schema embsql; give it another name")
    config: dict[str, str | bool | int | float | list[str]] = (
        {} if read_only else {"storage_compatibility_version": STORAGE}
    )
    with translated(path):
        return duckdb.connect(path, read_only=read_only, config=config)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C during a query is Ctrl-C; DuckDB makes an error of its own of it."""
    try:
        yield
    except (RuntimeError, duckdb.InterruptException) as error:
        if "interrupt" in str(error).lower():
            raise KeyboardInterrupt from None
        raise


@contextmanager
def translated(path: str) -> Iterator[None]:
    """DuckDB's complaints about a file or a lock, in words that say what to do."""
    try:
        yield
    except duckdb.IOException as error:
        holder = re.search(r"PID (\d+)", str(error))
        if "lock" in str(error):
            raise DatabaseBusy(path=path, holder=f" (process {holder[1]})" if holder else "") from None
        raise CannotOpen(path=path, reason=_first_line(error)) from None
    except duckdb.ConnectionException:  # this process has it open in another way
        raise DatabaseBusy(path=path, holder=" (this one)") from None
    except duckdb.InvalidInputException as error:
        if "read-only" in str(error):
            raise ReadOnly(path=path) from None
        raise


def _first_line(error: Exception) -> str:
    """What went wrong, without the position markers."""
    return str(error).strip().split("\n\n")[0].replace("\n", " ")


# --- columns in ----------------------------------------------------------------------------------


def _arrow(connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]) -> pa.Table:
    """Ask without leaving an open result behind, which would block the connection."""
    relation = connection.sql(sql, params=dict(values)) if values else connection.sql(sql)
    return pa.table({}) if relation is None else relation.to_arrow_table()


def _key(types: dict[str, str], column: str) -> str:
    """An id: whole numbers and UUIDs stay as they are (faster to join), all else becomes text; '' is no id."""
    type_ = types[column]
    if "[" in type_ or type_.startswith(("STRUCT", "MAP", "BLOB")):
        raise BadColumnType(column=column, allowed="text, a number or a UUID", found=type_, cast="VARCHAR")
    plain = type_ in INTEGERS or type_ == "UUID"
    return f"given.{quote(column)}" if plain else f"nullif(CAST(given.{quote(column)} AS VARCHAR), '')"


def _is_number(type_: str) -> bool:
    return type_ in NUMBERS or type_.startswith("DECIMAL")


def _weight(types: dict[str, str], column: str) -> str:
    if not _is_number(types[column]):
        raise BadColumnType(column=column, allowed="a number", found=types[column], cast="DOUBLE")
    return f"CAST(given.{quote(column)} AS DOUBLE)"


def _time(types: dict[str, str], column: str) -> str:
    """Microseconds since 1970 of a date or timestamp; a whole number is an order and stays as it is."""
    type_ = types[column]
    if type_ in INTEGERS:
        return f"CAST(given.{quote(column)} AS BIGINT)"
    if not type_.startswith(("TIMESTAMP", "DATE")):
        raise BadColumnType(
            column=column, allowed="a timestamp, a date or a whole number", found=type_, cast="TIMESTAMP"
        )
    if type_ == "TIMESTAMP WITH TIME ZONE":  # a cast would go through the session's time zone
        return f"epoch_us(given.{quote(column)})"
    return f"epoch_us(CAST(given.{quote(column)} AS TIMESTAMP))"


# --- columns out ---------------------------------------------------------------------------------


def _column(values: Any) -> Any:
    """A column for Arrow; vectors (n, d) become lists that share one buffer."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        n, d = values.shape
        offsets = np.arange(n + 1, dtype=np.int64) * d
        return pa.LargeListArray.from_arrays(offsets, np.ascontiguousarray(values).reshape(n * d))
    return values
