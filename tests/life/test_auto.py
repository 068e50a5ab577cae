"""Algorithm auto: what is chosen in worlds whose right answer is known, what is kept of it, how a
budget is shared out, and what cannot be chosen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

import embsql
from embsql.algorithms import Algorithm
from embsql.api.create_model import CreateModel, parse
from embsql.errors import (
    BadFeatures,
    BudgetTooShort,
    EmbsqlError,
    InvalidArgument,
    NotEnoughData,
    NothingToChooseBy,
    UnknownOption,
)
from embsql.evaluation.evaluator import Questions
from embsql.evaluation.splits import split
from embsql.lifecycle import auto, candidates, exam
from embsql.lifecycle.budget import Budget, duration, read_duration
from embsql.lifecycle.candidates import Proposal
from embsql.lifecycle.named_statements import query_named
from embsql.lifecycle.plan import DEFAULTS
from embsql.phases import Phases
from embsql.run import Run
from embsql.shells import cli
from embsql.shells.worker import Worker
from embsql.stopping import Stopped, Work
from tests.worlds import islands

SOURCE = "SELECT * FROM events"
QUICK: dict[str, Any] = {"algorithm": "auto", "threads": 1}
SMALL = (
    Proposal("als", {"dim": 8, "epochs": 3}, 1),
    Proposal("svd", {"dim": 8}, 1),
    Proposal("als", {"dim": 1, "epochs": 3}, 1),
)
Pairs = list[tuple[int, int]]


@pytest.fixture(autouse=True)
def _few_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "EVIDENCE", SMALL)


def fill(
    database: embsql.Database, pairs: Pairs, *, timed: bool = False
) -> embsql.Database:
    """A table of events, in the order of the pairs where they have times."""
    users, items = zip(*pairs, strict=True)
    columns: dict[str, Any] = {
        "user_id": pa.array([f"u{user:03d}" for user in users]),
        "item_id": pa.array([f"i{item:03d}" for item in items]),
    }
    clock = ", event_time BIGINT" if timed else ""
    if timed:
        columns["event_time"] = np.arange(len(pairs))
    database.engine.run(
        f"CREATE TABLE events (user_id VARCHAR, item_id VARCHAR{clock})"
    )
    database.engine.write("events", columns, schema="main")
    return database


def of_islands() -> Pairs:
    data, _, _ = islands(users=40)
    return list(zip(data.user.tolist(), data.item.tolist(), strict=True))


def of_popularity(seed: int = 0) -> Pairs:
    """Nobody has a taste: everybody draws from what is liked by all, the first items most."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, 61)
    draw = partial(rng.choice, 60, 6, replace=False, p=share / share.sum())
    return [(user, int(item)) for user in range(200) for item in draw()]


def of_steps(seed: int = 0) -> Pairs:
    """Everybody takes some steps around a ring, always in the same direction."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, 20, 100)
    return [
        (user, int(start + step) % 20)
        for user, start in enumerate(starts)
        for step in range(5)
    ]


@pytest.fixture
def shop(db: embsql.Database) -> embsql.Database:
    return fill(db, of_islands())


@pytest.fixture
def both(each: embsql.Database) -> embsql.Database:
    return fill(each, of_islands())


def trials(database: embsql.Database, model: str = "m") -> list[dict[str, Any]]:
    return database.ask("SELECT * FROM embsql.trials($model)", model=model).to_pylist()


def statuses(database: embsql.Database, model: str = "m") -> list[str]:
    return [row["status"] for row in trials(database, model)]


def record(database: embsql.Database, run: Run) -> dict[str, Any]:
    (found,) = query_named(database.engine, "run_record", run_id=run.run_id)
    return with_params(found)


def with_params(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"params": json.loads(row["params"])}


def asked_of(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What was asked for; what is left to the data follows them."""
    others = {name: value for name, value in row["params"].items() if name != DEFAULTS}
    return row["algorithm"], others


# --- what is chosen ------------------------------------------------------------------------------


