"""Item2Vec on worlds with known answers, its compiled loops against numpy, counts against a matrix
made by hand.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from embsql import algorithms
from embsql.algorithms.item2vec import Item2Vec
from embsql.data import Embeddings, Events, Interactions
from embsql.errors import BadOption
from embsql.features.time import DAY
from embsql.numeric.tiles import TARGET_LANES, TARGETS
from embsql.run import Run
from embsql.skipgram import kernels, sampling
from embsql.skipgram.base import Block, Settings
from embsql.skipgram.cpu import CpuTrainer
from embsql.skipgram.ppmi import cooccurrences, shifted_ppmi
from embsql.skipgram.train import (
    keep_probabilities,
    negative_probabilities,
    train_skipgram,
)
from tests.worlds import islands

METHODS = ["skipgram", "cbow", "ppmi"]


def sequences(
    lists: list[list[int]],
    time: list[list[int]] | None = None,
    n_items: int | None = None,
) -> Interactions:
    """Histories of item numbers, in order, as a source with events gives them."""
    events = [(user, item) for user, items in enumerate(lists) for item in items]
    pairs = sorted(set(events))
    times = (
        None
        if time is None
        else np.array([when for whens in time for when in whens], np.int64)
    )
    latest = None if times is None else np.zeros(len(pairs), np.int64)
    user, item = np.array(pairs, np.int32).T
    pair = np.array([pairs.index(event) for event in events], np.int32)
    weight = np.bincount(pair).astype(np.float32)
    if latest is not None:
        np.maximum.at(latest, pair, times)
    users, items = (
        pa.array([f"{letter}{n:03d}" for n in range(size)])
        for letter, size in (("u", len(lists)), ("i", n_items or item.max() + 1))
    )
    return Interactions(
        user.copy(),
        item.copy(),
        weight,
        latest,
        users,
        items,
        Events(pair, np.ones(len(pair), np.float32), times),
    )


def walks(
    n: int = 30, users: int = 120, length: int = 40, seed: int = 0
) -> Interactions:
    """Each user steps round a ring of items, now and then backwards: neighbors on the ring share
    windows.
    """
    rng = np.random.default_rng(seed)
    steps = rng.choice([1, -1], (users, length), p=[0.8, 0.2])
    return sequences(
        ((rng.integers(0, n, (users, 1)) + steps.cumsum(1)) % n).tolist(), n_items=n
    )


def cosines(vectors: np.ndarray) -> np.ndarray:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit @ unit.T - 2 * np.eye(len(unit))


def ring_distance(found: Embeddings) -> np.ndarray:
    """How far along the ring each item's nearest neighbor is, (n,)."""
    n = len(found.items)
    far = abs(cosines(found.items).argmax(axis=1) - np.arange(n))
    return np.minimum(far, n - far)


@pytest.mark.parametrize("method", METHODS)
def test_neighbors_on_a_ring(method: str) -> None:
    found = Item2Vec(dim=16, window=2, method=method, epochs=20).fit(
        walks(), Run(seed=1, threads=1)
    )
    assert (ring_distance(found) <= 2).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("popularity_weight", [0.0, 0.03])
