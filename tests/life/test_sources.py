"""Sources as people have them: files by name, tables in memory, calls that give rows."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import embsql
from embsql import errors
from embsql.api.database import cancel
from embsql.data import Interactions
from embsql.run import Columns, Run
from embsql.shells.cli import main
from embsql.sources.prepare import prepare
from embsql.sources.side_inputs import by_id
from embsql.sources.source import source as as_source

PAIRS = [(i % 5, f"i{i % 7}") for i in range(35)]
WANTED = sorted({(str(user), item) for user, item in PAIRS})
TABLE = pa.table(
    {"user_id": [user for user, _ in PAIRS], "item_id": [item for _, item in PAIRS]}
)
CSV = "user_id,item_id\n" + "\n".join(f"{user},{item}" for user, item in PAIRS)
TABS = "\n".join(
    f"{user}\t{item}\t1\t{978300760 + n}" for n, (user, item) in enumerate(PAIRS)
)
COLONS = "\n".join(
    f"{user}::{item}::1::{978300760 + n}" for n, (user, item) in enumerate(PAIRS)
)
LINES = "\n".join(
    json.dumps({"user_id": user, "item_id": item}) for user, item in PAIRS
)


@pytest.fixture(scope="module")
def base():
    with embsql.connect(":memory:") as database:
        yield database


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(database: embsql.Database, given: Any, **columns: str) -> Interactions:
    found = prepare(
        database.engine,
        as_source(given, "source"),
        Columns(**columns),
        Run(),
        explicit=False,
    )
    return found.interactions()


def pairs(data: Interactions) -> list[tuple[str, str]]:
    users, items = data.users.to_pylist(), data.items.to_pylist()
    return sorted(
        (users[user], items[item])
        for user, item in zip(data.user, data.item, strict=True)
    )


# --- files ---------------------------------------------------------------------------------------


def parquet(path: str) -> None:
    duckdb.from_arrow(TABLE).write_parquet(path)


def zst(path: str) -> None:
    duckdb.from_arrow(TABLE).write_csv(path, compression="zstd")


FILES = {  # the name as it is given, and what lies there
    "events.csv": CSV,
    "my ratings (1).csv": CSV,
    "'my ratings.csv'": CSV,
    '"my ratings.csv"': CSV,
    "a [1].csv": CSV,
    "o'brien.csv": CSV,
    "EVENTS.CSV": CSV,
    "events.tsv": CSV.replace(",", "\t"),
    "events.txt": CSV,
    "events.dat": CSV.replace(",", "|"),
    "events.data": CSV.replace(",", ";"),
    "events.json": f"[{','.join(LINES.splitlines())}]",
    "events.jsonl": LINES,
    "events.ndjson": LINES,
    "events.csv.gz": gzip.compress(CSV.encode()),
    "events.jsonl.gz": gzip.compress(LINES.encode()),
    "events.csv.zst": zst,
    "events.parquet": parquet,
    "deep/down/*.parquet": parquet,
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_by_its_name(base: embsql.Database, folder: Path, name: str) -> None:
    content = FILES[name]
    path = folder / name.strip("'\"").replace("*", "part")
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(str(path))
    else:
        path.write_bytes(
            content if isinstance(content, bytes) else str(content).encode()
        )
    assert pairs(read(base, name)) == WANTED
    assert pairs(read(base, path)) == WANTED


def test_a_name_that_begins_like_sql_is_quoted(
    base: embsql.Database, folder: Path
) -> None:
    (folder / "from here.csv").write_text(CSV)
    assert pairs(read(base, "'from here.csv'")) == WANTED
    assert pairs(read(base, folder / "from here.csv")) == WANTED
    assert pairs(read(base, "from 'from here.csv'")) == WANTED


@pytest.mark.parametrize("given", ["parts/", "parts", "'parts'"])
def test_a_folder_is_all_its_files(
    base: embsql.Database, folder: Path, given: str
) -> None:
    (folder / "parts" / "more").mkdir(parents=True)
    parquet(str(folder / "parts" / "0.parquet"))
    parquet(str(folder / "parts" / "more" / "1.parquet"))
    (folder / "parts" / "_SUCCESS").touch()
    data = read(base, Path(given) if given == "parts" else given)
    assert data.weight.sum() == 2 * len(PAIRS)


@pytest.mark.parametrize(
    "call",
    [
        "read_csv('u.data', delim = '\t', names = ['user_id', 'item_id', 'weight', 'event_time'])",
        "read_csv('u.data', header = false, names = ['user_id', 'item_id'])",
    ],
)
def test_a_call_that_gives_rows(base: embsql.Database, folder: Path, call: str) -> None:
    (folder / "u.data").write_text(TABS)
    assert pairs(read(base, call)) == WANTED


def test_a_table_of_a_schema_is_no_file(each: embsql.Database) -> None:
    each.engine.run("CREATE SCHEMA shop")
    each.engine.run(
        "CREATE TABLE shop.data AS SELECT i % 5 AS user_id, i % 7 AS item_id "
        "FROM generate_series(1, 35) AS t(i)"
    )
    assert len(read(each, "shop.data")) == 35


# What a name does not tell, with the file that is there; the remedy reads it.
UNREADABLE = {
    "u.base": TABS,
    "dir/u.base": TABS,
    "ratings.log": COLONS,
    "headed.log": CSV,
    "u.data": TABS,
    "ratings.dat": COLONS,
    "no header.csv": "\n".join(f"{user},{item}" for user, item in PAIRS),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_needs_a_select_is_named(
    base: embsql.Database, folder: Path, name: str
) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(UNREADABLE[name])
    for given in (path, f"'{name}'", name):
        with pytest.raises((errors.UnknownFormat, errors.MissingColumn)) as caught:
            read(base, given)
        remedy = str(caught.value.values["remedy"]).removeprefix("Say ")
        assert remedy in str(caught.value)
        assert pairs(read(base, remedy)) == WANTED


def test_columns_without_a_header_are_named_by_an_option(
    base: embsql.Database, folder: Path
) -> None:
    (folder / "u.data").write_text(TABS)
    data = read(
        base, "u.data", user="column0", item="column1", weight="column2", time="column3"
    )
    assert pairs(data) == WANTED
    assert data.time is not None


def test_a_folder_of_several_formats(base: embsql.Database, folder: Path) -> None:
    (folder / "mixed").mkdir()
    for name in ("a.csv", "b.csv", "c.jsonl"):
        (folder / "mixed" / name).write_text(CSV)
    with pytest.raises(
        errors.UnknownFormat, match="holds files of several formats"
    ) as caught:
        read(base, "mixed/")
    assert pairs(read(base, caught.value.values["remedy"])) == WANTED


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.xlsx", b"PK\0\0"), ("empty/", None), ("gone.xlsx", None), ("a/b", None)],
)
def test_a_file_that_nobody_reads(
    base: embsql.Database, folder: Path, name: str, content: bytes | None
) -> None:
    if content:
        (folder / name).write_bytes(content)
    elif name.endswith("/"):
        (folder / name).mkdir()
    with pytest.raises((errors.UnknownFormat, errors.SourceFailed)):
        read(base, f"'{name}'")


def test_a_path_is_read_here_wherever_the_model_lives(pg: str, folder: Path) -> None:
    (folder / "events.csv").write_text(CSV)
    with embsql.connect(pg) as database:
        run = database.train("m", folder / "events.csv", dim=2)
        recorded = database.ask(
            "SELECT source_sql FROM embsql.runs WHERE run_id = $n", n=run.run_id
        ).to_pylist()
    assert recorded == [{"source_sql": f"'{folder / 'events.csv'}'"}]


# --- what a file's columns are -------------------------------------------------------------------

SAMPLE = 20_480  # rows by which DuckDB guesses types


def long(column: str, usual: str, last: str) -> str:
    """A file whose last row differs from all the others, long after any sample ends."""
    rows = "\n".join(f"{n % 5},{n % 7},{usual}" for n in range(SAMPLE + 100))
    return f"user_id,item_id,{column}\n{rows}\n4,6,{last}\n"


@pytest.mark.parametrize(
    "last", ["007", "1e2", "x", "1.5", " 7", "+7", "9223372036854775808", "1_000"]
)
def test_a_late_id_changes_no_earlier_one(
    base: embsql.Database, folder: Path, last: str
) -> None:
    rows = "\n".join(f"{n % 200},{n % 7}" for n in range(SAMPLE + 100))
    (folder / "events.csv").write_text(f"user_id,item_id\n{rows}\n{last},3\n")
    users = set(read(base, "events.csv").users.to_pylist())
    assert users == {str(n) for n in range(200)} | {last}
    (folder / "events.csv").write_text(f"user_id,item_id\n{last},3\n{rows}\n")
    assert set(read(base, "events.csv").users.to_pylist()) == users


def test_zeros_stay_before_and_after(base: embsql.Database, folder: Path) -> None:
    ids = ["007", "7", "7.0", "07", "0", "00", "1.50", "-0", "1e1", "10"]
    (folder / "events.csv").write_text(
        "user_id,item_id\n" + "\n".join(f"{user},x\n{user},y" for user in ids)
    )
    assert read(base, "events.csv").users.to_pylist() == sorted(ids)


@pytest.mark.parametrize(
    ("usual", "last", "total"), [("1", "1.5", 1.5), ("1", "", 0), ("1", "3e2", 300)]
)
def test_a_late_weight_is_a_number(
    base: embsql.Database, folder: Path, usual: str, last: str, total: float
) -> None:
    (folder / "events.csv").write_text(long("weight", usual, last))
    assert read(base, "events.csv").weight.sum() == SAMPLE + 100 + total


def test_weights_of_yes_and_no_are_one_and_zero(
    base: embsql.Database, folder: Path
) -> None:
    rows = "user_id,item_id,weight\n1,a,true\n2,a,false\n2,b,true\n"
    for name in ("events.csv", "events_1.csv"):
        (folder / name).write_text(rows)
    assert pairs(read(base, "events.csv")) == [("1", "a"), ("2", "b")]
    assert read(base, "events*.csv").weight.tolist() == [2, 2]
    (folder / "events.csv").write_text(long("weight", "yes", "no"))
    assert read(base, "events.csv").weight.sum() == SAMPLE + 100


@pytest.mark.parametrize(
    ("column", "usual", "last"),
    [
        ("weight", "1", "2.5"),
        ("weight", "false", "true"),
        ("event_time", "2026-01-01", "2026-01-02 10:00:00"),
        ("note", "a", '"b'),
    ],
)
def test_a_late_value_ends_no_transaction_of_the_caller(
    folder: Path, column: str, usual: str, last: str
) -> None:
    rows = long(column, usual, last).replace(f"4,6,{last}", f"x,6,{last}")
    (folder / "events.csv").write_text(rows)
    with duckdb.connect(":memory:") as connection:
        database = embsql.connect(connection)
        connection.execute("CREATE TABLE mine (n INTEGER)").fetchall()
        connection.execute("BEGIN").fetchall()
        connection.execute("INSERT INTO mine VALUES (1)").fetchall()
        assert "x" in read(database, "events.csv").users.to_pylist()
        connection.execute("COMMIT").fetchall()
        assert connection.execute("SELECT n FROM mine").fetchall() == [(1,)]


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [
        ("", '"b"', {"b"}),
        ("", '"b,c"', {"b,c"}),
        ("", '"e ""f"""', {'e "f"'}),
        ("", '5" pipe', {'5" pipe'}),
        ("", '"open', {'"open'}),
        ('5" pipe', '"b,c"', {'5" pipe', "b,c"}),
        ('"open', '"b', {'"open', '"b'}),
    ],
)
def test_a_late_quote_is_one_where_it_can_be(
    base: embsql.Database, folder: Path, first: str, last: str, wanted: set[str]
) -> None:
    usual = ["1,a,1"] * (SAMPLE + 100)
    lines = [f"1,{first},1"] * bool(first) + usual + [f"1,{last},1", "2,a,1"]
    (folder / "events.csv").write_text("\n".join(["user_id,item_id,weight", *lines]))
    assert set(read(base, "events.csv").items.to_pylist()) == {"a"} | wanted


