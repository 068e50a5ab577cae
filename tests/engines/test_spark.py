"""Spark: what is read there, what is published there, and that questions answer there as elsewhere.

One session, and so one JVM, for all of it. `make test` runs what finds most faults; the rest is
slow, and `make test-spark` runs it too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import embsql
from embsql import errors, processes
from embsql.engines.spark import Spark
from embsql.lifecycle import leases, spark_lock
from embsql.sqlfiles import questions, spark, translation
from tests.engines.conftest import ONE_OF_EACH_KIND
from tests.sql.test_cases import cases, same
from tests.worlds import ITEMS

slow = pytest.mark.slow
DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "INT": "INTEGER",
    "TIMESTAMP_NTZ": "TIMESTAMP",
    "ARRAY<FLOAT>": "FLOAT[]",
}
# who may see a run, what removes it, and how a file keeps its rows, are the registry's
NOT_IN_SPARK = {"made_by", "held", "promoted_at", "series", "snapshot", "cell"}
EVENTS = [
    (f"u{u % 30}", f"i{(u * 7 + n * n) % 20}") for u in range(30) for n in range(12)
]


def in_spark(sql: str) -> str:
    """A case's call as it is written in Spark: lists, names in quotes, places from 0, rows."""
    text = re.sub(r"ARRAY\[(.*?)\]", r"array(\1)", sql.rstrip("; \n"))
    text = text.replace("TEXT[]", "ARRAY<STRING>").replace("REAL[]", "ARRAY<FLOAT>")
    text = text.replace('"check"', "`check`").replace(
        "embsql.vector_avg(", "vector_avg("
    )
    text = re.sub(
        r"(embsql\.embed_\w+\('\w+', (?:NULL|'.*?')\))",
        r"(SELECT embedding FROM \1)",
        text,
    )
    return re.sub(r"\)\)\[(\d)\]", lambda found: f"))[{int(found[1]) - 1}]", text)


def chosen() -> list[Any]:
    """Every case; all but the first of one question of each kind are slow."""
    refused = re.compile(
        r"embsql\.(doctor|recommend_as_of|storage)\(|newcomer\.features"
    )
    found, quick = [], set(ONE_OF_EACH_KIND)
    for case in cases():
        sql, rows = case.values
        asked = re.findall(r"embsql\.(\w+)\(", sql)[:1]
        marks = () if rows and quick.intersection(asked) else (slow,)
        if rows:
            quick.difference_update(asked)
        if not refused.search(sql):
            found.append(pytest.param(sql, rows, id=case.id, marks=marks))
    return found


@pytest.mark.parametrize(("sql", "expected"), chosen())
def test_case(published: embsql.Database, sql: str, expected: list[list[str]]) -> None:
    rows = [list(row.values()) for row in published.ask(in_spark(sql)).to_pylist()]
    assert len(rows) == len(expected), rows
    for row, wanted in zip(rows, expected, strict=True):
        assert len(row) == len(wanted)
        assert all(map(same, row, wanted)), (row, wanted)


@pytest.mark.parametrize("value", [np.array([1, 0.5], ">f4"), [np.float32(1), 0.5]])
def test_numpys_values_are_taken(published: embsql.Database, value: Any) -> None:
    call = "SELECT item_id FROM embsql.nearest_items('compass', $vector, k => $k)"
    found = published.ask(call, vector=value, k=np.int64(2))
    assert found["item_id"].to_pylist() == ["northeast", "east"]


@slow
def test_what_is_there_is_not_copied_again(
    session: Any, world: embsql.Database, published: embsql.Database
) -> None:
    before = published.models()
    (again,) = world.publish(session, "compass")
    assert not again.copied
    assert published.models() == before


@slow
def test_moments_are_those_of_the_registry(
    world: embsql.Database, published: embsql.Database
) -> None:
    wanted, found = (
        [(run["started_at"], run["finished_at"]) for run in database.runs("compass")]
        for database in (world, published)
    )
    assert found == wanted


