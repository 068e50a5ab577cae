"""DuckDB: the embedded engine, a file or memory."""

from __future__ import annotations

import atexit
import uuid
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from embsql.engines._dialects import DUCKDB
from embsql.engines._duckdb_connection import (
    cursor_of,
    in_a_transaction,
    in_use,
    interruptible,
    open_connection,
    read_ahead,
    reason_of,
    source_error,
    translated,
    using,
)
from embsql.engines._readings import common_values
from embsql.engines.columns import (
    CALL,
    LEAVE,
    NAME,
    bare,
    find_column,
    need,
    quote,
    quoted_name,
)
from embsql.engines.duckdb_columns import DuckDBColumns, is_number
from embsql.engines.files import (
    READERS,
    File,
    endings,
    is_text_file,
    literal,
    located,
    named_file,
    within,
)
from embsql.errors import (
    CannotInstall,
    EmbsqlError,
    InvalidArgument,
    MissingColumn,
    NotASelect,
    ReadOnly,
    SourceFailed,
    UnknownFormat,
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
NAMESAKES = """
SELECT function_type
FROM duckdb_functions()
WHERE function_name = 'embsql_command' AND database_name IN ('system', current_database())
"""
# type of function -> what drops it
MACROS = {"macro": "DROP MACRO", "table_macro": "DROP MACRO TABLE"}
WHOLE = {  # what a CSV file's column may be, by all of its values: of a weight, of a time
    "weight": {
        "DOUBLE": "TRY_CAST({0} AS DOUBLE) IS NOT NULL",
        "BOOLEAN": "TRY_CAST({0} AS BOOLEAN) IS NOT NULL",
    },
    "time": {
        "BIGINT": "regexp_full_match({0}, '-?[0-9]+')",
        "TIMESTAMP": (
            "TRY_CAST({0} AS TIMESTAMP) IS NOT NULL AND NOT regexp_matches({0}, ':.*[-+Z]')"
        ),
        "TIMESTAMP WITH TIME ZONE": "TRY_CAST({0} AS TIMESTAMPTZ) IS NOT NULL",
    },
}

OPEN: weakref.WeakSet[DuckDB] = weakref.WeakSet()


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

    def __init__(
        self, target: str | duckdb.DuckDBPyConnection, *, read_only: bool = False
    ) -> None:
        self.path = target if isinstance(target, str) else ""
        self.label = self.path or "an open DuckDB connection"
        self._owned = isinstance(target, str)
        self._begun = False  # by `transaction`, which commits what is done in it
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
            rows = self._own.execute(sql, values or None).fetchall()
        return (
            int(rows[0][0])
            if rows and len(rows[0]) == 1 and isinstance(rows[0][0], int)
            else 0
        )

    def ask(self, sql: str, **values: Any) -> pa.Table:
        """The answer of one query."""
        with translated(self.path), interruptible(self._own):
            return _arrow(self._own, sql, values)

    def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """The answer of one query that has few rows, as Python's values.

        They are those of Arrow, which is loaded only for types that DuckDB itself gives otherwise.
        """
        with translated(self.path), interruptible(self._own):
            relation = _relation(self._own, sql, values)
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
        """Give back what was opened here."""
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

    # --- what only DuckDB needs ------------------------------------------------------------------

    def second(self) -> duckdb.DuckDBPyConnection:
        """Another connection to the same database, for another thread or from within a function."""
        return using(self._caller.cursor(), self._in_use)

    def offer(self, command: Callable[[list[str | None]], list[str | None]]) -> None:
        """Make a Python function callable as embsql_command.

        The database has it once, whoever connects again.

        Raises CannotInstall where a macro of that name would be called in its place.
        """
        listed = set() if self.path == ":memory:" else self._namesakes()
        for kind in listed & set(MACROS):
            reason = (
                f"it has a macro embsql_command of its own. Drop it: {MACROS[kind]} "
                "embsql_command;"
            )
            raise CannotInstall(database=self.label, reason=reason)
        if not listed:
            # With side effects, or EXPLAIN would train; with special NULLs, or a NULL argument
            # gives a silent NULL.
            self._own.create_function(  # type: ignore[call-overload]  # its enum moved in 2.0
                "embsql_command",
                command,
                ["VARCHAR[]"],
                "VARCHAR[]",
                side_effects=True,
                null_handling="special",
            )

    def _namesakes(self) -> set[str]:
        """What kinds of functions there are that a call of embsql_command may reach.

        Most often there is none, which a call says sooner than the list of all functions.
        """
        try:
            self._own.execute(CALLED).fetchall()
        except duckdb.CatalogException as error:
            if "embsql_command does not exist" in str(error):
                return set()
        except duckdb.BinderException:
            pass  # one with other arguments
        return {kind for (kind,) in self._own.execute(NAMESAKES).fetchall()}

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
        """Take embsql_command back; only the connection that offered it can."""
        with suppress(duckdb.Error):
            self._own.remove_function("embsql_command")

    def source(
        self, text: str, columns: Columns, *, explicit: bool, whole: bool = False
    ) -> dict[str, Any]:
        """What the preparing script needs to know of a source, its types checked.

        Of a CSV file the types of weight and time are guessed by its first rows, and with `whole`
        found by all. Raises NotASelect, SourceFailed, UnknownFormat, MissingColumn or
        BadColumnType.
        """
        file = self._file(text)
        # a guess that fails would end it
        whole = whole or self._in_callers_transaction()
        types, written = (
            self._written(file, whole=whole) if file else (self.describe(text), {})
        )
        user, item = self._ids(types, columns, file)
        weight = find_column(types, columns.weight, "weight", "weight_col")
        time = find_column(types, columns.time, "event_time", "time_col")
        query = self._select(text)
        self._check_once(query, types, filter(None, (user, item, weight, time)))
        if file and file.reader != "read_parquet":
            others = [name for name in (weight, time) if name]
            read = _types_read(file, types, [user, item], others)
            query = file.select(
                dict.fromkeys(types, "VARCHAR") | read if written else read, **written
            )
            # of no value among the first rows it guesses text
            texts = [name for name in others if types[name] == "VARCHAR"]
            if whole or (file.reader == "read_csv" and texts):
                types |= self._whole(query, {"weight": weight, "time": time}) | {
                    user: "VARCHAR",
                    item: "VARCHAR",
                }
        looked = DuckDBColumns(
            query, types, self.values, file, bare(text) == self._shown, (user, item)
        )
        return {
            "query": query,
            "explicit": explicit,
            "user": looked.key(user),
            "item": looked.key(item),
            "weight": looked.weight(weight) if weight else None,
            "time": looked.time(time) if time else None,
            "names": {"user": user, "item": item, "weight": weight},
            "has_weight": weight is not None,
            "has_time": time is not None,
            "clock": bool(time and not is_number(types[time])),
            "guessed": file is not None and file.reader == "read_csv" and not whole,
        }

    def _written(
        self, file: File, *, whole: bool
    ) -> tuple[dict[str, str], dict[str, str]]:
        """The types of a file's columns, and how a CSV file is written, as options.

        Else both are found out twice. Where its first rows have no quotes a later one may.
        """
        if file.reader != "read_csv" or not Path(file.path).is_file():
            return self._described(_all_of(file)), {}
        found = self._asked(
            f"SELECT * FROM sniff_csv({literal(file.path)})"
        ).to_pylist()[0]
        marks = {
            "delim": "Delimiter",
            "quote": "Quote",
            "escape": "Escape",
            "comment": "Comment",
        }
        written = {
            option: literal(found[name].replace("(empty)", ""))
            for option, name in marks.items()
        }
        written |= {
            "skip": str(found["SkipRows"]),
            "header": str(found["HasHeader"]).lower(),
            "auto_detect": "false",
        }
        types = {column["name"]: column["type"] for column in found["Columns"]}
        quoted = written | dict.fromkeys(("quote", "escape"), literal('"'))
        unquoted = written["quote"] == literal("")
        if unquoted and not (whole and self._fails(file, types, quoted)):
            return types, quoted
        return types, written

    def _fails(
        self, file: File, types: dict[str, str], written: dict[str, str]
    ) -> bool:
        """Whether some row of a CSV file is not written so.

        Asked on our own connection: in a caller's transaction it would end that.
        """
        query = file.select(dict.fromkeys(types, "VARCHAR"), **written)
        try:
            self.ask(f"SELECT count(COLUMNS(*)) FROM (\n{query}\n) AS given")
        except duckdb.InvalidInputException:
            return True
        return False

    def _ids(
        self, types: dict[str, str], columns: Columns, file: File | None
    ) -> tuple[str, str]:
        """The columns of users and items.

        Raises MissingColumn, for a file with the SELECT that reads it.
        """
        try:
            user = need(types, columns.user, "user_id", "user_col")
            return user, need(types, columns.item, "item_id", "item_col")
        except MissingColumn as error:
            if file is None or error.values["remedy"] == LEAVE:
                raise
            raise MissingColumn(
                **{**error.values, "remedy": f"Say {self._readable(file)}"}
            ) from None

    def _whole(self, query: str, wanted: dict[str, str | None]) -> dict[str, str]:
        """The types of a CSV file's columns by all of its values, else VARCHAR."""
        tests = {
            (name, type_): test.format(f"given.{quote(name)}")
            for role, name in wanted.items()
            if name
            for type_, test in WHOLE[role].items()
        }
        counted = ", ".join(
            f"count(*) FILTER (WHERE NOT ({test}) AND given.{quote(name)} IS NOT NULL) AS "
            f"test_{number}"
            for number, ((name, _), test) in enumerate(tests.items())
        )
        if not tests:
            return {}
        (misses,) = self._asked(
            f"SELECT {counted} FROM (\n{query}\n) AS given"
        ).to_pylist()
        fits = [
            kind
            for kind, missed in zip(tests, misses.values(), strict=True)
            if not missed
        ]
        return {
            name: next((type_ for of, type_ in fits if of == name), "VARCHAR")
            for name, _ in tests
        }

    def values(self, query: str, column: str, type_: str) -> dict[str, int]:
        """The most common values of a column, as text, and how many rows have each."""
        return common_values(self._asked, DUCKDB, query, column, type_)

    def describe(self, text: str) -> dict[str, str]:
        """Names and types of a source's columns, without running it; of a file by its first rows.

        Raises NotASelect, SourceFailed or UnknownFormat.
        """
        return self._described(self._select(text))

    def _described(self, query: str) -> dict[str, str]:
        """As `describe`, of one SELECT; not as a relation, which would look at a file twice."""
        try:
            with interruptible(self._caller):
                if self._in_callers_transaction():
                    return self._bound(query)
                rows = self._caller.execute(
                    f"DESCRIBE SELECT * FROM (\n{query}\n) AS given"
                ).fetchall()
        except duckdb.Error as error:
            raise source_error(error) from None
        return {name: type_ for name, type_, *_ in rows}

    def _check_once(
        self, query: str, types: Iterable[str], wanted: Iterable[str]
    ) -> None:
        """Raises SourceFailed where a SELECT gives several columns of a wanted name.

        DuckDB would read the first, and call the second weight_1.
        """
        names = {name.lower() for name in types}
        for name in wanted:
            if f"{name.lower()}_1" not in names:
                continue
            given = [column.lower() for column in self._caller.sql(query).columns]
            if given.count(name.lower()) > 1:
                reason = (
                    f"it gives several columns called {name}; give each another name"
                )
                raise SourceFailed(reason=reason)

    def _in_callers_transaction(self) -> bool:
        """Whether the caller has begun one, which a statement that fails would end."""
        return not self._owned and in_a_transaction(self._caller)

    def _bound(self, query: str) -> dict[str, str]:
        """The types of a SELECT in a caller's transaction.

        A statement that fails would end it; a relation does not.
        """
        # which the caller alone may see the reason of
        with suppress(duckdb.CatalogException, duckdb.BinderException):
            self._own.sql(query)  # a file that is missing ends a transaction even so
        relation = self._caller.sql(query)
        return dict(zip(relation.columns, map(str, relation.types), strict=True))

    def gather(
        self, text: str, ids: Iterable[str] = (), weight: str | None = None
    ) -> pa.Table:
        """A caller's SELECT: ids as text, a weight as a number, other columns as they are.

        Raises NotASelect, SourceFailed, UnknownFormat, BadColumnType or InexactId.
        """
        query, types, file = self._select(text), self.describe(text), self._file(text)
        keys = [name for name in types if name.lower() in ids]
        self._check_once(query, types, keys)
        if file and file.reader == "read_csv":
            types = self._described(file.select(sample_size="-1"))
            query = file.select(dict.fromkeys(keys, "VARCHAR"), sample_size="-1")
        elif file and file.reader == "read_json":
            query = file.select(types | dict.fromkeys(keys, "VARCHAR"))
        looked = DuckDBColumns(
            query, types, self.values, file, bare(text) == self._shown, tuple(keys)
        )
        made = {name: f"CAST({looked.key(name)} AS VARCHAR)" for name in keys}
        made |= {name: looked.weight(name) for name in types if name.lower() == weight}
        replaced = ", ".join(f"{sql} AS {quote(name)}" for name, sql in made.items())
        columns = f"* REPLACE ({replaced})" if made else "*"
        return self._asked(f"SELECT {columns} FROM (\n{query}\n) AS given")

    def _asked(self, sql: str) -> pa.Table:
        """What the caller's connection answers. Raises SourceFailed or InexactId."""
        try:
            with interruptible(self._caller):
                return _arrow(self._caller, sql, {})
        except duckdb.Error as error:
            raise source_error(error) from None

    def _select(self, text: str) -> str:
        """The source as one SELECT.

        As it stands, or for the name of a table or file, or a call that gives rows.
        """
        text, file = bare(text), self._file(text)
        if file:
            return _all_of(file)
        if NAME.fullmatch(text):
            return "SELECT * FROM " + quoted_name(text)
        if CALL.fullmatch(text):
            text = f"SELECT * FROM {text}"
        try:
            parsed = self._caller.extract_statements(text)
        except duckdb.Error as error:
            raise source_error(error) from None
        kinds = [statement.type.name for statement in parsed]
        if [kind.removesuffix("_STATEMENT") for kind in kinds] != ["SELECT"]:
            raise NotASelect(
                found=" and ".join(kinds).replace("_STATEMENT", "") or "nothing"
            )
        return str(parsed[0].query).strip().rstrip(";")

    def _file(self, text: str) -> File | None:
        """The file that a source names. Raises UnknownFormat."""
        path = named_file(bare(text))
        file = located(path) if path else None
        if path and file is None:
            most = endings(path).most_common(1) if Path(path).is_dir() else []
            remedy = self._readable(
                within(path, most[0][0]) if most else File(path, "read_csv")
            )
            problem = (
                "holds files of several formats"
                if most
                else "has no name that tells its format"
            )
            raise UnknownFormat(
                path=path, problem=problem, known=", ".join(READERS), remedy=remedy
            )
        return file

    def _readable(self, file: File) -> str:
        """A SELECT that reads a file.

        Its first two columns are user and item where none is called so.
        """
        for options in ({}, {"delim": "'::'"}) if file.reader == "read_csv" else ({},):
            query = file.select(None, **options)
            with suppress(EmbsqlError):  # it is not there, or no text
                names = list(self._described(query))
                if {"user_id", "item_id"} <= set(names):
                    return query
                if len(names) > 1 and (
                    is_text_file(file.path) or file.reader != "read_csv"
                ):
                    headless = file.select(None, header="false", **options)
                    if file.reader == "read_csv" and self._begins_with_a_row(headless):
                        query, names = headless, list(self._described(headless))
                    chosen = f"SELECT {quote(names[0])} AS user_id, {quote(names[1])} AS item_id"
                    return query.replace("SELECT *", chosen, 1)
        return "SELECT user_id, item_id FROM 'events.parquet', once it is written so"

    def _begins_with_a_row(self, headless: str) -> bool:
        """Whether the first line of a text file is no header.

        It is none where one of its first two words comes again below.
        """
        # here, as to connect needs it not, and loading it takes as long as the rest of Arrow
        import pyarrow.compute as pc

        rows = self._asked(headless)
        return any(
            (pc.sum(pc.equal(column, column[0])).as_py() or 0) > 1
            for column in rows.columns[:2]
        )


# --- columns in ----------------------------------------------------------------------------------


def _arrow(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]
) -> pa.Table:
    """The answer of a query, of other statements a table of nothing."""
    relation = _relation(connection, sql, values)
    if relation is not None:
        return relation.to_arrow_table()
    import pyarrow as pa  # here: it takes as long to load as DuckDB

    return pa.table({})


def _relation(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]
) -> duckdb.DuckDBPyRelation | None:
    """Ask without leaving an open result behind, which would block the connection."""
    given = {name: _scalar(value) for name, value in values.items()}
    return connection.sql(sql, params=given) if given else connection.sql(sql)


def _scalar(value: Any) -> Any:
    """A numpy scalar as Python's own, which DuckDB knows; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _all_of(file: File) -> str:
    """A SELECT of a file; of JSON all rows say what the columns are."""
    return (
        file.select(sample_size="-1") if file.reader == "read_json" else file.select()
    )


def _types_read(
    file: File, types: dict[str, str], ids: list[str], others: list[str]
) -> dict[str, str]:
    """How a file's columns are read: ids as they stand there.

    A CSV file's numbers and times too, to be cast later.
    """
    if file.reader == "read_json":
        return {name: types[name] for name in others} | dict.fromkeys(ids, "VARCHAR")
    return dict.fromkeys([*ids, *others], "VARCHAR")
