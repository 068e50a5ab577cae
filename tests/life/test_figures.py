"""Figures through every door: what is held out, test sets, what the gate compares."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import embsql
from embsql.errors import (
    InvalidArgument,
    MissingColumn,
    NoLiveRun,
    NotEvaluated,
    NotPromoted,
)
from embsql.shells.cli import main

QUICK = {"dim": 8, "epochs": 2, "threads": 1, "evaluate": True}
FIGURES = """
SELECT segment, metric, k, value, popular_value FROM embsql.evaluation($m) WHERE split = $split
"""


def fill(database: embsql.Database, name: str, rows: list[tuple]) -> None:
    """A table of user, item and day."""
    user, item, day = zip(*rows, strict=True)
    start = np.datetime64("2026-01-01", "us")
    database.engine.run(
        f"CREATE TABLE {name} (user_id VARCHAR, item_id VARCHAR, event_time TIMESTAMP)"
    )
    columns = {
        "user_id": list(user),
        "item_id": list(item),
        "event_time": start + np.array(day) * 86_400_000_000,
    }
    database.engine.write(name, columns, schema="main")


def halves(users: int = 40, items: int = 6, groups: int = 2) -> list[tuple]:
    """Even users buy even articles, odd ones odd articles, one a day; each lacks one."""
    return [
        (f"u{u:03}", f"i{groups * n + u % groups}", n)
        for u in range(users)
        for n in range(items)
        if n != u // groups % items
    ]


def asked(database: embsql.Database, model: str, split: str) -> dict[str, float]:
    """What was asked: name -> how many."""
    rows = database.ask(FIGURES, m=model, split=split).to_pylist()
    return {row["metric"]: row["value"] for row in rows if row["segment"] == "asked"}


def judged(database: embsql.Database, model: str) -> list[dict]:
    return database.ask("SELECT * FROM embsql.gate($m)", m=model).to_pylist()


# --- what is held out ----------------------------------------------------------------------------

BOUGHT = [  # the cut is before day 8: a knows x and y by then, b knows x
    ("a", "x", 0),
    ("a", "y", 1),
    ("a", "x", 9),
    ("a", "z", 9),
    ("b", "x", 2),
    ("b", "x", 3),
    ("b", "y", 8),
    ("c", "y", 4),
    ("c", "z", 5),
    ("c", "x", 6),
]


@pytest.mark.parametrize("algorithm", ["als", "item2vec"])
def test_a_pair_known_before_the_cut_is_not_new(
    each: embsql.Database, algorithm: str
) -> None:
    """Of ten events the last fifth begins on day 9: a meets z, and x again."""
    fill(each, "bought", BOUGHT)
    plan = {**QUICK, "algorithm": algorithm, "split": "time", "gate": False}
    each.train("m", "bought", **plan)
    assert asked(each, "m", "time") == {
        "known pairs": 1,
        "users": 1,
        "pairs": 1,
        "users without training pairs": 0,
        "items without training pairs": 0,
    }
    each.train("m", "bought", **plan, repeats=True)
    assert asked(each, "m", "time+repeats") == {
        "known pairs": 1,
        "users": 1,
        "pairs": 2,
        "users without training pairs": 0,
        "items without training pairs": 0,
    }


def test_what_was_added_up_is_not_cut_later(each: embsql.Database) -> None:
    """Of a finished run only pairs are kept; without repeated rows those are the events."""
    fill(each, "bought", BOUGHT)
    each.train("m", "bought", dim=4, epochs=1, threads=1)
    with pytest.raises(
        NotEvaluated,
        match="to which 2 repeated rows were added up; measure by time while training",
    ):
        each.evaluate("m", split="time")
    plain = "SELECT user_id, item_id, max(event_time) AS event_time FROM bought GROUP BY 1, 2"
    run = each.train(
        "p", plain, dim=4, epochs=1, threads=1, evaluate=True, split="time", gate=False
    )
    assert each.evaluate("p", split="time") == run.metrics


def test_what_was_known_can_be_found_again(each: embsql.Database) -> None:
    """On the last day everybody buys an old article again: only with repeats that is asked."""
    rows = [(f"u{u}", f"i{n}", n) for u in range(20) for n in range(4)] + [
        (f"u{u}", "i0", 9) for u in range(20)
    ]
    fill(each, "bought", rows)
    with pytest.raises(NotEvaluated, match="a pair that was not known before"):
        each.train("m", "bought", **QUICK, split="time")
    run = each.train(
        "m", "bought", **QUICK, split="time", repeats=True, k=4, gate=False
    )
    assert run.metrics["recall@4"] == 1.0
    with pytest.raises(
        InvalidArgument, match="repeats must be false with split 'last'"
    ):
        each.train("m", "bought", **QUICK, repeats=True)


def test_the_report_says_how_many_last_pairs_are_tied(each: embsql.Database) -> None:
    fill(
        each,
        "bought",
        [(user, item, 0 if item == "i0" else 1) for user, item, _ in halves()]
        + [("one", "i0", 0)],
    )
    each.train("m", "bought", **QUICK, gate=False)
    report = each.ask("SELECT * FROM embsql.validation('m')").to_pylist()
    (found,) = [row for row in report if row["check"] == "users with tied last pairs"]
    assert (found["severity"], found["rows"]) == ("info", 40)
    assert asked(each, "m", "last")["tied users"] == 40


# --- a test set of one's own ---------------------------------------------------------------------

TEST = "SELECT user_id, item_id FROM later"


@pytest.fixture
def shop(each: embsql.Database) -> embsql.Database:
    """What halves lack is bought later; so is something known, and something by and of unknowns."""
    fill(each, "bought", halves())
    lacking = [(f"u{u:03}", f"i{2 * (u // 2 % 6) + u % 2}", 9) for u in range(40)]
    fill(
        each,
        "later",
        [
            *lacking,
            ("u000", "i2", 9),
            ("u001", "i99", 9),
            ("stranger", "i0", 9),
            ("u000", "i0", 9),
        ],
    )
    return each


KNOWN = {
    "known pairs": 1,
    "users": 41,
    "pairs": 42,
    "users without training pairs": 1,
    "items without training pairs": 1,
}


def check(database: embsql.Database) -> None:
    """What is lacking is among ten that are not known; 1 user of 41 is unknown."""
    rows = {
        (row["segment"], row["metric"], row["k"]): row
        for row in database.ask(FIGURES, m="m", split="test").to_pylist()
    }
    assert asked(database, "m", "test") == KNOWN
    assert rows["all", "hit_rate", 10]["value"] == pytest.approx(40 / 41)
    assert rows["all", "recall", 10]["value"] == pytest.approx(39.5 / 41)
    assert rows["all", "recall", 10]["popular_value"] == pytest.approx(39.5 / 41)


@pytest.mark.parametrize("algorithm", ["als", "svd", "item2vec"])
def test_a_test_set_asks_the_vectors_as_they_are(
    shop: embsql.Database, algorithm: str
) -> None:
    run = shop.train("m", "bought", dim=4, algorithm=algorithm, threads=1)
    before = shop.ask("SELECT checksum FROM embsql.runs").to_pylist()
    figures = shop.evaluate("m", test=TEST)
    check(shop)
    assert shop.ask("SELECT checksum FROM embsql.runs").to_pylist() == before
    assert figures["hit_rate@10"] == pytest.approx(40 / 41)
    assert shop.ask("SELECT count(*) AS n FROM embsql.runs").to_pylist() == [
        {"n": run.run_id}
    ]


def test_a_model_of_two_halves_finds_what_is_lacking_first(
    shop: embsql.Database,
) -> None:
    shop.train("m", "bought", dim=4, epochs=8, threads=1)
    figures = shop.evaluate("m", test=TEST, k=1)
    assert figures["hit_rate@1"] > 0.8


def test_known_pairs_are_asked_with_repeats(shop: embsql.Database) -> None:
    shop.train("m", "bought", dim=4, epochs=3, threads=1)
    shop.evaluate("m", test=TEST, repeats=True)
    assert asked(shop, "m", "test+repeats") == KNOWN | {"pairs": 43}


def test_training_is_measured_on_it_and_judged(shop: embsql.Database) -> None:
    run = shop.train(
        "m", "bought", dim=4, epochs=3, threads=1, evaluate=True, test=TEST, gate=False
    )
    check(shop)
    assert shop.evaluate("m", test=TEST) == run.metrics
    again = shop.train(
        "m", "bought", dim=4, epochs=3, threads=1, evaluate=True, test=TEST
    )
    assert again.skipped
    shop.engine.run("DELETE FROM later WHERE user_id = 'u003'")
    assert not shop.train(
        "m", "bought", dim=4, epochs=3, threads=1, evaluate=True, test=TEST, gate=False
    ).skipped


def test_registered_vectors_can_be_asked(shop: embsql.Database) -> None:
    vectors = (
        "SELECT {0}, ARRAY[1.0 - CAST(substr({0}, 2) AS INTEGER) % 2, "
        "0.0 + CAST(substr({0}, 2) AS INTEGER) % 2] AS embedding "
        "FROM (SELECT DISTINCT {0} FROM bought) AS b"
    )
    shop.register_embeddings(
        "r", vectors.format("item_id"), users=vectors.format("user_id")
    )
    assert shop.evaluate("r", test=TEST, k=6)["hit_rate@6"] == pytest.approx(40 / 41)
    with pytest.raises(NotEvaluated, match="give a test of your own"):
        shop.evaluate("r")


def test_what_is_no_test_set(shop: embsql.Database) -> None:
    shop.train("m", "bought", dim=4, epochs=1, threads=1)
    with pytest.raises(MissingColumn, match='no column "item_id"'):
        shop.evaluate("m", test="SELECT user_id FROM later")
    with pytest.raises(
        NotEvaluated, match="it was trained on all 200 pairs of the test"
    ):
        shop.evaluate("m", test="SELECT * FROM bought")
    with pytest.raises(InvalidArgument, match="split must be left out with test"):
        shop.evaluate("m", test=TEST, split="last")
    with pytest.raises(
        InvalidArgument, match="test must be given together with evaluate"
    ):
        shop.train("m", "bought", dim=4, test=TEST)


def test_a_test_set_is_whatever_a_source_is(
    shop: embsql.Database, tmp_path: Path
) -> None:
    run = shop.train("m", "bought", dim=4, epochs=3, threads=1)
    wanted = shop.evaluate("m", test=TEST)
    table = shop.ask(TEST)
    path = tmp_path / "later.parquet"
    pyarrow.parquet.write_table(table.to_arrow(), path)
    for given in ("later", table, table.to_arrow(), path):
        assert shop.evaluate("m", test=given) == wanted
    check(shop)
    trained = shop.train(
        "n", "bought", dim=4, epochs=3, threads=1, evaluate=True, test=table, gate=False
    )
    assert trained.metrics == wanted
    assert run.run_id != trained.run_id
    with pytest.raises(
        InvalidArgument, match="test must be a SELECT, the name of a table"
    ):
        shop.evaluate("m", test=5)


def test_a_test_sets_columns_have_names(shop: embsql.Database) -> None:
    """Those given, those of the run's source, or user_id and item_id."""
    renamed = "SELECT user_id AS who, item_id AS what FROM {}"
    shop.train("plain", "bought", dim=4, epochs=3, threads=1)
    wanted = shop.evaluate("plain", test=TEST)
    assert (
        shop.evaluate(
            "plain", test=renamed.format("later"), user_col="who", item_col="what"
        )
        == wanted
    )
    options = {
        "dim": 4,
        "epochs": 3,
        "threads": 1,
        "user_col": "who",
        "item_col": "what",
    }
    shop.train("named", renamed.format("bought"), **options)
    for test in (renamed.format("later"), TEST):
        assert shop.evaluate("named", test=test) == wanted
        run = shop.train(
            "named",
            renamed.format("bought"),
            **options,
            evaluate=True,
            test=test,
            gate=False,
            force=True,
        )
        assert run.metrics == wanted
    with pytest.raises(
        MissingColumn, match=r'the test has no column "whom".*name it with user_col='
    ):
        shop.evaluate("named", test=TEST, user_col="whom")
    with pytest.raises(InvalidArgument, match="left out without test"):
        shop.evaluate("named", user_col="who")