def test_every_candidate_is_a_row_with_a_reason(both) -> None:
    """One dimension cannot tell four islands apart, and both others find them."""
    run = both.train("m", SOURCE, **QUICK)
    rows = trials(both)
    names = ["popular", "item_knn", "als", "svd", "als"]
    assert [row["algorithm"] for row in rows] == names
    assert [row["status"] for row in rows] == ["reference"] * 2 + ["done"] * 3
    assert [row["best"] for row in rows] == [False, False, True, False, False]
    assert all(row["ci_low"] <= row["value"] <= row["ci_high"] for row in rows)
    assert rows[2]["reason"].startswith("chosen: ")
    assert rows[3]["reason"].startswith("not chosen: less simple, ")
    assert rows[0]["reason"].startswith("for comparison: -")
    assert rows[4]["value"] < rows[2]["ci_low"]
    made = record(both, run)
    assert (made["algorithm"], made["params"]["dim"]) == ("als", 8)
    assert made["params"]["search"]["algorithm"] == "auto"
    assert run.status == "live"
    (model,) = both.models().to_pylist()
    assert model["algorithm"] == "als"


def test_the_run_is_an_ordinary_one(shop) -> None:
    chosen = record(shop, shop.train("m", SOURCE, **QUICK))
    plain = shop.train("p", SOURCE, dim=8, epochs=3, threads=1)
    assert chosen["checksum"] == record(shop, plain)["checksum"]
    assert shop.ask("SELECT * FROM embsql.recommend('m', 'u001')").num_rows == 10
    assert shop.evaluate("m")["ndcg@10"] > 0.1


def test_of_equal_ones_the_simpler_is_chosen(shop, monkeypatch) -> None:
    same = (SMALL[0], Proposal("als", {"dim": 8, "epochs": 3, "cg_steps": 3}, 1))
    monkeypatch.setattr(candidates, "EVIDENCE", same)
    shop.train("m", SOURCE, **QUICK)
    assert [row["best"] for row in trials(shop)] == [False, False, True, False]


def test_where_order_is_everything_a_sequence_model_is_chosen(db, monkeypatch) -> None:
    """Around a ring the item before the first is as near as the one after the last: only who knows
    the direction can tell which comes next.
    """
    pytest.importorskip("torch")
    options = {"dim": 8, "epochs": 3, "lr": 0.1}
    both = (SMALL[0], Proposal("gru4rec", options, 10))
    monkeypatch.setattr(candidates, "EVIDENCE", both)
    run = fill(db, of_steps(), timed=True).train("m", SOURCE, **QUICK)
    assert (record(db, run)["algorithm"], run.warning) == ("gru4rec", None)
    assert trials(db)[2]["reason"].startswith("not chosen: trial 4 is higher")


def test_where_nobody_has_a_taste_it_says_so(both) -> None:
    both.engine.run("DROP TABLE events")
    run = fill(both, of_popularity()).train("m", SOURCE, **QUICK)
    words = "which was chosen, is below that of what is popular with "
    assert words in (run.warning or "")
    assert record(both, run)["params"]["search"]["warning"] == run.warning
    checks = both.ask("SELECT * FROM embsql.validation('m')").to_pylist()
    assert run.warning in [
        row["hint"] for row in checks if row["severity"] == "warning"
    ]
    again = both.train("m", SOURCE, **QUICK)
    assert again.skipped
    # figures of before, which another training of what was chosen has too
    assert again.warning == f"on the data of run {run.run_id}, {run.warning}"


def test_the_same_seed_chooses_the_same(shop) -> None:
    first = record(shop, shop.train("m", SOURCE, **QUICK))
    again = record(shop, shop.train("m", SOURCE, search=True, **QUICK))
    other = record(shop, shop.train("o", SOURCE, **QUICK))
    assert again["run_id"] != first["run_id"]
    assert first["checksum"] == again["checksum"] == other["checksum"]
    rows = [(row["value"], row["reason"]) for row in trials(shop)]
    assert rows == [(row["value"], row["reason"]) for row in trials(shop, "o")]