@slow
def test_a_newcomer_is_rows(published: embsql.Database) -> None:
    call = "SELECT embedding FROM embsql.embed_user('compass', $features)"
    (row,) = published.ask(call, features='{"land": "DE", "age": 40}')
    assert row["embedding"] == [1.0, 0.5]


@pytest.mark.parametrize(
    ("sql", "error", "says"),
    [
        ("SELECT * FROM embsql.recommend('nope', 'ada')", errors.UnknownModel, "nope"),
        pytest.param(
            "SELECT * FROM embsql.recommend('compass@9', 'ada')",
            errors.Refused,
            "compass@9",
            marks=slow,
        ),
        pytest.param(
            "SELECT * FROM embsql.embed_user('compass', '{\"x\": 1}')",
            errors.Refused,
            "It knows",
            marks=slow,
        ),
        pytest.param(
            "SELECT * FROM embsql.nearest_items('compass', array(double('NaN'), 1))",
            errors.Refused,
            "NaN",
            marks=slow,
        ),
        pytest.param(
            "SELECT embsql.fold_in('compass', array('east'), array(1, 2))",
            errors.Refused,
            "1 items with 2 weights",
            marks=slow,
        ),
        pytest.param(
            "SELECT * FROM embsql.doctor()", errors.Refused, "trained in", marks=slow
        ),
        pytest.param(
            "SELECT * FROM embsql.recommend_as_of('compass', 'ada', TIMESTAMP_NTZ '2026-01-01')",
            errors.Refused,
            "evaluates no networks",
            marks=slow,
        ),
        ("SELEC 1", errors.StatementFailed, "SELEC"),
    ],
)
def test_what_is_refused(
    published: embsql.Database, sql: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=re.escape(says)):
        published.ask(sql)


@slow
def test_what_needs_a_registry(published: embsql.Database) -> None:
    for command in (published.doctor, lambda: published.train("m", "SELECT 1")):
        with pytest.raises(errors.NotInSpark, match="source_db='spark'"):
            command()
    assert published.sql("SELECT 1 AS one").to_pylist() == [{"one": 1}]


def test_exported_vectors_are_read_as_they_are(session, world, tmp_path) -> None:
    path = str(tmp_path / "map.parquet")
    world.export_map("compass", path, embeddings=True)
    found = session.read.parquet(path).toArrow()
    assert found["embedding"].to_pylist() == [ITEMS["north"][0], ITEMS["west"][0]]


def test_a_source_in_spark_is_read_as_anywhere(session: Any) -> None:
    frame = session.createDataFrame(EVENTS, "user_id STRING, item_id STRING")
    frame.createOrReplaceTempView("events")
    with embsql.connect(":memory:") as database:
        runs = [
            database.train("here", frame.toArrow(), dim=4),
            database.train("frame", frame, dim=4),
            database.train("there", "SELECT * FROM events", source_db=session, dim=4),
            database.train("name", "events", source_db=session, dim=4),
        ]
        assert [run.status for run in runs] == ["live"] * 4
        found = database.rows("SELECT DISTINCT checksum FROM embsql.runs")
    assert len(found) == 1


@slow
def test_a_promotion_and_who_is_forgotten(
    session: Any, world: embsql.Database, published: embsql.Database
) -> None:
    frame = session.createDataFrame(EVENTS, "user_id STRING, item_id STRING").toArrow()
    asked = "SELECT item_id, rank FROM embsql.recommend('shop', 'u3', k => 5)"
    other = embsql.connect(session.newSession())
    first = world.train("shop", frame, dim=2).run_id
    world.publish(session, "shop")
    assert other.ask(asked).to_pylist() == world.ask(asked).to_pylist()
    second = world.train("shop", frame, dim=3).run_id
    world.publish(session, "shop")
    statuses = [(run["run_id"], run["status"]) for run in published.runs("shop")]
    assert statuses == [(second, "live"), (first, "retired")]
    assert other.ask(asked).to_pylist() == world.ask(asked).to_pylist()
    world.forget("u3")
    world.drop_run(f"shop@{first}")
    (again,) = world.publish(session, "shop")
    assert again.copied
    gone = (
        "SELECT user_id FROM embsql.user_embedding('shop', users => array('u3', 'u4'))"
    )
    for there in (published, other):
        assert there.ask(gone).to_pylist() == [{"user_id": "u4"}]
    assert [run["run_id"] for run in published.runs("shop")] == [second]
    left = published.ask("SELECT DISTINCT run_id FROM embsql.interactions").to_pylist()
    assert {"run_id": first} not in left


