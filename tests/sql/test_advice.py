"""What embsql.advice makes of runs whose figures are known, and of the least there can be."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

import embsql
from embsql import algorithms
from embsql.errors import NotEnoughData, NotEvaluated, Refused
from embsql.lifecycle.named_statements import execute_named
from embsql.shells.cli import main
from embsql.sqlfiles.questions import question
from tests.conftest import ENGINES

REASONS = re.findall(
    r"\b[a-z]+_[a-z_]+\b|\bsource\b|\bnothing\b", question("advice").doc
)
SMALL: dict[str, Any] = {"dim": 2, "epochs": 1, "progress": False}
MEASURED: dict[str, Any] = {**SMALL, "evaluate": True, "gate": False}


def advice(database: embsql.Database, model: str) -> dict[str, dict[str, Any]]:
    """The rows by their reason; of several splits or warnings the last."""
    rows = database.ask("SELECT * FROM embsql.advice($model)", model=model).to_pylist()
    for row in rows:
        assert row["reason"] in REASONS
        assert re.fullmatch(r"[A-Z0-9n].*[.?]", row["advice"], re.DOTALL), row
    return {row["reason"]: row for row in rows}


def pairs(users: list[int], items: list[int], **more: Any) -> pa.Table:
    return pa.table({"user_id": users, "item_id": items, **more})


def grid(users: int, items: int) -> pa.Table:
    """Every user with every item, each in another order."""
    user = np.repeat(np.arange(users), items)
    item = np.tile(np.arange(items), users)
    time = (user + item) % items
    return pairs(user.tolist(), item.tolist(), event_time=time.tolist())


def ring() -> pa.Table:
    """Thirty users with 25 of sixty items each, of whom no item has most."""
    return pairs(
        np.repeat(np.arange(30), 25).tolist(),
        [(2 * user + n) % 60 for user in range(30) for n in range(25)],
        event_time=list(range(750)),
    )


@pytest.fixture(scope="module", params=ENGINES)
def world(request) -> Iterator[embsql.Database]:
    """Models of the least that can be, on either engine."""
    is_file = request.param == "duckdb"
    with embsql.connect(
        ":memory:" if is_file else request.getfixturevalue("new_database")()
    ) as db:
        db.train("two_items", pairs([1, 2, 3], [1, 1, 2]), **SMALL)
        db.train("two_users", grid(2, 6), **MEASURED)
        db.train("alike", grid(30, 25), **MEASURED)
        db.train("apart", pairs([1, 2, 3], [1, 2, 3], event_time=[1, 2, 3]), **SMALL)
        rng = np.random.default_rng(1)
        item = (200 * rng.random(3000) ** 2).astype(int).tolist()
        user = np.repeat(np.arange(300), 10).tolist()
        same_time = pairs(user, item, weight=[2.0] * 3000, event_time=[5] * 3000)
        db.train("same", same_time, **MEASURED)
        stars = rng.integers(1, 6, 3000).astype(float).tolist()
        rated = pairs(user, item, weight=stars)
        db.train("rated", rated, feedback="explicit", **MEASURED)
        vectors = pa.table(
            {"item_id": ["a", "b"], "embedding": [[1.0, 0.0], [0.0, 1.0]]}
        )
        db.register_embeddings("items", vectors)
        people = pa.table({"user_id": ["u"], "embedding": [[1.0, 0.0]]})
        db.register_embeddings("given", vectors, users=people)
        db.train("m", ring(), **SMALL)
        yield db


def test_never_evaluated_with_one_item_for_each(world) -> None:
    """A command is advised where it works."""
    for model in ("two_items", "apart"):
        found = advice(world, model)
        assert "every user has one item" in found["not_evaluated"]["advice"]
        assert found["not_evaluated"]["command"] is None
        with pytest.raises(NotEvaluated):
            world.evaluate(model)
        assert found["one_item_users"]["value"] == 3
        assert found["one_item_users"]["threshold"] == 1.5
    assert "no_times" in advice(world, "two_items")
    assert "no_times" not in advice(world, "apart")


@pytest.mark.parametrize("shape", [(1, 6), (6, 1)])
def test_one_user_or_one_item_is_no_source(world, shape: tuple[int, int]) -> None:
    with pytest.raises(NotEnoughData):
        world.train("least", grid(*shape), **SMALL)
    with pytest.raises(Refused, match="has no live run, and no finished one"):
        advice(world, "least")


def test_two_users_are_too_few_to_ask(world) -> None:
    found = advice(world, "two_users")
    assert found["few_users_asked"]["value"] == 2
    assert found["few_users_asked"]["split"] == "last"
    assert found["few_items"]["value"] == 6
    assert "wide_interval" not in found


def test_of_users_who_are_alike_nobody_is_better_than_what_is_popular(world) -> None:
    """All have all items but the one asked about, so every list is that item."""
    found = advice(world, "alike")
    assert (
        found["not_above_popular"]["value"]
        == found["not_above_popular"]["threshold"]
        == 1
    )
    assert found["not_above_itemknn"]["compared_to"] == "itemknn"
    assert "below_popular" not in found


def test_times_that_are_all_one_were_drawn(world) -> None:
    found = advice(world, "same")
    assert found["tied_times"]["value"] > 290
    assert found["tied_times"]["command"] == "embsql evaluate same@5 --split random"


def test_ratings_are_judged_by_the_same_figures(world) -> None:
    found = advice(world, "rated")
    rows = world.ask(
        "SELECT value, popular_value FROM embsql.evaluation('rated')"
        " WHERE split = 'random' AND segment = 'all' AND metric = 'ndcg' AND k = 10"
    ).to_pylist()
    assert found["below_popular"]["value"] == rows[0]["value"]
    assert found["below_popular"]["threshold"] == rows[0]["popular_value"]
    assert "no_times" in found


def test_of_vectors_from_elsewhere(world) -> None:
    assert list(advice(world, "items")) == ["no_users"]
    found = advice(world, "given")
    assert "--test of yours" in found["not_evaluated"]["advice"]
    assert found["not_evaluated"]["command"] is None
    assert "no_times" not in found


# --- figures that are written down ---------------------------------------------------------------


COLUMNS = ("segment", "metric", "k", "value", "ci_low", "ci_high")
BASELINES = ("popular_value", "itemknn_value")


def write_figures(database: embsql.Database, *rows: tuple[Any, ...]) -> None:
    """All figures of the model m, of the split last."""
    run_id = database.ask("SELECT embsql.live_run('m') AS run_id").to_pylist()[0][
        "run_id"
    ]
    columns = dict(zip((*COLUMNS, *BASELINES), zip(*rows, strict=True), strict=True))
    columns["k"] = pa.array(columns["k"], pa.int32())
    for name in (*COLUMNS[3:], *BASELINES):
        columns[name] = pa.array(columns[name], pa.float64())
    whose = {"run_id": [run_id] * len(rows), "split": ["last"] * len(rows)}
    execute_named(database.engine, "forget_metrics", run_id=run_id, split="last")
    database.engine.write("metrics", {**whose, **columns})


NO_MORE = (None,) * 4
GOOD = [
    ("all", "ndcg", 10, 0.5, 0.45, 0.55, 0.2, 0.3),
    ("all", "ndcg", 20, 0.1, 0.05, 0.1, 0.2, 0.3),  # of longer lists nothing is made
    ("all", "recall", 10, 0.5, 0.45, 0.55, 0.2, 0.3),
    ("items:tail", "recall", 10, 0.2, 0.1, 0.3, 0.0, 0.1),
    ("all", "coverage", 10, 0.8, *NO_MORE),
    ("asked", "users", 0, 1000.0, *NO_MORE),
    ("asked", "tied users", 0, 0.0, *NO_MORE),
    ("asked", "users without training pairs", 0, 3.0, *NO_MORE),
]


def changed(*rows: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The good figures with others instead."""
    return [*{row[:3]: row for row in (*GOOD, *rows)}.values()]


