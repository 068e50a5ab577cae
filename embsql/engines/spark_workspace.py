"""Tables that the jobs of one training in Spark pass on, and functions that its executors run.

Each job writes a table, from which the next one starts: a lost executor costs the job that it
worked on, and nothing that came before is computed again.
"""

from __future__ import annotations

import itertools
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embsql import stopping
from embsql.engines.spark import Spark, as_source, in_our_words
from embsql.errors import CannotWork, EmbsqlError, WorkerLacks

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = "embsql_internal"
TABLE = re.compile(r"IDENTIFIER\(\$(\w+)\)")
MISSING = re.compile(r"ModuleNotFoundError: No module named '(\w+)")
SPARK_TYPES = {
    "int32": "INT",
    "int64": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "STRING",
    "binary": "BINARY",
}

Frame = Any  # a DataFrame of Spark's, which is a query that has not run
Function = Callable[..., Any]  # from rows of Arrow's to rows of Arrow's


class SparkWorkspace:
    """The tables of one training in a session's catalog, whose names begin with `owner`.

    Those that an earlier owner of this name left are dropped, and its own when it is closed.
    Raises CannotWork where the session may not make tables.
    """

    def __init__(self, engine: Spark, owner: str) -> None:
        self.engine = engine
        self._owner = owner
        self._made: list[str] = []
        self._kept: dict[str, Kept] = {}  # by name
        self._numbers = itertools.count()
        self._prefix = f"{owner}_{uuid.uuid4().hex[:8]}"
        try:
            engine.run("CREATE SCHEMA IF NOT EXISTS embsql_internal")
            begun = self._name("begun")
            engine.run(
                "CREATE TABLE IDENTIFIER($begun) (a INT) USING parquet", begun=begun
            )
            self.close()
        except EmbsqlError as error:
            raise CannotWork(database=engine.label, reason=str(error)) from None

    def close(self) -> None:
        """Drop the owner's tables, and keep no rows."""
        self.forget()
        with stopping.unstopped():
            found = self.engine.rows("SHOW TABLES IN embsql_internal")
            for name in (row["tableName"] for row in found):
                if name.startswith(f"{self._owner}_"):
                    self._drop(name)

    def __enter__(self) -> SparkWorkspace:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close; what went wrong before counts, not that the session may be gone."""
        with suppress(EmbsqlError, OSError) if kind else nullcontext():
            self.close()

    # --- tables ----------------------------------------------------------------------------------

    def frame(self, select: str, **values: Any) -> Frame:
        """A SELECT as a query that others go on from.

        IDENTIFIER($x) in it is the table x, or the one that the value x names.
        """
        named = {name: values.get(name, name) for name in TABLE.findall(select)}
        names = {name: self._name(table) for name, table in named.items()}
        with in_our_words():
            return self.engine.query(select, **(values | names))

    def ask(self, select: str, **values: Any) -> pa.Table:
        """The answer of one SELECT."""
        return self.collect(self.frame(select, **values))

    def collect(self, frame: Frame) -> pa.Table:
        """The answer of a query, brought to this process."""
        with in_our_words(), self.job():
            return frame.toArrow()

    def row(self, select: str, **values: Any) -> dict[str, Any]:
        """The answer of one SELECT that has one row."""
        found: dict[str, Any] = self.ask(select, **values).to_pylist()[0]
        return found

    def store(self, table: str, frame: Frame) -> None:
        """Run a query into a table that is not there yet."""
        with in_our_words(), self.job():
            frame.write.saveAsTable(self._added(table), format="parquet")

    def read(self, table: str, select: str) -> None:
        """Run a caller's SELECT into a table. Raises SourceFailed or InexactId."""
        with as_source(), self.job():
            rows = self.engine.session.sql(select)
            rows.write.saveAsTable(self._added(table), format="parquet")

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows of this process's to a table, which is made where it is not there."""
        with in_our_words(), self.job():
            given = self.engine.session.createDataFrame(rows).coalesce(1)
            given.write.saveAsTable(self._added(table), format="parquet", mode="append")

    def fresh(self, table: str) -> str:
        """A name that no other table has."""
        return f"{table}_{next(self._numbers)}"

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """The tables that are made inside are dropped at the end; after an error when it closes."""
        before = set(self._made)
        yield
        self.drop(*(table for table in self._made if table not in before))

    @property
    def shares_memory(self) -> bool:
        """Whether `keep` works: over Spark Connect it does not."""
        return not _is_remote(self.engine.session)

    def keep(self, name: str, blocks: int, select: str, **values: Any) -> Kept:
        """The rows of a SELECT, block 1 to the last, in the executors' memory until `forget`.

        Whoever gives the name again gets the same. One that is lost is read again.
        """
        from pyspark import StorageLevel

        if name in self._kept:
            return self._kept[name]
        with in_our_words():
            found = self.frame(select, **values).rdd.map(lambda row: (row[0], [*row]))
            by_block = found.partitionBy(blocks, lambda block: block - 1).values()
            kept = Kept(self, by_block.persist(StorageLevel.MEMORY_AND_DISK))
        self._kept[name] = kept
        return kept

    def forget(self) -> None:
        """Keep no rows any more."""
        with in_our_words():
            while self._kept:
                self._kept.popitem()[1].rows.unpersist()

    def drop(self, *tables: str) -> None:
        """Remove tables that no job reads any more."""
        for table in tables:
            self._made.remove(table)
            self._drop(f"{self._prefix}_{table}")

    def _added(self, table: str) -> str:
        """The name of a table that is about to be there."""
        if table not in self._made:
            self._made.append(table)
        return self._name(table)

    def _drop(self, name: str) -> None:
        table = f"{SCHEMA}.{name}"
        self.engine.run("DROP TABLE IF EXISTS IDENTIFIER($table)", table=table)

    def _name(self, table: str) -> str:
        return f"{SCHEMA}.{self._prefix}_{table}"

    @contextmanager
    def job(self) -> Iterator[None]:
        """What runs inside ends when this thread's work is stopped. Raises WorkerLacks."""
        tag = uuid.uuid4().hex
        mark, unmark, end = _tagging(self.engine.session)
        mark(tag)
        try:
            with stopping.statement(lambda: end(tag)):
                yield
        except Exception as error:
            lacking = MISSING.search(str(error))
            if lacking:
                raise WorkerLacks(package=lacking[1]) from None
            raise
        finally:
            unmark(tag)


