"""Top-k tables: the answers of the questions, all at once, replaced as a whole, and gone with their
run.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import embsql
from embsql.errors import InvalidArgument, StatementFailed, UnknownModel
from embsql.shells.cli import main
from tests.sql.test_diagnostics import World
from tests.worlds import known_run

TOP = (
    "SELECT item_id, rank, score "
    "FROM embsql.top_items WHERE run_id = $run AND user_id = $id ORDER BY rank"
)
NEAR = """
SELECT neighbor_id AS item_id, rank, score FROM embsql.neighbors
WHERE run_id = $run AND entity_id = $id ORDER BY rank
"""
RECOMMEND = (
    "SELECT item_id, rank, score "
    "FROM embsql.recommend($model, $id, k => $k) WHERE source = 'model'"
)
SIMILAR = "SELECT * FROM embsql.similar_items($model, $id, k => $k)"


NOTHING = (
    "materialize: users must be true where items is false: "
    "one of the two tables is to be written, got False"
)


def alike(found: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
    """The same ids in the same places, scores but for rounding."""
    assert [(row["item_id"], row["rank"]) for row in found] == [
        (row["item_id"], row["rank"]) for row in asked
    ]
    assert [row["score"] for row in found] == pytest.approx(
        [row["score"] for row in asked], abs=1e-5
    )


def rows(database: embsql.Database, table: str) -> int:
    return int(
        database.ask(f"SELECT count(*) AS n FROM embsql.{table}").to_pylist()[0]["n"]
    )


@pytest.fixture(params=["dot", "cosine"])
def made(request, each: embsql.Database) -> tuple[World, embsql.Database]:
    world = World(request.param, seed=3)
    world.vectors["user"][5] = 0
    world.write(each)
    return world, each


def test_tables_answer_as_the_questions_do(made: tuple[World, embsql.Database]) -> None:
    world, database = made
    done = database.materialize("m", k=7)
    assert (done.top_items, done.neighbors) == (
        rows(database, "top_items"),
        rows(database, "neighbors"),
    )
    for user in [*world.ids["user"][::23], "u005"]:
        asked = database.ask(RECOMMEND, model="m", id=user, k=7).to_pylist()
        alike(
            database.ask(TOP, run=1, id=user).to_pylist(),
            [row for row in asked if row["score"] is not None],
        )
    for item in [*world.ids["item"][::19], "i007"]:
        asked = database.ask(SIMILAR, model="m", id=item, k=7).to_pylist()
        alike(database.ask(NEAR, run=1, id=item).to_pylist(), asked)


@pytest.mark.parametrize("k", [1, 3, 1000])
def test_ties_by_id_and_k_beyond_what_there_is(each: embsql.Database, k: int) -> None:
    known_run(each)
    for run, model in enumerate(("compass", "angles"), 1):
        each.materialize(model, k=k)
        for user in ("ada", "bob", "cyd"):
            asked = each.ask(RECOMMEND, model=model, id=user, k=k).to_pylist()
            alike(
                each.ask(TOP, run=run, id=user).to_pylist(),
                [row for row in asked if row["score"] is not None],
            )
        for item in ("east", "west", 'it\'s "odd" 🙂', "nowhere"):
            asked = each.ask(SIMILAR, model=model, id=item, k=k).to_pylist()
            alike(each.ask(NEAR, run=run, id=item).to_pylist(), asked)


def test_made_again_it_replaces_only_what_is_made(
    made: tuple[World, embsql.Database],
) -> None:
    _, database = made
    database.materialize("m", k=5)
    before = rows(database, "neighbors")
    done = database.materialize("m", k=2, items=False)
    assert (done.top_items, done.neighbors) == (rows(database, "top_items"), 0)
    assert rows(database, "neighbors") == before


def test_forgotten_and_dropped(each: embsql.Database) -> None:
    known_run(each)
    for model in ("compass", "angles"):
        each.materialize(model)
    each.engine.write(
        "neighbors",
        {
            "run_id": [1, 1, 1],
            "entity": ["user"] * 3,
            "entity_id": ["ada", "bob", "bob"],
            "rank": [1, 1, 2],
            "neighbor_id": ["bob", "ada", "cyd"],
            "score": np.ones(3),
        },
    )
    each.forget("ada")
    assert rows(each, "top_items WHERE user_id = 'ada'") == 0
    assert rows(each, "neighbors WHERE entity = 'user'") == 1
    each.materialize("compass")
    assert rows(each, "top_items WHERE user_id = 'ada'") == 0
    each.engine.run(
        "UPDATE embsql.models SET live_run = NULL WHERE model_name = 'angles'"
    )  # so that its run can go
    each.drop_run("angles@2")
    assert (
        rows(each, "top_items WHERE run_id = 2")
        == rows(each, "neighbors WHERE run_id = 2")
        == 0
    )
    assert rows(each, "top_items WHERE run_id = 1") > 0


def test_it_travels_with_its_run(each: embsql.Database) -> None:
    known_run(each)
    each.materialize("compass")
    with embsql.connect(":memory:") as there:
        each.publish(there.engine.second(), "compass")
        for table in ("top_items", "neighbors"):
            assert rows(there, table) == rows(each, table) > 0


def test_refused(db: embsql.Database) -> None:
    known_run(db)
    with pytest.raises(InvalidArgument, match="k must be a whole number from 1"):
        db.materialize("compass", k=0)
    with pytest.raises(UnknownModel):
        db.materialize("compas")
    with pytest.raises(InvalidArgument, match=NOTHING):
        db.materialize("compass", users=False, items=False)


def test_as_sql(db: embsql.Database) -> None:
    known_run(db)
    (row,) = db.ask(
        "SELECT * FROM embsql.materialize('compass', k => 2, users => FALSE)"
    ).to_pylist()
    assert row == {"run_id": 1, "top_items": 0, "neighbors": 10}
    with pytest.raises(StatementFailed, match=NOTHING):
        db.ask(
            "SELECT * FROM embsql.materialize('compass', users => FALSE, items => FALSE)"
        )


def test_as_a_job(pg: str) -> None:
    with embsql.connect(pg) as database:
        known_run(database)
        database.ask("SELECT embsql.materialize('compass', k => 2, users => FALSE)")
        database.ask(
            "SELECT embsql.materialize('compass', users => FALSE, items => FALSE)"
        )
        assert CliRunner().invoke(main, ["--db", pg, "worker", "--once"]).exit_code == 0
        job, refused = database.ask(
            "SELECT status, result, error FROM embsql.jobs ORDER BY job_id"
        ).to_pylist()
    assert job == {"status": "done", "result": ["1", "0", "10"], "error": None}
    assert refused["status"] == "failed"
    assert NOTHING in refused["error"]


def test_on_the_command_line(tmp_path) -> None:
    file = str(tmp_path / "shop.duckdb")
    with embsql.connect(file) as database:
        known_run(database)
    answer = CliRunner().invoke(
        main,
        ["--db", file, "--json", "materialize", "compass", "--k", "2", "--no-items"],
    )
    assert answer.output.strip() == '{"run_id": 1, "top_items": 8, "neighbors": 0}'
    refused = CliRunner().invoke(
        main, ["--db", file, "materialize", "compass", "--no-users", "--no-items"]
    )
    assert NOTHING in " ".join(refused.output.split())
