"""Behavior drawn to content: exact rows by numpy, newcomers in a world whose kinds decide."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from embsql.algorithms.fusion import Fusion
from embsql.data import CsrMatrix, Interactions
from embsql.errors import BadFeatures, BadOption
from embsql.factorization.cpu import CpuSolver
from embsql.factorization.objective import Objective
from embsql.run import Run
from tests.worlds import interactions, islands

ISLANDS, NEW = 4, [3, 14, 25, 36]  # one item of each island that nobody has met


def world(**columns: list) -> tuple[Interactions, np.ndarray, np.ndarray]:
    """Islands whose items say which they are of, some of them without interactions."""
    data, user_island, item_island = islands(ISLANDS)
    features = columns or {"kind": [f"island {n}" for n in item_island]}
    known = data.where(~np.isin(data.item, NEW))
    return (
        dataclasses.replace(known, item_features=pa.table(features)),
        user_island,
        item_island,
    )


@pytest.mark.parametrize("how", ["category", "vector"])
def test_items_nobody_met_are_found_by_what_they_are(how: str) -> None:
    island = world()[2]
    given = (
        {"vector": list(np.eye(ISLANDS)[island])}
        if how == "vector"
        else {"kind": [f"k{n}" for n in island]}
    )
    data, user_island, _ = world(**given)
    found = Fusion(dim=8).fit(data, Run(seed=1))
    scores = found.users @ found.items[NEW].T  # (u, 4)
    assert (scores.argmax(axis=1) == user_island).all()


def test_rows_are_solved_around_their_prior() -> None:
    rng = np.random.default_rng(0)
    fixed, prior = (rng.standard_normal((n, 5)).astype(np.float32) for n in (12, 7))
    rows = CsrMatrix(
        np.arange(0, 29, 4),
        rng.integers(0, 12, 28).astype(np.int32),
        rng.random(28).astype(np.float32) + 1,
    )
    objective = Objective(0, 1, 0, 0.3, 2.0, 0.0, 12, 28)
    solved, turned, loss, penalty = CpuSolver(Run()).solve_side(
        rows, fixed.copy(), np.zeros((7, 5), np.float32), objective, prior
    )
    for row in range(7):
        mine, amount = (
            fixed[rows.indices[row * 4 : row * 4 + 4]],
            rows.data[row * 4 : row * 4 + 4],
        )
        matrix = 0.3 * fixed.T @ fixed + (mine.T * amount) @ mine + 2 * np.eye(5)
        x = np.linalg.solve(matrix, mine.T @ amount + 2 * prior[row])
        np.testing.assert_allclose(
            solved[row] @ turned.T, x @ fixed.T, atol=1e-3
        )  # scores: the axes are turned
    scores = solved @ turned.T  # (7, 12)
    seen = sum(
        amount * (score**2 - 2 * score)
        for row in range(7)
        for amount, score in zip(
            rows.data[row * 4 : row * 4 + 4],
            scores[row, rows.indices[row * 4 : row * 4 + 4]],
            strict=True,
        )
    )
    turn = np.linalg.lstsq(fixed, turned, rcond=None)[0]  # (5, 5)
    away = 2 * np.square(solved - prior @ turn).sum()
    assert loss == pytest.approx(seen + 0.3 * np.square(scores).sum() + away, rel=1e-3)
    assert penalty == pytest.approx(2 * np.square(solved).sum(), rel=1e-4)


def test_the_more_features_are_worth_the_nearer_items_lie_to_them() -> None:
    data, _, island = world()

    def spread(strength: float) -> float:
        items = Fusion(dim=8, prior_strength=strength).fit(data, Run(seed=1)).items
        return float(
            sum(items[island == n].var(axis=0).sum() for n in range(ISLANDS))
            / items.var(axis=0).sum()
        )

    found = [spread(strength) for strength in (0.1, 10, 1e5)]
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.02


def test_an_item_moves_from_its_features_to_its_history_as_it_is_met() -> None:
    """Items that say they are of one island, and are met on another, 0, 1, 3 and 10 times."""
    data, user_island, item_island = islands(2, users=30, items=20)
    liars, times = [3, 7, 11, 15], [0, 1, 3, 10]
    pairs = [
        (u, i)
        for u, i in zip(data.user.tolist(), data.item.tolist(), strict=True)
        if i not in liars
    ]
    abroad = np.flatnonzero(user_island == 1)
    pairs += [
        (int(u), i)
        for i, n in zip(liars, times, strict=True)
        for u in abroad[5 : 5 + n]
    ]
    features = pa.table({"kind": [f"island {n}" for n in item_island]})
    known = dataclasses.replace(interactions(sorted(pairs)), item_features=features)
    found = Fusion(dim=8, reg=0.005, prior_strength=3.0).fit(known, Run(seed=1))
    scores = found.users @ found.items[liars].T  # (u, 4)
    abroad_more = scores[user_island == 1].mean(axis=0) - scores[user_island == 0].mean(
        axis=0
    )  # (4,)
    assert abroad_more[0] < 0, "never met: it is what it says"
    assert abroad_more[3] > 0, "met ten times: it is what it does"
    assert (np.diff(abroad_more) > 0).all(), "in between it moves step by step"


def test_what_is_compared_is_reported() -> None:
    reports: list[dict[str, float]] = []
    Fusion(dim=4, epochs=2).fit(
        world()[0], Run(seed=1, on_report=lambda _, values: reports.append(values))
    )
    assert {f"recall@20_prior_{strength}" for strength in (1, 10, 100, 1000)} < set(
        reports[0]
    )
    assert set(reports[1]) == {"loss"}


def test_attributes_make_a_tower_and_vectors_do_not() -> None:
    data, _, island = world()
    found = Fusion(dim=8, prior_strength=1e6).fit(data, Run(seed=1))
    tower = found.towers["item"]
    assert [row[:3] for row in tower.rows][:3] == [
        ("", "always", None),
        ("kind", "category", None),
        ("kind", "category", "island 0"),
    ]
    np.testing.assert_allclose(
        tower.table[0] + tower.table[2], found.items[island == 0][0], atol=1e-2
    )
    vectors = world(vector=list(np.eye(ISLANDS)[island]))[0]
    assert not Fusion(dim=8, prior_strength=1.0).fit(vectors, Run(seed=1)).towers


def test_what_cannot_be_fused_is_refused() -> None:
    with pytest.raises(BadFeatures, match="learns from what is known of items"):
        Fusion().fit(islands()[0], Run())
    wide = world(vector=[[0.0] * 5000] * 40)[0]
    with pytest.raises(
        BadFeatures, match="5,000 values and numbers, where fusion takes 4,096"
    ):
        Fusion().fit(wide, Run())
    for options in (
        {"prior_strength": 0},
        {"reg": 0},
        {"unobserved_weight": -1},
        {"epochs": 0},
    ):
        with pytest.raises(BadOption):
            Fusion(**options)
