"""Walks against the formula of their transition probabilities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from embsql.data import CsrMatrix, indptr_of
from embsql.errors import Cancelled
from embsql.run import Run
from embsql.skipgram.walks import MAX_REJECTIONS, WALKERS_PER_GROUP, Walks

P999 = 3.09  # of the standard normal distribution


def graph(weights: np.ndarray) -> CsrMatrix:
    """The rows of a symmetric matrix (n, n)."""
    node, column = np.nonzero(weights)
    return CsrMatrix(
        indptr_of(node, len(weights)),
        column.astype(np.int32),
        weights[node, column].astype(np.float32),
    )


def world(n: int = 7, seed: int = 0) -> np.ndarray:
    """A small weighted graph (n, n) with triangles, and a node with one neighbor only."""
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.uniform(0.2, 3, (n, n)) * (rng.random((n, n)) < 0.6), 1)
    weights[:, -1] = 0
    weights[0, -1] = weights[0, 1] = weights[1, 2] = weights[0, 2] = 1.5
    return weights + weights.T


def expected(weights: np.ndarray, t: int, v: int, p: float, q: float) -> np.ndarray:
    """The probabilities (n,) of the next node, straight from section 3.2 of the paper."""
    bias = np.where(weights[t] > 0, 1.0, 1 / q)
    bias[t] = 1 / p
    mass = weights[v] * bias
    return mass / mass.sum()


def copies(weights: np.ndarray, times: int) -> CsrMatrix:
    """So many graphs side by side that share nothing; node r of each is node r modulo n."""
    one, n = graph(weights), len(weights)
    column = (one.indices + n * np.arange(times)[:, None]).ravel().astype(np.int32)
    start = np.concatenate(([0], np.cumsum(np.tile(one.counts, times))))
    return CsrMatrix(start, column, np.tile(one.data, times))


def tokens(walks: Walks, epoch: int = 1) -> np.ndarray:
    """All walks of an epoch: (walkers, length)."""
    return np.concatenate(
        [block.token.reshape(-1, walks.walk_length) for block in walks.blocks(epoch)]
    )


def surprise(counts: np.ndarray, chances: np.ndarray) -> tuple[float, int]:
    """Pearson's chi-square of counts (n,), and its degrees of freedom."""
    assert not counts[chances == 0].any()
    wanted = counts.sum() * chances
    sure = wanted >= 5
    return float(((counts - wanted)[sure] ** 2 / wanted[sure]).sum()), int(
        sure.sum()
    ) - 1


def deviation(pieces: list[tuple[float, int]]) -> float:
    """How many standard deviations a sum of chi-squares lies above what is expected (Wilson and
    Hilferty, 1931).
    """
    chi, freedom = (sum(column) for column in zip(*pieces, strict=True))
    return float(
        ((chi / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom)))
        / np.sqrt(2 / (9 * freedom))
    )


def bias_cases() -> list[tuple[float, float]]:
    usual = itertools.product([0.25, 1.0, 4.0], repeat=2)
    return [
        *usual,
        (0.01, 1.0),
        (0.01, 100.0),
        (100.0, 0.01),
        (1.0, 100.0),
        (100.0, 100.0),
        (1e6, 1e6),
        (1e-6, 1.0),
    ]


@pytest.mark.parametrize(("p", "q"), bias_cases())
@pytest.mark.parametrize("even", [True, False], ids=["unweighted", "weighted"])
def test_steps_have_the_probabilities_of_the_formula(
    p: float, q: float, even: bool
) -> None:
    weights = world()
    weights = np.where(weights > 0, 1.0, 0.0) if even else weights
    found = (
        tokens(Walks(copies(weights, 2000), 10, 4, p, q, Run(seed=3, threads=1))) % 7
    )
    pieces = [
        surprise(
            np.bincount(found[:, 1][found[:, 0] == v], minlength=7),
            weights[v] / weights[v].sum(),
        )
        for v in range(7)
    ]
    for t, v in zip(*np.nonzero(weights), strict=True):
        for position in (2, 3):
            here = (found[:, position - 2] == t) & (found[:, position - 1] == v)
            if here.any():
                counts = np.bincount(found[here, position], minlength=7)
                pieces.append(surprise(counts, expected(weights, t, v, p, q)))
    assert deviation(pieces) < P999


def test_the_chi_square_would_notice() -> None:
    """A sampler that lets a refused return through, as one in use does, is told apart by the test
    above.
    """
    weights = world()
    found = (
        tokens(Walks(copies(weights, 2000), 10, 3, 1.0, 1.0, Run(seed=3, threads=1)))
        % 7
    )
    pieces = []
    for t, v in zip(*np.nonzero(weights), strict=True):
        here = (found[:, 0] == t) & (found[:, 1] == v)
        pieces.append(
            surprise(
                np.bincount(found[here, 2], minlength=7),
                expected(weights, t, v, 1.25, 1.0),
            )
        )
    assert deviation(pieces) > 2 * P999


