from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embsql.errors import InvalidArgument, NotEvaluated
from embsql.evaluation.splits import METHODS, Cut, by_time, resolve_split, split
from tests.evaluation.worlds import coded, crowd, eventful

WHOLE = METHODS.keys() - {"next"}  # of which whole pairs are on either side
EVENTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(-3, 12)), max_size=60
)


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
@given(EVENTS, st.sampled_from(sorted(WHOLE)), st.integers(0, 3), st.floats(0.05, 0.95))
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
        last = set(
            data.item[mine & (data.time == data.time[mine].max(initial=-99))].tolist()
        )
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
    data = coded(
        np.repeat(np.arange(100), 10), np.tile(np.arange(10), 100), np.arange(1000)
    )
    assert len(split(data, "time", fraction=0.2).held_out) == 200


WEIGHED = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, 4), st.integers(0, 9), st.integers(1, 5)
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(WEIGHED, st.floats(0.05, 0.95), st.booleans(), st.booleans())
def test_time_cuts_events(rows, fraction, average, repeats):
    """In the plainest way: what was before is known with its weights until then, what begins later
    is asked.
    """
    times = sorted(row[2] for row in rows)
    border = times[len(times) - max(1, round(len(times) * fraction))]
    cut = next((t for t in times if t > border), 99) if border == times[0] else border
    before: dict = {}
    for user, item, time, weight in rows:
        if time < cut:
            before.setdefault((user, item), []).append((time, weight))
    later = {row[:2] for row in rows if row[2] >= cut}
    asked = later if repeats else later - set(before)
    parts = tried(
        eventful(rows, (4, 5)),
        "time",
        fraction=fraction,
        average=average,
        repeats=repeats,
    )
    if not asked:
        assert parts is None
        return
    assert set(pairs(parts.held_out)) == asked
    assert parts.facts == {"known pairs": len(later & set(before))}
    assert parts.name == ("time+repeats" if repeats else "time")
    wanted = {
        key: (
            max(t for t, _ in own),
            sum(w for _, w in own) / (len(own) if average else 1),
        )
        for key, own in before.items()
    }
    train = parts.train
    assert pairs(train) == sorted(wanted)
    found = zip(train.time.tolist(), train.weight.tolist(), strict=True)
    assert [(t, pytest.approx(w)) for t, w in found] == [
        wanted[key] for key in sorted(wanted)
    ]
    order = [(train.user[p], train.item[p]) for p in train.events.pair]
    kept = [
        row[:2]
        for row in sorted(rows, key=lambda row: (row[0], row[2]))
        if row[2] < cut
    ]
    assert order == kept


def test_what_comes_after_the_cut_changes_nothing_before_it():
    rows = [(0, 0, 1, 2), (0, 1, 2, 1), (1, 0, 3, 1)]
    later = [(0, 0, 8, 50), (0, 2, 8, 1), (1, 0, 9, 7), (1, 2, 9, 1)]
    plain, more = (
        by_time(
            eventful(rows + extra, (2, 3)),
            Cut(0, 0.2, average=False, repeats=False, after=5),
        )
        for extra in (later[1:2], later)
    )
    assert (plain.train.weight == more.train.weight).all()
    assert (plain.train.time == more.train.time).all()
    assert pairs(more.held_out) == [(0, 2), (1, 2)]


def test_repeats_are_of_time_alone():
    for method in ("last", "random", "auto"):
        with pytest.raises(InvalidArgument, match="repeats must be false with split"):
            split(crowd(), method, repeats=True)


def staples(reverse: bool):
    """Who buys five articles on each of two days, the first of them always the staple: item 0, or
    the last item.
    """
    rng = np.random.default_rng(5)
    item = np.concatenate(
        [
            1
            + np.sort(
                rng.permuted(np.tile(np.arange(40), (3000, 1)), axis=1)[:, :9]
            ).ravel()
        ]
    )
    user, time = (
        np.repeat(np.arange(3000), 9),
        np.tile([0, 0, 0, 0, 0, 1, 1, 1, 1], 3000),
    )
    user, item = (
        np.concatenate((user, np.arange(3000))),
        np.concatenate((item, np.zeros(3000, int))),
    )
    return coded(
        user,
        40 - item if reverse else item,
        np.concatenate((time, np.ones(3000, int))),
        (3000, 41),
    )


def test_names_do_not_decide_which_of_tied_pairs_is_last():
    """Of five that are last one is the staple: it is a fifth of what is held out, however items are
    named.
    """
    for reverse in (False, True):
        parts = split(staples(reverse), "last", seed=3)
        share = np.mean(parts.held_out.item == (40 if reverse else 0))
        assert abs(share - 1 / 5) < 4 * np.sqrt(0.2 * 0.8 / 3000)
        assert parts.facts == {"tied users": 3000}


def test_a_draw_is_a_matter_of_the_seed():
    data = staples(reverse=False)
    assert pairs(split(data, "last", seed=1).held_out) == pairs(
        split(data, "last", seed=1).held_out
    )
    assert pairs(split(data, "last", seed=1).held_out) != pairs(
        split(data, "last", seed=2).held_out
    )


def test_random_is_a_matter_of_the_seed():
    data = crowd()
    assert pairs(split(data, "random", seed=1).held_out) == pairs(
        split(data, "random", seed=1).held_out
    )
    assert pairs(split(data, "random", seed=1).held_out) != pairs(
        split(data, "random", seed=2).held_out
    )


@pytest.mark.parametrize("method", ["last", "random"])
def test_a_part_of_the_users_is_cut_as_the_whole_is(method):
    data = crowd()
    whole = METHODS[method](data, Cut(3, 0.2, average=False, repeats=False))
    held, first = [], 0
    for low, high in ((0, 7), (7, 8), (8, data.n_users)):
        part = data.where((data.user >= low) & (data.user < high))
        cut = Cut(3, 0.2, average=False, repeats=False, first=first)
        held += pairs(METHODS[method](part, cut).held_out)
        first += len(part)
    assert held == pairs(whole.held_out)


def test_auto_is_last_with_time_and_random_without():
    data, timeless = crowd(), crowd(timed=False)
    assert resolve_split("auto", has_time=True) == "last"
    assert pairs(split(data, "auto").held_out) == pairs(split(data, "last").held_out)
    assert resolve_split("auto", has_time=False) == "random"
    assert pairs(split(timeless, "auto", seed=5).held_out) == pairs(
        split(timeless, "random", seed=5).held_out
    )


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
