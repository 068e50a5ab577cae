"""Coded rows become ordered pairs: against a dictionary, and where sums could depend on the order
of rows.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embsql.numeric.aggregate import by_pair
from embsql.run import Run

pytestmark = pytest.mark.usefixtures("numeric_path")

ROWS = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 7), st.floats(0.1, 9), st.integers(-5, 5)
    ),
    max_size=60,
)


def pairs(rows, *, threads: int = 2, average: bool = False, timed: bool = True):
    user, item, weight, time = (
        (list(column) for column in zip(*rows, strict=True))
        if rows
        else ([], [], [], [])
    )
    times = np.array(time, np.int64) if timed else None
    columns = (
        np.array(user, np.int32),
        np.array(item, np.int32),
        np.array(weight, np.float64),
        times,
    )
    return by_pair(*columns, (6, 8), Run(threads=threads), average=average)


@given(ROWS, st.booleans(), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_same_as_a_dictionary(rows, average: bool, threads: int) -> None:
    expected = defaultdict(list)
    for user, item, weight, time in rows:
        expected[user, item].append((weight, time))
    users, items, weights, times = pairs(rows, threads=threads, average=average)
    assert list(zip(users.tolist(), items.tolist(), strict=True)) == sorted(expected)
    for weight, time, key in zip(weights, times, sorted(expected), strict=True):
        given_weights = [w for w, _ in expected[key]]
        total = sum(given_weights) / (len(given_weights) if average else 1)
        assert weight == pytest.approx(total, rel=1e-6)
        assert time == max(t for _, t in expected[key])


@given(ROWS, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_rows_does_not_matter(rows, random) -> None:
    shuffled = random.sample(rows, len(rows))
    for one, other in zip(pairs(rows), pairs(shuffled, threads=3), strict=True):
        assert one.tobytes() == other.tobytes()


def test_without_time() -> None:
    assert pairs([(1, 2, 1.0, 0), (0, 3, 2.0, 0)], timed=False)[3] is None


def test_a_pair_repeated_very_often() -> None:
    rng = np.random.default_rng(0)
    n = 200_000
    zeros = np.zeros(n, np.int32)
    _, _, weights, _ = by_pair(
        zeros, zeros, rng.random(n), None, (1, 1), Run(), average=True
    )
    assert weights[0] == pytest.approx(0.5, abs=0.01)
