"""What a message tells to write is written, and a training follows: for every class of error, on
every engine.
"""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest

import embsql
from embsql import errors
from embsql.run import Columns, Run
from embsql.sources.prepare import prepare
from embsql.sources.side_inputs import graph
from embsql.sources.source import source as as_source

ROWS = (
    "SELECT i % 5 AS user_id, i % 7 AS item_id, {} FROM generate_series(0, 34) AS t(i)"
)
MENDED = "SELECT user_id, item_id, {} FROM ({}) AS t"


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1e6)


EPOCH = moment("2009-12-14 02:52:24")
DAY, NOON = moment("2026-03-14"), moment("2026-03-14 12:05")
SEVERAL = "CAST(14 + i % 9 AS VARCHAR)"  # days of a month that are no months
TIMES = [  # what the source has, and the least time that each of its remedies leads to
    ("seconds as DOUBLE", "1260759144.0::float8 + i", [EPOCH]),
    (
        "seconds as DOUBLE, one NaN",
        "CASE i WHEN 0 THEN 'NaN'::float8 ELSE 1260759143.0::float8 + i END",
        [EPOCH],
    ),
    ("seconds as DECIMAL", "(1260759144 + i)::DECIMAL(18, 3)", [EPOCH]),
    ("milliseconds as DOUBLE", "(1260759144 + i) * 1000.0::float8", [EPOCH]),
    ("milliseconds as DECIMAL", "(1260759144000 + i)::DECIMAL(18, 0)", [EPOCH]),
    ("microseconds as DOUBLE", "(1260759144 + i) * 1000000.0::float8", [EPOCH]),
    ("an order as DOUBLE", "17.0::float8 + i", [17]),
    ("seconds as text", "CAST(1260759144 + i AS VARCHAR)", [EPOCH]),
    ("milliseconds as text", "CAST(1260759144000 + i AS VARCHAR)", [EPOCH]),
    (
        "seconds as text, one blank",
        "CASE i WHEN 0 THEN '' ELSE CAST(1260759143 + i AS VARCHAR) END",
        [EPOCH],
    ),
    ("ISO as text", "'2026-03-14T12:05'", [NOON]),
    ("ISO with a zone as text", "'2026-03-14 14:05:00+02:00'", [NOON]),
    ("ISO as JSON", "CAST('\"2026-03-14 12:05:00\"' AS JSON)", [NOON]),
    ("American", f"'3/' || {SEVERAL} || '/2026 12:05'", [NOON]),
    (
        "American, before and after noon",
        f"'3/' || {SEVERAL} || '/2026 12:05 PM'",
        [NOON],
    ),
    ("American, days", f"'03-' || {SEVERAL} || '-2026'", [DAY]),
    ("European", f"{SEVERAL} || '.3.2026 12:05:00'", [NOON]),
    ("European, days", f"{SEVERAL} || '/03/2026'", [DAY]),
    (
        "day or month first",
        "'04/03/2026'",
        [moment("2026-04-03"), moment("2026-03-04")],
    ),
    ("a month's name", "'14-Mar-2026'", [DAY]),
    ("a month's name, in full", "'March 14, 2026'", [DAY]),
    ("eight digits", "'20260314'", [DAY]),
    ("no time", "'noon'", [None]),
    ("no time, one of many", "CASE i WHEN 34 THEN 'noon' ELSE '2026-03-14' END", [DAY]),
    (
        "a word for nothing",
        "CASE i WHEN 34 THEN 'NULL' ELSE '2026-03-1' || i % 9 END",
        [moment("2026-03-10")],
    ),
    (
        "a mark for nothing",
        "CASE i WHEN 34 THEN '\\N' ELSE '2026-03-1' || i % 9 END",
        [moment("2026-03-10")],
    ),
    (
        "American, one word",
        f"CASE i WHEN 34 THEN 'n/a' ELSE '3/' || {SEVERAL} || '/2026' END",
        [DAY],
    ),
    (
        "day or month first, one word",
        "CASE i WHEN 34 THEN '?' ELSE '04/03/2026' END",
        [moment("2026-04-03"), moment("2026-03-04")],
    ),
    (
        "seconds as DOUBLE, one infinite",
        "CASE i WHEN 0 THEN 'inf'::float8 ELSE 1260759143.0::float8 + i END",
        [EPOCH],
    ),
    (
        "seconds as text, one word",
        "CASE i WHEN 0 THEN 'x' ELSE CAST(1260759143.5 + i AS VARCHAR) END",
        [EPOCH + 500_000],
    ),
    (
        "ISO in two forms",
        "CASE i % 2 WHEN 0 THEN '2026-03-14T12:05:00Z' ELSE '2026-03-15' END",
        [NOON],
    ),
    ("a month", "'2026-03'", [moment("2026-03-01")]),
    ("ISO without signs", "'20260314T120500'", [NOON]),
    ("of a mail", "'Sat, 14 Mar 2026 12:05:00 GMT'", [NOON]),
    (
        "two words, one time",
        "CASE i WHEN 0 THEN 'a' WHEN 1 THEN 'b' ELSE '2026-03-14' END",
        [DAY],
    ),
    ("a time of day", "TIME '10:05'", [moment("2026-01-01 10:05")]),
    ("a list", "ARRAY[1]", [None]),
    ("infinite", "'inf'::float8", [None]),
]
WEIGHTS = [  # and the sum of all weights that each of its remedies leads to
    ("a number as text", "'1.5'", [52.5]),
    ("a number as JSON", "CAST('1.5' AS JSON)", [52.5]),
    ("a decimal comma", "'1,5'", [52.5]),
    ("a decimal comma and thousands", "'1.234,5'", [43207.5]),
    ("thousands", "'1,234.5'", [43207.5]),
    ("a comma that may be either", "'1,234'", [43.19, 43190]),
    ("dollars", "'$1.50'", [52.5]),
    ("euros", "'1,50 €'", [52.5]),
    ("euros and thousands", "'1 234,50 €'", [43207.5]),
    ("blank", "CASE WHEN i < 15 THEN ' ' ELSE '1.5' END", [30]),
    ("n/a", "CASE WHEN i < 15 THEN 'n/a' ELSE '1.5' END", [30]),
    (
        "powers of ten, one word",
        "CASE WHEN i < 15 THEN 'n/a' WHEN i < 16 THEN '2e0' ELSE '1e0' END",
        [21],
    ),
    (
        "a dash",
        "CASE WHEN i < 15 THEN '-' ELSE CAST(i % 2 + 1 AS VARCHAR) || ' ' END",
        [30],
    ),
    (
        "stars",
        "CASE WHEN i < 15 THEN '3-4 stars' ELSE CAST(i % 2 + 1 AS VARCHAR) || ' stars' END",
        [30],
    ),
    ("words", "'many'", [35]),
    ("several numbers", "'3 of 5'", [35]),
    ("in brackets", "'(1.50)'", [35]),
    ("a span", "INTERVAL '2 seconds'", [70]),
    ("a time of day", "TIME '00:00:02'", [70]),
    ("a date", "DATE '2026-01-01'", [35]),
    ("a list", "ARRAY[1]", [35]),
]


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def base(request):
    """One database for all sources, in a zone of its own."""
    target = (
        ":memory:"
        if request.param == "duckdb"
        else request.getfixturevalue("new_database")()
    )
    with embsql.connect(target) as database:
        database.engine.run("SET TimeZone = 'America/New_York'")
        yield database