@pytest.mark.parametrize("engine", ["duckdb", pytest.param("postgres", marks=slow)])
def test_a_run_goes_from_spark_to_databases_and_back(
    session: Any,
    world: embsql.Database,
    published: embsql.Database,
    engine: str,
    request: pytest.FixtureRequest,
) -> None:
    folder = request.getfixturevalue("tmp_path")
    target = (
        request.getfixturevalue("pg") if engine == "postgres" else folder / "a.duckdb"
    )
    (copy,) = published.publish(target, "compass")
    assert copy.copied
    (again,) = published.publish(target, "compass")
    assert not again.copied
    asked = "SELECT * FROM embsql.recommend('compass', 'ada', k => 5)"
    with embsql.connect(target) as there:
        assert there.ask(asked).to_pylist() == world.ask(asked).to_pylist()
        (back,) = there.publish(session)
    assert not back.copied
    assert copy.checksum == again.checksum == back.checksum
    with pytest.raises(errors.InvalidArgument, match="another database"):
        published.publish(session)


MANY = """SELECT
    'u' || (i % 300) AS user_id, 'i' || ((i * 7 + i * i % 11) % 120) AS item_id
FROM range(9000) AS t (i)"""
TOP_TABLES = {"top_items": "user_id", "neighbors": "entity_id"}


@slow
@pytest.mark.parametrize("algorithm", ["als", "item2vec"])
def test_top_k_tables_are_those_of_one_machine(
    session: Any, world: embsql.Database, published: embsql.Database, algorithm: str
) -> None:
    world.train(algorithm, MANY, algorithm=algorithm, dim=8, epochs=1)
    (run,) = world.publish(session, algorithm)
    written = world.materialize(algorithm, k=7)
    assert published.materialize(algorithm, k=7) == written
    for table, key in TOP_TABLES.items():
        asked = f"SELECT * FROM embsql.{table} WHERE run_id = {run.run_id} ORDER BY {key}, rank"
        found, wanted = published.ask(asked).to_arrow(), world.ask(asked).to_arrow()
        columns = [name for name in wanted.column_names if name != "score"]
        assert found.select(columns).to_pylist() == wanted.select(columns).to_pylist()
        scores = [rows["score"].to_numpy() for rows in (found, wanted)]
        np.testing.assert_allclose(*scores, rtol=1e-5, atol=1e-6)
    published.materialize(algorithm, k=2, items=False)
    counted = f"SELECT count(*) AS n FROM embsql.top_items WHERE run_id = {run.run_id}"
    assert published.ask(counted).to_pylist() == [{"n": 600}]
    with pytest.raises(errors.InvalidArgument, match="threads"):
        published.materialize(algorithm, threads=2)


OF_A_COLUMN = {
    "recommend('compass', {}, k => 2)": ["ada", "cyd", "zoe"],
    "recommend_users('compass', {}, k => 2)": ["east", "west", "atlantis"],
    "similar_items('compass', {}, k => 2)": ["east", "west", "atlantis"],
    "embed_user('compass', {})": ["{}", '{"land": "DE", "age": 40}', '{"land": "XX"}'],
}


@slow
@pytest.mark.parametrize("call", OF_A_COLUMN)
def test_questions_take_a_column(published: embsql.Database, call: str) -> None:
    subjects = OF_A_COLUMN[call]
    listed = ", ".join(f"('{subject}')" for subject in subjects)
    answer = call.format("given.subject")
    asked = f"""SELECT given.subject, answer.* FROM (VALUES {listed}) AS given (subject),
        LATERAL embsql.{answer} AS answer"""
    found = [list(row.values()) for row in published.ask(asked).to_pylist()]
    one_by_one = [
        [subject, *row.values()]
        for subject in subjects
        for row in published.ask(
            f"SELECT * FROM embsql.{call.format(repr(subject))}"
        ).to_pylist()
    ]
    assert sorted(found, key=str) == sorted(one_by_one, key=str)


