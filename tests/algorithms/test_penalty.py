"""How much of interactions is noise: against singular values and closed walks, written out."""

from __future__ import annotations

import numpy as np
import pytest

from embsql.algorithms.als import ALS
from embsql.algorithms.svd import SVD
from embsql.data import Interactions
from embsql.factorization import penalty
from embsql.factorization.objective import IMPLICIT_REG
from embsql.run import Run
from tests.worlds import interactions

USERS, ITEMS = 240, 90


def pairs(groups: int, seed: int = 0) -> Interactions:
    """Users with as many items each, all of their own group where there are several."""
    chance = np.random.default_rng(seed)
    of_users = chance.integers(0, groups, USERS)
    of_items = np.arange(ITEMS) % groups
    likes = chance.random((USERS, ITEMS)) + (of_users[:, None] == of_items)
    found = np.argsort(-likes, axis=1)[:, :9]
    return interactions([(u, int(i)) for u in range(USERS) for i in found[u]])


def dense(data: Interactions) -> np.ndarray:
    """The normalized matrix."""
    found = np.zeros((data.n_users, data.n_items))
    found[data.user, data.item] = 1
    by_user = found.sum(1, keepdims=True)
    return found / np.sqrt(by_user * found.sum(0))


def test_noise_ends_where_it_is_said_to() -> None:
    """The largest singular value is popularity's, the second the largest of chance."""
    data = pairs(1)
    singular = np.linalg.svd(dense(data), compute_uv=False)
    assert singular[0] == pytest.approx(1)
    assert singular[1] == pytest.approx(penalty.noise(data, Run(1)).level, rel=0.1)


@pytest.mark.parametrize("groups", [1, 3, 6])
def test_structure_is_the_walks_around_two_users_and_two_items(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pairs(groups)
    matrix = dense(data)
    monkeypatch.setattr(penalty, "PROBES", 20_000)
    by_pair = matrix.T @ matrix
    around = by_pair**2 - np.square(matrix).T @ np.square(matrix)
    truth = around.sum() - np.diag(around).sum() - 1
    found = penalty.structure(data, Run(1))
    assert found == pytest.approx(max(truth, 0), rel=0.02, abs=0.02)


def test_noise_is_penalized_and_structure_is_not() -> None:
    """Pairs by chance are kept out of the factors; groups, each a direction, are left alone."""
    by_chance = penalty.noise(pairs(1), Run(1)).reg
    of_groups = penalty.noise(pairs(9), Run(1)).reg
    usual = penalty.THRESHOLD_TO_NOISE * penalty.noise(pairs(1), Run(1)).level / 16
    assert by_chance == pytest.approx(usual, rel=0.1)
    assert IMPLICIT_REG <= of_groups < by_chance / 2


def test_the_penalty_depends_on_the_data_alone() -> None:
    data = pairs(3)
    found = {penalty.noise(data, Run(s, threads=t)).reg for s, t in ((1, 1), (2, 3))}
    assert len(found) == 1


def test_defaults_are_what_fit_uses() -> None:
    data = pairs(1)
    asked = ALS(dim=4)
    found = asked.defaults(data, Run(1))
    assert set(found) == {"reg", "unobserved_weight"}
    given = ALS(dim=4, **found)
    assert given.defaults(data, Run(1)) == {}
    assert given.fit(data, Run(1)).checksum() == asked.fit(data, Run(1)).checksum()


@pytest.mark.parametrize(
    "options",
    [{"reg": 0.3}, {"alpha": 2.0}, {"reg_exponent": 0.5}, {"unobserved_weight": 0.1}],
    ids=str,
)
def test_noise_decides_nothing_with_an_option_that_it_goes_with(options: dict) -> None:
    found = ALS(**options).defaults(pairs(1), Run(1))
    assert found.get("reg", IMPLICIT_REG) == IMPLICIT_REG
    assert not set(found) & set(options)


def test_svd_leaves_noise_out() -> None:
    """Of pairs by chance little is left but popularity; where groups are plain, all is."""
    kept = {}
    for groups in (1, 3):
        made = SVD(dim=8).fit(pairs(groups), Run(1))
        kept[groups] = int(made.items.any(axis=0).sum())
    assert 1 <= kept[1] < 6
    assert kept[3] == 8