def test_a_leaf_leads_back_whatever_p_is() -> None:
    star = np.zeros((5, 5))
    star[0, 1:] = star[1:, 0] = 1
    found = tokens(Walks(graph(star), 4, 9, 1e9, 1.0, Run(seed=1)))
    assert ((found[:, :-1] == 0) != (found[:, 1:] == 0)).all()
    assert (np.bincount(found.ravel())[1:] > 0).all()


def test_no_return_with_a_large_p() -> None:
    ring = np.roll(np.eye(12), 1, 1) + np.roll(np.eye(12), -1, 1)
    found = tokens(Walks(graph(ring), 3, 12, 1e12, 1.0, Run(seed=1)))
    assert (np.sort(found, axis=1) == np.arange(12)).all(), (
        "who never turns back goes once around"
    )


def test_walks_stay_on_their_island_and_start_everywhere() -> None:
    block = np.ones((6, 6)) - np.eye(6)
    both = np.kron(np.eye(2), block)
    found = tokens(Walks(graph(both), 3, 10, 0.5, 2.0, Run(seed=1)))
    assert (found // 6 == found[:, :1] // 6).all()
    assert (np.bincount(found[:, 0]) == 3).all()


def test_isolated_nodes_are_not_walked() -> None:
    weights = np.zeros((5, 5))
    weights[1, 3] = weights[3, 1] = 2
    walks = Walks(graph(weights), 2, 6, 1.0, 1.0, Run(seed=1))
    assert set(tokens(walks).ravel()) == {1, 3}
    assert walks.counts().tolist() == [0, 12, 0, 12, 0]


def test_no_edges_no_walks() -> None:
    walks = Walks(graph(np.zeros((4, 4))), 2, 6, 1.0, 1.0, Run(seed=1))
    assert list(walks.blocks(1)) == []
    assert walks.counts().tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (0.3, 2.0)])
def test_walks_do_not_depend_on_threads(p: float, q: float) -> None:
    weights = world(60, seed=4)
    first, second = (
        tokens(Walks(graph(weights), 5, 800, p, q, Run(seed=9, threads=n)))
        for n in (1, 2)
    )
    assert first.shape == (5 * 60, 800)
    assert (first == second).all()


def test_seeds_and_epochs_differ() -> None:
    walks = [Walks(graph(world()), 5, 10, 1.0, 1.0, Run(seed=seed)) for seed in (1, 2)]
    assert (tokens(walks[0], 1) != tokens(walks[0], 2)).any()
    assert (tokens(walks[0], 1) != tokens(walks[1], 1)).any()
    assert (tokens(walks[0], 1) == tokens(walks[0], 1)).all()


def test_walkers_of_a_group_are_independent() -> None:
    """More walkers from one node than move together, each with a path of its own."""
    weights = world(40, seed=2)
    found = tokens(
        Walks(graph(weights), 4 * WALKERS_PER_GROUP, 12, 1.0, 1.0, Run(seed=1))
    )
    mine = found[found[:, 0] == 0]
    assert len(mine) == 4 * WALKERS_PER_GROUP
    assert len(np.unique(mine, axis=0)) == len(mine)


def test_a_hub_is_one_more_node() -> None:
    """One node next to all others: every second step leads to it, and looking up its neighbors
    stays exact.
    """
    n = 3000
    node = np.arange(1, n)
    source, target = (
        np.concatenate((node, np.zeros(n - 1, int))),
        np.concatenate((np.zeros(n - 1, int), node)),
    )
    order = np.lexsort((target, source))
    rows = CsrMatrix(
        indptr_of(source[order], n),
        target[order].astype(np.int32),
        np.ones(2 * (n - 1), np.float32),
    )
    found = tokens(Walks(rows, 1, 21, 0.5, 4.0, Run(seed=1)))
    assert ((found[:, :-1] == 0) != (found[:, 1:] == 0)).all()
    counts = np.bincount(found.ravel(), minlength=n)
    assert counts[1:].max() < 60


def test_stops_when_asked() -> None:
    def stop() -> None:
        raise Cancelled(name="m", run_id=1)

    with pytest.raises(Cancelled):
        next(iter(Walks(graph(world()), 5, 10, 1.0, 1.0, Run(on_check=stop)).blocks(1)))


def test_patience_is_run_out_of() -> None:
    """The chance that all proposals of a step are refused, for some p and q above, is not small."""
    assert (1 - 1 / 100) ** MAX_REJECTIONS > 0.5
