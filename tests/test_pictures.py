"""Pictures of answers, drawn by matplotlib where it is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import embsql
from embsql import palette
from embsql.errors import MissingExtra, NoPicture
from tests.conftest import ROOT
from tests.report.pages import toy_pairs


@pytest.fixture(scope="module")
def toy() -> embsql.Database:
    """Two runs with clusters and a map."""
    database = embsql.connect(":memory:")
    for dim in (4, 6):
        database.train("toy", toy_pairs(), dim=dim, evaluate=True, gate=False)
    for entity in ("item", "user"):
        database.project("toy", entity=entity)
    database.cluster("toy", k=2)
    return database


def drawn(database: embsql.Database, question: str):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    return database.ask(f"SELECT * FROM embsql.{question}").plot()


def test_a_map_has_its_points_in_the_colors_of_clusters(toy) -> None:
    (axes,) = drawn(toy, "map('toy')").axes
    points = np.concatenate([np.asarray(one.get_offsets()) for one in axes.collections])
    answer = toy.ask("SELECT x, y FROM embsql.map('toy')")
    assert sorted(points.tolist()) == sorted(list(row.values()) for row in answer)
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["0", "1"]


def test_a_view_has_the_picture_of_its_question(toy) -> None:
    (axes,) = drawn(toy, "live_map WHERE entity = 'item'").axes
    assert axes.get_title() == "30 points: near is alike"


def test_a_curve_for_each_metric(toy) -> None:
    figure = drawn(toy, "training_log('toy')")
    answer = toy.ask(
        "SELECT epoch, value FROM embsql.training_log('toy') WHERE metric = 'loss'"
    )
    (axes,) = (one for one in figure.axes if one.get_ylabel() == "loss")
    (line,) = axes.get_lines()
    assert line.get_xydata().tolist() == [list(row.values()) for row in answer]
    assert figure.axes[-1].get_xlabel() == "epoch"


def test_bars_of_the_run_and_its_rivals(toy) -> None:
    (axes,) = drawn(toy, "evaluation('toy')").axes
    widths = [bar.get_width() for bar in axes.patches]
    first = [label.get_text() for label in axes.get_yticklabels()]
    assert first == ["ndcg@10", "recall@10", "hit_rate@10", "mrr@10", "map@10"]
    (row,) = toy.ask(
        "SELECT value, itemknn_value, popular_value FROM embsql.evaluation('toy') "
        "WHERE segment = 'all' AND metric = 'ndcg' AND k = 10"
    )
    assert widths[::5] == list(row.values())


def test_bars_of_two_runs(toy) -> None:
    (axes,) = drawn(toy, "compare('toy@1', 'toy')").axes
    (row,) = toy.ask(
        "SELECT a, b FROM embsql.compare('toy@1', 'toy') "
        "WHERE segment = 'all' AND metric = 'ndcg' AND k = 10"
    )
    assert [bar.get_width() for bar in axes.patches][::5] == list(row.values())


def test_how_far_both_kinds_moved(toy) -> None:
    (axes,) = drawn(toy, "drift('toy@1', 'toy')").axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["30 items", "60 users"]
    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(2)


def test_how_large_groups_are(toy) -> None:
    (axes,) = drawn(toy, "clusters('toy')").axes
    sizes = toy.ask("SELECT size FROM embsql.clusters('toy')")["size"].to_pylist()
    assert [bar.get_width() for bar in axes.patches] == sizes


def test_a_label_is_no_formula() -> None:
    with embsql.connect(":memory:") as database:
        groups = "SELECT 0 AS cluster_id, 5 AS size, '$\\frac{' AS label"
        pytest.importorskip("matplotlib", reason="matplotlib is not installed")
        figure = database.ask(groups).plot()
        figure.canvas.draw()
    assert figure.axes[0].get_yticklabels()[0].get_text() == "0: $\\frac{"


def test_a_notebook_shows_a_picture_once(toy) -> None:
    figure = drawn(toy, "clusters('toy')")
    from matplotlib import pyplot

    assert not pyplot.fignum_exists(figure.number)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("SELECT 1 AS n", "an answer with the columns n has no picture"),
        (
            "SELECT * FROM embsql.map('toy') WHERE x > 1e9",
            "an answer of map without rows has no picture",
        ),
        (
            "SELECT * FROM embsql.live_map",
            r"with more than one entity \(WHERE entity = \.\.\. keeps one\)",
        ),
        (
            "SELECT * FROM embsql.evaluations",
            r"an answer of evaluation with more than one run_id",
        ),
        (
            "SELECT 'shop' AS entity, 0.5 AS shift",
            "an answer of drift with other values than that question's",
        ),
        (
            "SELECT 0 AS cluster_id, NULL AS size, 'a' AS label",
            "an answer of clusters with other values than that question's",
        ),
        (
            "SELECT * EXCLUDE (itemknn_value) FROM embsql.evaluation('toy')",
            "an answer with the columns split, segment",
        ),
    ],
)
def test_what_has_no_picture(toy, question: str, message: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    with pytest.raises(NoPicture, match=message) as caught:
        toy.ask(question).plot()
    assert "map, training_log, evaluation, compare, drift, clusters" in str(
        caught.value
    )


def test_without_the_library_an_extra_is_named(toy, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install 'embsql\[plot\]'"):
        toy.ask("SELECT * FROM embsql.map('toy')").plot()


def test_pages_have_the_same_colors() -> None:
    style = (ROOT / "embsql" / "report" / "page.css").read_text(encoding="utf-8")
    for name in ("RUN", "ITEM_KNN", "POPULAR"):
        variable = name.lower().replace("_", "")
        assert f"--{variable}: {getattr(palette, name)};" in style