@pytest.fixture(scope="module")
def here():
    """A DuckDB database, which reads files."""
    with embsql.connect(":memory:") as database:
        yield database


def refused(database: embsql.Database, source: Any, **given: Any) -> errors.EmbsqlError:
    with pytest.raises(errors.EmbsqlError) as caught:
        prepare(
            database.engine,
            source,
            Columns(**given),
            Run(model_name="m"),
            explicit=False,
        ).interactions()
    return caught.value


def read(database: embsql.Database, source: Any, **given: Any) -> Any:
    return prepare(
        database.engine, source, Columns(**given), Run(), explicit=False
    ).interactions()


@pytest.mark.parametrize(
    ("value", "expected"), [case[1:] for case in TIMES], ids=[case[0] for case in TIMES]
)
@pytest.mark.parametrize("name", ["event_time", 'the "When"'])
def test_a_time(
    base: embsql.Database, value: str, expected: list[int | None], name: str
) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    rows = ROWS.format(f"{value} AS {quoted}")
    error = refused(base, rows, time=name)
    assert isinstance(error, errors.BadColumnType)
    assert [
        _least(base, MENDED.format(remedy, rows), name)
        for remedy in error.values["remedies"]
    ] == expected
    assert all(str(remedy) in str(error) for remedy in error.values["remedies"])