def test_where_nothing_stands_out_there_is_a_row_that_says_so(world) -> None:
    assert list(advice(world, "m")) == ["not_evaluated"]
    write_figures(world, *GOOD)
    (row,) = advice(world, "m").values()
    assert row == {
        "reason": "nothing",
        "advice": "Nothing in the figures of this run calls for a change.",
        **dict.fromkeys(
            (
                "split",
                "metric",
                "value",
                "compared_to",
                "threshold",
                "command",
                "sql_command",
            )
        ),
    }


@pytest.mark.parametrize(
    ("figure", "reason", "value", "threshold", "words"),
    [
        (
            ("all", "ndcg", 10, 0.1, 0.09, 0.11, 0.2, 0.05),
            "below_popular",
            0.1,
            0.2,
            "ndcg@10 of 0.1000 (split last, 95% interval 0.0900 to 0.1100) is below that of what "
            "is popular, 0.2000: compare several by algorithm auto, or more of them by a larger "
            "budget.",
        ),
        (
            ("all", "ndcg", 10, 0.2, 0.19, 0.21, 0.1, 0.2),
            "not_above_itemknn",
            0.2,
            0.2,
            "is not shown to be above that of item-kNN, 0.2000, which lies in the interval",
        ),
        (
            ("all", "ndcg", 10, 0.0, 0.0, 0.0, 0.0, None),
            "nothing_found",
            0,
            0,
            "no list holds what was held out",
        ),
        (
            ("all", "ndcg", 10, 0.4, 0.3, 0.5, 0.1, 0.1),
            "wide_interval",
            0.1,
            0.08,
            "half of its interval is over a fifth",
        ),
        (
            ("items:tail", "recall", 10, 0.01, 0.0, 0.02, None, None),
            "tail_not_found",
            0.01,
            0.05,
            "Try fusion, half_als or content with item_features.",
        ),
        (
            ("all", "coverage", 10, 0.04, *NO_MORE),
            "low_coverage",
            0.04,
            0.1,
            "Lists of 10 hold 0.0400 of the items (split last), and could hold 1.0000",
        ),
        (
            ("asked", "users without training pairs", 0, 300.0, *NO_MORE),
            "unknown_users",
            300,
            200,
            "Of 1000 users asked (split last), 300 had no training pair",
        ),
    ],
)
def test_what_a_figure_calls_for(
    world, figure, reason: str, value: float, threshold: float, words: str
) -> None:
    write_figures(world, *changed(figure))
    found = advice(world, "m")
    assert list(found) == [reason]
    assert (found[reason]["value"], found[reason]["threshold"]) == pytest.approx(
        (value, threshold)
    )
    assert words in found[reason]["advice"]


