"""Sources in DuckDB: the tables, files and SELECTs that a caller names."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from embsql.engines._dialects import DUCKDB
from embsql.engines._duckdb_connection import (
    arrow_of,
    in_a_transaction,
    interruptible,
    source_error,
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
    source_facts,
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
    EmbsqlError,
    MissingColumn,
    NotASelect,
    SourceFailed,
    UnknownFormat,
)
from embsql.run import Columns

if TYPE_CHECKING:
    import pyarrow as pa

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


class DuckDBSources:
    """What a caller names, looked at on the caller's connection: its temporary tables are there.

    What may fail is asked on `own` where the caller is in a transaction, which it would end.
    """

    def __init__(
        self,
        caller: duckdb.DuckDBPyConnection,
        own: duckdb.DuckDBPyConnection,
        *,
        owned: bool,
        shown: str | None,
    ) -> None:
        self._caller = caller
        self._own = own
        self._owned = owned  # whether nobody else uses the caller's connection
        self._shown = shown  # the name of a table in memory, if there is one

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
                types |= self._whole(query, {"weight": weight, "time": time})
                types |= {user: "VARCHAR", item: "VARCHAR"}
        looked = DuckDBColumns(
            query, types, self._values, file, bare(text) == self._shown, (user, item)
        )
        return source_facts(
            query,
            looked,
            (user, item, weight, time),
            explicit=explicit,
            clock=bool(time and not is_number(types[time])),
            guessed=file is not None and file.reader == "read_csv" and not whole,
        )

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
            arrow_of(
                self._own, f"SELECT count(COLUMNS(*)) FROM (\n{query}\n) AS given", {}
            )
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

    def _values(self, query: str, column: str, type_: str) -> dict[str, int]:
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
            query, types, self._values, file, bare(text) == self._shown, tuple(keys)
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
                return arrow_of(self._caller, sql, {})
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
