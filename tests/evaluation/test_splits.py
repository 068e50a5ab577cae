from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embsql.errors import NotEvaluated
from embsql.splits import METHODS, named, split
from tests.evaluation.worlds import coded, crowd

EVENTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(-3, 12)), max_size=60)


def pairs(data):
    return list(zip(data.user.tolist(), data.item.tolist(), strict=True))


def events(drawn, timed=True):
    user, item, time = zip(*drawn, strict=True) if drawn else ((), (), ())
    return coded(user, item, time if timed else None, (7, 9))


def tried(data, method, **options):
    """The split, or None where nothing can be held out."""
    try:
        return split(data, method, **options)
    except NotEvaluated:
        return None


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.sampled_from(sorted(METHODS)), st.integers(0, 3), st.floats(0.05, 0.95))
def test_parts_make_up_the_whole_and_keep_its_order(drawn, method, seed, fraction):
    data = events(drawn)
    parts = tried(data, method, seed=seed, fraction=fraction)
    if parts:
        train, held = parts.train, parts.held_out
        assert sorted(pairs(train) + pairs(held)) == pairs(data)
        assert pairs(train) == sorted(pairs(train))
        assert pairs(held) == sorted(pairs(held))
        assert len(train)
        assert len(held)
        assert train.users is data.users
        assert held.items is data.items


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.integers(0, 3))
def test_last_holds_out_a_last_pair_of_everyone_with_two(drawn, seed):
    data = events(drawn)
    parts = tried(data, "last", seed=seed)
    held = dict(pairs(parts.held_out)) if parts else {}
    assert len(held) == (len(parts.held_out) if parts else 0)
    tied = 0
    for user in range(7):
        mine = data.user == user
        last = set(data.item[mine & (data.time == data.time[mine].max(initial=-99))].tolist())
        assert (user in held) == (mine.sum() > 1)
        assert user not in held or held[user] in last
        tied += len(last) > 1
    assert not parts or parts.facts == {"tied users": tied}


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.floats(0.01, 0.99))
def test_time_never_looks_ahead(drawn, fraction):
    parts = tried(events(drawn), "time", fraction=fraction)
    if parts:
        assert parts.train.time.max() < parts.held_out.time.min()


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.integers(0, 5), st.floats(0.01, 0.99))
def test_random_leaves_everyone_something_and_takes_something(drawn, seed, fraction):
    data = events(drawn, timed=False)
    parts = tried(data, "random", seed=seed, fraction=fraction)
    if parts:
        counts, held = data.by_user().counts, parts.held_out.by_user().counts
        assert (held[counts < 2] == 0).all()
        assert (held[counts >= 2] >= 1).all()
        assert (held < counts)[counts > 0].all()


def test_time_takes_about_the_fraction():
    data = coded(np.repeat(np.arange(100), 10), np.tile(np.arange(10), 100), np.arange(1000))
    assert len(split(data, "time", fraction=0.2).held_out) == 200


def test_random_is_a_matter_of_the_seed():
    data = crowd()
    assert pairs(split(data, "random", seed=1).held_out) == pairs(split(data, "random", seed=1).held_out)
    assert pairs(split(data, "random", seed=1).held_out) != pairs(split(data, "random", seed=2).held_out)


def test_auto_is_last_with_time_and_random_without():
    data, timeless = crowd(), crowd(timed=False)
    assert named(data, "auto") == "last"
    assert pairs(split(data, "auto").held_out) == pairs(split(data, "last").held_out)
    assert named(timeless, "auto") == "random"
    assert pairs(split(timeless, "auto", seed=5).held_out) == pairs(split(timeless, "random", seed=5).held_out)


@pytest.mark.parametrize("method", ["last", "time"])
def test_without_time_it_says_so(method):
    with pytest.raises(NotEvaluated, match=f"split '{method}' needs event_time"):
        split(crowd(timed=False), method)


def test_nothing_to_hold_out_is_said():
    single = coded([0, 1, 2], [0, 1, 2], [5, 5, 5])
    for method in METHODS:
        with pytest.raises(NotEvaluated, match="finds nothing to hold out"):
            split(single, method)
    with pytest.raises(NotEvaluated, match="there is no split 'sideways'"):
        split(single, "sideways")
    with pytest.raises(NotEvaluated, match=r"between 0 and 1, got 1\.5"):
        split(crowd(), "random", fraction=1.5)
