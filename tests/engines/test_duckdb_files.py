"""A database that is moved, copied or attached beside another stays whole, and answers for
itself.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import embsql
from tests.worlds import known_run

CLIENT = Path(sys.executable).with_name("duckdb")  # of DuckDB 1.5
ASKED = "SELECT item_id, rank FROM embsql.recommend('compass', 'ada', k => 3)"
VECTOR = "SELECT embsql.fold_in('compass', ['east']) AS v"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with embsql.connect(str(path)) as database:
        known_run(database)
        database.engine.run("CREATE TABLE main.own AS SELECT 1 AS mine")
    return path


def rows(path: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(path), read_only=True) as plain:
        return plain.execute(sql).fetchall()


def test_an_exported_database_is_imported_whole(file: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(file), read_only=True) as plain:
        plain.execute(f"EXPORT DATABASE '{tmp_path}/copy'")
    with duckdb.connect(str(tmp_path / "new.duckdb")) as plain:
        plain.execute(f"IMPORT DATABASE '{tmp_path}/copy'")
    for sql in (
        ASKED,
        VECTOR,
        "FROM main.own",
        "FROM embsql.drift('compass', 'angles')",
    ):
        assert rows(tmp_path / "new.duckdb", sql) == rows(file, sql)
    with embsql.connect(
        str(tmp_path / "new.duckdb")
    ) as database:  # the commands are there as well
        source = "SELECT i % 7 AS user_id, i % 5 AS item_id FROM range(40) t(i)"
        called = database.ask(
            "CALL embsql.train('m', $source, options => '{\"dim\": 2}')", source=source
        )
        assert called["status"].to_pylist() == ["live"]


def test_the_client_of_duckdb_1_5_exports_and_imports(
    file: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new.duckdb"
    out, back = (
        f"EXPORT DATABASE '{tmp_path}/copy'",
        f"IMPORT DATABASE '{tmp_path}/copy'",
    )
    for path, sql in ((file, out), (new, back)):
        done = subprocess.run(
            [CLIENT, path, "-c", sql], check=False, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert rows(new, ASKED) == rows(file, ASKED)


def test_a_database_copied_by_duckdb_answers(file: Path, tmp_path: Path) -> None:
    with duckdb.connect() as plain:
        plain.execute(f"ATTACH '{file}' AS shop; ATTACH '{tmp_path}/new.duckdb' AS new")
        plain.execute("COPY FROM DATABASE shop TO new")
    assert rows(tmp_path / "new.duckdb", ASKED) == rows(file, ASKED)


MOVES = {
    "exported": "EXPORT DATABASE shop TO '{folder}'; USE new; IMPORT DATABASE '{folder}'",
    "copied": "COPY FROM DATABASE shop TO new",
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_the_functions_of_bigquery_come_along(
    file: Path, tmp_path: Path, move: str
) -> None:
    with embsql.connect(str(file)) as database:
        database.install(ml=True)
    with duckdb.connect() as plain:
        plain.execute(f"ATTACH '{file}' AS shop; ATTACH '{tmp_path}/new.duckdb' AS new")
        plain.execute("USE shop")
        plain.execute(move.format(folder=tmp_path / "copy"))
    with embsql.connect(str(tmp_path / "new.duckdb")) as database:
        assert database.install(ml=True) is False
        asked = database.sql("SELECT * FROM ML.TRAINING_INFO(MODEL compass)")
        assert asked.column_names[0] == "training_run"


def test_a_question_of_another_attached_file_says_which_to_use(
    file: Path, tmp_path: Path
) -> None:
    other = str(tmp_path / "other.duckdb")
    with embsql.connect(other) as database:
        # the suite's new files are copies of one
        database.engine.run("DELETE FROM embsql.surface; DELETE FROM embsql.file")
    embsql.connect(other).close()
    with duckdb.connect() as plain:
        plain.execute(f"ATTACH '{file}' AS shop (READ_ONLY)")
        plain.execute(f"ATTACH '{tmp_path}/other.duckdb' AS other (READ_ONLY)")
        plain.execute("USE other")
        for sql in (
            "FROM shop.embsql.models()",
            ASKED.replace("embsql.", "shop.embsql."),
        ):
            with pytest.raises(
                duckdb.Error, match=r"another file than other, .*USE its_name"
            ):
                plain.execute(sql).fetchall()
        plain.execute("USE shop")
        assert plain.execute(ASKED).fetchall() == rows(file, ASKED)


JUPYTER = """
import sys, types
# what DuckDB asks when it wants to know where it is
shell = types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
sys.modules["ipywidgets"] = None
import embsql
with embsql.connect(":memory:") as db:
    print(db.ask("SELECT 1 AS n").to_pylist())
"""


def test_in_a_notebook_that_cannot_show_bars() -> None:
    """Where ipywidgets is missing DuckDB refuses to turn its bars off."""
    done = subprocess.run(
        [sys.executable, "-c", JUPYTER], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[{'n': 1}]\n", done.stderr