def test_an_empty_test_set_is_called_the_test(shop: embsql.Database) -> None:
    shop.train("m", "bought", dim=4, epochs=1, threads=1)
    with pytest.raises(
        NotEvaluated, match="m cannot be evaluated: its test gives no pair"
    ):
        shop.evaluate("m", test="SELECT * FROM later WHERE user_id = 'nobody'")


def test_what_a_refused_split_tells_to_do_works(each: embsql.Database) -> None:
    pairs = halves()
    fill(each, "bought", [*pairs, *pairs[:20]])
    each.train("m", "bought", dim=4, epochs=1, threads=1)
    with pytest.raises(
        NotEvaluated, match=r"evaluate=True, split='time'; or .* split='last' or a test"
    ):
        each.evaluate("m", split="time")
    run = each.train(
        "m",
        "bought",
        dim=4,
        epochs=1,
        threads=1,
        evaluate=True,
        split="time",
        gate=False,
    )
    assert run.metrics
    assert each.evaluate("m", split="last")


def test_a_test_set_in_sql_and_in_a_shell(tmp_path) -> None:
    path = str(tmp_path / "shop.duckdb")
    with embsql.connect(path) as database:
        fill(database, "bought", halves())
        fill(
            database,
            "later",
            [(f"u{u:03}", f"i{2 * (u // 2 % 6) + u % 2}", 9) for u in range(40)],
        )
        database.train("m", "bought", dim=4, epochs=3, threads=1)
        options = json.dumps({"test": TEST, "k": 6})
        (answer,) = database.ask(
            f"CALL embsql.evaluate('m', options => '{options}')"
        ).to_pylist()
        assert json.loads(answer["figures"])["hit_rate@6"] == 1
    done = CliRunner().invoke(
        main, ["--db", path, "--json", "evaluate", "m", "--test", TEST]
    )
    assert {"metric": "hit_rate@10", "value": 1.0} in [
        json.loads(line) for line in done.stdout.splitlines()
    ]