def test_a_user_is_the_mean_that_sql_folds_in(
    method: str, popularity_weight: float
) -> None:
    data, _, _ = islands()
    found = Item2Vec(dim=8, method=method, popularity_weight=popularity_weight).fit(
        data, Run(seed=1)
    )
    scale = (
        found.fold_in.item_scale
        if found.fold_in.item_scale is not None
        else np.ones(data.n_items)
    )
    assert found.fold_in.kind == "mean"
    for user in range(data.n_users):
        own = data.user == user
        mean = (
            (data.weight[own] * scale[data.item[own]])
            @ found.items[data.item[own]]
            / data.weight[own].sum()
        )
        np.testing.assert_allclose(found.users[user], mean, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_scores_are_products_or_cosines(method: str) -> None:
    data, _, _ = islands()
    near, bare = (
        Item2Vec(dim=8, method=method, popularity_weight=p).fit(data, Run(seed=1))
        for p in (0.03, 0.0)
    )
    assert (near.similarity, bare.similarity) == ("dot", "cosine")
    np.testing.assert_allclose(np.linalg.norm(near.items, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(
        near.item_bias, 0.03 * np.log1p(np.bincount(data.item)), rtol=1e-5
    )
    assert bare.item_bias is None
    assert np.ptp(np.linalg.norm(bare.items, axis=1)) > 0.01


@pytest.mark.parametrize("method", ["skipgram", "cbow"])
def test_bytes_depend_on_the_seed(method: str) -> None:
    data = walks()
    model = Item2Vec(dim=8, method=method, epochs=2, sample=0.02, shuffle=True)
    one, again, other = (
        model.fit(data, Run(seed=seed, threads=3)).checksum() for seed in (1, 1, 2)
    )
    assert one == again != other


def test_counts_do_not_depend_on_threads() -> None:
    data = walks()
    one, three = (
        Item2Vec(dim=8, method="ppmi").fit(data, Run(threads=threads)).checksum()
        for threads in (1, 3)
    )
    assert one == three


def test_threads_agree_in_quality(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many copies that are averaged often still find the ring."""
    monkeypatch.setattr("embsql.skipgram.cpu.ROUND", 256)
    found = Item2Vec(dim=16, window=2, epochs=20).fit(walks(), Run(seed=1, threads=4))
    assert (ring_distance(found) <= 2).all()


def test_loss_falls_and_stays_low() -> None:
    losses: list[float] = []
    run = Run(
        seed=1, threads=1, on_report=lambda _, values: losses.append(values["loss"])
    )
    Item2Vec(dim=16, window=2, epochs=100).fit(walks(), run)
    assert losses[-1] < losses[0]
    assert losses[-1] < 1.05 * min(losses)


# --- the step ------------------------------------------------------------------------------------


class Given:
    """A corpus of one block."""

    def __init__(self, *lists: list[int]) -> None:
        sizes = np.array([len(tokens) for tokens in lists])
        self.block = Block(
            np.concatenate(([0], np.cumsum(sizes))),
            np.concatenate(lists).astype(np.int32),
        )

    def blocks(self, epoch: int) -> Iterator[Block]:
        assert epoch >= 1
        yield self.block


@pytest.mark.parametrize("cbow", [False, True])
def test_a_step_is_the_gradient(cbow: bool) -> None:
    """Inputs are given, outputs begin at zero: the first step of every output can be told by
    hand.
    """
    before = np.array([[1.0, 2.0], [3.0, -1.0], [9.0, 9.0]], np.float32)
    settings = Settings(
        dim=2, epochs=1, window=1, negatives=1, lr=0.01, ns_exponent=0.0, cbow=cbow
    )
    inputs, outputs = train_skipgram(
        Given([0, 1]), np.array([1, 1, 0]), settings, Run(seed=1, threads=1), before
    )
    for wanted, given in ((0, 1), (1, 0)):
        assert outputs[wanted] @ before[given] > 0, (
            "each is drawn to its context's input"
        )
    np.testing.assert_allclose(inputs, before, atol=0.05)
    np.testing.assert_array_equal(inputs[2], before[2], "never met, it stays")
    assert not outputs[2].any()


def drawn_targets(probabilities: np.ndarray, n: int) -> np.ndarray:
    """A center and n - 1 negatives, in groups of TARGET_LANES, of which TARGETS are filled."""
    settings = Settings(dim=4, negatives=n - 1, dynamic_window=False)
    first = np.zeros((len(probabilities), 4), np.float32)
    squares = np.ones(len(first), np.float32)
    keep = np.empty(0, np.float32)
    trainer = CpuTrainer(first, squares, probabilities, keep, settings, Run(threads=1))
    block = Given([0]).block
    draws, _ = sampling.kept(block, 0, 1, keep, trainer.shape, 7)
    work = trainer._work()
    kernels.draw_targets(
        0, 0, draws, trainer.negatives, trainer.tables[1].vectors, trainer.shape, work
    )
    return work.target.reshape(2, -1, TARGET_LANES)[0]


def test_negatives_are_drawn_as_often_as_it_should() -> None:
    counts = np.array([100, 50, 0, 10, 1, 1000])
    for exponent in (0.75, 0.0, -0.5, 1.0):
        probabilities = negative_probabilities(counts, exponent)
        target = drawn_targets(probabilities, 300_000)  # (50_000, TARGET_LANES)
        drawn = target[:, :TARGETS].ravel()[1:]
        share = np.bincount(drawn, minlength=6) / len(drawn)
        expected = np.where(counts > 0, np.maximum(counts, 1.0) ** exponent, 0)
        np.testing.assert_allclose(share, expected / expected.sum(), atol=0.004)
        assert share[2] == 0


def test_subsampling_keeps_what_word2vec_keeps() -> None:
    counts = np.array([900, 90, 9, 1])
    share = counts / 1000
    np.testing.assert_allclose(
        keep_probabilities(counts, 0.01),
        np.minimum(1, np.sqrt(0.01 / share) + 0.01 / share),
        rtol=1e-5,
    )
    assert not len(keep_probabilities(counts, 0.0))


def test_who_never_met_another_has_zeros() -> None:
    found = Item2Vec(dim=4, popularity_weight=0).fit(
        sequences([[0, 1], [1, 0], [2]]), Run(seed=1)
    )
    assert found.items[:2].any(axis=1).all()
    assert not found.items[2].any()
    assert not found.users[2].any()


def test_warm_start_keeps_the_axes() -> None:
    """Continued, vectors point where they did, and a newcomer joins its neighbors; afresh they
    point elsewhere.
    """
    data = walks()
    model = Item2Vec(dim=16, window=2, epochs=5)
    first = model.fit(data, Run(seed=1))
    before = Embeddings(
        first.users, np.where(np.arange(30)[:, None] == 7, np.nan, first.items)
    )
    again = model.fit(data, Run(seed=2, before=before))
    afresh = model.fit(data, Run(seed=2))
    kept, lost = ((first.items * other.items).sum(1) for other in (again, afresh))
    assert np.delete(kept, 7).mean() > 0.7
    assert abs(lost.mean()) < 0.4
    assert ring_distance(again)[7] <= 2


# --- options -------------------------------------------------------------------------------------


def test_metadata_brings_rare_items_near_their_kind() -> None:
    """Items of two kinds that never share a history with their own kind: only the column can
    tell.
    """
    rng = np.random.default_rng(0)
    lists = [
        [int(kind * 10 + i) for i in rng.integers(0, 8, 12)]
        for kind in (0, 1)
        for _ in range(40)
    ]
    lists += [
        [8, 20],
        [9, 21],
        [18, 22],
        [19, 23],
    ]  # rare, with companions that nobody else has
    kinds = pa.array([None if i >= 20 else "ab"[i // 10] for i in range(24)])
    data = dataclasses.replace(
        sequences(lists), item_features=pa.table({"kind": kinds})
    )
    near = Item2Vec(dim=8, metadata_cols="kind", epochs=20).fit(data, Run(seed=1))
    cosine = cosines(near.items)
    for rare, own, other in (
        (8, slice(0, 8), slice(10, 18)),
        (18, slice(10, 18), slice(0, 8)),
    ):
        assert cosine[rare, own].mean() > cosine[rare, other].mean() + 0.2


def test_metadata_of_many_values() -> None:
    tags = pa.array([["x", "y"], ["y"], None, []])
    data = dataclasses.replace(
        sequences([[0, 1, 2], [3, 0]]), item_features=pa.table({"tags": tags})
    )
    histories = Item2Vec(metadata_cols="tags")._histories(data, Run())
    block = next(histories.blocks(1))
    assert block.token.tolist() == [0, 4, 5, 1, 5, 2, 3, 0, 4, 5]
    assert block.indptr.tolist() == [0, 6, 10]
    assert histories.counts.tolist() == [2, 1, 1, 1, 2, 3]


@pytest.mark.parametrize("known", [None, pa.table({"color": ["red", "blue"]})])
def test_metadata_that_is_not_there(known: pa.Table | None) -> None:
    data = dataclasses.replace(sequences([[0, 1]]), item_features=known)
    with pytest.raises(
        BadOption, match=f"metadata_cols must be .*{'color' if known else 'not given'}"
    ):
        Item2Vec(metadata_cols="kind").fit(data, Run())


def test_half_life_of_a_user() -> None:
    """The mean of a history, in which an event a day older counts half."""
    data = sequences(
        [[0, 1, 2], [2, 1]],
        [[10**15, 10**15 + DAY, 10**15 + 2 * DAY], [10**15, 10**15]],
    )
    found = Item2Vec(dim=4, half_life=1.0).fit(data, Run(seed=1))
    np.testing.assert_allclose(
        found.users[0], np.array([0.25, 0.5, 1]) / 1.75 @ found.items, atol=1e-5
    )
    np.testing.assert_allclose(found.users[1], found.items[1:].mean(0), atol=1e-5)


@pytest.mark.parametrize("method", ["skipgram", "cbow"])
def test_half_life_of_a_pair(method: str) -> None:
    """Items that only meet hundreds of half-lives apart teach each other nothing."""
    data = sequences([[0, 1, 2]] * 5, [[0, 1000, 1001]] * 5)
    found = Item2Vec(dim=4, half_life=2.0, popularity_weight=0, method=method).fit(
        data, Run(seed=1, threads=1)
    )
    assert found.items.any(axis=1).tolist() == [False, True, True]


def test_half_life_of_a_count() -> None:
    block = Block(
        np.array([0, 3]), np.array([0, 1, 2], np.int32), np.array([7, 5, 4], np.float32)
    )
    _, weights = cooccurrences(
        [block], 3, Settings(window=2, dynamic_window=False), Run()
    )
    np.testing.assert_allclose(weights, [1 / 4, 1 / 8, 1 / 4, 1 / 2, 1 / 8, 1 / 2])


def test_half_life_needs_time() -> None:
    with pytest.raises(BadOption, match="half_life must be left out"):
        Item2Vec(half_life=1.0).fit(sequences([[0, 1], [1, 0]]), Run())


def test_max_length_takes_the_latest() -> None:
    histories = Item2Vec(max_length=2)._histories(
        sequences([[0, 1, 2, 3], [3], [2, 1, 0]]), Run()
    )
    assert histories.item.tolist() == [2, 3, 3, 1, 0]
    assert histories.indptr.tolist() == [0, 2, 3, 5]


def test_shuffle_reorders_within_users() -> None:
    histories = Item2Vec(shuffle=True)._histories(
        sequences([list(range(20)), [3, 4]]), Run(seed=1)
    )
    first, again, later = (next(histories.blocks(epoch)).token for epoch in (1, 1, 2))
    assert sorted(first[:20]) == list(range(20))
    assert first.tolist() == again.tolist() != later.tolist()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "lists",
    [[[0], [1]], [[0, 0, 0, 0], [1]], [[0, 1]], [[0, 0], [0, 0], [1, 1]]],
    ids=str,
)
def test_little_to_learn_from(method: str, lists: list[list[int]]) -> None:
    assert Item2Vec(dim=16, method=method).fit(sequences(lists), Run(seed=1)).finite()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("epochs", {"epochs": 0}),
        ("window", {"window": 0}),
        ("negatives", {"negatives": 0}),
        ("lr", {"lr": 0.0}),
        ("sample", {"sample": -1.0}),
        ("popularity_weight", {"popularity_weight": -1.0}),
        ("ns_exponent", {"ns_exponent": 7.0}),
        ("max_length", {"max_length": 0}),
        ("half_life", {"half_life": 0.0}),
    ],
)
def test_bad_options(name: str, options: dict) -> None:
    with pytest.raises(BadOption, match=f"item2vec: {name} must be"):
        Item2Vec(**options)


# --- counts --------------------------------------------------------------------------------------


def test_counts_and_information_by_hand() -> None:
    """a b a | b c: a-b twice at distance 1, a-a once at 2 (half as often in a window), b-c once."""
    settings = Settings(window=2, negatives=1, ns_exponent=1.0)
    pairs = cooccurrences(Given([0, 1, 0], [1, 2]).blocks(1), 3, settings, Run())
    dense = np.zeros(9)
    dense[pairs[0]] = pairs[1]
    np.testing.assert_allclose(dense.reshape(3, 3), [[1, 2, 0], [2, 0, 1], [0, 1, 0]])
    found = shifted_ppmi(pairs, 3, settings)
    ppmi = np.zeros((3, 3))
    ppmi[np.repeat(np.arange(3), found.counts), found.indices] = found.data
    share = dense.reshape(3, 3) / 7
    with np.errstate(divide="ignore"):
        expected = np.maximum(np.log(share / np.outer(share.sum(1), share.sum(0))), 0)
    np.testing.assert_allclose(ppmi, expected, atol=1e-6)


def test_counts_report_once() -> None:
    assert Item2Vec(method="ppmi", epochs=50).epochs == 1


# --- torch, and what is imported -----------------------------------------------------------------


@pytest.mark.parametrize("method", ["skipgram", "cbow"])
def test_torch_finds_the_ring_too(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from embsql.skipgram import torch as _sgns_torch
    from embsql.skipgram import train as _sgns

    torch.set_num_threads(1)
    monkeypatch.setattr(_sgns_torch, "CHUNK", 512)
    monkeypatch.setattr(
        _sgns,
        "_trainer",
        lambda first, squares, counts, settings, run: _sgns_torch.TorchTrainer(
            first,
            squares,
            negative_probabilities(counts, settings.ns_exponent),
            keep_probabilities(counts, settings.sample),
            settings,
            run,
        ),
    )
    one, again = (
        Item2Vec(dim=16, window=2, epochs=20, method=method).fit(walks(), Run(seed=1))
        for _ in range(2)
    )
    assert (ring_distance(one) <= 2).all()
    assert one.checksum() == again.checksum()


def test_listing_brings_no_compiler() -> None:
    code = (
        "import sys, embsql.algorithms as a; a.find('item2vec'); "
        "sys.exit(bool({'numba', 'torch'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_same_options_by_name() -> None:
    assert algorithms.make(
        "item2vec", {"method": "cbow", "shuffle": "true"}
    ) == Item2Vec(method="cbow", shuffle=True)
