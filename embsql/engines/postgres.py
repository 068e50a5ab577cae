"""PostgreSQL with pgvector: the engine that serves many readers."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from typing import Any

import numpy as np
import pgvector.psycopg
import psycopg
import pyarrow as pa
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.json import set_json_loads
from psycopg.types.string import ByteaBinaryLoader

from embsql import stopping
from embsql.engines._ahead import one_ahead
from embsql.engines._copy import decode_copy, encode_copy
from embsql.engines._dialects import POSTGRESQL
from embsql.engines._guarded import Plain, Rows, guarded, opened
from embsql.engines._postgres_arrow import ARROW, FLOATS, sent, vectors_as_lists
from embsql.engines._postgres_columns import TIMES, PostgresColumns
from embsql.engines._postgres_connection import address_of, complaint_of, label_of
from embsql.engines._postgres_statements import (
    first_line,
    positional,
    select,
    sent_whole,
    source_failed,
    types_of,
)
from embsql.engines._readings import common_values
from embsql.engines.columns import find_column, need, quote, source_facts
from embsql.errors import CannotOpen, Closed, ConnectionLost, NotInstalled, SourceFailed
from embsql.run import Columns, Own

AS_ASKED = "it is read with the rights of who asked for it, and changes nothing"
NOT_ASKED = (
    "it was not among what the job was asked with, and nobody's rights say that it may be "
    "read; ask again"
)
RECONNECT_TIMEOUT = 15.0  # seconds a lost server is given to come back
PARTITIONED = ("item_embeddings", "user_embeddings", "interactions")
SOURCE_TYPES = {
    "user_key": "text",
    "item_key": "text",
    "weight": "double precision",
    "event_time": "bigint",
}
CONFLICT_ERRORS = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.UniqueViolation,
    psycopg.errors.DuplicateTable,
    psycopg.errors.DuplicateSchema,
)
PGVECTOR = """
    SELECT quote_ident(home.nspname)
    FROM pg_extension AS extension
    JOIN pg_namespace AS home ON home.oid = extension.extnamespace
    WHERE extension.extname = 'vector'
"""
REWRITING = """
    SELECT
        CASE c.relkind WHEN 'r' THEN 'VACUUM (FULL, ANALYZE) ' ELSE 'ANALYZE ' END
        || format('%I.%I', home.nspname, c.relname) AS statement
    FROM pg_class AS c
    JOIN pg_namespace AS home ON home.oid = c.relnamespace
    WHERE home.nspname IN ('embsql', 'embsql_runs')
        AND (c.relkind = 'r' OR c.relkind = 'p' AND EXISTS (
        SELECT FROM pg_stats AS noted
        WHERE noted.schemaname = home.nspname AND noted.tablename = c.relname
    ))
    ORDER BY c.relkind DESC, c.oid