def test_a_late_word_among_weights(base: embsql.Database, folder: Path) -> None:
    (folder / "events.csv").write_text(long("weight", "2", "n/a"))
    with pytest.raises(errors.BadColumnType) as caught:
        read(base, "events.csv")
    (remedy,) = caught.value.values["remedies"]  # type: ignore[misc]  # a list
    assert read(base, remedy).weight.sum() == 2 * (SAMPLE + 100)


@pytest.mark.parametrize(
    ("usual", "last", "latest"),
    [
        ("2026-01-01", "2026-01-02 00:00:01", 1767312001000000),
        ("2026-01-01 00:00:00", "2026-01-02", 1767312000000000),
        ("2026-01-01T00:00:00Z", "2026-01-02T01:00:00+01:00", 1767312000000000),
        ("17", "1767312000000000", 1767312000000000),
    ],
)
def test_a_late_time(
    base: embsql.Database, folder: Path, usual: str, last: str, latest: int
) -> None:
    (folder / "events.csv").write_text(long("event_time", usual, last))
    times = read(base, "events.csv").time
    assert times is not None
    assert times.max() == latest


def test_a_column_whose_first_values_are_missing(
    base: embsql.Database, folder: Path
) -> None:
    (folder / "events.csv").write_text(long("event_time", "", "2026-01-02"))
    times = read(base, "events.csv").time
    assert times is not None
    assert times.max() == 1767312000000000