def test_ratings_are_for_als(db) -> None:
    rated = "SELECT *, CAST(length(item_id) - 4 AS FLOAT8) AS weight FROM events"
    run = fill(db, of_islands()).train("m", rated, feedback="explicit", dim=4, **QUICK)
    assert record(db, run)["params"]["feedback"] == "explicit"
    assert {row["algorithm"] for row in trials(db)} == {"popular", "item_knn", "als"}
    every = [json.loads(row["params"]) for row in trials(db)[2:]]
    assert [options.get("reg") for options in every] == [None, 0.04, 0.16]
    assert {options["dim"] for options in every} == {4}


# --- what must not have been looked at -----------------------------------------------------------


def test_what_an_evaluation_asks_about_was_not_chosen_by(shop, monkeypatch) -> None:
    """Also without `evaluate`, as the run may be measured later."""
    prepare = Questions.prepare
    asked: list[Any] = []

    def watched(parts: Any, run: Any, whole: Any = None) -> Questions:
        asked.append(parts)
        return prepare(parts, run, whole)

    monkeypatch.setattr(exam, "Questions", _Prepared(watched))
    run = shop.train("m", SOURCE, evaluate=True, **QUICK)
    data, _, _ = islands(users=40)
    test = _pairs(split(data, "random", seed=42).held_out)
    assert len(asked) == 1
    seen = _pairs(asked[0].train) | _pairs(asked[0].held_out)
    assert not seen & test
    assert len(seen) + len(test) == len(data)
    assert run.metrics["ndcg@10"] > 0.1


class _Prepared:
    def __init__(self, prepare: Callable[..., Questions]) -> None:
        self.prepare = prepare


def _pairs(part: Any) -> set[tuple[int, int]]:
    return set(zip(part.user.tolist(), part.item.tolist(), strict=True))


# --- what is kept --------------------------------------------------------------------------------


def test_a_choice_is_kept_when_the_data_change(both) -> None:
    first = both.train("m", SOURCE, budget="2 minutes", **QUICK)
    assert both.train("m", SOURCE, budget="120 seconds", **QUICK).skipped
    both.engine.run("INSERT INTO events VALUES ('u000', 'i039')")
    again = both.train("m", SOURCE, **QUICK)
    assert again.run_id != first.run_id
    assert trials(both) == []
    assert asked_of(record(both, again)) == asked_of(record(both, first))
    assert both.train("m", SOURCE, **QUICK).skipped


OTHERS: list[dict[str, Any]] = [
    {"search": True},
    {"budget": "4 minutes"},
    {"dim": 4},
    {"k": 5},
    {"split": "random"},
]


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_it_is_chosen_again_where_that_is_asked_for(shop, other) -> None:
    first = shop.train("m", SOURCE, **QUICK)
    again = shop.train("m", SOURCE, **other, **QUICK)
    assert again.run_id != first.run_id
    assert statuses(shop).count("done") >= 2


def test_it_is_chosen_again_where_the_source_has_times_now(db) -> None:
    fill(db, of_islands(), timed=True)
    first = db.train("m", "SELECT user_id, item_id FROM events", **QUICK)
    again = db.train("m", SOURCE, **QUICK)
    assert again.run_id != first.run_id
    assert statuses(db).count("done") >= 2
    assert db.train("m", SOURCE, **QUICK).skipped


def test_what_the_chosen_one_does_not_read_is_left_out(shop, monkeypatch) -> None:
    features = "SELECT DISTINCT item_id, length(item_id) AS n FROM events"
    with_fusion = (*SMALL, Proposal("fusion", {"dim": 8, "prior_strength": 1.0}, 1))
    monkeypatch.setattr(candidates, "EVIDENCE", with_fusion)
    run = shop.train("m", SOURCE, item_features=features, **QUICK)
    assert statuses(shop)[-1] == "done"
    assert "item_features" not in record(shop, run)["params"]
    assert shop.train("m", SOURCE, item_features=features, **QUICK).skipped
    shop.train("m", SOURCE, **QUICK)
    last = trials(shop)[-1]
    assert (last["status"], last["reason"]) == (
        "skipped",
        "not tried: it needs item_features",
    )