def _least(database: embsql.Database, source: str, name: str) -> int | None:
    found = prepare(database.engine, source, Columns(time=name), Run(), explicit=False)
    times = found.interactions().time
    missing = (
        "NaN" in source
        or "nullif" in source
        or source.startswith("SELECT user_id, item_id, CASE")
    )
    known = None if times is None else times[times > times.min()] if missing else times
    return None if known is None else int(known.min())


@pytest.mark.parametrize(
    ("value", "expected"),
    [case[1:] for case in WEIGHTS],
    ids=[case[0] for case in WEIGHTS],
)
def test_a_weight(base: embsql.Database, value: str, expected: list[float]) -> None:
    rows = ROWS.format(f"{value} AS weight")
    error = refused(base, rows)
    assert isinstance(error, errors.BadColumnType)
    sums = [
        float(read(base, MENDED.format(remedy, rows)).weight.sum())
        for remedy in error.values["remedies"]
    ]
    assert sums == pytest.approx(expected)


TAKEN = {  # what a CSV file has no need of a remedy for: its values say what they are
    "ISO in two forms",
    "seconds as text",
    "milliseconds as text",
    "seconds as text, one blank",
    "ISO as text",
    "ISO with a zone as text",
    "ISO as JSON",
    "eight digits",
    "milliseconds as DECIMAL",
    "infinite",
    "a number as text",
    "a number as JSON",
    "blank",
}
IN_FILES = [
    pytest.param(column, value, expected, id=name)
    for column, cases in (("event_time", TIMES), ("weight", WEIGHTS))
    for name, value, expected in cases
    if name not in TAKEN
]


@pytest.mark.parametrize(("column", "value", "expected"), IN_FILES)
@pytest.mark.parametrize("ending", ["csv"])
def test_a_column_of_a_file(
    here: embsql.Database,
    tmp_path: Path,
    column: str,
    value: str,
    expected: list[Any],
    ending: str,
) -> None:
    """A file has no SELECT to mend: the remedy is one that can be typed as it is, and its ids stay
    what they are.
    """
    path = tmp_path / f"events.{ending}"
    rows = ROWS.format(f"{value} AS {column}").replace("i % 5 AS", "'0' || (i % 5) AS")
    here.engine.run(f"COPY ({rows}) TO '{path}'")
    error = refused(here, str(path))
    assert isinstance(error, errors.BadColumnType)
    remedies = cast("list[str]", error.values["remedies"])
    found = [read(here, remedy) for remedy in remedies]
    assert [_seen(data, column, words="CASE" in value) for data in found] == expected
    assert {tuple(data.users.to_pylist()) for data in found} == {
        ("00", "01", "02", "03", "04")
    }


@pytest.mark.parametrize("ending", ["json", "parquet"])
def test_a_column_of_another_file(
    here: embsql.Database, tmp_path: Path, ending: str
) -> None:
    test_a_column_of_a_file(
        here, tmp_path, "event_time", "1260759144.5::float8", [EPOCH + 500_000], ending
    )
    test_a_column_of_a_file(here, tmp_path, "weight", "'1,5'", [52.5], ending)