def _tagging(session: Any) -> tuple[Callable[[str], Any], ...]:
    """What marks the jobs of this thread, unmarks them, and ends marked ones from any thread.

    A session's own interruptTag knows the tags of the thread that calls it, but in Spark Connect.
    """
    if _is_remote(session):
        return session.addTag, session.removeTag, session.interruptTag
    context = session.sparkContext
    return context.addJobTag, context.removeJobTag, context.cancelJobsWithTag


def _is_remote(session: Any) -> bool:
    """Whether a session is one of Spark Connect."""
    return type(session).__module__.startswith("pyspark.sql.connect")


# --- rows in memory ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows in the executors' memory, one of each block: a job of theirs shuffles nothing."""

    work: SparkWorkspace
    rows: Any  # an RDD of Spark's

    def map(self, function: Function, *shared: Any) -> list[Any]:
        """What a function makes of each row and of what all executors get, in order of blocks."""
        with in_our_words(), self.work.job():
            given = self.rows.context.broadcast(shared)
            made = self.rows.map(lambda row: function(row, *given.value))
            found: list[Any] = made.collect()
            given.destroy()
        return found


# --- functions of rows ---------------------------------------------------------------------------


def map_rows(rows: Frame, function: Function, schema: pa.Schema) -> Frame:
    """What a function makes of batches of rows: batches of this schema."""
    return rows.mapInArrow(function, _columns(schema))


def map_block(rows: Frame, function: Function, schema: pa.Schema) -> Frame:
    """What a function makes of (block,) and all rows of that block, for every block."""
    # Spark reads a function's annotations, and fails on those of a partial one; a lambda has none,
    # see findings/pyspark_partial_in_arrow.sh
    return rows.groupBy("block").applyInArrow(
        lambda key, part: function(key, part),  # noqa: PLW0108 - the function itself may be partial
        _columns(schema),
    )


def map_blocks(
    left: Frame, right: Frame, function: Function, schema: pa.Schema
) -> Frame:
    """What a function makes of (block,) and the rows of both queries, for every block."""
    by_block = left.groupBy("block").cogroup(right.groupBy("block"))
    return by_block.applyInArrow(function, _columns(schema))


def _columns(schema: pa.Schema) -> str:
    """A schema as Spark writes it."""
    return ", ".join(f"{field.name} {SPARK_TYPES[str(field.type)]}" for field in schema)