# --- the gate ------------------------------------------------------------------------------------


def test_harder_data_do_not_close_the_gate(each: embsql.Database) -> None:
    """The same options are no worse than themselves, however much worse the figure is."""
    fill(each, "monday", halves())
    rng = np.random.default_rng(0)
    noise = [
        (f"new{u}", f"i{n}", 0)
        for u in range(40)
        for n in rng.choice(12, 5, replace=False)
    ]
    fill(each, "tuesday", halves() + noise)
    first = each.train("m", "monday", **QUICK, split="random")
    second = each.train("m", "tuesday", **QUICK, split="random")
    third = each.train("m", "tuesday", **QUICK, split="random", seed=7)
    assert [run.status for run in (first, second, third)] == ["live"] * 3
    assert second.metrics["ndcg@10"] < 0.9 * first.metrics["ndcg@10"]
    rows = judged(each, "m")
    assert [(row["run_id"], row["basis"], row["compared_run"]) for row in rows] == [
        (3, "options", 2),
        (2, "same", 1),
        (1, "none", None),
    ]
    assert {row["verdict"] for row in rows} == {"passed"}
    assert (rows[1]["difference"], rows[1]["users"]) == (0, 80)
    assert rows[2]["reason"] == "nothing was live"
    each.train("m", "monday", **QUICK, split="random", gate=False)
    off = judged(each, "m")[0]
    assert (off["verdict"], off["basis"], off["reason"]) == (
        "off",
        "none",
        "the gate was off",
    )


