"""Connections to DuckDB: opened, interrupted, and what they complain of in our words."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from embsql import stopping
from embsql.engines._ahead import one_ahead
from embsql.engines.columns import failed, quote
from embsql.errors import (
    ROW,
    BusyWithReaders,
    CannotOpen,
    Closed,
    DatabaseBusy,
    EmbsqlError,
    ReadOnly,
)

if TYPE_CHECKING:
    import pyarrow as pa

# what they say is of the SQL alone
WITHOUT_ROWS = {"Binder Error", "Catalog Error", "IO Error", "Parser Error"}
NAMED_FILE = """
SELECT 1 FROM duckdb_databases() WHERE database_name = current_database() AND path IS NOT NULL
"""
# No file has such a name: DuckDB calls a database by its file's, which then hides the schema.
SCHEMAS = ("embsql", "embsql_internal")
HIDDEN = """
SELECT lower(database_name) FROM duckdb_databases()
WHERE lower(database_name) IN ('embsql', 'embsql_internal')
"""
GIVEN = "the DuckDB connection that was given"
# What is equal, how columns are called and what errors are, whatever is set for all connections.
SESSION = """
SET SESSION default_collation = 'binary';
SET SESSION preserve_identifier_case = true;
SET SESSION errors_as_json = false;
"""
WITHOUT_BAR = "SET SESSION enable_progress_bar = false"
BATCH_ROWS = 122_880  # one of DuckDB's row groups
STORAGE = "v1.4.0"  # so that clients of DuckDB 1.4 and later read the file


def open_connection(path: str, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection to a file or to memory. Raises CannotOpen, DatabaseBusy or ReadOnly."""
    if (name := Path(path).stem.lower()) in SCHEMAS:
        reason = f"a file of this name hides the schema {name}; give it another name"
        raise CannotOpen(path=path, reason=reason)
    config = {} if read_only else {"storage_compatibility_version": STORAGE}
    try:
        with translated(path):
            opened = duckdb.connect(path, read_only=read_only, config=dict(config))
    except (
        duckdb.CatalogException
    ) as error:  # of a file of another format, only to read
        if "in-memory" not in str(error) or path == ":memory:":
            raise
        raise _no_database(path) from None
    if path != ":memory:" and not opened.execute(NAMED_FILE).fetchall():
        opened.close()
        raise _no_database(path)
    # No variable of a caller's is a table here. Not by config: a reader in this process has
    # another.
    opened.execute("SET python_enable_replacements = false")
    _begin_session(opened)
    return opened


def _begin_session(connection: duckdb.DuckDBPyConnection) -> None:
    """Set what our statements count on; no bar of DuckDB's own below a notebook's cell."""
    connection.execute(SESSION)
    # in a notebook without ipywidgets there is no such bar, and DuckDB refuses the setting
    with suppress(duckdb.InvalidInputException):
        connection.execute(WITHOUT_BAR)


def _no_database(path: str) -> CannotOpen:
    reason = (
        f"it is no DuckDB database; to train on a file, give it as the source: {path!r}"
    )
    return CannotOpen(path=path, reason=reason)


def in_use(connection: duckdb.DuckDBPyConnection) -> str:
    """The database that a connection's names are of, which its cursors do not take over.

    Raises Closed, or CannotOpen for one that cannot be asked: whose transaction has failed, or
    which has a result that nobody has fetched.
    """
    try:
        ((name,),) = connection.sql("SELECT current_database()").fetchall()
    except duckdb.Error as error:
        if _is_closed(error):
            raise Closed(database=GIVEN) from None
        raise CannotOpen(path=GIVEN, reason=reason_of(error)) from None
    return str(name)


def using(
    connection: duckdb.DuckDBPyConnection, database: str
) -> duckdb.DuckDBPyConnection:
    """The connection, its names being of a database."""
    connection.execute(f"USE {quote(database)}").fetchall()
    return connection


def cursor_of(
    caller: duckdb.DuckDBPyConnection, database: str
) -> duckdb.DuckDBPyConnection:
    """A connection of ours to a caller's database, the one of this name.

    Raises Closed, or CannotOpen where names mean something else.
    """
    with translated(""):
        own = using(caller.cursor(), database)
    if found := own.execute(HIDDEN).fetchone():
        own.close()
        reason = (
            f"a database named {found[0]} hides the schema {found[0]}; DETACH it, or attach its "
            "file under another name"
        )
        raise CannotOpen(path=GIVEN, reason=reason)
    _begin_session(own)
    return own


