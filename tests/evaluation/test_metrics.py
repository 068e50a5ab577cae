from __future__ import annotations

import numpy as np
import pytest

from embsql.data import CsrMatrix
from embsql.evaluation import metrics
from tests.evaluation.worlds import plain_figures

L2, L3, L4 = 1.0, 1 / np.log2(3), 1 / np.log2(4)  # gains at ranks 1, 2, 3


def rows(*lists):
    start = np.cumsum([0, *map(len, lists)])
    return CsrMatrix(
        start,
        np.array([i for items in lists for i in items], np.int32),
        np.ones(start[-1], np.float32),
    )


def test_hits():
    ranking = np.array([[3, 0, 1], [2, 3, -1], [-1, -1, -1], [0, 1, 2]], np.int32)
    found = metrics.hits(ranking, rows([1, 3], [0, 3], [3], []), 4)
    assert found.tolist() == [
        [True, False, True],
        [False, True, False],
        [False] * 3,
        [False] * 3,
    ]
    assert not metrics.hits(ranking, rows([], [], [], []), 4).any()


@pytest.mark.parametrize(
    ("hit", "relevant", "expected"),
    [
        (
            (1, 0, 1),
            2,
            {
                "recall": 1,
                "hit_rate": 1,
                "mrr": 1,
                "map": (1 + 2 / 3) / 2,
                "ndcg": (L2 + L4) / (L2 + L3),
            },
        ),
        (
            (0, 1, 0),
            1,
            {"recall": 1, "hit_rate": 1, "mrr": 1 / 2, "map": 1 / 2, "ndcg": L3},
        ),
        (
            (0, 1, 1),
            10,
            {
                "recall": 0.2,
                "hit_rate": 1,
                "mrr": 1 / 2,
                "map": (1 / 2 + 2 / 3) / 3,
                "ndcg": (L3 + L4) / (L2 + L3 + L4),
            },
        ),
        ((1, 1, 1), 3, dict.fromkeys(metrics.PER_USER, 1)),
        ((0, 0, 0), 3, dict.fromkeys(metrics.PER_USER, 0)),
        ((0, 0, 0), 0, dict.fromkeys(metrics.PER_USER, np.nan)),
    ],
)
def test_figures_by_hand(hit, relevant, expected):
    for name, figure in metrics.PER_USER.items():
        value = figure(np.array([hit], bool), np.array([relevant]))
        assert value[0] == pytest.approx(expected[name], nan_ok=True), name


@pytest.mark.parametrize("k", [1, 3, 10])
def test_figures_are_their_plain_definitions(k):
    """2,000 users: lists from none to more than k of items of equal worth, from none to 12 items
    that are right.
    """
    rng = np.random.default_rng(k)
    ranking = np.argsort(rng.integers(0, 4, (2000, 20)), axis=1, kind="stable")[
        :, : k + 2
    ].astype(np.int32)
    ranking[np.arange(k + 2) >= rng.integers(0, k + 3, 2000)[:, None]] = -1
    wanted = [
        np.sort(rng.choice(20, n, replace=False)) for n in rng.integers(0, 13, 2000)
    ]
    hit = metrics.hits(ranking[:, :k], rows(*wanted), 20)
    found = {
        name: figure(hit, np.array([*map(len, wanted)]))
        for name, figure in metrics.PER_USER.items()
    }
    for user, right in enumerate(wanted):
        listed = [item for item in ranking[user].tolist() if item >= 0]
        plain = (
            plain_figures(listed, set(right.tolist()), k)
            if len(right)
            else dict.fromkeys(found, np.nan)
        )
        for name, values in found.items():
            assert values[user] == pytest.approx(plain[name], nan_ok=True), (name, user)


def test_listed_is_what_is_in_a_list():
    ranking = np.array([[0, 1], [1, -1]], np.int32)
    assert metrics.listed(ranking, 4).tolist() == [True, True, False, False]


def test_novelty_is_bits_of_the_share_of_users():
    ranking = np.array([[0, 1], [2, -1], [-1, -1]], np.int32)
    figures = metrics.novelty(ranking, np.array([8, 4, 1]), 8)
    assert figures.tolist() == pytest.approx([0.5, 3, np.nan], nan_ok=True)