def test_what_is_clearly_worse_is_refused_and_says_what_to_do(
    each: embsql.Database,
) -> None:
    """One dimension cannot tell eight groups apart, and on the same pairs that shows."""
    fill(each, "bought", halves(120, groups=8))
    good = each.train("m", "bought", **QUICK, k=1)
    bad = each.train("m", "bought", **QUICK | {"dim": 1}, k=1)
    assert (good.status, bad.status) == ("live", "ready")
    (row,) = judged(each, f"m@{bad.run_id}")
    assert (row["verdict"], row["basis"], row["compared_run"], row["users"]) == (
        "refused",
        "options",
        1,
        120,
    )
    assert row["reason"] == bad.refused
    assert row["new_value"] < row["live_value"]
    assert row["ci_low"] <= row["difference"] <= row["ci_high"] < 0


def test_new_pairs_are_asked_of_the_live_run_as_it_is(each: embsql.Database) -> None:
    """250 of 300 users come back: the live run's vectors are asked about that."""
    rows = halves(300)
    fill(each, "monday", [row for row in rows if row[2] < 5])
    fill(each, "tuesday", rows)
    each.train("m", "monday", **QUICK)
    run = each.train("m", "tuesday", **QUICK)
    (row, _) = judged(each, "m")
    assert (row["basis"], row["users"], row["left_out"]) == ("vectors", 250, 50)
    assert run.status == "live"


def test_a_model_that_never_went_live_says_where_it_is(each: embsql.Database) -> None:
    rng = np.random.default_rng(3)
    fill(
        each,
        "noise",
        [
            (f"u{u}", f"i{n}", 0)
            for u in range(30)
            for n in rng.choice(30, 6, replace=False)
        ],
    )
    run = each.train("m", "noise", **QUICK | {"dim": 1}, split="random")
    assert run.status == "ready"
    sentence = (
        rf"no live run, but run {run.run_id} is finished: read it as 'm@.*gate.*promote"
    )
    with pytest.raises(NotPromoted, match=sentence):
        each.materialize("m")
    with pytest.raises(Exception, match=sentence):
        each.ask("SELECT * FROM embsql.similar_items('m', 'i1')")
    each.engine.run("UPDATE embsql.run_records SET status = 'failed'")
    with pytest.raises(
        NoLiveRun, match="has no live run, and no finished one to promote"
    ):
        each.materialize("m")
