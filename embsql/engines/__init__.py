"""Where embeddings live: one engine, one file. Everything else about a database is SQL."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from embsql.errors import CannotOpen, MissingExtra, UnknownDatabase
from embsql.options import is_text, shown
from embsql.run import Columns

if TYPE_CHECKING:
    import pyarrow as pa


class Engine(Protocol):
    """A database that holds embsql."""

    name: str  # also the name of its prelude and its shell
    path: str  # the file, "" when there is none
    label: str  # what messages call it; never holds a password
    # lives in this process: opening it brings it up to date, and ends its readers' waiting
    embedded: bool
    read_only: bool
    # runs are trained into it; otherwise they are published to it, and only asked there
    holds_registry: bool

    def run(self, sql: str, **values: Any) -> int:
        """Run one or several statements; the number of rows the last one changed."""

    def ask(self, sql: str, **values: Any) -> pa.Table:
        """The answer of one query."""

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """The answer of one query that has few rows, as Python's values."""

    def batches(self, select: str, names: Sequence[str]) -> Generator[pa.RecordBatch]:
        """The rows of a source, evaluated once where the caller's own tables are visible.

        Its columns are as many as the names, and get those.
        """

    def write(
        self, table: str, columns: Mapping[str, Any], *, schema: str = "embsql"
    ) -> int:
        """Append columns to a table; returns the number of rows.

        They are equally long. A 2-d float array is a column of vectors, an Arrow scalar the value
        of every row.
        """

    def write_parts(self, table: str, parts: Iterable[Mapping[str, Any]]) -> int:
        """Append a run's rows to one of the large tables, in parts that are made as they go.

        Together they are one write, of which who may train has one for each run and table.
        """

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing."""

    def index(self, run_id: int) -> None:
        """Build what makes the questions on a run fast, where the database has such a thing."""

    def compact(self) -> None:
        """Write everything of embsql anew, without the bytes of what was deleted."""

    def in_transaction(self) -> bool:
        """Whether someone has said BEGIN on the connection that everything is written on."""

    def close(self) -> None:
        """Give back what was opened."""

    def source(
        self, text: str, columns: Columns, *, explicit: bool, whole: bool = False
    ) -> dict[str, Any]:
        """What the preparing script needs to know of a source, its types checked.

        "guessed" among it says that types were guessed from a file's first rows; `whole` looks at
        all.
        """

    def offer(self, command: Callable[[list[str | None]], list[str | None]]) -> None:
        """Make a Python function callable as embsql_command in SQL, where the database can."""

    def second(self) -> Any:
        """Another connection to the same database, as `connect` takes it."""

    def describe(self, text: str) -> dict[str, str]:
        """Names and types of a source's columns, without running it."""

    def gather(
        self, text: str, ids: Iterable[str] = (), weight: str | None = None
    ) -> pa.Table:
        """A caller's SELECT, evaluated where the caller's own tables are visible.

        Columns called one of `ids`, or `weight`, are made what those of `source` are; the others
        stay as they are.
        """

    def conflict(self, error: Exception) -> bool:
        """Whether an error only says that another writer was first.

        The transaction may then be tried again.
        """


SETTING = (
    re.compile(  # of libpq, by which a text is an address, and so may hold a password
        r"""(?:^|[\s;])(?:
        service|user|password|passfile|dbname|host|hostaddr|port|options|replication
        |application_name|fallback_application_name|client_encoding|connect_timeout|channel_binding
        |keepalives\w*|tcp_user_timeout|load_balance_hosts|target_session_attrs
        |ssl\w*|gss\w*|krbsrvname|m(?:in|ax)_protocol_version|require\w+|scram\w+|oauth\w+
    )\s*=""",
        re.VERBOSE | re.IGNORECASE,
    )
)
UNREAD = "postgresql://..."  # what messages call an address that could not be read
DRIVERS = ("duckdb", "_duckdb", "psycopg")  # whose errors are a database's


def complaint(error: Exception) -> str | None:
    """What a database itself says is wrong; None for any other error."""
    return str(error) if type(error).__module__.split(".")[0] in DRIVERS else None


def no_memory(error: Exception) -> str | None:
    """What could not be had, of an error for want of memory; None for any other error."""
    # DuckDB's, which goes on with advice
    if type(error).__name__ == "OutOfMemoryException":
        return str(error).split("\n")[0]
    if isinstance(error, MemoryError):
        return str(error) or "an allocation failed"
    is_thread = isinstance(error, RuntimeError) and "can't start new thread" in str(
        error
    )
    return str(error) if is_thread else None


def open_engine(target: Any, *, read_only: bool = False) -> Engine:
    """The engine for a target.

    A DuckDB file, ":memory:", a postgresql:// address, or an open connection of either; "spark",
    the sc:// address of a Spark Connect server, or an open Spark session.

    Raises UnknownDatabase, or MissingExtra for an engine whose package is not there.
    """
    target = checked(target)
    module = "" if isinstance(target, str) else type(target).__module__
    if is_address(target) or module.startswith("psycopg"):
        return _postgres(target, read_only)
    if is_spark(target):
        from embsql.engines.spark import Spark

        return Spark(target)
    from embsql.engines.duckdb import DuckDB

    if isinstance(target, str) and "://" in target:
        raise UnknownDatabase(target=target.split("://")[0] + "://...")
    if not isinstance(target, str) and not DuckDB.owns(target):
        raise UnknownDatabase(target=shown(target))
    return DuckDB(target, read_only=read_only)


def is_spark(target: Any) -> bool:
    """Whether a target is Spark: its name, the address of a server, or an open session."""
    if isinstance(target, str):
        return target == "spark" or target.startswith("sc://")
    return type(target).__module__.startswith("pyspark.") and hasattr(target, "sql")


def checked(target: Any) -> Any:
    """The target, a path as text. Raises UnknownDatabase for text that is the name of nothing."""
    target = os.fspath(target) if isinstance(target, os.PathLike) else target
    if isinstance(target, str) and target and not is_text(target):
        raise UnknownDatabase(target=UNREAD if is_address(target) else shown(target))
    return target


def existing(target: Any) -> Any:
    """The target, unless it is the path of a file that is not there, which opening would make.

    Raises CannotOpen.
    """
    target = checked(target)
    is_path = (
        isinstance(target, str)
        and target not in ("", ":memory:")
        and not is_address(target)
        and not is_spark(target)
    )
    if is_path and "://" not in target and not Path(target).exists():
        raise CannotOpen(path=target, reason="there is no such file")
    return target


def is_address(target: Any) -> bool:
    """Whether a text is an address as libpq reads it: a URI, or settings, user=... host=...

    Settings that libpq would not understand are one too: a file is never called after a password.
    """
    if not isinstance(target, str):
        return False
    uri = re.match(r"\s*postgres(ql)?://", target, re.IGNORECASE)
    settings = re.match(r"\s*\w+\s*=", target) and SETTING.search(target)
    return bool(uri or settings)


def _postgres(target: Any, read_only: bool) -> Engine:
    try:
        from embsql.engines.postgres import PostgreSQL
    except ModuleNotFoundError as error:
        raise MissingExtra(
            what="PostgreSQL", package=error.name, extra="postgres"
        ) from None
    return PostgreSQL(target, read_only=read_only)


@contextmanager
def open_or_reuse(target: Any, engine: Engine) -> Iterator[Engine]:
    """The engine for another database while the block runs, or the same one when none is named."""
    if target is None:
        yield engine
        return
    opened = open_engine(existing(target))
    try:
        yield opened
    finally:
        opened.close()