def test_average_popularity_is_of_the_items_listed():
    ranking = np.array([[0, 1], [2, -1], [-1, -1]], np.int32)
    figures = metrics.average_popularity(ranking, np.array([8, 4, 1]))
    assert figures.tolist() == pytest.approx([6, 1, np.nan], nan_ok=True)


def test_figures_of_the_same_users_are_resampled_as_each_alone():
    rng = np.random.default_rng(3)
    figures = rng.random((50, 6))
    figures[:20, 1] = figures[:20, 4] = np.nan
    figures[30:, 2] = np.nan
    part = metrics.Part(0, 50)
    whole = metrics.resampled(figures, part, seed=5)
    for n in range(6):
        alone = metrics.resampled(figures[:, n : n + 1], part, seed=5)
        assert np.allclose(whole[:, [n, 6 + n]], alone)


def test_diversity_by_hand():
    items = np.array([[1, 0], [5, 0], [0, 2], [-1, 0], [0, 0]], np.float32)
    ranking = np.array(
        [[0, 1, -1], [0, 2, -1], [0, 3, -1], [0, 1, 2], [0, 4, -1], [0, -1, -1]],
        np.int32,
    )
    expected = pytest.approx([0, 1, 2, 2 / 3, 1, np.nan], nan_ok=True, abs=1e-6)
    assert metrics.diversity(ranking, items).tolist() == expected


def test_diversity_is_the_mean_over_pairs(monkeypatch):
    rng = np.random.default_rng(0)
    items = rng.standard_normal((30, 5)).astype(np.float32)
    ranking = np.array([rng.permutation(30)[:6] for _ in range(25)], np.int32)
    unit = items / np.linalg.norm(items, axis=1, keepdims=True)
    pairs = [
        [1 - unit[row[a]] @ unit[row[b]] for a in range(6) for b in range(a)]
        for row in ranking
    ]
    monkeypatch.setattr(metrics, "BLOCK_USERS", 10)
    assert np.allclose(
        metrics.diversity(ranking, items), np.mean(pairs, axis=1), atol=1e-5
    )


def test_means_leave_out_who_has_no_part():
    figures = np.array([[1.0, np.nan, np.nan], [0.0, 0.5, np.nan]])
    assert metrics.means(figures).tolist() == pytest.approx(
        [0.5, 0.5, np.nan], nan_ok=True
    )


def test_95_of_100_intervals_cover_the_mean():
    figures = np.random.default_rng(1).exponential(
        0.3, (400, 300)
    )  # skewed, as figures of users are
    figures[np.random.default_rng(2).random(figures.shape) < 0.2] = np.nan
    low, high = metrics.intervals(figures, seed=3)
    assert 0.90 <= np.mean((low <= 0.3) & (high >= 0.3)) <= 0.98


def test_intervals_have_the_width_of_the_normal_ones():
    figures = np.random.default_rng(1).random((5000, 4))
    low, high = metrics.intervals(figures, seed=3)
    width = 2 * 1.96 * figures.std(axis=0) / np.sqrt(5000)
    assert np.allclose(high - low, width, rtol=0.12)


def test_intervals_are_a_matter_of_the_seed_not_of_blocks():
    figures = np.random.default_rng(1).random((50, 2))
    again = metrics.intervals(figures, 4)
    assert all(
        (a == b).all()
        for a, b in zip(metrics.intervals(figures, 4), again, strict=True)
    )
    assert (metrics.intervals(figures, 5)[0] != again[0]).any()


def test_parts_of_the_users_are_drawn_as_the_whole_is():
    figures = np.random.default_rng(1).random((51, 2))
    figures[7] = np.nan
    whole = metrics.resampled(figures, metrics.Part(0, 51), 4)
    parts = [
        metrics.resampled(figures[first:last], metrics.Part(first, 51), 4)
        for first, last in ((0, 9), (9, 9), (9, 40), (40, 51))
    ]
    assert np.allclose(sum(parts), whole, rtol=1e-6)


def test_one_user_has_an_interval_of_one_point():
    low, high = metrics.intervals(np.array([[0.25], [np.nan]]), 0)
    assert (low[0], high[0]) == (0.25, 0.25)


def test_the_poisson_table_is_poisson():
    table = metrics._poisson_table()
    assert table.mean() == pytest.approx(1, abs=1e-3)
    assert table.var() == pytest.approx(1, abs=2e-3)