def test_candidates_are_published(shop) -> None:
    shop.train("m", SOURCE, **QUICK)
    with embsql.connect(":memory:") as there:
        shop.publish(there.engine.second(), "m")
        assert trials(there) == trials(shop)


def test_a_refresh_that_trains_keeps_it(db) -> None:
    fill(db, of_islands(), timed=True).train("m", SOURCE, **QUICK)
    db.watch("m", "events")
    db.engine.run("INSERT INTO events VALUES ('u000', 'i039', 2000)")
    assert db.refresh("m", retrain_after=0.0).retrained
    after, before = map(with_params, db.runs("m").to_pylist())
    assert after["run_id"] != before["run_id"]
    assert asked_of(after) == asked_of(before)


def test_after_vectors_from_elsewhere_something_is_chosen(shop) -> None:
    vectors = "SELECT DISTINCT item_id, [1.0, 2.0] AS embedding FROM events"
    shop.register_embeddings("m", vectors)
    run = shop.train("m", SOURCE, **QUICK)
    assert record(shop, run)["algorithm"] == "als"


# --- the budget ----------------------------------------------------------------------------------


class Hours:
    """A clock that trainings move: each epoch takes what is given for its algorithm."""

    def __init__(self, **epoch: float) -> None:
        self.now = 0.0
        self.epoch = epoch
        self.trained: list[str] = []

    def __call__(self) -> float:
        return self.now

    def fit(self, algorithm: Algorithm, data: Any, run: Run) -> Any:
        for number in range(1, algorithm.epochs + 1):
            self.now += self.epoch[algorithm.name]
            run.report(epoch=number, loss=0.0)
            run.check()
        self.trained.append(algorithm.name)
        return algorithm.fit(data, Run(threads=1))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Hours]:
    def started(**epoch: float) -> Hours:
        hours = Hours(**epoch)
        monkeypatch.setattr(auto, "Budget", partial(Budget, clock=hours))
        monkeypatch.setattr(exam, "fit", hours.fit)
        return hours

    return started


def test_there_is_time_for_all(shop, clock) -> None:
    hours = clock(als=1.0, svd=1.0)
    shop.train("m", SOURCE, budget="1 hour", **QUICK)
    assert hours.trained == ["als", "svd", "als"]


def test_what_would_take_too_long_is_not_begun(shop, clock) -> None:
    """Of 11 seconds the first takes 3, a run of it 1.5 times that, and svd one second."""
    hours = clock(als=1.0, svd=1.0)
    shop.train("m", SOURCE, budget="11 seconds", **QUICK)
    assert hours.trained == ["als", "svd"]
    last = trials(shop)[-1]
    assert last["status"] == "skipped"
    assert last["reason"].startswith("not tried: it would take about 3.0 seconds, and ")


def test_what_was_compiled_is_not_foreseen_again(shop, clock, monkeypatch) -> None:
    """As before, but that two of the first one's seconds go by in the compiler."""
    clock(als=1.0, svd=1.0)
    compiled = iter([0.0, 2.0])
    monkeypatch.setattr(Phases, "compiled", property(lambda _: next(compiled, 2.0)))
    shop.train("m", SOURCE, budget="11 seconds", **QUICK)
    assert trials(shop)[-1]["status"] == "stopped", (
        "it was begun: 1 second was foreseen"
    )


def test_one_that_goes_over_is_stopped_when_that_is_foreseen(
    shop, clock, monkeypatch
) -> None:
    slow = Proposal("item2vec", {"dim": 4}, 1)
    monkeypatch.setattr(candidates, "EVIDENCE", (SMALL[0], slow, SMALL[1]))
    hours = clock(als=1.0, item2vec=4.0, svd=1.0)
    shop.train("m", SOURCE, budget="40 seconds", **QUICK)
    assert hours.trained == ["als", "svd"]
    stopped = trials(shop)[3]
    assert (stopped["status"], stopped["value"]) == ("stopped", None)
    assert stopped["seconds"] == 8.0
    assert stopped["reason"].startswith("stopped: it would take about 40 seconds, and")


