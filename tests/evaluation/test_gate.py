"""What the gate asks both runs, and what it makes of the answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embsql.data import Embeddings
from embsql.evaluation.splits import Split, split
from embsql.evaluation.tally import Metric
from embsql.lifecycle.gate import Candidate, Comparison, alike, anew, as_it_is, judged
from embsql.lifecycle.loaded import Loaded, Side
from embsql.run import Run
from tests.evaluation.worlds import coded, eventful

N = 6  # users, and items: user u has item u, is asked about u + 1


def ring(step: int):
    """Every user with one item."""
    users = np.arange(N)
    return coded(users, (users + step) % N, np.full(N, step), (N, N))


def pointing(step: int) -> Embeddings:
    """Vectors that recommend to every user the item so many steps on."""
    eye = np.eye(N, dtype=np.float32)
    return Embeddings(eye, np.roll(eye, -step, axis=1))


def candidate(embeddings: Embeddings, parts: Split, data, fit=None) -> Candidate:
    known = np.ones(parts.held_out.n_users, bool), np.ones(parts.held_out.n_items, bool)

    def never(_):
        raise AssertionError("nothing was to be trained")

    return Candidate(
        data, parts, embeddings, known, fit or never, False, Run(threads=1), 1, 0.05
    )


def stored(embeddings: Embeddings, pairs, users=slice(None)) -> Loaded:
    """A live run that has vectors of some users."""
    of_users = Side(
        pairs.users[users], embeddings.users[users], np.zeros(N, np.float32)[users]
    )
    return Loaded(
        of_users,
        Side(pairs.items, embeddings.items, np.zeros(N, np.float32)),
        "dot",
        pairs,
    )


def last() -> tuple[Split, object]:
    """Everybody has item u, and u + 1 is held out."""
    train, held = ring(0), ring(1)
    everything = coded(
        np.concatenate((train.user, held.user)),
        np.concatenate((train.item, held.item)),
        np.concatenate((train.time, held.time)),
        (N, N),
    )
    return Split("last", train, held), everything


def test_the_live_run_is_asked_as_it_is() -> None:
    parts, data = last()
    found = as_it_is(candidate(pointing(1), parts, data), stored(pointing(2), ring(0)))
    assert (found.basis, found.users, found.left_out) == ("vectors", N, 0)
    assert (found.new_value, found.live_value, found.difference) == (1, 0, 1)
    assert (found.ci_low, found.ci_high) == (1, 1)


def test_who_is_unknown_or_was_trained_on_the_answer_is_asked_neither() -> None:
    """The live run has no vector of user 0, and was trained on what user 1 is asked about."""
    parts, data = last()
    pairs = coded([*range(N), 1], [*range(N), 2], [0] * (N + 1), (N, N))
    live = stored(pointing(1), pairs, slice(1, None))
    live = replace(live, pairs=pairs)
    found = as_it_is(candidate(pointing(1), parts, data), live)
    assert (found.users, found.left_out) == (N - 2, 2)
    assert found.difference == 0
    nobody = stored(pointing(1), data)
    assert as_it_is(candidate(pointing(1), parts, data), nobody) is None


def test_who_looks_worse_without_what_the_live_run_has_seen_is_trained_once_more() -> (
    None
):
    """The evaluation lacks user 1's last pair, which the live run has seen."""
    parts, data = last()
    pairs = coded([*range(N), 1], [*range(N), 2], [0] * (N + 1), (N, N))
    given = []

    def fit(part):
        given.append(part)
        return pointing(1)

    found = as_it_is(
        candidate(pointing(2), parts, data, fit), stored(pointing(1), pairs)
    )
    assert (found.new_value, found.difference) == (1, 0)
    (part,) = given
    pairs_of_part = set(zip(part.user.tolist(), part.item.tolist(), strict=True))
    assert pairs_of_part == {(u, u) for u in range(N)} | {(1, 2)}
    found = as_it_is(
        candidate(pointing(2), parts, data, lambda _: pointing(3)),
        stored(pointing(1), pairs),
    )
    assert found.below(0.05)