def test_a_run_that_the_gate_refused_is_not_live(world) -> None:
    first = world.train("gated", ring(), **SMALL)
    refused = world.train("gated", ring()[:700], evaluate=True, **SMALL)
    assert refused.status == "ready"
    name = f"gated@{refused.run_id}"
    found = advice(world, name)["not_live"]
    why = r"its ndcg@10 is \S+ \(95% interval \S+ to \S+\), which does not beat .*\)"
    sentence = (
        rf"Run {refused.run_id} is not live: {why}\. Make it live if you trust it\."
    )
    assert re.fullmatch(sentence, found["advice"]), found["advice"]
    assert found["command"] == f"embsql promote {name}"
    assert "not_live" not in advice(world, "gated")
    world.promote(name)
    assert "not_live" not in advice(world, f"gated@{first.run_id}")  # it was live


def test_rows_that_repeat_are_customers_who_come_back(world) -> None:
    once = ring()
    world.train("again", pa.concat_tables([once, once]), **SMALL)
    found = advice(world, "again")["repeated_pairs"]
    assert (found["value"], found["threshold"]) == (750, 0.3 * 1500)
    assert "exclude_seen => FALSE" in found["advice"]


# --- what the words name -------------------------------------------------------------------------


def test_algorithms_that_learn_of_items_are_known() -> None:
    text = question("advice").body
    named = re.search(r"a\.algorithm IN \(([^)]+)\)", text)[1]
    found = set(re.findall(r"\w+", named))
    known = {
        name
        for name in algorithms.names()
        if "item_features" in algorithms.find(name).sides
    }
    assert found == known


def test_new_events_are_of_the_run_that_is_live(db) -> None:
    db.train("m", ring(), **SMALL)
    db.train("m", ring()[:740], **SMALL)
    db.engine.run(
        "CREATE TABLE later AS "
        "SELECT 1 AS user_id, i AS item_id, 750 + i AS event_time FROM range(90) AS t (i)"
    )
    db.watch("m", "later")
    db.promote("m@1")
    db.watch("m", "later")
    new = advice(db, "m")["new_events"]
    assert new["sql_command"] == "SELECT * FROM embsql.refresh('m');"
    assert "new_events" not in advice(db, "m@2")


def test_a_command_in_sql_works_as_it_is(db) -> None:
    con = db.engine.second()
    with embsql.connect(con) as given:
        given.train("m", ring(), **SMALL)
        con.execute(advice(given, "m")["not_evaluated"]["sql_command"]).fetchall()
        assert "not_evaluated" not in advice(given, "m")
        rng = np.random.default_rng(1)
        users = np.repeat(np.arange(60), 9).tolist()
        items = rng.integers(0, 40, len(users)).tolist()
        noise = pairs(users, items, event_time=[5] * len(users))
        given.train("tied", noise, **MEASURED)
        con.execute(advice(given, "tied")["tied_times"]["sql_command"]).fetchall()
        assert "tied_times" not in advice(given, "tied")


def test_a_command_names_the_database_that_was_asked(tmp_path) -> None:
    path = str(tmp_path / "a shop.duckdb")
    with embsql.connect(path) as database:
        database.train("m", ring(), **SMALL)
    words = ["--db", path, "--json", "advice", "m"]
    first, *_ = CliRunner().invoke(main, words).stdout.splitlines()
    command = json.loads(first)["command"]
    assert command == f"embsql --db '{path}' evaluate m@1"
    assert CliRunner().invoke(main, shlex.split(command)[1:]).exit_code == 0


def test_a_command_works_as_it_is(tmp_path, monkeypatch) -> None:
    path = tmp_path / "shop.duckdb"
    monkeypatch.setenv("EMBSQL_DB", str(path))
    with embsql.connect(path) as database:
        database.train("m", ring(), **SMALL)
        command = advice(database, "m")["not_evaluated"]["command"]
    assert CliRunner().invoke(main, shlex.split(command)[1:]).exit_code == 0
    answer = CliRunner().invoke(main, ["advice", "m"])
    assert answer.exit_code == 0
    assert "few_users_asked" in answer.output
    with embsql.connect(path) as database:
        assert "not_evaluated" not in advice(database, "m")
