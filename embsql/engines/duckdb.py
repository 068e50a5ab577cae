"""DuckDB: the embedded engine, a file or memory."""

from __future__ import annotations

import atexit
import re
import threading
import uuid
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from embsql.engines._duckdb_connection import (
    arrow_of,
    cursor_of,
    in_a_transaction,
    in_use,
    interruptible,
    open_connection,
    read_ahead,
    reason_of,
    relation_of,
    source_error,
    translated,
    using,
)
from embsql.engines._duckdb_sources import DuckDBSources
from embsql.engines.columns import quote
from embsql.errors import (
    CannotInstall,
    EmbsqlError,
    InvalidArgument,
    ReadOnly,
    SourceFailed,
)
from embsql.run import Columns

if TYPE_CHECKING:
    import pyarrow as pa

CALLED = "DESCRIBE SELECT embsql_command([''])"  # bound, and not run
# types whose values Arrow gives as DuckDB does
PLAIN = {
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "VARCHAR",
}
ABSENT = "embsql_command does not exist"
NAMESAKES = """
SELECT function_type
FROM duckdb_functions()
WHERE function_name = 'embsql_command' AND database_name IN ('system', current_database())
"""
# One statement that begins no transaction, in which DuckDB 2 could not be asked a second time.
QUERY = re.compile(
    r"\s*(?:DESCRIBE|EXPLAIN|FROM|SELECT|WITH)\b[^;]*;?\s*", re.IGNORECASE
)
# type of function -> what drops it
MACROS = {"macro": "DROP MACRO", "table_macro": "DROP MACRO TABLE"}

Command = Callable[[list[str | None]], list[str | None]]
Done = TypeVar("Done")
OPEN: weakref.WeakSet[DuckDB] = weakref.WeakSet()
# DuckDB may call what it was given for as long as the database is open, also after the connection
# that gave it has gone without a word, and holds no reference then.
KEPT: list[Command] = []
# Threads with connections of their own to one file share its functions: one looks and makes it.
OF_THE_PROCESS = threading.Lock()


@atexit.register
def _close_all() -> None:
    """Close connections that know a Python function before the process ends.

    DuckDB 2 complains at length otherwise.
    """
    for engine in list(OPEN):
        # closed already, or busy in another thread: the process ends anyway
        with suppress(duckdb.Error):
            engine.withdraw()
            engine.close()