def test_nothing_is_trained_when_the_live_run_has_seen_no_more() -> None:
    parts, data = last()
    found = as_it_is(candidate(pointing(2), parts, data), stored(pointing(1), ring(0)))
    assert found.below(0.05)
    assert found.difference == -1


def test_by_time_the_live_run_is_asked_about_what_it_has_not_seen() -> None:
    """The evaluation cuts at 5, the live run was trained at 7: both are asked about 8."""
    rows = [(u, u, 1, 1) for u in range(N)] + [
        (u, (u + 1) % N, 5 + u % 2 * 3, 1) for u in range(N)
    ]
    data = eventful(rows, (N, N))
    parts = split(data, "time", fraction=0.5)
    assert len(parts.held_out) == N
    seen = data.from_events(data.events.time <= 7, average=False)
    found = as_it_is(candidate(pointing(1), parts, data), stored(pointing(1), seen))
    assert (found.users, found.left_out) == (N // 2, N // 2)
    given = []
    as_it_is(
        candidate(
            pointing(2), parts, data, lambda part: given.append(part) or pointing(2)
        ),
        stored(pointing(1), seen),
    )
    assert given[0].events.time.max() <= 7
    assert len(given[0]) == len(seen)


def test_the_same_options_and_others_are_asked_about_everything() -> None:
    parts, data = last()
    new = candidate(pointing(1), parts, data)
    same, other = alike(new), anew(new, pointing(2))
    assert (same.basis, same.users, same.difference, same.ci_high) == ("same", N, 0, 0)
    assert (other.basis, other.users, other.new_value, other.live_value) == (
        "options",
        N,
        1,
        0,
    )


# --- the verdict ---------------------------------------------------------------------------------


def figure(value: float, popular: float | None = 0.1) -> list[Metric]:
    return [Metric("all", "ndcg", 10, value, popular, 0.2, value - 0.01, value + 0.01)]


def comparison(low: float, high: float, live: float = 0.2) -> Comparison:
    new = live + (low + high) / 2
    return Comparison("vectors", 7, 500, 3, new, live, new - live, low, high)


@pytest.mark.parametrize(
    ("found", "tolerance"),
    [
        (Comparison("none"), 0.05),
        (comparison(-0.01, 0.01), 0.05),
        (
            comparison(-0.05, -0.005),
            0.05,
        ),  # below, but 5% of 0.2 are tolerated and the interval reaches there
        (comparison(-0.05, -0.02), 0.2),
        (comparison(0.01, 0.02), 0.0),
    ],
)
def test_what_is_not_clearly_worse_passes(found: Comparison, tolerance: float) -> None:
    verdict = judged(figure(0.2), found, "last", 10, tolerance)
    assert verdict.refused is None
    assert verdict.row["verdict"] == "passed"


def test_it_says_why_not() -> None:
    verdict = judged(figure(0.15), comparison(-0.05, -0.03), "last", 10, 0.05)
    assert verdict.refused == (
        "its ndcg@10 is 0.1600 and the live run's 0.2000, of the same 500 users: "
        "a difference of -0.0400 (95% interval -0.0500 to -0.0300), where -5% is tolerated"
    )
    assert verdict.row["verdict"] == "refused"
    assert verdict.row["reason"] == verdict.refused
    assert verdict.row["compared_run"] == 7
    popular = judged(figure(0.1), comparison(0.1, 0.2), "last", 10, 0.05)
    assert popular.refused == (
        "its ndcg@10 is 0.1000 (95% interval 0.0900 to 0.1100), "
        "which does not beat the popularity baseline (0.1000)"
    )
    assert (
        judged(figure(0.1, None), Comparison("none"), "test", 10, 0.05).refused is None
    )
