from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embsql.data import CsrMatrix
from embsql.numeric import topk
from embsql.numeric.topk import first_unseen, top_k
from embsql.run import Run
from tests.evaluation.worlds import crowd, items_of, plain_ranking

pytestmark = pytest.mark.usefixtures("numeric_path")


def vectors(n, dim, seed, kind):
    """Random vectors; small integers make many equal scores, all of them exact."""
    rng = np.random.default_rng(seed)
    whole = rng.integers(-2, 3, (n, dim))
    return (whole if kind == "ties" else rng.standard_normal((n, dim))).astype(
        np.float32
    )


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 300),
    m=st.integers(1, 30),
    k=st.integers(1, 50),
    threads=st.integers(1, 3),
    kind=st.sampled_from(["ties", "plain"]),
    biased=st.booleans(),
    seed=st.integers(0, 9),
)
def test_same_as_sorting(*, n, m, k, threads, kind, biased, seed):
    users, items = vectors(m, 4, seed, kind), vectors(n, 4, seed + 1, kind)
    history = crowd(m, n, 3 * m, seed)
    bias = vectors(n, 1, seed + 2, "ties")[:, 0] if biased else None
    codes, scores = top_k(
        users,
        items,
        k,
        seen=history.by_user(),
        item_bias=bias,
        run=Run(threads=threads),
    )
    expected = users @ items.T + (0 if bias is None else bias)
    for user in range(m):
        ranked = plain_ranking(expected[user], items_of(history, user), k)
        assert codes[user].tolist() == ranked + [-1] * (k - len(ranked))
        assert np.allclose(
            scores[user][: len(ranked)], expected[user][ranked], atol=1e-5
        )


def test_tiles_and_threads_do_not_matter(monkeypatch):
    users, items = vectors(101, 8, 1, "plain"), vectors(997, 8, 2, "plain")
    whole = top_k(users, items, 20, run=Run())
    monkeypatch.setattr(topk, "TILE_USERS", 7)
    monkeypatch.setattr(topk, "TILE_ITEMS", 60)
    for threads in (1, 2, 5):
        codes, scores = top_k(users, items, 20, run=Run(threads=threads))
        assert (codes == whole[0]).all()
        assert np.allclose(scores, whole[1])


def test_what_is_seen_and_the_biases_reach_every_tile(monkeypatch):
    users, items = vectors(31, 8, 1, "plain"), vectors(97, 8, 2, "plain")
    bias = np.random.default_rng(3).standard_normal(97).astype(np.float32)
    seen = CsrMatrix(
        np.arange(0, 31 * 40 + 1, 40),
        np.tile(np.arange(0, 80, 2, dtype=np.int32), 31),
        np.ones(31 * 40, "f4"),
    )
    monkeypatch.setattr(topk, "TILE_USERS", 5)
    monkeypatch.setattr(topk, "TILE_ITEMS", 10)
    codes, scores = top_k(users, items, 20, seen=seen, item_bias=bias, run=Run())
    right = users @ items.T + bias
    right[:, 0:80:2] = -np.inf
    order = np.argsort(-right, axis=1)[:, :20]
    assert (codes == order).all()
    assert np.allclose(scores, np.take_along_axis(right, order, 1), atol=1e-5)


def test_cosine_is_the_product_of_directions_and_leaves_out_zero():
    users, items = vectors(20, 3, 3, "plain"), vectors(50, 3, 4, "plain")
    items[7] = 0
    users[0] = 0
    codes, scores = top_k(users * 9, items * 5, 50, similarity="cosine", run=Run())
    assert (codes[0] == -1).all()
    assert not (codes == 7).any()
    assert (codes[1:, :49] >= 0).all()
    assert scores[codes >= 0].max() <= 1 + 1e-6


def test_what_is_not_finite_is_never_chosen():
    items = np.ones((6, 2), np.float32)
    items[1], items[2], items[3] = np.nan, np.inf, -np.inf
    bias = np.array([0, 0, 0, 0, -np.inf, 1], np.float32)
    codes, scores = top_k(
        np.ones((1, 2), np.float32), items, 6, item_bias=bias, run=Run()
    )
    assert codes.tolist() == [[5, 0, -1, -1, -1, -1]]
    assert not np.isnan(scores).any()


def test_an_item_can_be_kept_out_of_its_own_neighbors():
    items, n = vectors(30, 4, 5, "plain"), 30
    own = CsrMatrix(
        np.arange(n + 1), np.arange(n, dtype=np.int32), np.ones(n, np.float32)
    )
    codes, _ = top_k(items, items, n, seen=own, run=Run())
    assert all(set(codes[i]) == {*range(n), -1} - {i} for i in range(n))


def test_a_list_has_a_length():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        top_k(np.ones((1, 2), np.float32), np.ones((3, 2), np.float32), 0, run=Run())


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_nothing_gives_nothing(shape):
    codes, scores = top_k(
        np.ones((shape[0], 2), np.float32),
        np.ones((shape[1], 2), np.float32),
        3,
        run=Run(),
    )
    assert codes.shape == scores.shape == (shape[0], 3)
    assert (codes == -1).all()


def test_first_unseen_walks_one_order():
    history = crowd(30, 12, 200, 6)
    order = np.random.default_rng(7).permutation(12).astype(np.int32)
    codes = first_unseen(order, history.by_user(), 5, 12)
    for user in range(30):
        left = [code for code in order.tolist() if code not in items_of(history, user)][
            :5
        ]
        assert codes[user].tolist() == left + [-1] * (5 - len(left))
