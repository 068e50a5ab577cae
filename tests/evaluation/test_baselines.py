from __future__ import annotations

import numpy as np
import pytest

from embsql.evaluation import baselines
from embsql.run import Run
from tests.evaluation.worlds import coded, crowd, items_of, plain_ranking

pytestmark = pytest.mark.usefixtures("numeric_path")


def matrix(data):
    x = np.zeros((data.n_users, data.n_items))
    x[data.user, data.item] = 1
    return x


def counts(data):
    return np.bincount(data.item, minlength=data.n_items)  # (n_items,)


def test_popular_counts_pairs_and_breaks_ties_by_code():
    data = coded(
        [0, 0, 1, 1, 2, 2, 3], [1, 3, 1, 3, 0, 2, 4], shape=(5, 6)
    )  # counts 1 2 1 2 1 0
    assert baselines.popular(counts(data), data.by_user(), 4).tolist() == [
        [0, 2, 4, -1],
        [0, 2, 4, -1],
        [1, 3, 4, -1],
        [1, 3, 0, 2],
        [1, 3, 0, 2],
    ]


def test_item_knn_is_its_formula(monkeypatch):
    monkeypatch.setattr(baselines, "N_NEIGHBORS", 5)
    data = crowd(80, 30, 500, 2)
    x, share = matrix(data), matrix(data).sum(axis=0) / len(np.unique(data.user))
    cosine = x.T @ x / np.sqrt(np.outer(x.sum(axis=0), x.sum(axis=0)).clip(1))
    np.fill_diagonal(cosine, 0)
    weight = np.zeros_like(cosine)
    for j in range(30):
        near = [
            i
            for i in np.lexsort((np.arange(30), -np.float32(cosine[j])))[:5]
            if cosine[j, i] > 0
        ]
        weight[j, near] = cosine[j, near] / max(cosine[j, near].sum(), 1e-12)
    scores = share + (x - share) @ weight.T
    scores[:, x.sum(axis=0) == 0] = -np.inf
    found = baselines.item_knn(data, data.by_user(), 8, Run())
    for user in range(80):
        ranked = plain_ranking(scores[user], items_of(data, user), 8)
        listed = [int(item) for item in found[user] if item >= 0]
        assert np.allclose(
            scores[user][listed], scores[user][ranked], atol=1e-6
        )  # equal scores may change places
        assert not set(listed) & items_of(data, user)


def test_what_nobody_has_is_never_recommended():
    data = coded(
        [0, 0, 1, 1, 2], [1, 2, 2, 4, 4], shape=(4, 6)
    )  # nobody has 0, 3 and 5
    for found in (
        baselines.item_knn(data, data.by_user(), 6, Run()),
        baselines.popular(counts(data), data.by_user(), 6),
    ):
        assert set(found.ravel().tolist()) == {-1, 1, 2, 4}


def test_threads_do_not_matter():
    data = crowd(200, 90, 3000, 3)
    one, many = (
        baselines.item_knn(data, data.by_user(), 10, Run(threads=threads))
        for threads in (1, 4)
    )
    assert (one == many).all()


def test_islands_stay_apart():
    """Items that share users with nothing else are recommended to those users first."""
    island = np.repeat([0, 1, 2], 200)
    rng = np.random.default_rng(4)
    data = coded(
        island * 20 + rng.integers(0, 20, 600),
        island * 10 + rng.integers(0, 10, 600),
        shape=(60, 30),
    )
    found = baselines.item_knn(data, data.by_user(), 1, Run())[:, 0]
    asked = (
        data.by_user().counts < 10
    )  # who has a whole island left has nothing more to be told
    assert (found[asked] // 10 == np.arange(60)[asked] // 20).all()