OF_A_LIST = {
    "recommend_batch('compass', {}, k => 2)": ["ada", "cyd", "zoe"],
    "recommend_users_batch('compass', {}, k => 2)": ["east", "west", "atlantis"],
    "similar_items_batch('compass', {}, k => 2)": ["east", "west", "atlantis"],
}


@slow
@pytest.mark.parametrize("call", OF_A_LIST)
def test_a_list_is_answered_as_its_entries_are(
    published: embsql.Database, call: str
) -> None:
    listed = ", ".join(map(repr, OF_A_LIST[call]))
    found = published.ask(f"SELECT * FROM embsql.{call.format(f'ARRAY({listed})')}")
    single = call.replace("_batch", "")
    one_by_one = [
        [one, *row.values()]
        for one in sorted(OF_A_LIST[call])
        for row in published.ask(
            f"SELECT * FROM embsql.{single.format(repr(one))}"
        ).to_pylist()
    ]
    assert [list(row.values()) for row in found.to_pylist()] == one_by_one


def test_one_publishes_at_a_time(session: Any, published: embsql.Database) -> None:
    other = Spark(session.newSession())
    with spark_lock.publishing(published.engine):
        with pytest.raises(errors.AlreadyPublishing, match=f" {os.getpid()} ") as found:
            spark_lock.publishing(other).__enter__()
        (remedy,) = re.findall("DROP FUNCTION.*", str(found.value))
        published.engine.run(remedy)
        with spark_lock.publishing(other):
            pass


