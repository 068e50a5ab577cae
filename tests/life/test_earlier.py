"""A file that the first version of the schema wrote: it is migrated when it is opened.

The file and its answers were made before anything had the names that it has now.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import duckdb
import psycopg
import pytest
from click.testing import CliRunner

import embsql
from embsql import algorithms
from embsql.errors import NotInstalled
from embsql.shells import worker
from embsql.shells.cli import main
from embsql.sqlfiles import render
from embsql.sqlfiles.views import views
from tests.life.test_faults import killed

FOLDER = Path(__file__).parent / "earlier"
ANSWERS = json.loads((FOLDER / "answers.json").read_text())
MODELS = ["plain", "rated", "spectral", "grams", "drawn", "solved"]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    path = tmp_path_factory.mktemp("earlier") / "file.duckdb"
    path.write_bytes(lzma.decompress((FOLDER / "file.duckdb.xz").read_bytes()))
    with embsql.connect(path) as database:
        yield database


@pytest.mark.parametrize("question", ANSWERS)
def test_it_answers_as_before(earlier, question: str) -> None:
    for found, wanted in zip(
        earlier.ask(question).to_pylist(), ANSWERS[question], strict=True
    ):
        assert found.keys() == wanted.keys()
        for column, value in wanted.items():
            close = (
                pytest.approx(value, abs=2e-5) if isinstance(value, float) else value
            )
            assert found[column] == close


def test_an_upgrade_that_was_cut_off_goes_on(tmp_path) -> None:
    path = tmp_path / "file.duckdb"
    path.write_bytes(lzma.decompress((FOLDER / "file.duckdb.xz").read_bytes()))
    with duckdb.connect(str(path)) as connection:
        connection.execute(render.bootstrap("duckdb", ""))
        applied = connection.sql("SELECT file_name FROM embsql.migrations").fetchall()
        missing = render.steps("duckdb", without={name for (name,) in applied})
        for step in missing[: len(missing) // 2]:
            connection.execute(step)
    question = "SELECT * FROM embsql.recommend('plain', '5', k => 3)"
    with embsql.connect(path) as database:
        items = [row["item_id"] for row in database.ask(question).to_pylist()]
    assert items == [row["item_id"] for row in ANSWERS[question]]


@pytest.mark.parametrize("model", MODELS)
def test_its_options_have_the_names_of_now(earlier, model: str) -> None:
    (run,) = earlier.ask(
        "SELECT algorithm, params FROM embsql.runs WHERE model_name = $model",
        model=model,
    ).to_pylist()
    params = json.loads(run["params"])
    params.pop("item_features", None)
    algorithms.make(
        run["algorithm"], params
    )  # which refuses a name that it does not know


def test_its_runs_are_live_in_the_view_and_in_the_question(earlier) -> None:
    live = {"status": "live"}
    assert earlier.ask("SELECT DISTINCT status FROM embsql.runs").to_pylist() == [live]
    found = earlier.ask("SELECT status FROM embsql.runs('plain')").to_pylist()
    assert found == [live]


def test_one_that_is_only_read_answers_and_says_what_else_it_needs(tmp_path) -> None:
    path = tmp_path / "file.duckdb"
    path.write_bytes(lzma.decompress((FOLDER / "file.duckdb.xz").read_bytes()))
    with embsql.connect(path, read_only=True) as database:
        assert "plain" in database.models()["model_name"].to_pylist()
        (old, *_) = database.doctor().to_pylist()
        assert (old["severity"], old["remedy"]) == ("warning", "embsql install")
        with pytest.raises(NotInstalled, match="has not been applied") as caught:
            database.report("plain", path=tmp_path / "plain.html")
    assert str(caught.value).endswith(f"Run: embsql --db {path} install")
    assert CliRunner().invoke(main, ["--db", str(path), "install"]).exit_code == 0
    with embsql.connect(path, read_only=True) as database:
        database.report("plain", path=tmp_path / "plain.html")


def test_it_opens_after_the_process_that_brought_it_up_to_date_was_killed(
    tmp_path,
) -> None:
    path = tmp_path / "file.duckdb"
    path.write_bytes(lzma.decompress((FOLDER / "file.duckdb.xz").read_bytes()))
    killed(path)
    with embsql.connect(path) as database:
        for question, wanted in ANSWERS.items():
            assert database.ask(question).num_rows == len(wanted)


MACROS = """
SELECT schema_name, function_name, function_type FROM duckdb_functions()
WHERE schema_name LIKE 'embsql%' ORDER BY ALL
"""


def test_no_macro_of_then_is_left(earlier) -> None:
    with embsql.connect(":memory:") as fresh:
        assert earlier.ask(MACROS).to_pylist() == fresh.ask(MACROS).to_pylist()


SIGNATURES = """
SELECT n.nspname AS home, p.proname AS name, pg_get_function_arguments(p.oid) AS arguments,
    pg_get_function_result(p.oid) AS result
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname LIKE 'embsql%'
ORDER BY 1, 2, 3
"""


INDEXED = """
SELECT set_config('search_path', 'public', FALSE);
CREATE TABLE indexed (embedding vector(2), bias real);
CREATE INDEX ON indexed USING hnsw ((embsql.biased(embedding, bias)::vector(3)) vector_ip_ops);
"""  # as those of runs are, which stay


def test_a_server_of_then_has_the_functions_of_now(empty, pg) -> None:
    """What changed its arguments or columns was dropped first, as CREATE OR REPLACE cannot."""
    with psycopg.connect(empty) as connection:
        connection.execute(lzma.decompress((FOLDER / "server.sql.xz").read_bytes()))
        connection.execute(INDEXED)
    with embsql.connect(empty, install=True) as database, embsql.connect(pg) as fresh:
        assert database.ask(SIGNATURES).to_pylist() == fresh.ask(SIGNATURES).to_pylist()
        index = "SELECT indexdef FROM pg_indexes WHERE tablename = 'indexed'"
        assert (
            "embsql_internal.append_bias"
            in database.ask(index).to_pylist()[0]["indexdef"]
        )
        assert not database.ask(
            "SELECT to_regclass('embsql.solvers') AS gone"
        ).to_pylist()[0]["gone"]


READABLE = """
SELECT c.relname AS name FROM pg_class AS c
WHERE c.relnamespace = 'embsql'::regnamespace AND c.relkind = 'v'
    AND has_table_privilege('public', c.oid, 'SELECT')