def test_a_file_of_names_alone_has_no_rows(base: embsql.Database, folder: Path) -> None:
    (folder / "events.csv").write_text("user_id,item_id,weight,event_time\n")
    with pytest.raises(errors.NoRows):
        read(base, "events.csv")


@pytest.mark.parametrize(
    ("usual", "last", "remedies"),
    [("3/4/2026", "3/14/2026", 1), ("3/4/2026", "3/5/2026", 2)],
)
def test_dates_of_a_file_are_not_guessed(
    base: embsql.Database, folder: Path, usual: str, last: str, remedies: int
) -> None:
    (folder / "events.csv").write_text(long("event_time", usual, last))
    with pytest.raises(errors.BadColumnType) as caught:
        read(base, "events.csv")
    reported = caught.value.values["remedies"]
    assert isinstance(reported, list)
    assert len(reported) == remedies
    assert read(base, reported[0]).time is not None


def test_json_ids_are_as_they_stand(base: embsql.Database, folder: Path) -> None:
    ids = [
        "007",
        7,
        "7",
        "2026-01-01T10:00:00Z",
        "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
        "a",
    ]
    lines = [
        json.dumps({"user_id": user, "item_id": item}) for user in ids for item in "xy"
    ]
    (folder / "events.jsonl").write_text("\n".join(lines))
    assert read(base, "events.jsonl").users.to_pylist() == sorted(
        {str(user) for user in ids}
    )
    (folder / "users.json").write_text(
        json.dumps([{"user_id": user, "age": n} for n, user in enumerate(ids[2:])])
    )
    known = base.engine.gather("users.json", ["user_id"])
    assert known["user_id"].to_pylist() == ids[2:]


