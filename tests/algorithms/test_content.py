"""Users made of given vectors: means by hand, the least-squares solution by numpy."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from embsql.algorithms.content import Content
from embsql.algorithms.half_als import HalfALS
from embsql.algorithms.neural_content import NeuralContent
from embsql.data import Interactions
from embsql.errors import BadFeatures, BadOption
from embsql.features.time import DAY
from embsql.run import Run
from tests.worlds import interactions

VECTORS = [[2.0, 0.0], [0.0, 3.0], [3.0, 4.0], None]
PAIRS = [(0, 0), (0, 1), (1, 2), (1, 3), (2, 3)]


def world(
    vectors: list[list[float] | None] = VECTORS, **weights: list[float]
) -> Interactions:
    data = interactions(PAIRS, **weights)
    return dataclasses.replace(
        data, item_features=pa.table({"kind": ["a"] * 4, "text": pa.array(vectors)})
    )


def direction(x: list[float]) -> np.ndarray:
    return np.array(x) / np.linalg.norm(x)


def test_a_user_is_the_mean_of_directions() -> None:
    found = Content().fit(world(), Run())
    np.testing.assert_allclose(found.users, [[0.5, 0.5], [0.3, 0.4], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(
        found.items, [[1, 0], [0, 1], [0.6, 0.8], [0, 0]], atol=1e-6
    )
    assert found.similarity == "cosine"


def test_weights_count_unless_they_should_not() -> None:
    data = world(weights=[3.0, 1.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(
        Content().fit(data, Run()).users[0], [0.75, 0.25], atol=1e-6
    )
    np.testing.assert_allclose(
        Content(weighting="equal").fit(data, Run()).users[0], [0.5, 0.5], atol=1e-6
    )


def test_what_is_old_counts_less() -> None:
    data = dataclasses.replace(world(), time=np.array([0, 20, 0, 0, 0], np.int64) * DAY)
    np.testing.assert_allclose(
        Content(half_life=10).fit(data, Run()).users[0], [0.2, 0.8], atol=1e-6
    )
    with pytest.raises(BadOption, match="event_time"):
        Content(half_life=10).fit(world(), Run())


def test_what_is_disliked_is_taken_off() -> None:
    data = world(weights=[5.0, 1.0, 4.0, 1.0, 1.0])
    liked = Content(like_threshold=4, dislike_weight=0.5, weighting="equal").fit(
        data, Run()
    )
    np.testing.assert_allclose(liked.users, [[1, -0.5], [0.6, 0.8], [0, 0]], atol=1e-6)


def test_two_profiles_rank_as_one_and_are_read_apart() -> None:
    data = world(weights=[5.0, 1.0, 4.0, 1.0, 1.0])
    one = Content(like_threshold=4, dislike_weight=0.8, weighting="equal").fit(
        data, Run()
    )
    two = Content(
        like_threshold=4, dislike_weight=0.8, weighting="equal", separate_profiles=True
    ).fit(data, Run())
    np.testing.assert_allclose(
        two.users, [[1, 0, 0, 1], [0.6, 0.8, 0, 0], [0, 0, 0, 0]], atol=1e-6
    )
    lengths = np.linalg.norm(two.items, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(
        two.users @ two.items.T * np.hypot(1, 0.8), one.users @ one.items.T, atol=1e-6
    )
    np.testing.assert_allclose(
        two.items @ two.items.T, one.items @ one.items.T, atol=1e-6
    )


def test_users_are_alike_in_two_profiles_when_they_like_and_dislike_the_same() -> None:
    """Both like east; one dislikes north, one south: as one vector they differ more than their
    likes do.
    """
    vectors = [[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 0.0]]
    data = interactions(
        [(0, 0), (0, 1), (1, 0), (1, 2), (2, 3), (2, 1)], [5.0, 1.0, 5.0, 1.0, 5.0, 1.0]
    )
    data = dataclasses.replace(data, item_features=pa.table({"v": pa.array(vectors)}))
    users = (
        Content(like_threshold=4, weighting="equal", separate_profiles=True)
        .fit(data, Run())
        .users
    )
    assert (users[:, :2] == users[0, :2]).all(), "the first half is what each likes"
    assert users[0] @ users[2] > users[0] @ users[1]


def test_two_profiles_fit_into_a_stored_vector() -> None:
    wide = [None, None, None, [1.0] + [0.0] * 8000]
    with pytest.raises(
        BadFeatures, match="vectors of 8,001, where two profiles take 8,000"
    ):
        Content(like_threshold=4, weighting="equal", separate_profiles=True).fit(
            world(wide), Run()
        )


def test_dual_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(0)
    pairs = sorted(
        {
            (int(u), int(i))
            for u, i in zip(
                rng.integers(0, 30, 400), rng.integers(0, 25, 400), strict=True
            )
        }
    )
    weight = rng.random(len(pairs)) + 0.5
    items = rng.standard_normal((25, 6)).astype(np.float32) * 3
    data = interactions(pairs, list(weight))
    data = dataclasses.replace(
        data, item_features=pa.table({"v": list(items.astype(np.float64))})
    )
    found = HalfALS(reg=0.02, reg_exponent=0.7).fit(data, Run())
    assert (found.items == items).all()
    unseen, reg = 15 * len(pairs) / (30 * 25), 0.02 * np.square(items).sum() / 25
    for user in range(30):
        mine, amount = (
            items[data.item[data.user == user]],
            data.weight[data.user == user] / data.weight.mean(),
        )
        ridge = reg * (amount.sum() + unseen * 25) ** 0.7
        matrix = unseen * items.T @ items + (mine.T * amount) @ mine + ridge * np.eye(6)
        np.testing.assert_allclose(
            found.users[user],
            np.linalg.solve(matrix, mine.T @ amount),
            rtol=1e-3,
            atol=1e-5,
        )


def test_the_unit_of_the_vectors_does_not_matter_to_dual() -> None:
    one = HalfALS().fit(world(), Run())
    ten = HalfALS().fit(
        world([None if v is None else [10 * x for x in v] for v in VECTORS]), Run()
    )
    np.testing.assert_allclose(
        one.users @ one.items.T, ten.users @ ten.items.T, atol=1e-5
    )


def test_items_are_solved_for_users_as_users_for_items() -> None:
    """The world turned over: who was a user is an item."""
    rng = np.random.default_rng(0)
    pairs = sorted(
        {
            (int(u), int(i))
            for u, i in zip(
                rng.integers(0, 30, 400), rng.integers(0, 25, 400), strict=True
            )
        }
    )
    weight, given = (
        rng.random(len(pairs)) + 0.5,
        rng.standard_normal((30, 6)).astype(np.float32),
    )
    data = dataclasses.replace(
        interactions(pairs, list(weight)), user_features=pa.table({"v": list(given)})
    )
    turned = interactions([(i, u) for u, i in pairs], list(weight))
    turned = dataclasses.replace(turned, item_features=pa.table({"v": list(given)}))
    one, other = (
        HalfALS(fixed_side="users", reg=0.02).fit(data, Run()),
        HalfALS(reg=0.02).fit(turned, Run()),
    )
    assert (one.users == given).all()
    np.testing.assert_allclose(one.items, other.users, atol=1e-5)
    with pytest.raises(
        BadFeatures, match=r"user_features gives nothing, as it is left out"
    ):
        HalfALS(fixed_side="users").fit(world(), Run())


@pytest.mark.parametrize("algorithm", [Content, HalfALS, NeuralContent])
@pytest.mark.parametrize(
    ("vectors", "complaint"),
    [
        ([[1.0], [1.0, 2.0], None, None], "vectors of 1 and 2"),
        (
            [[1.0, float("nan")], None, None, None],
            "NaN, NULL or infinity in 1 vectors, for example that of i000",
        ),
        ([None, [1.0, None], None, None], "for example that of i001"),
        ([[1e300], None, None, None], "infinity"),
        ([None, None, None, [0.0] * 16_001], "vectors of 16,001"),
    ],
)
def test_vectors_that_are_none_are_refused(
    algorithm: type, vectors: list, complaint: str
) -> None:
    with pytest.raises(BadFeatures, match=complaint):
        algorithm().fit(world(vectors), Run())


def test_the_length_of_vectors_does_not_matter() -> None:
    usual = Content().fit(world(), Run())
    for length in (2.0**-120, 2.0**120):
        scaled = [vector and [length * x for x in vector] for vector in VECTORS]
        np.testing.assert_array_equal(
            Content().fit(world(scaled), Run()).items, usual.items
        )


def test_which_column_must_be_clear() -> None:
    with pytest.raises(BadFeatures, match=r'no vectors "image", but vectors in text'):
        Content(vector_col="image").fit(world(), Run())
    with pytest.raises(
        BadFeatures, match="item_features gives nothing, as it is left out"
    ):
        HalfALS().fit(interactions(PAIRS), Run())
    two = dataclasses.replace(
        world(),
        item_features=pa.table({"a": pa.array(VECTORS), "b": pa.array(VECTORS)}),
    )
    with pytest.raises(BadFeatures, match="but vectors in a, b"):
        Content().fit(two, Run())
    assert Content(vector_col="b").fit(two, Run()).finite()


def test_bad_options() -> None:
    for options in (
        {"half_life": 0},
        {"dislike_weight": -1},
        {"like_threshold": 4, "weighting": "weight"},
        {"separate_profiles": True},
    ):
        with pytest.raises(BadOption):
            Content(**options)
    for options in (
        {"reg": 0},
        {"reg_exponent": -1},
        {"unobserved_weight": float("inf")},
    ):
        with pytest.raises(BadOption):
            HalfALS(**options)
