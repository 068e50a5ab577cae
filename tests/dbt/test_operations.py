"""What is done by name: dbt run-operation, Python models, and `embsql dbt`."""

from __future__ import annotations

import json
import subprocess

from tests.dbt.projects import HERE
from tests.dbt.test_materialization import EVENTS, view

PYTHON_MODEL = """
from embsql.dbt import train

def model(dbt, session):
    dbt.config(materialized="table")
    return train(session, dbt.ref("events"), "by_python", entity="user", dim=4)
"""


def test_promote_rollback_drop_forget_evaluate(project) -> None:
    project.model("shop", EVENTS, dim=4)
    project.dbt("build")
    (first,) = project.runs()
    project.model("shop", EVENTS, dim=6)
    project.dbt("build")
    second = max(project.runs())

    def live() -> set[int]:
        return {row["run_id"] for row in view(project)}

    def operate(name: str, **arguments: str) -> str:
        words = ("run-operation", f"embsql.{name}", "--args", json.dumps(arguments))
        return project.dbt(*words).said

    assert live() == {second}
    operate("rollback", model="shop")
    assert live() == {first}
    operate("promote", model=f"shop@{second}")
    assert live() == {second}
    operate("drop_run", model=f"shop@{first}")
    assert project.runs() == [second]
    assert "ndcg@10" in operate("evaluate", model="shop")
    operate("forget", user_id="u1")
    assert project.ask(
        "SELECT count(*) AS n FROM embsql.user_embeddings WHERE user_id = 'u1'"
    ) == [{"n": 0}]


def test_python_model(on_duckdb) -> None:
    (on_duckdb.folder / "models" / "people.py").write_text(PYTHON_MODEL)
    on_duckdb.dbt("build", "--empty")
    assert on_duckdb.runs() == []
    on_duckdb.dbt("build")
    (first,) = on_duckdb.runs()
    (column,) = on_duckdb.ask(
        "SELECT data_type, (SELECT count(*) FROM main.people) AS n FROM duckdb_columns() "
        "WHERE table_name = 'people' AND column_name = 'embedding'"
    )
    assert column == {"data_type": "FLOAT[4]", "n": 60}
    on_duckdb.dbt("build")
    assert on_duckdb.runs() == [first]


def test_dbt_and_a_worker_in_one_command(on_postgres) -> None:
    on_postgres.model("shop", EVENTS, dim=4)
    words = ["dbt", "build", "--target", "postgres", "--profiles-dir", "."]
    done = subprocess.run(
        [HERE / "embsql", *words],
        cwd=on_postgres.folder,
        env=on_postgres.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "(train shop) is done" in done.stdout
    (on_postgres.folder / "models" / "shop.sql").write_text("select nothing")
    done = subprocess.run(
        [HERE / "embsql", *words],
        cwd=on_postgres.folder,
        env=on_postgres.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "dbt did not succeed" in done.stderr


def test_a_page_about_what_was_built(project) -> None:
    project.model("shop", EVENTS, dim=4, report="target/shop.html")
    words = ["dbt", "build", "--target", project.target, "--profiles-dir", "."]
    page = project.folder / "target" / "shop.html"
    for more, written in ((["--empty"], False), ([], True)):
        done = subprocess.run(
            [HERE / "embsql", *words, *more],
            cwd=project.folder,
            env=project.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert page.exists() == written
    (run_id,) = project.runs()
    assert f"report of shop@{run_id}: target/shop.html" in done.stdout
    assert f"<title>shop@{run_id}" in page.read_text()