@contextmanager
def interruptible(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let a query be stopped; Ctrl-C is Ctrl-C, of which DuckDB makes an error of its own."""
    try:
        with stopping.statement(connection.interrupt):
            yield
    except (RuntimeError, duckdb.InterruptException) as error:
        if "interrupt" in str(error).lower():
            raise KeyboardInterrupt from None
        raise


def read_ahead(
    connection: duckdb.DuckDBPyConnection, query: str
) -> Iterator[pa.RecordBatch]:
    """The rows of a query in batches; another thread reads the next one while one is used.

    This thread only waits, and so hears Ctrl-C.
    """
    # here, where a name may be a variable's of the caller's
    relation = connection.sql(query)
    # closed whatever holds the error meanwhile: an open result blocks the connection
    with closing(_batches(relation)) as batches:
        yield from one_ahead(batches, stop=connection.interrupt)


def _batches(relation: duckdb.DuckDBPyRelation) -> Generator[pa.RecordBatch]:
    """The rows of a relation. Raises DuckDB's errors, of which Arrow makes errors of its own."""
    import pyarrow as pa  # here: it takes as long to load as DuckDB

    try:
        yield from relation.to_arrow_reader(BATCH_ROWS)
    except (OSError, pa.ArrowException) as error:
        is_interrupt = "interrupt" in str(error).lower()
        raise (duckdb.InterruptException if is_interrupt else duckdb.Error)(
            str(error)
        ) from None


@contextmanager
def translated(path: str) -> Iterator[None]:
    """DuckDB's complaints about a file or a lock, in words that say what to do."""
    try:
        yield
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise _busy(path, str(error)) from None
        raise CannotOpen(path=path, reason=reason_of(error)) from None
    except duckdb.ConnectionException as error:
        if _is_closed(error):
            raise Closed(database=path or GIVEN) from None
        # this process has it open in another way
        raise DatabaseBusy(path=path, holder=" (this one)") from None
    except duckdb.InvalidInputException as error:
        if "read-only" in str(error):
            raise ReadOnly(path=path) from None
        raise


def _busy(path: str, complaint: str) -> DatabaseBusy:
    """Who holds a file; DuckDB knows whether they only read it."""
    process = re.search(r"PID (\d+)", complaint)
    holder = f" (process {process[1]})" if process else ""
    kind = BusyWithReaders if "read-only mode" in complaint else DatabaseBusy
    return kind(path=path, holder=holder)


def in_a_transaction(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a connection is in a transaction that somebody began.

    Else every statement has one of its own.
    """
    try:
        seen = [
            connection.execute("SELECT txid_current()").fetchall() for _ in range(2)
        ]
    except duckdb.TransactionException:  # it is in one that has failed
        return True
    return seen[0] == seen[1]


def _is_closed(error: Exception) -> bool:
    return isinstance(error, duckdb.ConnectionException) and "closed" in str(error)


def reason_of(error: Exception) -> str:
    """What went wrong, without the position markers, and without the row of a file where it did."""
    return ROW.sub("", _words(error).strip()).split("\n\n")[0].replace("\n", " ")


def _words(error: Exception) -> str:
    """What DuckDB says, also where a session has it say so in JSON."""
    kind, _, text = str(error).partition(": ")
    if not text.startswith('{"exception_type"'):
        return str(error)
    facts, _ = json.JSONDecoder().raw_decode(text)
    return f"{kind}: {facts['exception_message']}"


def source_error(error: Exception) -> EmbsqlError:
    """What went wrong with a source."""
    reason = reason_of(error)
    kind = reason.partition(":")[0]
    if _is_closed(error):
        return Closed(database=GIVEN)
    return failed(reason, None if kind in WITHOUT_ROWS else kind, "VARCHAR")


def arrow_of(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]
) -> pa.Table:
    """The answer of a query, of other statements a table of nothing."""
    relation = relation_of(connection, sql, values)
    if relation is not None:
        return relation.to_arrow_table()
    import pyarrow as pa  # here: it takes as long to load as DuckDB

    return pa.table({})


def relation_of(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]
) -> duckdb.DuckDBPyRelation | None:
    """Ask without leaving an open result behind, which would block the connection."""
    return connection.sql(sql, params=dict(values)) if values else connection.sql(sql)