def test_an_error_shows_no_row_of_a_file(base: embsql.Database, folder: Path) -> None:
    (folder / "events.csv").write_text(
        long("weight", "1", "x") + "4,kim@example.com,1,too,many\n"
    )
    for given in ("events.csv", "SELECT * FROM 'events.csv'"):
        with pytest.raises(errors.SourceFailed) as caught:
            read(base, given)
        assert "kim@" not in str(caught.value)


# --- tables in memory ----------------------------------------------------------------------------


def frames() -> dict[str, Any]:
    return {
        "pyarrow table": lambda: TABLE,
        "pyarrow reader": lambda: TABLE.to_reader(max_chunksize=3),
        "pyarrow batch": lambda: TABLE.to_batches()[0],
        "duckdb relation": lambda: duckdb.from_arrow(TABLE),
        "pandas": lambda: pytest.importorskip(
            "pandas", reason="pandas is not installed"
        ).DataFrame(TABLE.to_pydict()),
        "polars": lambda: pytest.importorskip(
            "polars", reason="polars is not installed"
        ).DataFrame(TABLE.to_pydict()),
    }


@pytest.mark.parametrize("kind", frames())
def test_a_table_in_memory(base: embsql.Database, kind: str) -> None:
    name = kind.replace(" ", "_")
    run = base.train(name, frames()[kind](), dim=2)
    stored = base.ask(
        "SELECT user_id, item_id FROM embsql.interactions WHERE run_id = $n",
        n=run.run_id,
    ).to_pylist()
    assert sorted((row["user_id"], row["item_id"]) for row in stored) == WANTED
    (recorded,) = base.ask(
        "SELECT source_sql FROM embsql.runs WHERE run_id = $n", n=run.run_id
    ).to_pylist()
    assert re.fullmatch(
        r"\w+\.\w+ of 35 rows: user_id, item_id", recorded["source_sql"]
    )
    assert base.train(name, frames()[kind](), dim=2).skipped, (
        "what has not changed is not trained again"
    )


