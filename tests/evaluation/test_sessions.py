"""What comes next: which events are asked about, and what each model has read before them."""

from __future__ import annotations

import numpy as np
import pytest

from embsql.data import Embeddings, FoldIn
from embsql.evaluation import metrics
from embsql.evaluation import sessions as asking
from embsql.evaluation.evaluator import Evaluator
from embsql.evaluation.sessions import Sessions, sessions, vectors_after
from embsql.evaluation.splits import split
from embsql.run import Run
from tests.evaluation.worlds import eventful

N_USERS, N_ITEMS = 12, 9


def walks(seed: int = 0):
    """Random events with repeats, some of one moment, weights of 1 to 3."""
    rng = np.random.default_rng(seed)
    rows = [
        (
            user,
            int(rng.integers(N_ITEMS)),
            int(rng.integers(40)),
            int(rng.integers(1, 4)),
        )
        for user in range(N_USERS)
        for _ in range(int(rng.integers(1, 14)))
    ]
    return eventful(rows, (N_USERS, N_ITEMS))


def in_order(data) -> list[tuple[int, int, int, float]]:
    """User, item, time and weight of every event, as they happened."""
    events = data.events_by_time()
    columns = (
        data.user[events.pair],
        data.item[events.pair],
        events.time,
        events.weight,
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


def rows_of(matrix) -> list[dict[int, float]]:
    """The rows of a sparse matrix as dictionaries."""
    bounds = zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True)
    return [
        dict(zip(matrix.indices[a:b].tolist(), matrix.data[a:b].tolist(), strict=True))
        for a, b in bounds
    ]


def test_every_event_after_the_cut_is_asked_from_those_before_it() -> None:
    """Against the plainest way: what each prefix holds, with repeats, and without unknown items."""
    data = walks()
    parts = split(data, "next")
    every = in_order(data)
    border = sorted(time for _, _, time, _ in every)[
        len(every) - round(0.2 * len(every))
    ]
    known = {item for _, item, time, _ in every if time < border}
    wanted = [
        ([e for e in every[:n] if e[0] == user and e[1] in known], item)
        for n, (user, item, time, _) in enumerate(every)
        if time >= border and n and every[n - 1][0] == user
    ]
    assert wanted
    assert parts.sessions is not None
    assert parts.sessions.target.tolist() == [item for _, item in wanted]
    mask = np.isin(np.arange(N_ITEMS), list(known))
    prefixes = parts.sessions.prefixes(mask)
    assert rows_of(prefixes.items()) == [
        dict.fromkeys((item for _, item, _, _ in prefix), 1) for prefix, _ in wanted
    ]
    for average in (False, True):
        plain = []
        for prefix, _ in wanted:
            weights: dict[int, list[float]] = {}
            for _, item, _, weight in prefix:
                weights.setdefault(item, []).append(weight)
            share = np.mean if average else np.sum
            plain.append({item: float(share(of)) for item, of in weights.items()})
        found = rows_of(prefixes.pairs(average=average))
        assert [row.keys() for row in found] == [row.keys() for row in plain]
        for one, other in zip(found, plain, strict=True):
            assert one == pytest.approx(other)
    late = [n for n, event in enumerate(every) if event[2] >= border]
    assert parts.facts["events"] == len(wanted)
    assert parts.facts["events without a prefix"] == len(late) - len(wanted)
    assert parts.facts["events not drawn"] == 0
    assert parts.facts["events of unknown items"] == sum(
        i not in known for _, i in wanted
    )
    assert parts.facts["prefixes without known items"] == sum(not p for p, _ in wanted)


def test_an_endless_session_is_drawn_from(monkeypatch) -> None:
    """What is read stays bounded; the same seed draws the same; something is always asked."""
    n = 1_000_000
    zeros = np.zeros(n, np.int32)
    endless = Sessions(zeros, zeros, np.ones(n, np.float32), None, np.arange(1, n))
    drawn = endless.drawn(1)
    assert len(drawn.asked) > 100
    assert (drawn.asked - drawn.begin).sum() <= asking.MAX_READ
    assert (np.diff(drawn.asked) > 0).all()
    assert drawn.asked.tolist() == endless.drawn(1).asked.tolist()
    assert drawn.prefixes(np.ones(1, bool)).pairs(average=False).data.tolist() == (
        drawn.asked.tolist()
    )
    monkeypatch.setattr(asking, "MAX_READ", 3)
    assert len(endless.drawn(1).asked) == 1
    monkeypatch.setattr(asking, "MAX_READ", 2**40)
    monkeypatch.setattr(asking, "MAX_ASKED", 7)
    assert len(endless.drawn(1).asked) == 7


def test_a_fold_in_is_of_the_prefix_alone() -> None:
    """The mean of the items before, by weight; nothing where none of them has a vector."""
    data = walks(3)
    every = sessions(data, np.ones(len(data.events_by_time()), bool))
    items = np.eye(N_ITEMS, dtype=np.float32)
    known = np.arange(N_ITEMS) != 4
    model = Embeddings(
        np.empty((0, N_ITEMS), np.float32), items, fold_in=FoldIn("mean")
    )
    made = vectors_after(every, model, known, Run(threads=1))
    pairs = rows_of(every.prefixes(known).pairs(average=False))
    assert made.known.tolist() == [bool(row) for row in pairs]
    for vector, row in zip(made.vectors, pairs, strict=True):
        total = sum(row.values()) or 1
        wanted = {item: weight / total for item, weight in row.items()}
        assert dict(enumerate(vector.tolist())) == pytest.approx(
            dict.fromkeys(range(N_ITEMS), 0.0) | wanted
        )


def test_a_model_that_knows_what_comes_is_perfect_beside_baselines_asked_the_same() -> (
    None
):
    """Everybody comes again for the same item, which lists may hold."""
    rows = [
        (user, user % 9, 1000 * n + user, 1) for user in range(45) for n in range(2)
    ]
    rows += [(45, 8, 0, 1), (46, 8, 1, 1)]
    parts = split(eventful(rows, (47, N_ITEMS)), "next")
    evaluator = Evaluator.prepare(parts, Run(threads=1), k=(1, N_ITEMS))
    eye = np.eye(N_ITEMS, dtype=np.float32)
    figures = evaluator.measure(Embeddings(np.empty((0, N_ITEMS), np.float32), eye))
    values = {(f.segment, f.metric, f.k): f for f in figures}
    assert len(evaluator.questions.users) == 18  # a fifth of 92 events
    top = values["all", "hit_rate", 1]
    assert (top.value, top.ci_low, top.ci_high) == (1, 1, 1)
    assert top.popular_value == pytest.approx(2 / 18)  # item 8 is that of two
    assert values["all", "mrr", N_ITEMS].value == 1
    assert values["all", "hit_rate", N_ITEMS].itemknn_value == 1


def test_intervals_are_over_sessions() -> None:
    """A session whose events are all alike counts once: as many times more of it are no surer."""
    rng = np.random.default_rng(0)
    of_session = rng.random((50, 1)).round()
    repeated = np.repeat(of_session, 20, axis=0)
    group = np.repeat(np.arange(50), 20).astype(np.int32)
    assert metrics.intervals(repeated, 1, group) == metrics.intervals(of_session, 1)
    low, high = metrics.intervals(repeated, 1)
    wide_low, wide_high = metrics.intervals(repeated, 1, group)
    assert (high - low) * 3 < wide_high - wide_low