class DuckDB:
    """One open DuckDB database.

    A caller's own connection is only read from (its temporary tables and uncommitted rows are
    visible there); everything embsql writes goes through a cursor of its own, so the caller's
    transaction never changes.
    """

    name = "duckdb"
    embedded = True
    holds_registry = True
    withdrawals = 0  # how often any connection has taken embsql_command back

    def __init__(
        self, target: str | duckdb.DuckDBPyConnection, *, read_only: bool = False
    ) -> None:
        self.path = target if isinstance(target, str) else ""
        self.label = self.path or "an open DuckDB connection"
        self._owned = isinstance(target, str)
        self._begun = False  # by `transaction`, which commits what is done in it
        self._command: Command | None = None
        self._known_since: int | None = None  # of `withdrawals`
        # Has the function that this made known, whatever its own connection is in the midst of.
        self._holder: duckdb.DuckDBPyConnection | None = None
        self._caller = (
            open_connection(target, read_only) if isinstance(target, str) else target
        )
        self._in_use = in_use(self._caller)
        self._own = (
            self._caller if self._owned else cursor_of(self._caller, self._in_use)
        )
        self._shown: str | None = None
        OPEN.add(self)
        self.read_only = self._is_read_only()

    def _is_read_only(self) -> bool:
        rows = self.rows(
            "SELECT readonly FROM duckdb_databases() WHERE database_name = current_database()"
        )
        return bool(rows and rows[0]["readonly"])

    # --- the seven -------------------------------------------------------------------------------

    def run(self, sql: str, **values: Any) -> int:
        """Run one or several statements; the number of rows the last one changed."""
        with translated(self.path), interruptible(self._own):
            rows = self._with_command(
                sql, lambda: self._own.execute(sql, values or None).fetchall()
            )
        return (
            int(rows[0][0])
            if rows and len(rows[0]) == 1 and isinstance(rows[0][0], int)
            else 0
        )

    def ask(self, sql: str, **values: Any) -> pa.Table:
        """The answer of one query."""
        with translated(self.path), interruptible(self._own):
            return self._with_command(sql, lambda: arrow_of(self._own, sql, values))

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """The answer of one query that has few rows, as Python's values.

        They are those of Arrow, which is loaded only for types that DuckDB itself gives otherwise.
        """
        with translated(self.path), interruptible(self._own):
            relation = self._with_command(
                sql, lambda: relation_of(self._own, sql, values)
            )
            if relation is None:
                return []
            if not set(map(str, relation.types)) <= PLAIN:
                rows: list[dict[str, Any]] = relation.to_arrow_table().to_pylist()
                return rows
            names = relation.columns
            return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]

    @staticmethod
    def owns(target: object) -> bool:
        """Whether an open connection is DuckDB's."""
        return isinstance(target, duckdb.DuckDBPyConnection)

    def conflict(self, error: Exception) -> bool:
        """Whether another writer was first: DuckDB says so in several ways, some only at COMMIT."""
        return isinstance(
            error, duckdb.TransactionException | duckdb.ConstraintException
        )

    def batches(self, select: str, names: Sequence[str]) -> Generator[pa.RecordBatch]:
        """The rows of a source, evaluated once where the caller's own tables are visible.

        Its columns get these names. Raises SourceFailed or InexactId.
        """
        try:
            with interruptible(self._caller):
                for batch in read_ahead(self._caller, select):
                    yield batch.rename_columns(names)
        except duckdb.Error as error:
            raise source_error(error) from None

    def write(
        self, table: str, columns: Mapping[str, Any], *, schema: str = "embsql"
    ) -> int:
        """Append columns to a table; see `Engine.write`."""
        from embsql.engines._duckdb_arrow import table_of

        view = f"embsql_{uuid.uuid4().hex}"  # a name no table of the caller can have
        self._own.register(view, table_of(columns))
        try:
            names = ", ".join(quote(name) for name in columns)
            target = f"{quote(schema)}.{quote(table)}"
            with interruptible(self._own):
                ((rows,),) = self._own.execute(
                    f"INSERT INTO {target} ({names}) SELECT {names} FROM {view}"
                ).fetchall()
        finally:
            self._own.unregister(view)
        return int(rows)

    def write_parts(self, table: str, parts: Iterable[Mapping[str, Any]]) -> int:
        """Append columns to a table in parts; see `Engine.write_parts`."""
        return sum(self.write(table, columns) for columns in parts)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one within another is a part of it.

        Conflicts with other writers surface as duckdb.TransactionException.
        """
        if self._begun:
            yield
            return
        with translated(self.path):
            self._own.execute("BEGIN").fetchall()
        self._begun = True
        try:
            yield
            with interruptible(self._own):
                self._own.execute("COMMIT").fetchall()
        except BaseException:
            # a failed COMMIT leaves nothing to roll back
            with suppress(duckdb.TransactionException):
                self._own.execute("ROLLBACK").fetchall()
            raise
        finally:
            self._begun = False

    def in_transaction(self) -> bool:
        """Whether someone has said BEGIN on our connection; of `transaction` it is known."""
        with translated(self.path):
            return not self._begun and in_a_transaction(self._own)

    def index(self, run_id: int) -> None:
        """Nothing: DuckDB scans exactly, which is fast at these sizes and never wrong."""

    def close(self) -> None:
        """Give back what was opened here; others would call a function that is gone with it."""
        OPEN.discard(self)
        self.withdraw()
        self._own.close()
        if self._owned:
            self._caller.close()

    def compact(self) -> None:
        """Write the file anew, without the bytes of what was deleted.

        Nobody else may have it open for writing. Raises InvalidArgument for what is no file of
        ours, ReadOnly, DatabaseBusy and CannotOpen; the file is then as it was.
        """
        if not self._owned or self.path in ("", ":memory:"):
            allowed = "a file that embsql opened by its name"
            raise InvalidArgument(
                name="what is compacted", allowed=allowed, value=self.label
            )
        if self.read_only:
            raise ReadOnly(path=self.path)
        from embsql.engines._duckdb_file import (
            rewrite,
        )  # here: it brings locks of files

        self.close()
        try:
            with translated(self.path):
                rewrite(Path(self.path).resolve())
        finally:
            self._own = self._caller = open_connection(self.path, read_only=False)
            OPEN.add(self)

    # --- what only DuckDB needs ------------------------------------------------------------------

    def second(self) -> duckdb.DuckDBPyConnection:
        """Another connection to the same database, for another thread or from within a function."""
        return using(self._caller.cursor(), self._in_use)

    def offer(self, command: Command) -> None:
        """Make a Python function callable as embsql_command.

        The database has it once, whoever connects again.

        Raises CannotInstall where a macro of that name would be called in its place.
        """
        listed = set() if self.path == ":memory:" else _namesakes(self._own)
        for kind in listed & set(MACROS):
            reason = (
                f"it has a macro embsql_command of its own. Drop it: {MACROS[kind]} "
                "embsql_command;"
            )
            raise CannotInstall(database=self.label, reason=reason)
        self._command = command
        if not self._owned:  # SQL comes by the caller's connection, too
            self._make_known()

    def _make_known(self) -> None:
        """Give DuckDB the function, for which it loads numpy: a third of what opening takes."""
        if self._command is None or self._known_since == DuckDB.withdrawals:
            return
        with OF_THE_PROCESS:
            self._known_since = DuckDB.withdrawals
            holder = self.second()
            # another connection's is there until that is closed, which `withdrawals` says
            if _namesakes(holder):
                holder.close()
            else:
                _make(holder, self._command)
                self._holder = holder

    def _with_command(self, sql: str, work: Callable[[], Done]) -> Done:
        """What comes of SQL, with embsql_command where it is called.

        Most often nothing calls it. In `transaction` nothing does, and it would go with a ROLLBACK.
        """
        if not self._begun and not QUERY.fullmatch(sql):
            self._make_known()
        try:
            return work()
        except duckdb.CatalogException as error:
            if not QUERY.fullmatch(sql) or ABSENT not in str(error):
                raise
        self._known_since = None
        self._make_known()
        return work()

    def show(self, name: str, rows: pa.Table) -> None:
        """Let a table in memory be read under a name for as long as this is open."""
        try:
            self._own.register(name, rows)
            self._shown = name
            self._own.execute(f"DESCRIBE {quote(name)}").fetchall()
        except (
            duckdb.Error
        ) as error:  # a type of Arrow's that DuckDB has no type for, no columns
            raise SourceFailed(reason=reason_of(error)) from None

    def withdraw(self) -> None:
        """Take embsql_command back; only the connection that made it can.

        Whoever else has one of these open on that database makes it anew, at once for SQL that
        comes by a caller's own connection.
        """
        if self._holder is None:
            return
        with OF_THE_PROCESS:
            with suppress(duckdb.Error):
                self._holder.remove_function("embsql_command")
            DuckDB.withdrawals += 1
        self._holder.close()
        self._holder = None
        for other in OPEN - {self}:
            other.take_over()

    def take_over(self) -> None:
        """Make embsql_command known, as whoever did before has closed, if a caller's SQL may ask.

        In a database of another name nothing is missing.
        """
        # its connection may be closed
        with suppress(duckdb.Error, EmbsqlError):
            if not self._owned:
                self._make_known()

    # --- what callers name -----------------------------------------------------------------------

    @property
    def _sources(self) -> DuckDBSources:
        """What reads the tables, files and SELECTs that a caller names."""
        return DuckDBSources(
            self._caller, self._own, owned=self._owned, shown=self._shown
        )

    def source(
        self, text: str, columns: Columns, *, explicit: bool, whole: bool = False
    ) -> dict[str, Any]:
        """See `DuckDBSources.source`."""
        return self._sources.source(text, columns, explicit=explicit, whole=whole)

    def describe(self, text: str) -> dict[str, str]:
        """See `DuckDBSources.describe`."""
        return self._sources.describe(text)

    def gather(
        self, text: str, ids: Iterable[str] = (), weight: str | None = None
    ) -> pa.Table:
        """See `DuckDBSources.gather`."""
        return self._sources.gather(text, ids, weight)


def _make(holder: duckdb.DuckDBPyConnection, command: Command) -> None:
    """Have a connection make embsql_command, which is there as long as that is open."""
    KEPT.append(command)
    # With side effects, or EXPLAIN would train; with special NULLs, or a NULL argument gives a
    # silent NULL.
    holder.create_function(  # type: ignore[call-overload]  # stubs want an enum, which moved in 2.0
        "embsql_command",
        command,
        ["VARCHAR[]"],
        "VARCHAR[]",
        side_effects=True,
        null_handling="special",
    )


def _namesakes(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """What kinds of functions there are that a call of embsql_command may reach.

    Most often there is none, which a call says sooner than the list of all functions.
    """
    try:
        connection.execute(CALLED).fetchall()
    except duckdb.CatalogException as error:
        if ABSENT in str(error):
            return set()
    except duckdb.BinderException:
        pass  # one with other arguments
    return {kind for (kind,) in connection.execute(NAMESAKES).fetchall()}