def test_a_relation_sees_what_its_connection_sees() -> None:
    """Also what is not committed; and no name of the caller's is hidden or left behind."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE given AS SELECT 42 AS answer").fetchall()
    connection.execute("BEGIN").fetchall()
    connection.execute(
        "CREATE TEMP TABLE mine AS SELECT i % 5 AS user_id, i % 7 AS item_id FROM range(35) t(i)"
    ).fetchall()
    with embsql.connect(connection) as database:
        assert len(read(database, connection.table("mine"))) == 35
        assert connection.execute("SELECT answer FROM given").fetchall() == [(42,)]
    connection.execute("ROLLBACK").fetchall()
    connection.close()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_times_of_every_unit_are_microseconds(
    each: embsql.Database, folder: Path, unit: str, zone: str | None
) -> None:
    """pandas makes nanoseconds, with a zone where times are in UTC, and writes Parquet so."""
    each.engine.run("SET TimeZone = 'America/New_York'")
    noon = 1_782_907_200_000_000  # 2026-07-01 12:00 in Greenwich
    moments = pa.array([noon, noon + 60_000_000] * 2, pa.timestamp("us", zone))
    table = pa.table(
        {
            "user_id": [1, 1, 2, 2],
            "item_id": ["a", "b"] * 2,
            "event_time": moments.cast(pa.timestamp(unit, zone)),
        }
    )
    pq.write_table(table, folder / "events.parquet")
    for given in (table, folder / "events.parquet"):
        times = read(each, given).time
        assert times is not None
        assert times.tolist() == [noon, noon + 60_000_000] * 2


def test_moments_in_nanoseconds_are_ids(folder: Path) -> None:
    moments = pa.array([0, 60_000_000_000], pa.timestamp("ns", "UTC"))
    table = pa.table({"user_id": moments, "item_id": ["a", "b"]})
    pq.write_table(table, folder / "events.parquet")
    with embsql.connect(":memory:") as database:
        database.engine.run("SET TimeZone = 'America/New_York'")
        users = read(database, "events.parquet").users.to_pylist()
        asked = (
            "SELECT embsql.id_text(user_id) AS text FROM 'events.parquet' ORDER BY 1"
        )
        assert users == ["1970-01-01 00:00:00+00", "1970-01-01 00:01:00+00"]
        assert database.ask(asked)["text"].to_pylist() == users


def test_missing_numbers_in_a_frame_are_missing(base: embsql.Database) -> None:
    table = pa.table(
        {"user_id": [1.0, 2.0, float("nan"), None], "item_id": ["x", "y", "x", "y"]}
    )
    assert read(base, table).users.to_pylist() == ["1", "2"]


def test_tables_in_memory_with_all_that_comes_with_a_source(
    each: embsql.Database,
) -> None:
    items = pa.table(
        {"item_id": pa.array(range(7), pa.float64()), "kind": list("aabbccd")}
    )
    vectors = pa.table(
        {
            "item_id": pa.array(range(7), pa.int64()),
            "v": [[float(n), 1.0] for n in range(7)],
        }
    )
    edges = pa.table({"source_node": [0, 1, 2], "target_node": [1.0, 2.0, 3.0]})
    events = pa.table(
        {"user_id": [n % 5 for n in range(35)], "item_id": [n % 7 for n in range(35)]}
    )
    run = each.train(
        "f", events, algorithm="fusion", dim=2, prior_strength=10, item_features=items
    )
    reported = each.ask(
        "SELECT hint FROM embsql.validation('f') WHERE \"check\" = 'item feature kind'"
    ).to_pylist()
    assert reported == [{"hint": "category, 4 values, missing for 0 of 7"}]
    with pytest.raises(
        errors.NotEvaluated, match="item_features were a table in memory"
    ):
        each.evaluate(f"f@{run.run_id}")
    each.train("c", events, algorithm="content", item_features=vectors)
    each.train("w", events, algorithm="node2vec", dim=2, epochs=1, graph=edges)
    each.register_embeddings("r", vectors.rename_columns(["item_id", "embedding"]))
    each.cluster(
        "r", k=1, labels=pa.table({"entity_id": range(7), "label": ["all"] * 7})
    )
    assert each.ask("SELECT label FROM embsql.clusters('r')").to_pylist() == [
        {"label": "all"}
    ]


@pytest.mark.parametrize(
    "option", ["source", "user_features", "item_features", "graph"]
)
@pytest.mark.parametrize(
    "given", [7, b"events.csv", {"user_id": [1]}, ["a.csv", "b.csv"], object()]
)
def test_what_is_no_source(base: embsql.Database, option: str, given: object) -> None:
    with pytest.raises(
        errors.InvalidArgument,
        match=f"{option} must be a SELECT, the name of a table or file, a path, or",
    ):
        base.train("m", **({"source": TABLE} | {option: given}))


def test_what_is_no_source_where_other_things_are_wanted(base: embsql.Database) -> None:
    with pytest.raises(errors.InvalidArgument, match="items must be a SELECT"):
        base.register_embeddings("m", 7)
    with pytest.raises(errors.InvalidArgument, match="labels must be a SELECT"):
        base.cluster("m", labels=7)


class Broken:
    """What a library hands over when a column has several types."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise ValueError("column user_id is of several types")