def test_whatever_is_tried_leaves_time_for_the_run(shop, clock) -> None:
    """The training of what is chosen, on more than it was tried on, ends within the budget."""
    for budget in (9, 12, 20, 31):
        hours = clock(als=1.0, svd=2.5)
        run = shop.train("m", SOURCE, budget=f"{budget} seconds", **QUICK)
        asked = next(row for row in trials(shop) if row["best"])
        data, _, _ = islands(users=40)
        part = split(split(data, "random").train, "random").train
        assert hours.now + asked["seconds"] * len(data) / len(part) <= budget
        assert run.status == "live"


def test_a_candidate_that_fails_is_left_out(shop, monkeypatch) -> None:
    def failing(algorithm: Algorithm, data: Any, run: Run) -> Any:
        if algorithm.name == "als":
            raise BadFeatures(option="item_features", found="nothing")
        return algorithm.fit(data, run)

    monkeypatch.setattr(exam, "fit", failing)
    run = shop.train("m", SOURCE, evaluate=False, **QUICK)
    assert statuses(shop) == ["reference", "reference", "failed", "done", "failed"]
    assert "item_features gives nothing" in trials(shop)[2]["error"]
    assert record(shop, run)["algorithm"] == "svd"


def test_a_budget_for_nothing(both, clock) -> None:
    clock(als=10.0, svd=20.0)
    words = r"a budget of 4.0 seconds is too short .*als takes 30 seconds.*Give a budget of 83 "
    with pytest.raises(BudgetTooShort, match=words) as raised:
        both.train("m", SOURCE, budget="4 seconds", **QUICK)
    least = str(raised.value.values["least"])
    hours = clock(als=10.0, svd=20.0)
    assert both.train("m", SOURCE, budget=least, **QUICK).status == "live"
    assert hours.trained[0] == "als"


def test_a_budget_that_is_proposed_suffices_where_item_knn_takes_long(
    shop, clock, monkeypatch
) -> None:
    """In the first budget it is stopped at once, in the second it takes as much as it needs."""

    def item_knn(questions: Questions, _: Any, k: int, run: Run) -> Any:
        for _ in range(10):
            hours.now += 3.0
            run.check()
        return questions.popular(k)

    monkeypatch.setattr(Questions, "item_knn", item_knn)
    hours = clock(als=10.0, svd=20.0)
    with pytest.raises(BudgetTooShort) as raised:
        shop.train("m", SOURCE, budget="4 seconds", **QUICK)
    hours = clock(als=10.0, svd=20.0)
    least = str(raised.value.values["least"])
    assert shop.train("m", SOURCE, budget=least, **QUICK).status == "live"
    assert statuses(shop)[:3] == ["reference", "reference", "done"]


def test_of_one_that_ends_no_epoch_it_is_not_known_what_it_takes(
    shop, clock, monkeypatch
) -> None:
    hours = clock()

    def endless(_algorithm: Algorithm, _data: Any, run: Run) -> None:
        while True:
            hours.now += 1.0
            run.check()

    monkeypatch.setattr(exam, "fit", endless)
    words = r"als had ended no epoch after 2\.0 seconds, so that more may be needed"
    with pytest.raises(BudgetTooShort, match=words):
        shop.train("m", SOURCE, budget="4 seconds", **QUICK)


def test_options_that_auto_refuses_are_not_proposed(shop) -> None:
    with pytest.raises(UnknownOption) as raised:
        shop.train("m", SOURCE, epochs=3, **QUICK)
    listed = str(raised.value.values["known"]).split(", ")
    assert not {"n_trials", "warm_start", "checkpoint_dir"} & set(listed)
    assert {"budget", "search", "dim"} <= set(listed)
    with pytest.raises(UnknownOption) as raised:
        shop.train("m", SOURCE, dims=3)
    assert not {"budget", "search"} & set(str(raised.value.values["known"]).split(", "))


