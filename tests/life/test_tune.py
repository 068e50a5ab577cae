"""Searching options: what is tried, what is kept of it, what is chosen, and what must not have been
looked at.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

import embsql
from embsql import algorithms
from embsql.engines import Engine
from embsql.errors import (
    AllTrialsFailed,
    BadOption,
    BadSearch,
    BadStatement,
    Cancelled,
    InvalidArgument,
    MissingExtra,
    NotEvaluated,
    UnknownOption,
)
from embsql.evaluation.evaluator import Questions, measure
from embsql.evaluation.splits import split
from embsql.lifecycle import registry, train
from embsql.lifecycle import search as tune
from embsql.lifecycle.leases import Lease
from embsql.lifecycle.named_statements import query_named
from embsql.run import Run
from embsql.shells import cli
from embsql.shells.worker import Worker
from tests.worlds import islands

SOURCE = "SELECT user_id, item_id FROM events"
QUICK: dict[str, Any] = {"epochs": 3, "threads": 1}


def fill(
    database: embsql.Database, pairs: list[tuple[str, str]] | None = None
) -> embsql.Database:
    """A table of events: islands, whose four groups one number cannot tell apart and four can."""
    data, _, _ = islands()
    users, items = (
        zip(*pairs, strict=True)
        if pairs
        else (data.users.take(data.user), data.items.take(data.item))
    )
    database.engine.run("CREATE TABLE events (user_id VARCHAR, item_id VARCHAR)")
    database.engine.write(
        "events",
        {"user_id": pa.array(users), "item_id": pa.array(items)},
        schema="main",
    )
    return database


@pytest.fixture
def shop(db: embsql.Database) -> embsql.Database:
    return fill(db)


@pytest.fixture
def both(each: embsql.Database) -> embsql.Database:
    return fill(each)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("embsql.run.usable_cores", lambda: 1)


def trials(database: embsql.Database, model: str = "m") -> list[dict[str, Any]]:
    return database.ask("SELECT * FROM embsql.trials($model)", model=model).to_pylist()


def tried(
    database: embsql.Database, model: str = "m"
) -> list[tuple[dict[str, Any], float]]:
    return [
        (json.loads(row["params"]), row["value"]) for row in trials(database, model)
    ]


def record(database: embsql.Database, run_id: int | None) -> dict[str, Any]:
    (found,) = query_named(database.engine, "run_record", run_id=run_id)
    return found | {"params": json.loads(found["params"])}


def space(algorithm: str = "als", tune_: int = 3, **options: Any) -> dict[str, Any]:
    _, search = tune.read_search(algorithm, options, tune_)
    assert search is not None
    return dict(search.space)


# --- what comes of a search ----------------------------------------------------------------------


def test_trials_are_rows_and_the_best_is_trained(both) -> None:
    """One dimension cannot tell four islands apart, so 1 must lose; a search of three settings
    tries each once.
    """
    run = both.train("m", SOURCE, n_trials=20, dim=[1, 4, 8], **QUICK)
    rows = trials(both)
    assert [row["trial"] for row in rows] == [1, 2, 3]
    assert [json.loads(row["params"]) for row in rows] == [
        {"dim": 1},
        {"dim": 4},
        {"dim": 8},
    ]
    assert {(row["metric"], row["status"], row["error"]) for row in rows} == {
        ("ndcg@10", "done", None)
    }
    (best,) = [row for row in rows if row["best"]]
    assert best["value"] == max(row["value"] for row in rows)
    assert best["value"] > 2 * rows[0]["value"]
    assert (
        record(both, run.run_id)["params"]["dim"]
        == json.loads(best["params"])["dim"]
        != 1
    )
    assert run.status == "live"


def test_a_trial_is_measured_as_a_run_is(shop) -> None:
    """The figure of a trial is the one that evaluating by hand gives, on the same pairs."""
    shop.train("m", SOURCE, n_trials=2, dim=[1, 4], **QUICK)
    data, _, _ = islands()
    data = replace(
        data, weight=np.ones(len(data), np.float32)
    )  # a row of the table is a pair
    parts = split(data, "random", seed=42)
    for setting, value in tried(shop):
        made = algorithms.make("als", {"epochs": 3, **setting})
        figures = measure(made.fit(parts.train, Run(threads=1)), parts, Run(threads=1))
        (wanted,) = [
            f.value
            for f in figures
            if (f.segment, f.metric, f.k) == ("all", "ndcg", 10)
        ]
        assert value == pytest.approx(wanted, abs=1e-12)


def test_the_run_is_what_its_options_give(shop) -> None:
    found = shop.train("m", SOURCE, n_trials=4, dim=(2, 9), reg=(0.001, 0.1), **QUICK)
    params = record(shop, found.run_id)["params"]
    plain = shop.train("plain", SOURCE, dim=params["dim"], reg=params["reg"], **QUICK)
    assert (
        record(shop, found.run_id)["checksum"] == record(shop, plain.run_id)["checksum"]
    )


def test_same_seed_same_trials(shop) -> None:
    ranges = {"dim": (1, 8), "reg": (0.001, 0.1), "cg_steps": [1, 2]}
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        shop.train(name, SOURCE, n_trials=12, seed=seed, **ranges, **QUICK)
    assert tried(shop, "a") == tried(shop, "b")
    assert [setting for setting, _ in tried(shop, "a")] != [
        setting for setting, _ in tried(shop, "c")
    ]


def test_no_setting_is_tried_twice(shop) -> None:
    """Of twelve settings eleven are wanted: the sampler names some again, and training again would
    give the same.
    """
    shop.train("m", SOURCE, n_trials=11, dim=[1, 2, 3, 4], cg_steps=(1, 3), **QUICK)
    settings = [json.dumps(setting) for setting, _ in tried(shop)]
    assert len(set(settings)) == len(settings) <= 11


def test_values_stay_in_their_range(shop) -> None:
    shop.train(
        "m",
        SOURCE,
        n_trials=15,
        dim=(2, 5),
        reg=(0.001, 0.1),
        reg_exponent=(0.5, 1.0),
        **QUICK,
    )
    for setting, _ in tried(shop):
        assert setting["dim"] in (2, 3, 4, 5)
        assert isinstance(setting["dim"], int)
        assert 0.001 <= setting["reg"] <= 0.1
        assert 0.5 <= setting["reg_exponent"] <= 1.0


def test_a_wide_range_is_searched_by_orders_of_magnitude() -> None:
    """Of a range of four orders of magnitude, half of what is tried lies below the geometric
    middle.
    """
    settings: list[float] = []

    def attempt(number: int, setting: dict[str, Any]) -> tune.Trial:
        settings.append(setting["reg"])
        return tune.Trial(number, "", "", 0.0, 0.0, "done")

    _, search = tune.read_search("als", {"reg": (1e-4, 1.0)}, 40)
    assert len(list(tune._run_trials(search, 0, attempt))) == 40
    assert 10 < sum(reg < 1e-2 for reg in settings) < 30


# --- what must not have been looked at -----------------------------------------------------------


def test_what_is_measured_was_not_searched_on(shop, monkeypatch) -> None:
    """With evaluate, no trial trains on, or is asked about, a pair that the evaluation holds
    out.
    """
    data, _, _ = islands()
    test = split(data, "random", seed=42).held_out
    secret = set(zip(test.user.tolist(), test.item.tolist(), strict=True))
    searched: list[set[tuple[int, int]]] = []

    def watched(given: Any, run: Any) -> Questions:
        parts = (given.train, given.held_out)
        searched.append(
            {
                pair
                for part in parts
                for pair in zip(part.user.tolist(), part.item.tolist(), strict=True)
            }
        )
        return Questions.prepare(given, run)

    monkeypatch.setattr(train, "Questions", SimpleNamespace(prepare=watched))
    run = shop.train("m", SOURCE, n_trials=3, dim=[1, 4, 8], evaluate=True, **QUICK)
    assert len(searched) == 1
    assert not searched[0] & secret
    assert len(searched[0]) + len(secret) == len(data)
    plain = shop.train(
        "p",
        SOURCE,
        dim=record(shop, run.run_id)["params"]["dim"],
        evaluate=True,
        **QUICK,
    )
    assert run.metrics == plain.metrics


def test_too_little_to_hold_out(db) -> None:
    fill(db, [("a", "x"), ("b", "y"), ("c", "x")])
    with pytest.raises(NotEvaluated, match="nothing to hold out"):
        db.train("m", SOURCE, n_trials=2, dim=[1, 2], **QUICK)


# --- the life of a run that searches -------------------------------------------------------------


def test_the_same_search_is_not_done_again(both) -> None:
    wanted: dict[str, Any] = {
        "n_trials": 3,
        "dim": [1, 4],
        "reg": (0.001, 0.1),
        **QUICK,
    }
    first = both.train("m", SOURCE, **wanted)
    again = both.train("m", SOURCE, **wanted)
    assert (again.run_id, again.skipped) == (first.run_id, True)
    assert len(trials(both)) == 3


OTHER: list[dict[str, Any]] = [
    {"n_trials": 1},
    {"dim": [1, 8]},
    {"reg": (0.002, 0.1)},
    {"cg_steps": [1, 2]},
    {"k": 5},
    {"seed": 1},
    {"evaluate": True},
]


@pytest.mark.parametrize("other", OTHER, ids=str)
def test_another_search_is_done(shop, other: dict[str, Any]) -> None:
    wanted: dict[str, Any] = {
        "n_trials": 2,
        "dim": [1, 4],
        "reg": (0.001, 0.1),
        **QUICK,
    }
    shop.train("m", SOURCE, **wanted)
    assert not shop.train("m", SOURCE, **wanted | other).skipped


def test_a_searched_run_can_be_measured(both) -> None:
    run = both.train("m", SOURCE, n_trials=2, dim=[1, 4], **QUICK)
    plain = both.train(
        "p", SOURCE, dim=record(both, run.run_id)["params"]["dim"], **QUICK
    )
    assert plain.run_id != run.run_id
    assert both.evaluate("m", split="random") == both.evaluate("p", split="random")


def test_params_say_what_was_searched(shop) -> None:
    run = shop.train(
        "m",
        SOURCE,
        n_trials=2,
        dim={4, 8},
        reg=(0.01, 0.1),
        k=5,
        split="random",
        **QUICK,
    )
    params = record(shop, run.run_id)["params"]
    assert params["search"] == {
        "trials": 2,
        "options": {"dim": [4, 8], "reg": {"from": 0.01, "to": 0.1}},
        "metric": "ndcg@5",
        "split": "random",
        "evaluate": False,
    }
    assert params["dim"] in (4, 8)
    assert params["epochs"] == 3
    assert trials(shop)[0]["metric"] == "ndcg@5"


def test_a_search_cuts_as_it_is_asked_to_beside_a_test_set(shop) -> None:
    options = {"n_trials": 2, "dim": [4, 8], "split": "random", "evaluate": True}
    run = shop.train("m", SOURCE, test=SOURCE, repeats=True, **options, **QUICK)
    assert run.status == "live"
    assert record(shop, run.run_id)["params"]["search"]["split"] == "random"


def test_the_log_is_the_run_s_own(shop) -> None:
    shop.train("m", SOURCE, n_trials=2, dim=[1, 4], **QUICK)
    log = shop.ask("SELECT metric, epoch FROM embsql.training_log('m')").to_pylist()
    assert [row["epoch"] for row in log if row["metric"] == "loss"] == [1, 2, 3]
    assert [row["epoch"] for row in log if row["metric"] == "trial_ndcg@10"] == [1, 2]
    assert len(log) == 5


def test_progress_names_the_trial(shop, capsys) -> None:
    shop.train("m", SOURCE, n_trials=2, dim=[1, 4], progress=True, **QUICK)
    lines = capsys.readouterr().err.splitlines()
    reported = [line.split(": ", 1)[1] for line in lines if ": " in line]
    assert reported[0].startswith("trial 1/2 trial_ndcg@10 ")
    assert reported[1].startswith("trial 2/2 ")
    assert reported[2].startswith("epoch 1 loss ")
    assert len(reported) == 5


def test_optuna_is_as_talkative_as_before(shop, capsys) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    shop.train("m", SOURCE, n_trials=2, dim=[1, 4], **QUICK)
    assert capsys.readouterr().err == ""
    assert optuna.logging.get_verbosity() == before


def test_trials_go_with_their_run(both) -> None:
    old = both.train("m", SOURCE, n_trials=2, dim=[1, 4], **QUICK)
    both.train("m", SOURCE, dim=4, **QUICK)
    assert trials(both) == []
    assert len(trials(both, f"m@{old.run_id}")) == 2
    both.drop_run(f"m@{old.run_id}")
    assert both.ask("SELECT * FROM embsql.trials AS t").num_rows == 0


def test_trials_are_published(shop) -> None:
    run = shop.train("m", SOURCE, n_trials=2, dim=[1, 4], **QUICK)
    with embsql.connect(":memory:") as there:
        shop.publish(there.engine.second(), "m")
        assert trials(there) == trials(shop)
        assert record(there, run.run_id)["params"] == record(shop, run.run_id)["params"]


# --- what goes wrong -----------------------------------------------------------------------------


def test_an_impossible_setting_is_a_failed_trial(both) -> None:
    """Values that are fine by themselves and do not go together; one that never is would be refused
    at once.
    """
    run = both.train(
        "m",
        SOURCE,
        n_trials=5,
        alpha=[1.0, None],
        unobserved_weight=0.5,
        dim=4,
        **QUICK,
    )
    bad, good = trials(both)
    assert (bad["status"], bad["value"], bad["best"]) == ("failed", None, False)
    assert "unobserved_weight must be left out with alpha, got 0.5" in bad["error"]
    assert (good["status"], good["best"]) == ("done", True)
    assert run.status == "live"


def test_a_setting_that_diverges_is_a_failed_trial(shop) -> None:
    """A confidence of 1e38 per unit of weight is more than 32 bits can square."""
    run = shop.train("m", SOURCE, n_trials=2, alpha=[1e38, 1.0], dim=4, **QUICK)
    assert [row["status"] for row in trials(shop)] == ["failed", "done"]
    assert "not finite" in trials(shop)[0]["error"]
    assert record(shop, run.run_id)["params"]["alpha"] == 1.0


def test_no_setting_works(both, monkeypatch) -> None:
    live = both.train("m", SOURCE, dim=4, **QUICK)

    def hopeless(*_: Any) -> float:
        raise BadOption(
            owner="als", name="dim", allowed="something else", value="4", see=""
        )

    monkeypatch.setattr(train, "_ndcg", hopeless)
    with pytest.raises(
        AllTrialsFailed, match=r"none of the 2 settings .* dim must be something else"
    ):
        both.train("m", SOURCE, n_trials=2, dim=[4, 8], **QUICK)
    assert [row["status"] for row in trials(both)] == ["failed", "failed"]
    assert not any(row["best"] for row in trials(both))
    assert registry.live_run_id(both.engine, "m") == live.run_id


def test_cancelled_in_the_middle(both, monkeypatch) -> None:
    """What was tried until then stays, as the rest of a cancelled run's record does; nothing goes
    live.
    """
    ndcg, look = train._ndcg, Lease._poll
    noticed = threading.Event()

    def looking(lease: Lease, engine: Engine) -> None:
        look(lease, engine)
        if lease._end:
            noticed.set()

    def asked_to_stop(*given: Any) -> float:
        if len(trials(both)) == 1:
            both.cancel("m")
            assert noticed.wait(60)
        return ndcg(*given)

    monkeypatch.setattr(Lease, "_poll", looking)

    monkeypatch.setattr(train, "_ndcg", asked_to_stop)
    with pytest.raises(Cancelled):
        both.train("m", SOURCE, n_trials=9, dim=(1, 9), **QUICK)
    assert 1 <= len(trials(both)) <= 2
    assert both.ask("SELECT status FROM embsql.runs('m')").to_pylist() == [
        {"status": "cancelled"}
    ]
    assert registry.live_run_id(both.engine, "m") is None


BAD = [
    (
        {"n_trials": 0, "dim": [1, 2]},
        InvalidArgument,
        "n_trials must be a whole number from 1 to 100000, or none, got 0",
    ),
    ({"n_trials": True, "dim": [1, 2]}, InvalidArgument, "got True"),
    ({"n_trials": "few", "dim": [1, 2]}, InvalidArgument, "got 'few'"),
    ({"n_trials": 3}, InvalidArgument, "with an option that has several values"),
    ({"dim": [1, 2]}, InvalidArgument, r"number of trials.*\(dim\)"),
    ({"dim": "1,2"}, InvalidArgument, r"\(dim\)"),
    ({"reg": (0.1, 0.2)}, InvalidArgument, r"\(reg\)"),
    (
        {"n_trials": 3, "reg": (0.1, 0.01)},
        BadSearch,
        "not a smaller and a larger number",
    ),
    (
        {"n_trials": 3, "reg": (0.1, 0.1)},
        BadSearch,
        "not a smaller and a larger number",
    ),
    (
        {"n_trials": 3, "dim": (32, 64, 128)},
        BadSearch,
        r"Candidates are a list, \[32, 64\]",
    ),
    ({"n_trials": 3, "reg": (None, 0.1)}, BadSearch, "not a smaller"),
    ({"n_trials": 3, "reg": {"from": 0.1}}, BadSearch, "not just from and to"),
    (
        {"n_trials": 3, "reg": {"from": 0.1, "to": 0.2, "by": 1}},
        BadSearch,
        "not just from and to",
    ),
    ({"n_trials": 3, "dim": []}, BadSearch, "no candidate"),
    (
        {"n_trials": 3, "dim": [4, "x"]},
        BadOption,
        "dim must be a whole number from 1 to 16000, got 'x'",
    ),
    ({"n_trials": 3, "dim": (1.5, 4)}, BadOption, "dim must be a whole number"),
    ({"n_trials": 3, "reg": (0.1, float("inf"))}, BadOption, "reg must be a number"),
    ({"n_trials": 3, "dim": [0, -1]}, BadOption, "dim must be a whole number from 1"),
    ({"n_trials": 3, "dim": [4, 8], "epochs": 0}, BadOption, "epochs"),
    ({"n_trials": 3, "dmi": (1, 4)}, UnknownOption, 'Did you mean "dim"'),
    ({"n_trials": 3, "feedback": ("implicit", "explicit")}, BadSearch, "not numbers"),
    (
        {"n_trials": 3, "feedback": ["implicit", "explicit"]},
        BadSearch,
        "how the source is read",
    ),
    (
        {"n_trials": 3, "algorithm": "node2vec", "max_event_distance": (0, 9)},
        BadSearch,
        "how the source is read",
    ),
    (
        {"n_trials": 3, "feedback": ["implicit", "no"]},
        BadOption,
        "implicit or explicit",
    ),
    (
        {"n_trials": 3, "feedback": ["implicit", "no"]},
        BadOption,
        "implicit or explicit",
    ),
    (
        {"n_trials": 3, "algorithm": "item2vec", "dim": [4, 8], "warm_start": True},
        InvalidArgument,
        "warm_start must be false with n_trials",
    ),
]


@pytest.mark.parametrize(
    ("given", "error", "words"), BAD, ids=[str(given) for given, _, _ in BAD]
)
def test_bad_wishes(
    shop, given: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        shop.train("m", SOURCE, **given)
    assert shop.ask("SELECT 1 FROM embsql.runs AS r").num_rows == 0, (
        "refused before anything began"
    )


def test_without_the_library(shop, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        MissingExtra,
        match=r"searching options needs the Python package optuna.*embsql\[tune\]",
    ):
        shop.train("m", SOURCE, n_trials=2, dim=[1, 4], **QUICK)
    assert shop.train("m", SOURCE, dim=4, **QUICK).status == "live"


# --- how it is said ------------------------------------------------------------------------------


def test_one_search_in_every_language() -> None:
    said = [
        space(dim=[32, 64], reg=(0.001, 0.1)),
        space(dim={64, 32}, reg={"from": 0.001, "to": 0.1}),
        space(dim="32,64", reg="0.001..0.1"),
        space(dim=" 32, 64 ,32", reg="1e-3..0.1"),
        space(dim=["32", 64.0, 32], reg=("0.001", "0.1")),
        space(dim=np.array([32, 64], "i2"), reg=(np.float64(0.001), 0.1)),
    ]
    assert all(one == said[0] for one in said)
    assert said[0] == {"dim": [32, 64], "reg": tune.Interval(0.001, 0.1)}


def test_none_and_choices_are_candidates() -> None:
    assert space(reg=[None, 0.01]) == {"reg": [None, 0.01]}
    assert space(reg="none,0.01") == {"reg": [None, 0.01]}
    assert space("svd", method="normalized,plain") == {
        "method": ["normalized", "plain"]
    }
    assert space("item2vec", dynamic_window=[True, False]) == {
        "dynamic_window": [True, False]
    }


def test_a_comma_in_text_is_a_comma() -> None:
    """metadata_cols is text in which a comma divides columns; several such texts are a list."""
    made, search = tune.read_search("item2vec", {"metadata_cols": "brand,color"}, None)
    assert (made.metadata_cols, search) == ("brand,color", None)
    assert space("item2vec", metadata_cols=["brand", "brand,color"]) == {
        "metadata_cols": ["brand", "brand,color"]
    }


def test_options_that_go_together_only_in_some_settings() -> None:
    """als has alpha or unobserved_weight: with the first candidate the setting is impossible, the
    search is not.
    """
    made, _ = tune.read_search(
        "als", {"alpha": [1.0, None], "unobserved_weight": 0.1}, 2
    )
    assert (made.alpha, made.unobserved_weight) == (None, 0.1)


def test_in_create_model(shop) -> None:
    shop.sql(f"""CREATE MODEL m OPTIONS(model_type = 'matrix_factorization', num_trials = 3,
        max_iterations = 3, feedback_type = 'implicit', num_factors = HPARAM_CANDIDATES([2, 4]),
        l2_reg = HPARAM_RANGE(0.001, 0.1),
        cg_steps = [1, 2]) AS {SOURCE}""")
    params = record(shop, registry.live_run_id(shop.engine, "m"))["params"]
    assert params["search"]["trials"] == 3
    assert params["search"]["options"] == {
        "dim": [2, 4],
        "reg": {"from": 0.001, "to": 0.1},
        "cg_steps": [1, 2],
    }
    wrongs = (
        "[2",
        "[2 4]",
        "HPARAM_RANGE(1)",
        "HPARAM_RANGE(1, 2, 3)",
        "HPARAM_RANGE(1, ",
        "HPARAM_CANDIDATES([2]",
    )
    for wrong in wrongs:
        with pytest.raises(BadStatement):
            shop.sql(
                f"CREATE MODEL n OPTIONS(num_trials = 2, num_factors = {wrong}) AS {SOURCE}"
            )


def test_as_a_command_in_sql(shop) -> None:
    options = json.dumps(
        {"n_trials": 2, "dim": [2, 4], "reg": {"from": 0.001, "to": 0.1}, **QUICK}
    )
    shop.engine.run(f"CALL embsql.train('m', '{SOURCE}', options => '{options}')")
    assert len(trials(shop)) == 2


def test_as_a_job_of_a_worker(pg) -> None:
    options = json.dumps(
        {"n_trials": 2, "dim": [2, 4], "reg": {"from": 0.001, "to": 0.1}, **QUICK}
    )
    with embsql.connect(pg) as database:
        fill(database).ask(
            "SELECT embsql.train('m', $source, options => $options)",
            source=SOURCE,
            options=options,
        )
        worker = Worker(pg, lambda _: None)
        worker.work(once=True)
        worker.close()
        assert database.ask("SELECT j.status FROM embsql.jobs AS j").to_pylist() == [
            {"status": "done"}
        ]
        assert [row["status"] for row in trials(database)] == ["done", "done"]


@pytest.fixture
def path(tmp_path) -> str:
    with embsql.connect(tmp_path / "shop.duckdb") as database:
        fill(database)
    return str(tmp_path / "shop.duckdb")


def test_on_the_command_line(path) -> None:
    words = [
        "train",
        "m",
        "--source",
        SOURCE,
        "--n-trials",
        "2",
        "--dim",
        "2,4",
        "--reg=0.001..0.1",
        "--epochs",
        "3",
    ]
    done = CliRunner().invoke(cli.main, ["--db", path, *words, "--threads", "1"])
    assert done.exit_code == 0, done.output
    asked = CliRunner().invoke(cli.main, ["--db", path, "--json", "trials", "m"])
    rows = [json.loads(line) for line in asked.output.splitlines()]
    assert [row["trial"] for row in rows] == [1, 2]
    assert np.isfinite([row["value"] for row in rows]).all()