def test_what_a_dead_publisher_left_is_in_nobodys_way(
    published: embsql.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(["true"], stdout=subprocess.PIPE) as other:
        ended = f"{' '.join(processes.identity().split()[:2])} {other.pid} 1"
    holder = leases.this_process() | {"process": ended}
    monkeypatch.setattr(spark_lock, "this_process", lambda: holder)
    abandoned = spark_lock.publishing(published.engine)
    abandoned.__enter__()
    monkeypatch.undo()
    left = "SHOW USER FUNCTIONS IN embsql_internal LIKE 'publishing_*'"
    with spark_lock.publishing(published.engine):
        assert len(published.ask(left)) == 1
    assert len(published.ask(left)) == 0


@slow
def test_a_run_of_another_registry_is_not_overwritten(
    session: Any, published: embsql.Database
) -> None:
    with embsql.connect(":memory:") as other:
        run = other.train(
            "other", session.createDataFrame(EVENTS, "user_id STRING, item_id STRING")
        )
        with pytest.raises(errors.RunIdConflict, match=str(run.run_id)):
            other.publish(session)
    assert "other" not in [model["model_name"] for model in published.models()]


IDS = {  # as Spark has it: the type, and the id that it is
    "CAST(7 AS TINYINT)": "7",
    "CAST(7 AS DECIMAL(9, 2))": "7",
    "CAST(0.50 AS DECIMAL(2, 2))": "0.5",
    "7D": "7",
    "7.5F": "7.5",
    "TRUE": "true",
    "DATE '2026-11-30'": "2026-11-30",
    "TIMESTAMP_NTZ '2026-11-30 12:00:00.5'": "2026-11-30 12:00:00.5",
    "TIMESTAMP '2026-11-30 12:00:00+09:00'": "2026-11-30 03:00:00+00",
    "X'AB01'": "ab01",
    "'x'": "x",
}


@slow
def test_ids_are_the_text_that_they_are_on_other_engines(session: Any) -> None:
    engine = embsql.connect(session).engine
    for written, wanted in IDS.items():
        found = engine.gather(f"SELECT {written} AS user_id", ["user_id"])
        assert found["user_id"].to_pylist() == [wanted], written
    nothing = engine.gather("SELECT '' AS a, double('NaN') AS b", ["a", "b"])
    assert nothing.to_pylist() == [{"a": None, "b": None}]


@pytest.mark.parametrize(
    ("sql", "error", "says"),
    [
        ("SELECT 1 AS user_id", errors.MissingColumn, "item_id"),
        pytest.param(
            "SELECT array(1) AS user_id, 1 AS item_id",
            errors.BadColumnType,
            "AS STRING",
            marks=slow,
        ),
        pytest.param(
            "SELECT 1e300D AS user_id, 1 AS item_id",
            errors.InexactId,
            "user_id",
            marks=slow,
        ),
        pytest.param(
            "SELECT 1 AS user_id, 2 AS USER_ID, 1 AS item_id",
            errors.SourceFailed,
            "several",
            marks=slow,
        ),
        ("DROP TABLE events", errors.NotASelect, "DROP"),
        ("no_such_table", errors.SourceFailed, "cannot be found"),
    ],
)
def test_bad_sources(session: Any, sql: str, error: type[Exception], says: str) -> None:
    with (
        embsql.connect(":memory:") as database,
        pytest.raises(error, match=re.escape(says)),
    ):
        database.train("m", sql, source_db=session)


def test_without_java() -> None:
    pytest.importorskip("pyspark", reason="needs the extra spark")
    script = "import embsql; embsql.connect('spark')"
    environment = {
        "PATH": "/nowhere",
        "JAVA_HOME": "/nowhere",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", script]
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert (
        "CannotOpen: spark cannot be opened: no Java was found; install" in run.stderr
    )


# --- what needs no JVM ---------------------------------------------------------------------------


def test_tables_have_the_columns_of_the_registrys(db: embsql.Database) -> None:
    for statement in spark.spark_tables():
        name, body = re.search(
            r"embsql\.(\w+) \((.*)\) USING", statement, re.DOTALL
        ).groups()
        pairs = (column.split() for column in body.split(","))
        found = {column: DUCKDB_TYPES.get(type_, type_) for column, type_ in pairs}
        there = {
            row["column_name"]: row["column_type"]
            for row in db.rows(f"DESCRIBE embsql.{name}")
        }
        assert found == {c: t for c, t in there.items() if c not in NOT_IN_SPARK}, name


def test_every_question_is_translated() -> None:
    for question in questions.questions().values():
        assert f"embsql.{question.name}(" in spark.table_function(question)


@pytest.mark.parametrize(
    "answer",
    [
        "max_by(t.a, t.b, 3)",
        "max_by(t.a, t.b)",  # and which row, of several with the largest?
        "array_agg(t.a ORDER BY t.b DESC)",
        "string_split(t.a, ',')",
        # read into the tree of something else, so that nothing is lost in writing
        "t.a <=> t.b",
        "len(t.a)",
        "t.a[-1]",
        "t.a[t.b]",
        "t.a[1:2]",
        "any_value(t.a)",
        "approx_count_distinct(t.a)",
        "list_transform(t.a, lambda x: x + 1)",
        "count(*) FILTER (WHERE t.a > 1)",
    ],
)
def test_what_would_say_less_is_refused(answer: str) -> None:
    with pytest.raises(errors.InvalidQuestionFile, match="in Spark SQL"):
        translation.to_spark(f"SELECT {answer} AS a FROM t", "asked")


def test_order_and_exactness_stay() -> None:
    body = """
    SELECT
      array_agg(t.a ORDER BY t.b ASC) AS l,
      percentile_cont(0.9) WITHIN GROUP (ORDER BY t.a ASC) AS p
    FROM t WHERE t.c COLLATE "C" > 'a' GROUP BY t.d"""
    text = translation.to_spark(body, "asked")
    assert "ARRAY_SORT(COLLECT_LIST(STRUCT(t.b AS ordinal, t.a AS entry)))" in text
    assert "PERCENTILE_CONT(" in text
    assert "COLLATE" not in text