def _seen(data: Any, column: str, *, words: bool) -> float | None:
    """The sum of all weights, or the least time that is known."""
    if column == "weight":
        return round(float(data.weight.sum()), 2)
    if data.time is None:
        return None
    return sorted(set(data.time.tolist()))[
        words
    ]  # a row without a time is older than all others


def test_an_example_is_short(base: embsql.Database) -> None:
    """An error is kept with its run, for others to read."""
    secret = "kim@example.com lives in " + "a long street " * 20
    error = refused(base, ROWS.format(f"'{secret}' AS weight"))
    assert "kim@example.com lives in..." in str(error)
    assert len(str(error)) < 300


def test_words_are_for_who_may_see_the_rows(base: embsql.Database) -> None:
    error = refused(
        base, ROWS.format("CASE i WHEN 0 THEN 'kim' ELSE '1' || i END AS weight")
    )
    assert "'kim' among its values is no number" in str(error)
    assert "kim" not in error.shared()


def test_many_words(here: embsql.Database) -> None:
    rows = ROWS.format(
        "CASE WHEN i < 15 THEN 'word ' || chr(CAST(65 + i AS INTEGER)) ELSE '1' || i END AS weight"
    )
    error = refused(here, rows)
    assert "15 of its 35 values are no numbers" in str(error)
    (remedy,) = error.values["remedies"]  # type: ignore[misc]  # a list
    assert len(read(here, MENDED.format(remedy, rows))) == 20


ROW = "('d', 'x', {})"
GOOD = (
    "SELECT * FROM (VALUES ('a', 'x', 1.0::float8), ('a', 'y', 1.0), ('b', 'x', 2.0), {}) "
    'AS t(user_id, item_id, "W")'
)


@pytest.mark.parametrize(
    "weights", ["'nan'", "'inf'", "1e300", "-1.0", "'nan'|-1.0", "'-inf'|1e39"]
)
def test_bad_weights(base: embsql.Database, weights: str) -> None:
    rows = GOOD.format(", ".join(ROW.format(weight) for weight in weights.split("|")))
    error = refused(base, rows, weight="w")
    assert isinstance(error, errors.BadWeights)
    assert (
        len(
            read(
                base,
                f"SELECT * FROM ({rows}) AS t {error.values['remedy']}",
                weight="w",
            )
        )
        == 3
    )


@pytest.mark.parametrize(
    "value", ["ARRAY[i % 5]", "ROW(i % 5, 1)", "INTERVAL '1 day' * (i % 5)"]
)
def test_an_id_of_another_type(base: embsql.Database, value: str) -> None:
    rows = ROWS.format("1 AS weight").replace("i % 5 AS user_id", f"{value} AS user_id")
    error = refused(base, rows)
    assert isinstance(error, errors.BadColumnType)
    (remedy,) = error.values["remedies"]
    assert read(base, f"SELECT {remedy}, item_id FROM ({rows}) AS t").n_users == 5


def test_a_missing_column(base: embsql.Database) -> None:
    rows = ROWS.format("1 AS weight").replace("user_id", "userid")
    error = refused(base, rows)
    assert isinstance(error, errors.MissingColumn)
    suggested = str(error.values["suggestion"]).split('"')[1]
    assert error.values["option"] == "user_col"
    assert read(base, rows, user=suggested).n_users == 5


def test_a_name_for_a_column_that_is_called_as_usual(base: embsql.Database) -> None:
    rows = ROWS.format("1 AS weight")
    for given, option in (("user", "user_col"), ("weight", "weight_col")):
        error = refused(base, rows, **{given: "nobody"})
        assert isinstance(error, errors.MissingColumn)
        assert f"Leave that name out, or name it with {option}=" in str(error)
    assert read(base, rows).n_users == 5


def test_a_long_id(base: embsql.Database) -> None:
    rows = ROWS.format("1 AS weight").replace(
        "i % 5 AS user_id", "repeat('n', 2000 + i % 5) AS \"User\""
    )
    error = refused(base, rows, user="user")
    assert isinstance(error, errors.IdTooLong)
    assert (
        read(
            base,
            f"SELECT {error.values['remedy']}, item_id FROM ({rows}) AS t",
            user="user",
        ).n_users
        == 5
    )