def test_a_table_that_cannot_be_handed_over(base: embsql.Database) -> None:
    with pytest.raises(
        errors.SourceFailed,
        match=r"\(column user_id is of several types\); give each column one type",
    ):
        base.train("m", Broken())


@pytest.mark.parametrize("names", [["weight", "weight"], ["Weight", "weight"]])
def test_a_table_whose_names_are_one_is_refused(
    base: embsql.Database, names: list[str]
) -> None:
    """DuckDB would read the first and call the other weight_1."""
    columns = [*TABLE.columns, TABLE["user_id"], TABLE["user_id"]]
    given = pa.table(columns, names=[*TABLE.column_names, *names])
    with pytest.raises(
        errors.SourceFailed, match="names that differ by case alone are one"
    ):
        base.train("m", given)


def test_one_column_is_no_table(base: embsql.Database) -> None:
    with pytest.raises(
        errors.InvalidArgument, match=r"graph must be .* got one column"
    ):
        base.train("m", TABLE, algorithm="node2vec", graph=TABLE["user_id"])


@pytest.mark.parametrize(
    "kind",
    [
        pa.float16(),
        pa.list_(pa.float16()),
        pa.large_list(pa.float16()),
        pa.list_(pa.float16(), 1),
    ],
)
def test_numbers_of_16_bits_are_read(base: embsql.Database, kind: pa.DataType) -> None:
    """As libraries of vectors keep them, which DuckDB has no type for."""
    numbers = [0.5, 1.5, 2.5]
    halves = pa.array(numbers, pa.float16())
    if kind != pa.float16():
        lists = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), halves)
        halves = lists.cast(kind)
    table = pa.table({"item_id": ["i0", "i1", "i2"], "known": halves})
    ids = pa.array(["i0", "i1", "i2"])
    given = as_source(table, "item_features")
    rows = by_id(base.engine, given, "item_id", "item_features").of(ids)
    known = rows["known"].to_pylist()
    assert [one[0] if isinstance(one, list) else one for one in known] == numbers


def test_a_name_in_python_is_no_table_of_postgresql(pg) -> None:
    said = 'relation "df" does not exist. A DataFrame or an Arrow table is given itself'
    with embsql.connect(pg) as database, pytest.raises(errors.SourceFailed, match=said):
        database.train("m", "df")


def test_a_name_in_python_is_no_table(base: embsql.Database) -> None:
    df = TABLE
    for given in ("df", "SELECT * FROM df"):
        with pytest.raises(
            errors.SourceFailed,
            match=r"[.?!] A DataFrame.* itself, without quotes: train\('m', df\)",
        ):
            base.train("m", given)
    assert base.train("m", df, dim=2).status == "live"


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        '"My S"."t q"',
        '"My S".plain',
        '"a""b"',
        '"My S"."a.b"',
        '"s.csv"',
        '"a/b"',
        '"My S"."a""b"',
    ],
)
def test_names_that_need_quotes(each: embsql.Database, name: str) -> None:
    each.engine.run('CREATE SCHEMA "My S"')
    each.engine.run(
        f"CREATE TABLE {name} AS SELECT i % 5 AS user_id, i % 7 AS item_id "
        f"FROM generate_series(1, 35) AS t(i)"
    )
    if name == '"s.csv"':  # which names a file, also in quotes
        name = f"SELECT * FROM {name}"
    assert len(read(each, name)) == 35


