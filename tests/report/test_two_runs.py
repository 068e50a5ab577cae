"""The page about two runs: what it says is what the questions answer about both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

import embsql
from embsql.errors import (
    InvalidArgument,
    NotEvaluated,
    NothingShared,
    SameRun,
    UnknownModel,
)
from embsql.shells.cli import main
from tests.report.pages import HOSTILE, column, data_of, ids_of, toy_pairs


@pytest.fixture(scope="module")
def path(toy, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "two.html"
    done = toy.report("toy@1", "toy", path=path, evaluate=True)
    assert (done.run_id, done.compared_run, done.points) == (2, 1, 90)
    return path


@pytest.fixture(scope="module")
def page(path) -> dict[str, Any]:
    return data_of(path)


def test_figures_are_those_of_both_evaluations(toy, page) -> None:
    compared = toy.ask("SELECT * FROM embsql.compare('toy@1', 'toy')").to_pylist()
    assert compared
    names = ("split", "segment", "metric", "k", "a", "b", "difference")
    assert [[row[name] for name in names] for row in page["figures"]] == [
        [row[name] for name in names] for row in compared
    ]
    (figure,) = (
        row
        for row in page["figures"]
        if (row["segment"], row["metric"], row["k"]) == ("all", "ndcg", 10)
    )
    for side, model in (("a", "toy@1"), ("b", "toy")):
        (own,) = toy.ask(
            "SELECT ci_low, ci_high FROM embsql.evaluation($m) "
            "WHERE segment = 'all' AND metric = 'ndcg' AND k = 10",
            m=model,
        ).to_pylist()
        assert (figure[f"{side}_low"], figure[f"{side}_high"]) == tuple(own.values())


def test_trained_anew_both_are_as_their_evaluations_found(page) -> None:
    """Of the same pairs: each figure is the evaluation's, and the interval holds the difference."""
    own = {
        (row["segment"], row["metric"], row["k"]): row
        for row in page["figures"]
        if row["k"] == 10
    }
    assert page["paired"]["basis"] == "options"
    assert page["paired"]["users"] == 60
    assert len(page["paired"]["figures"]) > 10
    for row in page["paired"]["figures"]:
        evaluated = own[row["segment"], row["metric"], row["k"]]
        assert row["a"] == pytest.approx(evaluated["a"])
        assert row["b"] == pytest.approx(evaluated["b"])
        assert row["difference"] == pytest.approx(row["b"] - row["a"])
        assert row["ci_low"] <= row["difference"] <= row["ci_high"]


def test_answers_are_the_questions_answers(toy, page) -> None:
    questions = {
        "item": "SELECT item_id FROM embsql.similar_items($model, $id, k => 10)",
        "user": "SELECT item_id FROM embsql.recommend($model, $id, k => 10)",
    }
    for side in page["answers"]["sides"]:
        assert (
            side["asked"]
            == sum(side["histogram"])
            == {"item": 30, "user": 60}[side["entity"]]
        )
        for one in side["examples"]:
            a, b = (
                toy.ask(questions[side["entity"]], model=model, id=one["subject"])[
                    "item_id"
                ].to_pylist()
                for model in ("toy@1", "toy@2")
            )
            assert (one["a"], one["b"]) == (a, b)
            assert one["overlap"] == len({*a} & {*b}) / max(len(a), len(b))


def test_examples_are_spread_from_the_best_known_to_the_least(page) -> None:
    for side, parts in zip(page["answers"]["sides"], (6, 4), strict=True):
        counts = [one["interactions"] for one in side["examples"]]
        assert len(counts) == parts
        assert counts == sorted(counts, reverse=True)


def test_the_example_of_a_part_is_whose_answers_changed_most(db, tmp_path) -> None:
    """Of two worlds that are equal but for one item, that item comes first."""
    angles = np.arange(12) * 2 * np.pi / 12
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1).astype(
        np.float32
    )  # (12, 2)
    ids = [f"i{n:02d}" for n in range(12)]
    for moved in (vectors, np.vstack([vectors[:11], -vectors[11:]])):
        table = pa.table({"item_id": ids, "embedding": moved.tolist()})
        db.register_embeddings("ring", table, force=True)
    db.report("ring@1", "ring", path=tmp_path / "ring.html")
    page = data_of(tmp_path / "ring.html")
    items, users = page["answers"]["sides"]
    assert items["examples"][-1]["subject"] == "i11"
    assert users["asked"] == 0
    assert page["drift"]["movers"][0]["entity_id"] == "i11"
    assert [page["figures"], page["paired"], page["gate"]] == [[], None, None]