"""


class PostgreSQL:
    """One connection to a PostgreSQL database.

    A caller's own connection is only read from (its temporary tables and uncommitted rows are
    visible there); everything embsql writes goes through a connection of its own, each statement by
    itself unless in `transaction`. A lost connection is opened again by the next statement.
    """

    name = "postgres"
    embedded = False
    holds_registry = True
    path = ""

    def __init__(
        self, target: str | psycopg.Connection[Any], *, read_only: bool = False
    ) -> None:
        self._address = target if isinstance(target, str) else address_of(target)
        self._given_back = False
        self.label = label_of(self._address)
        self._asked_read_only = read_only
        self._vectors: dict[int, str] = {}
        self._registered: psycopg.Connection[Any] | None = None
        self._begun = False  # by `transaction`, which commits what is done in it
        self._own = self._connect()
        self._caller = None if isinstance(target, str) else target
        self._ear: psycopg.Connection[Any] | None = None
        self._job: int | None = None
        self.read_only = self._is_read_only()

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            connection = psycopg.connect(
                self._address,
                autocommit=True,
                cursor_factory=psycopg.RawCursor,
                application_name="embsql",
                client_encoding="utf8",
                prepare_threshold=None,  # a pooler may give every statement another session
            )
        except psycopg.OperationalError as error:
            raise CannotOpen(path=self.label, reason=first_line(error)) from None
        # each transaction: sessions are shared
        connection.read_only = self._asked_read_only or None
        set_json_loads(_text, connection)
        return connection

    def _is_read_only(self) -> bool:
        rows = self.ask(
            "SELECT current_setting('transaction_read_only') = 'on' AS found"
        ).to_pylist()
        return bool(rows[0]["found"])

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection, opened again if it was lost.

        Its complaints are translated into errors that name a remedy.
        """
        if self._given_back:
            raise Closed(database=self.label)
        if self._own.closed:
            self._own = self._again()
        try:
            with stopping.statement(self._own.cancel_safe):
                yield self._own
        except KeyboardInterrupt:  # it may have come in mid-sentence
            self._own.close()
            raise
        except psycopg.Error as error:
            translated = complaint_of(error, self.label, lost=self._own.closed)
            if translated is None:
                raise
            raise translated from None

    @contextmanager
    def _acting(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection, for what is one transaction where that has to be read-only, or a job's.

        Nothing is set for the session: behind a pooler it is somebody else's a moment later.
        """
        with self._session() as connection:
            if self._begun or not (self._asked_read_only or self._job):
                yield connection
                return
            with connection.transaction():
                if self._job:
                    connection.execute(
                        "SELECT embsql_internal.act_for($1)", [self._job]
                    )
                yield connection

    def _again(self) -> psycopg.Connection[Any]:
        """A new connection in place of a lost one, as soon as the server is back."""
        end = time.monotonic() + RECONNECT_TIMEOUT
        while True:
            try:
                return self._connect()
            except CannotOpen:
                if time.monotonic() > end:
                    raise
                time.sleep(0.25)

    # --- the seven -------------------------------------------------------------------------------

    def run(self, sql: str, **values: Any) -> int:
        """Run one or several statements; the number of rows the last one changed."""
        written, numbered = positional(sql, values)
        with self._acting() as connection:
            self._register(connection, values)
            return max(connection.execute(written, numbered).rowcount, 0)

    def ask(self, sql: str, **values: Any) -> pa.Table:
        """The answer of one query."""
        written, numbered = positional(sql, values)
        with self._acting() as connection:
            self._register(connection, values)
            cursor = connection.cursor(binary=True)
            cursor.execute(written, numbered)
            return self._arrow(cursor)

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """The answer of one query that has few rows, as Python's values."""
        rows: list[dict[str, Any]] = self.ask(sql, **values).to_pylist()
        return rows

    def batches(self, select: str, names: Sequence[str]) -> Generator[pa.RecordBatch]:
        """The rows of a source, sent in binary.

        Its columns are what `names` are of. Raises SourceFailed or InexactId.
        """
        copying = f"COPY (\n{select}\n) TO STDOUT (FORMAT BINARY)".encode()
        types = {name: SOURCE_TYPES[name] for name in names}
        try:
            with (
                self._reading() as source,
                psycopg.RawCursor(source) as cursor,
                cursor.copy(copying) as copy,
            ):
                # a memoryview per row would keep the garbage collector busy
                yield from decode_copy(map(bytes, copy), types)
        except psycopg.Error as error:
            raise source_failed(error) from None

    def act_for(self, job_id: int) -> None:
        """From here on do everything for who asked for a job.

        Sources are read with their rights, and only those named then; what is written is theirs.
        """
        self._job = job_id

    @contextmanager
    def _reading(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection a source is read on, in a transaction in which nothing is cut short."""
        with (
            self._session(),
            self._source() as source,
            source.transaction(),
            sent_whole(source),
        ):
            yield source

    @contextmanager
    def _source(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection that a source is read on.

        The caller's own where there is one, for a job one of its own.
        """
        if self._job is not None:
            with self._for_asker(self._job) as reader:
                yield reader
            return
        source = self._caller or self._own
        with stopping.statement(source.cancel_safe):
            yield source

    @contextmanager
    def _for_asker(self, job_id: int) -> Iterator[psycopg.Connection[Any]]:
        """A connection that changes nothing, for a job's sources.

        It is closed again: what a source may have left in the session goes with it.
        """
        with closing(self._connect()) as reader:
            try:
                with (
                    stopping.statement(reader.cancel_safe),
                    reader.transaction(force_rollback=True),
                ):
                    self._readers = opened(reader, job_id)
                    yield reader
            except (
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.ReadOnlySqlTransaction,
            ) as error:
                raise SourceFailed(reason=f"{first_line(error)}; {AS_ASKED}") from None
            except psycopg.OperationalError as error:
                if not reader.closed:
                    raise
                raise ConnectionLost(
                    database=self.label, reason=first_line(error)
                ) from None

    def write(
        self, table: str, columns: Mapping[str, Any], *, schema: str = "embsql"
    ) -> int:
        """Append columns to a table; see `Engine.write`.

        Of the partitioned tables it takes rows of one run, which are in a partition of its own.
        """
        target = f"{quote(schema)}.{quote(table)}"
        # the caller's own tables, by DuckDB's name for their place
        if schema == "main":
            target = quote(table)
        if schema == "embsql" and table in PARTITIONED:
            return self.write_parts(table, [columns])
        if schema != "embsql":
            with self._acting() as connection:
                return self._copy(connection, target, target, columns)
        with self._acting() as connection, connection.transaction():
            opened = connection.execute(
                "SELECT embsql_internal.open_stage($1)", [table]
            )
            stage = opened.fetchall()[0][0]
            rows = self._copy(connection, target, stage, columns)
            connection.execute(
                "SELECT embsql_internal.close_stage($1, $2)", [table, stage]
            )
        return rows

    def write_parts(self, table: str, parts: Iterable[Mapping[str, Any]]) -> int:
        """Append columns to a partition, which is opened once; see `Engine.write_parts`."""
        rest = iter(parts)
        first = next(rest, {"run_id": ()})
        run_id = _run_of(first)
        if run_id is None:
            return 0
        with self._acting() as connection:
            open_ = connection.execute(
                "SELECT embsql_internal.open_partition($1, $2)", [table, run_id]
            )
            part = open_.fetchall()[0][0]
            with connection.transaction():
                # what the columns are the empty partition says: asking the table locks every run
                like, target = (
                    f"embsql.{quote(f'{table}_none')}",
                    f"embsql_runs.{quote(part)}",
                )
                rows = sum(
                    self._copy(connection, like, target, columns)
                    for columns in chain([first], rest)
                )
                connection.execute(
                    "SELECT embsql_internal.attach_partition($1, $2)", [table, run_id]
                )
        return rows

    def _copy(
        self,
        connection: psycopg.Connection[Any],
        like: str,
        target: str,
        columns: Mapping[str, Any],
    ) -> int:
        """COPY into a table whose columns are those of another, which may be read."""
        names = ", ".join(quote(name) for name in columns)
        types = types_of(connection, f"SELECT {names} FROM {like}")
        with connection.cursor() as cursor:
            copying = f"COPY {target} ({names}) FROM STDIN (FORMAT BINARY)"
            with cursor.copy(copying.encode()) as copy:
                for piece in one_ahead(encode_copy(columns, types)):
                    copy.write(piece)
            return cursor.rowcount

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        outer = self._begun
        with self._acting() as connection, connection.transaction():
            self._begun = True
            try:
                yield
            finally:
                self._begun = outer

    def in_transaction(self) -> bool:
        """Whether someone has said BEGIN on our connection; of `transaction` it is known."""
        if self._begun or self._own.closed:
            return False
        return self._own.info.transaction_status != TransactionStatus.IDLE

    def index(self, run_id: int) -> None:
        """Build what makes the questions on a large run fast."""
        self.run("SELECT embsql.build_indexes($run_id)", run_id=run_id)

    def compact(self) -> None:
        """Write every table anew, one after the other, and what the server noted of their values.

        Each is locked while it is written. What belongs to others is left out, with a warning.
        """
        for statement in self.ask(REWRITING)["statement"].to_pylist():
            with suppress(NotInstalled):  # of a run that was dropped meanwhile
                self.run(statement)
        # the most common ids, and some more
        self.run("VACUUM (FULL) pg_catalog.pg_statistic")

    def close(self) -> None:
        """Give back what was opened here."""
        self._given_back = True
        self._own.close()
        if self._ear:
            self._ear.close()

    # --- what only PostgreSQL needs --------------------------------------------------------------

    def conflict(self, error: Exception) -> bool:
        """Whether another writer, or another installer, was first."""
        return isinstance(error, CONFLICT_ERRORS)

    def pooled(self) -> bool:
        """Whether a pooler stands in between, which may give every transaction another session.

        It says another number of a process, for cancelling, than the session does.
        """
        found = self.ask("SELECT pg_backend_pid() AS pid").to_pylist()
        return bool(found[0]["pid"] != self._own.info.backend_pid)

    def wait(self, channel: str, seconds: float) -> None:
        """Until somebody notifies a channel (a word), at most so many seconds.

        Raises ConnectionLost or CannotOpen.
        """
        ear = self._ear
        try:
            if ear is None or ear.closed:
                ear = self._ear = self._connect()
                ear.execute(f"LISTEN {quote(channel)}".encode())
            for _ in ear.notifies(timeout=seconds, stop_after=1):
                return
        except psycopg.OperationalError as error:
            if ear:
                ear.close()
            raise ConnectionLost(
                database=self.label, reason=first_line(error)
            ) from None

    def second(self) -> str:
        """The address, for another connection to the same database."""
        return self._address

    def offer(self, command: Callable[[list[str | None]], list[str | None]]) -> None:
        """Nothing: in a server commands are jobs for a worker."""

    def source(
        self,
        text: str,
        columns: Columns,
        *,
        explicit: bool,
        whole: bool = False,  # noqa: ARG002 - it reads no files
    ) -> dict[str, Any]:
        """What reading a source needs to know of it, its columns found and their types checked.

        Raises NotASelect, SourceFailed, MissingColumn or BadColumnType.
        """
        rows = self._rows(text)
        types = rows.types
        looked = PostgresColumns(rows.of(types), types, self.values)
        user = need(types, columns.user, "user_id", "user_col")
        item = need(types, columns.item, "item_id", "item_col")
        weight = find_column(types, columns.weight, "weight", "weight_col")
        time_ = find_column(types, columns.time, "event_time", "time_col")
        names = (user, item, weight, time_)
        return source_facts(
            rows.of(filter(None, names)),
            looked,
            names,
            explicit=explicit,
            clock=bool(time_ and types[time_] in TIMES),
        )

    def describe(self, text: str) -> dict[str, str]:
        """Names and types of a source's columns, without running it.

        Raises NotASelect or SourceFailed.
        """
        return self._rows(text).types

    def _rows(self, text: str) -> Rows:
        """What reading a source needs to know of it. Raises NotASelect or SourceFailed."""
        query = select(text)
        try:
            with self._reading() as source:
                if self._job is None or isinstance(text, Own):
                    return Plain(
                        query, types_of(source, f"SELECT * FROM (\n{query}\n) AS given")
                    )
                if text not in self._readers:
                    raise SourceFailed(reason=NOT_ASKED)
                return guarded(source, self._readers[text])
        except psycopg.Error as error:
            raise source_failed(error) from None

    def values(self, query: str, column: str, type_: str) -> dict[str, int]:
        """The most common values of a column, as text, and how many rows have each."""
        return common_values(self._asked, POSTGRESQL, query, column, type_)

    def gather(
        self, text: str, ids: Iterable[str] = (), weight: str | None = None
    ) -> pa.Table:
        """A caller's SELECT: ids as text, a weight as a number, other columns as they are.

        Raises NotASelect, SourceFailed, BadColumnType or InexactId.
        """
        rows = self._rows(text)
        query, types = rows.of(rows.types), rows.types
        looked = PostgresColumns(query, types, self.values)
        made = {name: looked.key(name) for name in types if name.lower() in ids}
        made |= {name: looked.weight(name) for name in types if name.lower() == weight}
        written = ", ".join(
            f"{made.get(name, f'given.{quote(name)}')} AS {quote(name)}"
            for name in types
        )
        return self._asked(
            f"SELECT {written if made else '*'} FROM (\n{query}\n) AS given"
        )

    def _asked(self, sql: str) -> pa.Table:
        """What the connection of the source answers. Raises SourceFailed or InexactId."""
        try:
            with self._reading() as source:
                cursor = psycopg.RawCursor(source, row_factory=tuple_row)
                set_json_loads(_text, cursor)
                # The binary protocol takes one statement only.
                cursor.execute(sql.encode(), [], binary=True, prepare=False)
                return self._arrow(cursor)
        except psycopg.Error as error:
            raise source_failed(error) from None

    def _register(
        self, connection: psycopg.Connection[Any], values: Mapping[str, Any]
    ) -> None:
        """Let values be numpy arrays and of pgvector's types, on a connection of ours."""
        if not values or connection is self._registered:
            return
        home = connection.execute(PGVECTOR).fetchone()
        if home is None:
            return
        with connection.transaction():
            before = connection.execute(
                "SELECT current_setting('search_path')"
            ).fetchone()
            connection.execute("SELECT set_config('search_path', $1, TRUE)", home)
            pgvector.psycopg.register_vector(connection)
            connection.execute("SELECT set_config('search_path', $1, TRUE)", before)
        # decoded by the column, not one by one
        for number in self._vector_types(connection):
            connection.adapters.register_loader(number, ByteaBinaryLoader)
        self._registered = connection

    def _vector_types(self, connection: psycopg.Connection[Any]) -> dict[int, str]:
        """The numbers of pgvector's types, and what a float is in each."""
        if not self._vectors:
            known = "SELECT oid, typname FROM pg_type WHERE typname = ANY ($1)"
            cursor = psycopg.RawCursor(connection, row_factory=tuple_row)
            rows = cursor.execute(known, [list(FLOATS)], prepare=False)
            self._vectors = {number: FLOATS[name] for number, name in rows.fetchall()}
        return self._vectors

    def _arrow(self, cursor: psycopg.Cursor[Any]) -> pa.Table:
        """A cursor's rows as columns."""
        if cursor.description is None:
            return pa.table({})
        rows = cursor.fetchall()
        columns = (
            list(zip(*rows, strict=True)) if rows else [()] * len(cursor.description)
        )
        codes = [of.type_code for of in cursor.description]
        arrays = [
            self._column(cursor, n, code, columns[n]) for n, code in enumerate(codes)
        ]
        return pa.Table.from_arrays(arrays, [of.name for of in cursor.description])

    def _column(
        self,
        cursor: psycopg.Cursor[Any],
        n: int,
        type_code: int,
        values: tuple[Any, ...],
    ) -> pa.Array:
        """The n-th column of a result in binary."""
        if type_code not in ARROW and type_code in self._vector_types(
            cursor.connection
        ):
            return vectors_as_lists(sent(cursor, n), self._vectors[type_code])
        if type_code == 2950:  # a UUID is an object here, and text everywhere else
            values = tuple(None if value is None else str(value) for value in values)
        try:
            return pa.array(values, ARROW.get(type_code))
        except pa.ArrowException:  # a range, a network address: Arrow has no such type
            return pa.array([None if value is None else str(value) for value in values])


def _run_of(columns: Mapping[str, Any]) -> int | None:
    """The run that rows are of; None where there are none."""
    given = columns["run_id"]
    given = [given.as_py()] if isinstance(given, pa.Scalar) else given
    runs = np.unique(np.asarray(given, np.int64))  # (1,)
    return int(runs.item()) if len(runs) else None


def _text(value: str | bytes) -> str:
    """JSON as the text it is."""
    return value.decode() if isinstance(value, bytes) else value