def test_a_source_database_that_is_not_there_is_named_and_not_made(
    base: embsql.Database, folder: Path
) -> None:
    for path in (
        "typo.duckdb",
        folder / "typo.duckdb",
        str(folder / "no" / "typo.duckdb"),
    ):
        with pytest.raises(
            errors.CannotOpen,
            match=r"typo\.duckdb cannot be opened: there is no such file",
        ):
            base.train("m", "SELECT 1", source_db=path)
    with pytest.raises(errors.CannotOpen, match="there is no such file"):
        cancel("typo.duckdb", "m")
    for words in (
        ["models"],
        ["runs", "m"],
        ["promote", "m@1"],
        ["forget", "a"],
        ["publish", "other.duckdb"],
    ):
        done = CliRunner().invoke(main, ["--db", "typo.duckdb", *words])
        assert (
            done.exit_code,
            "typo.duckdb cannot be opened: there is no such file" in done.output,
        ) == (1, True)
    assert list(folder.iterdir()) == []


WORDS = [(f"u{i % 5}", f"i{i % 7}") for i in range(35)]


def test_a_wrong_name_for_a_column_of_a_file_that_needs_none(
    base: embsql.Database, folder: Path
) -> None:
    (folder / "pairs.csv").write_text(CSV)
    with pytest.raises(
        errors.MissingColumn, match="Leave that name out, or name it with user_col="
    ):
        read(base, "pairs.csv", user="whom")
    assert pairs(read(base, "pairs.csv")) == WANTED


@pytest.mark.parametrize("separator", [",", "\t", "|", "::"])
@pytest.mark.parametrize("more", [0, 10])
def test_a_text_without_a_header_keeps_its_first_row(
    base: embsql.Database, folder: Path, separator: str, more: int
) -> None:
    rows = [separator.join([*pair, *("x" * more)]) for pair in WORDS]
    (folder / "pairs.csv").write_text("\n".join(rows))
    with pytest.raises((errors.MissingColumn, errors.SourceFailed)) as caught:
        read(base, "pairs.csv")
    remedy = str(caught.value.values["remedy"]).removeprefix("Say ")
    assert pairs(read(base, remedy)) == sorted(WORDS)
    (folder / "headed.csv").write_text(
        "\n".join([separator.join(["who", "what", *("y" * more)]), *rows])
    )
    with pytest.raises((errors.MissingColumn, errors.SourceFailed)) as caught:
        read(base, "headed.csv")
    remedy = str(caught.value.values["remedy"]).removeprefix("Say ")
    assert pairs(read(base, remedy)) == sorted(WORDS)


def test_what_names_mean_is_part_of_what_is_asked(pg) -> None:
    """The same words under another search_path or role are another job; where nothing is read they
    are one.
    """
    evaluate = """evaluate('shop', '{"test": "events"}')"""
    with psycopg.connect(pg) as connection:
        connection.execute("CREATE ROLE embsql_test_other SUPERUSER")
        for ask, jobs in (
            ("train('shop', 'events')", 3),
            (evaluate, 3),
            ("forget('1')", 1),
        ):
            found = set()
            for change in (
                "search_path = one",
                "search_path = two",
                "ROLE NONE",
                "ROLE embsql_test_other",
            ):
                connection.execute(f"SET {change}")
                found |= set(connection.execute(f"SELECT embsql.{ask}").fetchall())
            connection.execute("RESET ROLE")
            assert len(found) == jobs, ask
        connection.rollback()