ORDER BY 1
"""


def test_who_was_given_the_runs_by_hand_reads_the_views_of_now(empty, pg) -> None:
    with psycopg.connect(empty) as connection:
        connection.execute(lzma.decompress((FOLDER / "server.sql.xz").read_bytes()))
        connection.execute("GRANT SELECT ON embsql.runs TO PUBLIC")
    with embsql.connect(empty, install=True) as database:
        readable = database.ask(READABLE)["name"].to_pylist()
    assert readable == [view.name for view in views()]
    with embsql.connect(pg) as fresh:
        assert fresh.ask(READABLE).num_rows == 0


CALLED = """
SELECT has_function_privilege(role.name, f.oid, 'EXECUTE') AS may
FROM (VALUES (1, 'pg_monitor'), (2, 'public')) AS role (place, name)
JOIN pg_proc AS f ON f.pronamespace = 'embsql'::regnamespace AND f.proname = 'fold_in'
ORDER BY role.place
"""


def test_who_was_given_a_function_by_hand_may_call_it_when_it_is_made_again(
    empty,
) -> None:
    with psycopg.connect(empty) as connection:
        connection.execute(lzma.decompress((FOLDER / "server.sql.xz").read_bytes()))
        connection.execute("REVOKE ALL ON FUNCTION embsql.fold_in FROM PUBLIC")
        connection.execute("GRANT EXECUTE ON FUNCTION embsql.fold_in TO pg_monitor")
    with embsql.connect(empty, install=True) as database:
        assert database.ask(CALLED)["may"].to_pylist() == [True, False]


PAIRS = (
    "SELECT i % 9 AS user_id, i * i % 7 AS item_id FROM generate_series(1, 99) AS t (i)"
)
JOBS = [  # as they were left, and how each ends
    (
        ("train", "m", PAIRS, "als", '{"alpha0": 1}'),
        'als has no option "alpha0".',
        "unobserved_weight",
    ),
    (("train", "m", PAIRS, "dual", "{}"), 'no algorithm named "dual"', "half_als"),
    (
        ("train", "m", PAIRS, "item2vec", '{"method": "counts"}'),
        "got 'counts'",
        "skipgram or cbow or ppmi",
    ),
    (("train", "m", PAIRS, "als", '{"dim": 2}'), "may be read", "ask again"),
    (
        ("cluster", "m", "item", "2", "default", "", '{"raw": true}'),
        'cluster has no option "raw".',
        "normalize",
    ),
    (("evaluate", "m", '{"tolerance": 1}'), 'no option "tolerance"', "split"),
    (("materialise", "m", "3", "true", "true"), 'model "m" has no live run', "Train"),
]
LEAVE = """
INSERT INTO embsql.jobs (command, model_name, words, status, attempts, enqueued_at, start_after)
VALUES (%s, 'm', %s, 'queued', 0, now(), now())
"""


def test_a_job_of_then_ends_with_the_words_of_now(empty) -> None:
    """What was asked under an earlier name is refused, with what there is, and asked anew."""
    with psycopg.connect(empty) as connection:
        connection.execute(lzma.decompress((FOLDER / "server.sql.xz").read_bytes()))
        for (command, *words), _, _ in JOBS:
            connection.execute(LEAVE, [command, words])
    lines: list[str] = []
    with embsql.connect(empty, install=True) as database:
        worker.run(empty, once=True, log=lines.append)
        ended = database.ask(
            "SELECT status, error FROM embsql.jobs ORDER BY job_id"
        ).to_pylist()
    for row, (_, wrong, now) in zip(ended, JOBS, strict=True):
        assert row["status"] == "failed"
        assert wrong in row["error"]
        assert now in row["error"]
    assert not [line for line in lines if " raised " in line], "nobody's own error"
