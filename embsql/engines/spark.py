"""Spark: sources are read in it, and runs that were published to it are asked there.

A session of the caller's is used as it is. The registry, which training writes to in transactions,
is in DuckDB or PostgreSQL: Spark has neither transactions nor rows that change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from embsql.engines._spark_columns import SparkColumns, backticked
from embsql.engines.columns import (
    CALL,
    NAME,
    PART,
    bare,
    failed,
    find_column,
    need,
    source_facts,
)
from embsql.errors import (
    CannotOpen,
    MissingExtra,
    NotASelect,
    NotInSpark,
    SourceFailed,
    of_database,
)
from embsql.run import Columns

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

FILE_ROWS = 50_000  # of a Parquet file at least
OLDEST = (4, 0)  # from which on rows come as Arrow
# what raise_error says
REFUSED = re.compile(r"(embsql: .*?) SQLSTATE: P0001", re.DOTALL)
# of a message, from Python or the JVM: behind the class of the error what it says
SAID = re.compile(
    r"\[[A-Z_0-9]+(?:\.[A-Z_0-9]+)*\] (.*?)(?: SQLSTATE: \w+.*)?$", re.MULTILINE
)
# of the traceback of an executor's Python: the first line behind it
EXECUTORS = re.compile(
    r"Python worker:\s+Traceback .*?^(?=\S)(.*?)$", re.DOTALL | re.MULTILINE
)
PARAMETER = re.compile(r"('(?:[^'\\]|\\.)*')|\$(?=[a-z_])")


class Spark:
    """One Spark session."""

    name = "spark"
    path = ""
    embedded = False
    holds_registry = False
    read_only = False

    def __init__(self, target: str | SparkSession) -> None:
        self.label = target if isinstance(target, str) else "an open Spark session"
        self._owned = isinstance(target, str) and not _is_begun()
        self.session = _session(target) if isinstance(target, str) else target
        if self.version < OLDEST:
            found = self.session.version
            reason = f"it is Spark {found}, and embsql needs 4.0 or later"
            raise CannotOpen(path=self.label, reason=reason)

    @property
    def version(self) -> tuple[int, ...]:
        """Spark's, (4, 3) for 4.3.0."""
        return tuple(int(part) for part in self.session.version.split(".")[:2])

    # --- the seven -------------------------------------------------------------------------------

    def run(self, sql: str, **values: Any) -> int:
        """Run one statement; Spark counts no rows."""
        with in_our_words():
            self.query(sql, **values).collect()
        return 0

    def ask(self, sql: str, **values: Any) -> pa.Table:
        """The answer of one query."""
        with in_our_words():
            return self.query(sql, **values).toArrow()

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """The answer of one query that has few rows, as Python's values."""
        found: list[dict[str, Any]] = self.ask(sql, **values).to_pylist()
        return found

    def batches(self, select: str, names: Sequence[str]) -> Generator[pa.RecordBatch]:
        """The rows of a source, brought to this process as a whole.

        Its columns get these names. Raises SourceFailed or InexactId.
        """
        yield from self._asked(select).rename_columns(names).to_batches()

    def write(
        self, table: str, columns: Mapping[str, Any], *, schema: str = "embsql"
    ) -> int:
        """Append columns to a table, in whose order they go; returns the number of rows."""
        import pyarrow as pa  # here: it takes as long to load as DuckDB

        rows = pa.table(dict(columns))
        target = f"{backticked(schema)}.{backticked(table)}"
        with in_our_words():
            into: Any = self.session.table(target).schema
            given = self.session.createDataFrame(rows.select(into.names), into)
            given.coalesce(1 + rows.num_rows // FILE_ROWS).write.insertInto(target)
        return int(rows.num_rows)

    def derive(
        self, select: str, rows: Callable[[Any], Any], table: str, **values: Any
    ) -> None:
        """Append to a table what a function of the executors makes of a query's blocks.

        It gets an iterator of Arrow batches, and yields such with the columns of the table.
        """
        target = f"embsql.{backticked(table)}"
        with in_our_words():
            into: Any = self.session.table(target).schema
            made = self.query(select, **values).mapInArrow(rows, into)
            made.write.insertInto(target)

    def write_parts(self, table: str, parts: Iterable[Mapping[str, Any]]) -> int:
        """Append columns to a table in parts; see `Engine.write_parts`."""
        return sum(self.write(table, columns) for columns in parts)

    def transaction(self) -> nullcontext[None]:
        """Nothing: Spark has none, and what must be seen at once is one statement."""
        return nullcontext()

    def index(self, run_id: int) -> None:
        """Nothing: Spark has no indexes."""

    def compact(self) -> None:
        """Refuse: a run's folder is written anew when it is published. Raises NotInSpark."""
        raise NotInSpark(command="compact")

    def second(self) -> SparkSession:
        """The same session, which many may use at once."""
        return self.session

    def in_transaction(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """End the session, if it was begun here."""
        if self._owned:
            self.session.stop()

    def offer(self, command: Callable[[list[str | None]], list[str | None]]) -> None:
        """Nothing: a command runs where Python is, and Spark's SQL runs elsewhere."""

    def conflict(self, error: Exception) -> bool:  # noqa: ARG002 - nothing is written side by side
        """Never: nothing here waits for another writer."""
        return False

    # --- sources ---------------------------------------------------------------------------------

    def source(
        self,
        text: str,
        columns: Columns,
        *,
        explicit: bool,
        whole: bool = False,  # noqa: ARG002 - Spark knows each type without rows
    ) -> dict[str, Any]:
        """What the preparing script needs to know of a source; see `Engine.source`."""
        query, types = self._select(text), self.describe(text)
        user = need(types, columns.user, "user_id", "user_col")
        item = need(types, columns.item, "item_id", "item_col")
        weight = find_column(types, columns.weight, "weight", "weight_col")
        time = find_column(types, columns.time, "event_time", "time_col")
        looked = SparkColumns(query, types, self._asked)
        return source_facts(
            query,
            looked,
            (user, item, weight, time),
            explicit=explicit,
            clock=bool(time and looked.is_clock(time)),
        )

    def describe(self, text: str) -> dict[str, str]:
        """Names and types of a source's columns, without running it.

        Raises NotASelect, or SourceFailed, also for several columns of one name.
        """
        with as_source():
            fields = self.session.sql(self._select(text)).schema.fields
        names = [field.name.lower() for field in fields]
        for name in names:
            if names.count(name) > 1:
                reason = (
                    f"it gives several columns called {name}; give each another name"
                )
                raise SourceFailed(reason=reason)
        return {field.name: field.dataType.simpleString() for field in fields}

    def gather(
        self, text: str, ids: Iterable[str] = (), weight: str | None = None
    ) -> pa.Table:
        """A caller's SELECT: ids as text, a weight as a number, other columns as they are.

        Raises NotASelect, SourceFailed, BadColumnType or InexactId.
        """
        query, types = self._select(text), self.describe(text)
        looked, wanted = SparkColumns(query, types, self._asked), set(ids)
        made = {
            name: f"CAST({looked.key(name)} AS STRING)"
            for name in types
            if name.lower() in wanted
        }
        made |= {name: looked.weight(name) for name in types if name.lower() == weight}
        listed = ", ".join(
            f"{made.get(name, f'given.{backticked(name)}')} AS {backticked(name)}"
            for name in types
        )
        return self._asked(f"SELECT {listed} FROM (\n{query}\n) AS given")

    def _select(self, text: str) -> str:
        """The source as one SELECT: as it stands, or for the name of a table, or a call."""
        text = bare(text)
        if NAME.fullmatch(text):
            parts = re.findall(PART, text)
            names = ".".join(backticked(part.strip('"')) for part in parts)
            return f"SELECT * FROM {names}"
        if CALL.fullmatch(text):
            return f"SELECT * FROM {text}"
        if not re.match(
            r"\(*\s*(SELECT|WITH|FROM|VALUES|TABLE)\b", text, re.IGNORECASE
        ):
            raise NotASelect(found=text.split()[0].upper() if text else "nothing")
        return text

    def _asked(self, sql: str) -> pa.Table:
        """What the session answers. Raises SourceFailed or InexactId."""
        with as_source():
            return self.session.sql(sql).toArrow()

    def query(self, sql: str, **values: Any) -> DataFrame:
        """A statement with values for its $name parameters, which Spark writes :name."""
        written = PARAMETER.sub(lambda found: found[1] or ":", sql)
        return (
            self.session.sql(written, args=values) if values else self.session.sql(sql)
        )


# --- sessions ------------------------------------------------------------------------------------


def _is_begun() -> bool:
    """Whether this process has a session, which is then another's to end."""
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise MissingExtra(what="Spark", package=error.name, extra="spark") from None
    return SparkSession.getActiveSession() is not None


def _session(target: str) -> SparkSession:
    """The session of this process, a new one, or one of a server. Raises CannotOpen."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    try:
        if target.startswith("sc://"):
            return SparkSession.builder.remote(target).getOrCreate()
        return SparkSession.builder.getOrCreate()
    except ModuleNotFoundError as error:
        raise MissingExtra(
            what="Spark Connect", package=error.name, extra="spark"
        ) from None
    except (PySparkException, FileNotFoundError) as error:
        raise CannotOpen(path=target, reason=_no_session(error)) from None


def _no_session(error: Exception) -> str:
    """Why no session began, and what to do."""
    if "JAVA_GATEWAY_EXITED" in str(error) or isinstance(error, FileNotFoundError):
        return "no Java was found; install Java 17 or later, and set JAVA_HOME to its folder"
    return reason_of_spark(error)


# --- errors --------------------------------------------------------------------------------------


def reason_of_spark(error: Exception) -> str:
    """What Spark says is wrong, in a sentence."""
    if failed_there := EXECUTORS.search(str(error)):
        return f"in the Python of an executor: {failed_there[1]}"
    said = SAID.search(str(error))
    return said[1] if said else str(error).strip().split("\n")[0]


@contextmanager
def in_our_words() -> Iterator[None]:
    """Spark's errors as embsql's: what a question refuses, or what is wrong with a statement."""
    try:
        yield
    except Exception as error:
        if not _is_sparks(error):
            raise
        refused = REFUSED.search(str(error))
        raise of_database(refused[1] if refused else reason_of_spark(error)) from None


@contextmanager
def as_source() -> Iterator[None]:
    """Spark's own errors as what is wrong with a source."""
    try:
        yield
    except Exception as error:
        if not _is_sparks(error):
            raise
        kind = type(error).__name__
        raise failed(reason_of_spark(error), kind, "STRING") from None


def _is_sparks(error: Exception) -> bool:
    """Whether an error is Spark's, from Python or the JVM behind it."""
    return type(error).__module__.split(".")[0] in ("pyspark", "py4j")