def test_a_run_that_was_only_turned_has_not_moved(db, tmp_path) -> None:
    """Of a model and the same, turned and with more dimensions, both maps are one."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 3))
    turned = (
        np.pad(vectors, ((0, 0), (0, 2))) @ np.linalg.qr(random.normal(size=(5, 5)))[0]
    )
    ids = [f"i{n:02d}" for n in range(40)]
    for name, one in (("straight", vectors), ("turned", turned)):
        table = pa.table({"item_id": ids, "embedding": one.tolist()})
        db.register_embeddings(name, table)
    db.report("straight", "turned", path=tmp_path / "two.html")
    (drawn,) = data_of(tmp_path / "two.html")["maps"]
    assert ids_of(drawn) == ids
    for axis in "xy":
        apart = column(drawn[axis], np.uint16) - column(
            drawn["earlier"][axis], np.uint16
        ).astype(int)
        assert np.abs(apart).max() <= 100  # of 65,536 steps
    assert column(drawn["shift"], np.float32).max() < 1e-5


def test_only_what_both_have_is_on_the_map(db, tmp_path) -> None:
    vectors = np.random.default_rng(0).normal(size=(8, 3)).tolist()
    vectors[4] = [0.0, 0.0, 0.0]
    for first in (0, 2):
        ids = [f"i{n}" for n in range(first, first + 6)]
        table = pa.table({"item_id": ids, "embedding": vectors[first : first + 6]})
        db.register_embeddings("some", table)
    db.report("some@1", "some@2", path=tmp_path / "two.html")
    (drawn,) = data_of(tmp_path / "two.html")["maps"]
    assert ids_of(drawn) == ["i2", "i3", "i5"]


def test_options_that_differ(page) -> None:
    differing = {row["name"]: (row["a"], row["b"]) for row in page["options"]}
    assert differing["dim"] == (4, 6)
    assert "algorithm" not in differing
    assert "seed" not in differing


# --- asked about a test of one's own -------------------------------------------------------------


def test_on_a_test_the_vectors_are_asked_as_they_are(toy, tmp_path) -> None:
    """Each figure is that of an evaluation of this run on the same test."""
    random = np.random.default_rng(2)
    known = {(row["user_id"], row["item_id"]) for row in toy_pairs().to_pylist()}
    test = [
        (f"u{user:02d}", f"i{item:02d}")
        for user in range(60)
        for item in random.integers(0, 30, 5)
        if (f"u{user:02d}", f"i{item:02d}") not in known
    ]
    users, items = zip(*test, ("a stranger", "i00"), strict=True)
    pairs = pa.table({"user_id": users, "item_id": items})
    toy.report("toy@1", "toy@2", path=tmp_path / "two.html", test=pairs)
    paired = data_of(tmp_path / "two.html")["paired"]
    asked = len({*users}) - 1
    assert (paired["basis"], paired["split"]) == ("vectors", "test")
    assert (paired["users"], paired["left_out"]) == (asked, 1)
    (found,) = (
        row
        for row in paired["figures"]
        if (row["segment"], row["metric"]) == ("all", "recall")
    )
    ours = pairs.slice(0, len(pairs) - 1)
    for side, model in (("a", "toy@1"), ("b", "toy@2")):
        own = toy.evaluate(model, test=ours)["recall@10"]
        toy.engine.run("DELETE FROM embsql.metrics WHERE split = 'test'")
        assert found[side] == pytest.approx(own)


def test_on_a_test_that_asks_nobody(toy, tmp_path) -> None:
    pairs = pa.table({"user_id": ["a stranger"], "item_id": ["i00"]})
    with pytest.raises(
        NotEvaluated, match=r"toy@1, toy@2 .* asks no user whom both runs"
    ):
        toy.report("toy@1", "toy@2", path=tmp_path / "two.html", test=pairs)


# --- what cannot be compared ---------------------------------------------------------------------


def test_a_run_is_not_compared_with_itself(toy, tmp_path) -> None:
    with pytest.raises(SameRun, match="toy@2 cannot be compared with itself"):
        toy.report("toy", "toy@2", path=tmp_path / "two.html")


def test_runs_that_share_nothing(toy, tmp_path) -> None:
    with pytest.raises(NothingShared, match="no item and no user in common"):
        toy.report("toy", "strange", path=tmp_path / "two.html")


def test_a_model_that_is_not_there(toy, tmp_path) -> None:
    with pytest.raises(UnknownModel, match='"nothing"'):
        toy.report("toy", "nothing", path=tmp_path / "two.html")


@pytest.mark.parametrize(
    ("models", "options", "message"),
    [
        ((), {}, "models must be one run, or two"),
        (("toy",) * 3, {}, "models must be one run, or two"),
        (("toy",), {"evaluate": True}, "left out with one run"),
        (
            ("toy@1", "toy"),
            {"evaluate": True, "test": "SELECT 1"},
            "one without the other",
        ),
    ],
)
def test_what_cannot_be_asked_for(toy, tmp_path, models, options, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        toy.report(*models, path=tmp_path / "two.html", **options)


def test_vectors_from_elsewhere_are_not_trained_anew(toy, tmp_path) -> None:
    ids = pa.table({"item_id": ["i00", "i01"], "embedding": [[1.0, 0.0], [0.0, 1.0]]})
    toy.register_embeddings("elsewhere", ids)
    with pytest.raises(NotEvaluated, match="registered, not trained"):
        toy.report("elsewhere", "toy", path=tmp_path / "two.html", evaluate=True)


# --- as it is seen -------------------------------------------------------------------------------


def test_it_is_drawn_and_nothing_is_fetched(path, tab) -> None:
    tab.open(path)
    assert tab.trouble == []
    assert tab.requests == [path.as_uri()]
    sections = "document.querySelectorAll('main > section')"
    lengths = tab.value(f"Array.from({sections}, one => one.innerText.length)")
    assert min(lengths) > 100
    switch = "document.querySelector('#map [aria-label=\"Which run\"] button')"
    tab.value(f"{switch}.click()")
    frames = "document.querySelector('canvas').dataset.frames"
    before = tab.value(frames)
    tab.value("new Promise(done => setTimeout(done, 1200))")
    assert int(tab.value(frames)) > int(before)
    assert tab.value(f"{switch}.getAttribute('aria-pressed')") == "true"


def test_ids_and_labels_are_shown_as_text(db, tab, tmp_path) -> None:
    ids = [name for name in HOSTILE if name]
    for seed in range(2):
        vectors = np.random.default_rng(seed).normal(size=(len(ids), 3)).tolist()
        db.register_embeddings("odd", pa.table({"item_id": ids, "embedding": vectors}))
    labels = pa.table({"entity_id": ids[:1], "label": ["<b onclick=x>$</b>"]})
    path = tmp_path / "odd.html"
    db.report("odd@1", "odd@2", path=path, item_labels=labels)
    tab.open(path)
    assert tab.trouble == []
    assert tab.value("document.querySelectorAll('main img, main b').length") == 0
    text = tab.value("document.body.innerText")
    for name in ["<b onclick=x>$</b>", *ids[1:5]]:
        assert name in text


def test_figures_on_the_page_are_those_of_its_data(path, page, tab) -> None:
    tab.open(path)
    shown = tab.value(
        "Array.from(document.querySelector('#figures details').querySelectorAll('tbody tr'),"
        " row => Array.from(row.querySelectorAll('data'), cell => Number(cell.value)))"
    )
    columns = ("k", "a", "b", "difference", "ci_low", "ci_high")
    assert shown == [
        [row[name] for name in columns] for row in page["paired"]["figures"]
    ]


def test_it_is_the_same_from_either_engine(toy, pg, page, tmp_path) -> None:
    toy.publish(pg, "toy@1")
    toy.publish(pg, "toy@2")
    with embsql.connect(pg) as other:
        other.report("toy@1", "toy@2", path=tmp_path / "two.html")
    there = data_of(tmp_path / "two.html")
    assert there["answers"] == page["answers"]
    assert there["figures"] == page["figures"]
    assert there["drift"]["sides"][1]["median"] == pytest.approx(
        page["drift"]["sides"][1]["median"], rel=1e-3
    )


def test_on_the_command_line(toy, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMBSQL_DB", "own.duckdb")
    toy.publish("own.duckdb", "toy@1")
    toy.publish("own.duckdb", "toy@2")
    answer = CliRunner().invoke(main, ["--json", "report", "toy@1", "toy@2"])
    assert json.loads(answer.output)["path"] == "toy@1-toy@2.html"
    command = ["report", "toy@1", "toy@2", "-o", "again.html", "--evaluate"]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert data_of(tmp_path / "again.html")["paired"]["users"] == 60