def test_a_bad_graph(base: embsql.Database) -> None:
    rows = (
        "SELECT * FROM (VALUES (1, 2, 1.0::float8), (2, 3, -1), (1, 3, 'inf')) "
        "AS t(source_node, target_node, weight)"
    )
    known = pa.array(["1", "2", "3"])
    with pytest.raises(errors.BadGraph) as caught:
        graph(base.engine, rows, known)
    remedy = re.search(r"WHERE [^.]*", str(caught.value))
    assert remedy is not None
    assert (
        len(
            graph(base.engine, f"SELECT * FROM ({rows}) AS t {remedy[0]}", known)[
                0
            ].weight
        )
        == 1
    )


LESS = [  # what 35 rows have, and how many of their weights or times are read
    ("weight", "CASE WHEN i < 30 THEN 'n/a' ELSE CAST(i AS VARCHAR) END", 35),
    ("weight", "CASE WHEN i < 30 THEN '' ELSE CAST(i AS VARCHAR) END", 35),
    ("weight", "CASE WHEN i < 9 THEN '1-' || i ELSE CAST(i AS VARCHAR) END", 26),
    ("event_time", "CASE WHEN i < 30 THEN 'n/a' ELSE '2026-01-' || i - 20 END", 0),
    (
        "event_time",
        "CASE WHEN i < 9 THEN 'bad ' || i ELSE '2026-01-' || 10 + i % 20 END",
        26,
    ),
]


@pytest.mark.parametrize(("column", "value", "left"), LESS)
def test_no_remedy_leaves_out_most_rows(
    base, column: str, value: str, left: int
) -> None:
    """Nor does it lose all where most can be read; several words are too many to be named."""
    rows = ROWS.format(f"{value} AS {column}")
    (remedy,) = refused(base, rows).values["remedies"]
    mended = MENDED.format(remedy, rows)
    counted = f"SELECT count({column}) AS n FROM ({mended}) AS t"
    assert base.ask(counted)["n"].to_pylist() == [left]


def test_edges_weigh_what_a_source_would(base: embsql.Database) -> None:
    rows = "SELECT 1 AS source_node, 2 AS target_node, '1,5' AS weight"
    with pytest.raises(errors.BadColumnType) as caught:
        graph(base.engine, rows, pa.array(["1", "2"]))
    (remedy,) = caught.value.values["remedies"]  # type: ignore[misc]  # a list
    mended = f"SELECT source_node, target_node, {remedy} FROM ({rows}) AS t"
    assert graph(base.engine, mended, pa.array(["1", "2"]))[0].weight.tolist() == [1.5]


def test_a_file_where_there_are_none(pg: str, tmp_path) -> None:
    path = tmp_path / "events.csv"
    path.write_text(
        "user_id,item_id\n" + "\n".join(f"{i % 5},{i % 7}" for i in range(40))
    )
    with embsql.connect(pg) as database:
        with pytest.raises(
            errors.NotASelect, match="say source_db=':memory:' and DuckDB will"
        ):
            database.train("m", str(path), dim=2)
        assert (
            database.train("m", str(path), dim=2, source_db=":memory:").status == "live"
        )


def test_a_character_that_a_server_cannot_store(each: embsql.Database) -> None:
    """Nor can a statement name whose id has it, so nobody could ask for them, or forget them."""
    rows = "SELECT 'u' || chr(0) || (i % 5) AS user_id, i % 7 AS item_id FROM range(40) AS t(i)"
    with pytest.raises(errors.NulByte) as caught:
        each.train("m", rows, dim=2, source_db=":memory:")
    remedy = re.search(r'replace\(.* AS "user_id"', str(caught.value))
    assert remedy is not None
    mended = f"SELECT {remedy[0]}, item_id FROM ({rows})"
    assert each.train("m", mended, dim=2, source_db=":memory:").status == "live"
    assert each.forget("u1") > 0