def test_a_job_reads_what_its_run_remembers_if_it_is_the_askers(pg) -> None:
    """And every option that is a SELECT; one in quotes, NULL or a number is none."""
    known = "SELECT DISTINCT user_id, item_id AS kind FROM events"
    with embsql.connect(pg) as database:
        database.engine.run("""
            INSERT INTO embsql.models (model_name, live_run, earlier_runs, updated_at)
            VALUES ('m', 2, '{}', embsql_internal.utc_now());
            INSERT INTO embsql.run_records (
                run_id, model_name, algorithm, params, source_sql, seed, status, versions,
                started_at, made_by
            )
            SELECT
                n, 'm', 'als',
                CAST(json_build_object('user_features', 'f' || n, 'graph', NULL, 'dim', 4) AS text),
                's', 1, 'ready', '{}', embsql_internal.utc_now(),
                CASE n WHEN 3 THEN 'another' ELSE session_user END
            FROM generate_series(1, 3) AS n
        """)
        for command, words, wanted in (
            ("evaluate", ["m", "{}"], ["f2"]),
            ("evaluate", ["m@1", "{}"], ["f1"]),
            ("evaluate", ["m@3", "{}"], []),
            ("evaluate", ["m", '{"test": "t"}'], ["t"]),
            (
                "cluster",
                ["m", "item", "", "c", "", json.dumps({"labels": known})],
                [known],
            ),
            (
                "train",
                ["m", "s", "als", '{"evaluate": true, "graph": {"a": 1}}'],
                ["f2", "s"],
            ),
            ("train", ["m", "s", "als", '{"evaluate": false, "test": null}'], ["s"]),
            ("project", ["m", "item", "pca", "{}"], []),
        ):
            asked = {"command": command, "words": words}
            found = database.ask(
                "SELECT embsql_internal.sources_of($command, CAST($words AS text[])) AS s",
                **asked,
            )
            assert sorted(found["s"][0].as_py()) == wanted, asked


@pytest.mark.parametrize(
    "behind",
    ["; -- all of them", ";\n/* all; of them */;\n", " -- all; of them", "; ;"],
)
def test_what_stands_behind_a_statement_is_left_out(
    each: embsql.Database, behind: str
) -> None:
    rows = "VALUES (1, 'a;'), (2, '--b')"
    select = f"SELECT * FROM ({rows}) AS t(user_id, item_id)"
    assert pairs(read(each, select + behind)) == [("1", "a;"), ("2", "--b")]


def test_a_name_that_differs_by_case_alone_is_another_column(pg: str) -> None:
    rows = 'SELECT 7 AS "USER_ID", 1 AS user_id, 2 AS item_id, 3 AS "Weight"'
    with embsql.connect(pg) as database:
        assert pairs(read(database, rows)) == [("1", "2")]
        assert pairs(read(database, rows, user="USER_ID")) == [("7", "2")]
        assert read(database, rows).weight.tolist() == [3]


@pytest.mark.parametrize("twice", ["user_id", "item_id", "weight", "event_time"])
def test_a_name_that_comes_twice_is_ambiguous(
    each: embsql.Database, twice: str
) -> None:
    columns = "1 AS user_id, 2 AS item_id, 3 AS weight, 4 AS event_time, 5 AS x, 6 AS x"
    assert len(read(each, f"SELECT {columns}")) == 1
    with pytest.raises(errors.SourceFailed, match=f"{twice}; give each|is ambiguous"):
        read(each, f"SELECT {columns}, 7 AS {twice}")


def test_a_name_is_not_ambiguous_for_another_that_is_like_it(
    each: embsql.Database,
) -> None:
    rows = "SELECT 1 AS user_id, 2 AS user_id_1, 3 AS item_id, 4 AS item_id_1"
    assert pairs(read(each, rows)) == [("1", "3")]


def test_ids_of_features_that_come_twice_are_ambiguous(base: embsql.Database) -> None:
    rows = "SELECT 1 AS item_id, 2 AS item_id, 3 AS price"
    with pytest.raises(errors.SourceFailed, match="several columns called item_id"):
        by_id(base.engine, rows, "item_id", "item_features")


@pytest.mark.parametrize("name", ["f[1].csv", "f*.csv", "f?.csv"])
def test_a_file_that_is_there_is_no_pattern(
    base: embsql.Database, folder: Path, name: str
) -> None:
    (folder / "f1.csv").write_text("user_id,item_id\n9,other\n")
    (folder / "f2.csv").write_text("user_id,item_id\n9,other\n")
    assert len(read(base, "f*.csv")) == 1
    (folder / name).write_text(CSV)
    assert pairs(read(base, name)) == WANTED
    inner = folder / "in" / name.removesuffix(".csv")
    inner.mkdir(parents=True)
    (inner / name).write_text(CSV)
    for given in (f"{inner}/", inner):
        assert pairs(read(base, given)) == WANTED