IN_A_STATEMENT = [
    ("num_trials = 3", "num_trials must be left out with model_type = 'auto'"),
    ("max_iterations = 3", 'auto has no option "max_iterations"'),
    ("l2_reg = 3", 'auto has no option "l2_reg"'),
    ("device = 'spark'", "device must be cpu or cuda with model_type = 'auto'"),
    (
        "num_factors = 4, budget = INTERVAL 0 MINUTE",
        "budget must be a duration above 0",
    ),
]


@pytest.mark.parametrize(("given", "says"), IN_A_STATEMENT)
def test_a_statement_is_refused_in_its_words(shop, given: str, says: str) -> None:
    wanted = f"CREATE MODEL m OPTIONS(model_type = 'auto', {given}) AS {SOURCE}"
    with pytest.raises(EmbsqlError) as raised:
        shop.sql(wanted)
    assert str(raised.value).startswith(says)


@pytest.mark.parametrize("written", ["5 MINUTE", "'5 minutes'", "'5' MINUTE"])
def test_a_statement_has_its_budget_as_an_interval(written: str) -> None:
    options = f"model_type = 'auto', budget = INTERVAL {written}, dim = 4"
    wanted = parse(f"CREATE MODEL m OPTIONS({options}) AS {SOURCE}")
    assert isinstance(wanted, CreateModel)
    assert wanted.options["dim"] == 4
    assert read_duration(wanted.options["budget"]) == 300


def test_who_else_stops_it_is_obeyed(shop) -> None:
    """A stop that does not come from the budget ends the choice, not one candidate."""
    with Work() as work:
        watched = exam.Exam.asked
        outer = work

        def stopping(*given: Any) -> Any:
            outer.stop()
            return watched(*given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exam.Exam, "asked", stopping)
            with pytest.raises(Stopped):
                shop.train("m", SOURCE, **QUICK)


DURATIONS = [
    ("90 seconds", 90),
    ("1 second", 1),
    ("5 minutes", 300),
    ("1.5 hours", 5400),
    ("10min", 600),
    (" 2 H ", 7200),
    ("30s", 30),
    (timedelta(minutes=3), 180),
]


@pytest.mark.parametrize(("words", "seconds"), DURATIONS, ids=str)
def test_durations(words: Any, seconds: float) -> None:
    assert read_duration(words) == seconds


def test_durations_in_words() -> None:
    words = [duration(seconds) for seconds in (0.04, 9.96, 60, 150, 7200)]
    assert words == [
        "0.04 seconds",
        "10.0 seconds",
        "60 seconds",
        "3 minutes",
        "120 minutes",
    ]


# --- what cannot be ------------------------------------------------------------------------------

WRONG: list[Any] = [
    "soon",
    "5 ms",
    "5 ss",
    "",
    "5",
    5,
    True,
    object(),
    ["5 minutes"],
    "-5 minutes",
    "0 s",
    "5 lightyears",
]
WRONG += [
    "nan hours",
    "inf s",
    "9" * 400 + " h",
    timedelta(0),
    timedelta(-1),
    "5 minutes ago",
]


@pytest.mark.parametrize("budget", WRONG, ids=lambda value: str(value)[:20])
def test_no_duration(shop, budget: Any) -> None:
    with pytest.raises(
        InvalidArgument, match="budget must be a duration above 0, for "
    ):
        shop.train("m", SOURCE, budget=budget, **QUICK)
    assert shop.ask("SELECT 1 FROM embsql.runs AS r").num_rows == 0