def test_vectors_of_an_id_that_nobody_can_name(db: embsql.Database) -> None:
    rows = "SELECT 'i' || chr(0) AS item_id, [1.0, 2.0] AS embedding"
    for given in (rows, db.ask(rows)):
        with pytest.raises(errors.NulByte, match="replace"):
            db.register_embeddings("m", given)


TESTED = {  # above, in test_ids.py, test_sources.py, test_races.py and tests/test_bigquery.py
    "BadColumnType",
    "BadWeights",
    "MissingColumn",
    "IdTooLong",
    "BadGraph",
    "NotASelect",
    "NulByte",
    "InexactId",
    "UnknownFormat",
    "SourceFailed",
    "NoMl",
    "LiveRunGone",
    "WrongArguments",  # in tests/test_commands.py
}


# a column of a table in memory that cannot be taken, and how many users its remedy leads to
FRAMES = [
    ("weight", ["1,5"] * 35, errors.BadColumnType, 5),
    ("event_time", ["14.3.2026"] * 35, errors.BadColumnType, 5),
    (
        "event_time",
        [r"\N"] * 5 + ["14.3.2026", "15.3.2026"] * 15,
        errors.BadColumnType,
        5,
    ),
    ("weight", [-1.0] * 5 + [1.0] * 30, errors.BadWeights, 5),
    ("user_id", [2.0**60, 1.0] * 17 + [3.0], errors.InexactId, 3),
    ("user_id", ["n" * 2000, "m"] * 17 + ["k"], errors.IdTooLong, 3),
    ("user_id", ["n\0", "m"] * 17 + ["k"], errors.NulByte, 3),
    ("user_id", [[n % 5] for n in range(35)], None, 5),
]


@pytest.mark.parametrize("kind", ["arrow", "pandas"])
@pytest.mark.parametrize(("column", "values", "error", "users"), FRAMES)
def test_a_remedy_for_a_table_in_memory_is_python(
    base: embsql.Database,
    kind: str,
    column: str,
    values: list[Any],
    error: type | None,
    users: int,
) -> None:
    import duckdb

    rows = {
        "user_id": [n % 5 for n in range(35)],
        "item_id": [n % 7 for n in range(35)],
        column: values,
    }
    df = (
        pytest.importorskip("pandas").DataFrame(rows)
        if kind == "pandas"
        else pa.table(rows)
    )
    found = refused(base, as_source(df, "source"))
    assert isinstance(found, error or errors.BadColumnType)
    remedies = found.values.get("remedies", [found.values.get("remedy")])
    for remedy in remedies:  # type: ignore[union-attr]  # a list
        assert remedy in str(found)
        typed = re.fullmatch(r'duckdb\.sql\(r?"""(.+)"""\)', str(remedy), re.DOTALL)
        assert typed, "Python that a reader can type"
        mended = duckdb.sql(
            typed[1]
        )  # DuckDB finds df, which is a name here as it is there
        assert read(base, as_source(mended, "source")).n_users == users
    assert "in the SELECT" not in str(found)


def test_messages_about_a_table_in_memory_speak_of_no_select(
    base: embsql.Database,
) -> None:
    for table in (
        pa.table({"user": [1], "item_id": [1]}),
        pa.table({"user_id": [None], "item_id": [1]}),
    ):
        assert "the SELECT" not in str(refused(base, as_source(table, "source")))


def test_every_error_that_tells_what_to_select_is_tested() -> None:
    """A new class whose message speaks of the SELECT needs a test of what it says."""
    classes = [
        found
        for _, found in inspect.getmembers(errors, inspect.isclass)
        if found is not errors.EmbsqlError
    ]
    documented = {
        found.__name__
        for found in classes
        if re.search(r"\{(remedy|advice)\}|in\s+the\s+SELECT", found.__doc__ or "")
    }
    assert documented <= TESTED
    assert {found.__name__ for found in classes} >= TESTED