BAD: list[tuple[dict[str, Any], type[EmbsqlError], str]] = [
    ({"reg": 0.1}, UnknownOption, 'auto has no option "reg".*dim, feedback'),
    ({"n_trials": 3}, InvalidArgument, "n_trials must be left out with algorithm auto"),
    ({"warm_start": True}, InvalidArgument, "warm_start must be false with algorithm"),
    (
        {"checkpoint_dir": "kept"},
        InvalidArgument,
        "checkpoint_dir must be left out with",
    ),
    ({"device": "spark"}, InvalidArgument, "device must be cpu or cuda with algorithm"),
    ({"dim": 0}, EmbsqlError, "dim must be a whole number from 1"),
    ({"feedback": "both"}, EmbsqlError, "feedback must be implicit or explicit"),
    (
        {"algorithm": "als", "budget": "1 h"},
        InvalidArgument,
        "together with algorithm auto",
    ),
    (
        {"algorithm": "als", "search": True},
        InvalidArgument,
        "together with algorithm auto",
    ),
    ({"algorithm": "aut"}, EmbsqlError, 'Did you mean "auto"'),
]


@pytest.mark.parametrize(
    ("given", "error", "words"), BAD, ids=[str(g) for g, _, _ in BAD]
)
def test_bad_wishes(shop, given: dict[str, Any], error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        shop.train("m", SOURCE, **{**QUICK, **given})
    assert shop.ask("SELECT 1 FROM embsql.runs AS r").num_rows == 0


LITTLE: list[tuple[str, Pairs, type[EmbsqlError], str]] = [
    ("one item", [(0, 0), (1, 0)], NotEnoughData, "auto needs at least 2 of each"),
    ("one user", [(0, 0), (0, 1)], NotEnoughData, "auto needs at least 2 of each"),
    (
        "one each",
        [(0, 0), (1, 1), (2, 0)],
        NothingToChooseBy,
        "nothing to choose by.*Name an algorithm",
    ),
]


@pytest.mark.parametrize(
    ("pairs", "error", "words"),
    [row[1:] for row in LITTLE],
    ids=[row[0] for row in LITTLE],
)
def test_too_little(db, pairs: Pairs, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        fill(db, pairs).train("m", SOURCE, **QUICK)
    (run,) = db.runs("m").to_pylist()
    assert (run["algorithm"], run["status"]) == ("auto", "failed")


def test_all_alike(db) -> None:
    pairs = [(user, item) for user in range(20) for item in range(6)]
    run = fill(db, pairs).train("m", SOURCE, **QUICK)
    assert record(db, run)["algorithm"] == "als"


# --- how it is said ------------------------------------------------------------------------------


def test_as_a_command_in_sql(shop) -> None:
    shop.engine.run(
        f"CALL embsql.train('m', '{SOURCE}', algorithm => 'auto', "
        """options => '{"budget": "2 minutes", "dim": 4, "threads": 1}')"""
    )
    assert json.loads(trials(shop)[2]["params"])["dim"] == 4


def test_as_create_model(shop) -> None:
    shop.sql(
        "CREATE MODEL m OPTIONS(model_type = 'auto', budget = '2 minutes', threads = 1) "
        f"AS {SOURCE}"
    )
    assert statuses(shop).count("done") == 3


def test_as_a_job_of_a_worker(pg) -> None:
    options = json.dumps({"budget": "2 minutes", "threads": 1})
    with embsql.connect(pg) as database:
        fill(database, of_islands()).ask(
            "SELECT embsql.train('m', $source, algorithm => 'auto', options => $options)",
            source=SOURCE,
            options=options,
        )
        worker = Worker(pg, lambda _: None)
        worker.work(once=True)
        worker.close()
        assert statuses(database).count("done") == 3


def test_on_the_command_line(tmp_path) -> None:
    path = str(tmp_path / "shop.duckdb")
    with embsql.connect(path) as database:
        fill(database, of_popularity())
    words = ["train", "m", "--source", SOURCE, "--algorithm", "auto"]
    more = ["--budget", "2 minutes", "--threads", "1"]
    done = CliRunner().invoke(cli.main, ["--db", path, *words, *more])
    assert done.exit_code == 0, done.output
    assert "trial 3 trial_ndcg@10 " in done.output
    assert " searching trial 3 (als, dim 8, epochs 3)" in done.output
    assert "which was chosen, is below that of what is popular" in done.output
    listed = CliRunner().invoke(cli.main, ["--db", path, "algorithms", "auto"])
    assert "feedback" in listed.output
