"""Networks over given vectors: what a history leaves out, what order tells, what items without
vectors do.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import embsql
from embsql.algorithms.neural_content import NeuralContent
from embsql.checkpoints import checkpoints
from embsql.data import Interactions
from embsql.errors import BadOption, NotEnoughData
from embsql.nn import history_encoder
from embsql.nn.histories import Packed, histories
from embsql.run import Run
from tests.worlds import interactions, islands

ENCODERS = ["mean", "attention", "gru"]
NEW = [3, 14, 25, 36]  # one item of each island that nobody has met


def world(
    groups: np.ndarray, data: Interactions, *, missing: tuple[int, ...] = ()
) -> Interactions:
    """The data with a direction per group and noise as vectors, and times in the order of the
    pairs.
    """
    given = np.eye(8)[groups] * 3 + 0.1 * np.random.default_rng(0).standard_normal(
        (len(groups), 8)
    )
    column = pa.array(
        [None if n in missing else list(row) for n, row in enumerate(given)],
        pa.list_(pa.float64()),
    )
    return dataclasses.replace(
        data, item_features=pa.table({"v": column}), time=np.arange(len(data))
    )


def ranked(found: embsql.data.Embeddings) -> np.ndarray:
    """Every user's items, the best first."""
    return np.argsort(-(found.users @ found.items.T), axis=1, kind="stable")


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_items_nobody_met_are_found_by_their_vectors(encoder: str, ids: bool) -> None:
    data, user_island, item_island = islands()
    known = world(item_island, data.where(~np.isin(data.item, NEW)))
    found = NeuralContent(dim=8, epochs=8, encoder=encoder, item_id_embedding=ids).fit(
        known, Run(seed=1, threads=1)
    )
    assert ((found.users @ found.items[NEW].T).argmax(axis=1) == user_island).all()
    assert (item_island[ranked(found)[:, :8]] == user_island[:, None]).mean() > 0.97


def of(*lengths: int) -> Packed:
    """Histories as long, the longest first."""
    pairs = [
        (user, item) for user, length in enumerate(lengths) for item in range(length)
    ]
    return histories(interactions(pairs)).pack(torch.arange(len(lengths)))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_item_is_predicted_from_itself(encoder: str) -> None:
    """What an item is predicted from stays the same whatever that item is; recurrent: whatever
    follows, too.
    """
    options = NeuralContent(dim=5, encoder=encoder)
    generator = torch.Generator().manual_seed(1)
    items = history_encoder.ItemEncoder(
        np.zeros((1, 5), np.float32), None, 5, generator
    )
    model = history_encoder.HistoryModel(options, items, generator)
    if encoder == "attention":
        torch.nn.init.normal_(model.encoder.query, generator=generator)
    x, packed = torch.randn(9, 5, generator=generator), of(4, 4, 1)
    before, whole = model.encoder(x, packed)
    for position in range(9):
        changed = x.clone()
        changed[position] += 1
        again, _ = model.encoder(changed, packed)
        moved = ((again - before).abs() > 1e-6).any(1).nonzero()[:, 0].tolist()
        first, last = (0, 4) if position < 4 else (4, 8) if position < 8 else (8, 9)
        assert moved == [
            n
            for n in range(position + 1 if encoder == "gru" else first, last)
            if n != position
        ]
    assert not before[8].any(), "nothing else is known of the third"
    assert whole.abs().sum(1).all()


def test_pooling_is_the_mean_of_the_others() -> None:
    encoder = history_encoder.WeightedMean(2, torch.Generator(), attention=False)
    x = torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 4.0], [7.0, 7.0]])
    before, whole = encoder(x, of(3, 1))
    assert torch.allclose(
        before, torch.tensor([[4.0, 3.0], [3.0, 2.0], [2.0, 1.0], [0.0, 0.0]])
    )
    assert torch.allclose(whole, torch.tensor([[3.0, 2.0], [7.0, 7.0]]))


def test_attention_is_a_mean_by_learned_weights() -> None:
    generator = torch.Generator().manual_seed(1)
    encoder = history_encoder.WeightedMean(3, generator, attention=True)
    torch.nn.init.normal_(encoder.query, generator=generator)
    x = torch.randn(4, 3, generator=generator)
    with torch.no_grad():
        before, whole = encoder(x, of(4))
    key, bias, query = (
        part.detach().numpy()
        for part in (encoder.key.weight, encoder.key.bias, encoder.query)
    )
    weight = np.exp(np.tanh(x.numpy() @ key.T + bias) @ query)  # (4,)
    np.testing.assert_allclose(whole[0], weight @ x.numpy() / weight.sum(), rtol=1e-5)
    weight, others = np.delete(weight, 2), np.delete(x.numpy(), 2, 0)
    np.testing.assert_allclose(before[2], weight @ others / weight.sum(), rtol=1e-4)


def test_order_tells_only_the_recurrent() -> None:
    """Everybody meets one of the first kind, one of the second, one of the third; who met one and
    two wants three.
    """
    rng = np.random.default_rng(0)
    pairs = [
        (u, 10 * kind + int(rng.integers(10)))
        for u in range(120)
        for kind in range(1 + u % 3)
    ]
    groups = np.repeat(np.arange(3), 10)
    data = world(groups, interactions(pairs))
    found = NeuralContent(dim=8, encoder="gru", epochs=20).fit(
        data, Run(seed=1, threads=1)
    )
    one, two = (groups[ranked(found)[:, 0]][np.arange(120) % 3 == n] for n in (0, 1))
    assert (one == 1).mean() > 0.9
    assert (two == 2).mean() > 0.9


def test_recurrent_needs_times() -> None:
    data = dataclasses.replace(
        world(np.arange(3), interactions([(0, 0), (0, 1), (1, 2)])), time=None
    )
    with pytest.raises(
        BadOption,
        match="encoder must be mean or attention where the source has no event_time",
    ):
        NeuralContent(encoder="gru").fit(data, Run())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_items_without_a_vector_are_met_without_consequence(encoder: str) -> None:
    data, _, item_island = islands()
    gaps = world(item_island, data, missing=(0, 1, 20))
    without = gaps.where(~np.isin(data.item, [0, 1, 20]))
    one, other = (
        NeuralContent(dim=4, epochs=2, encoder=encoder).fit(d, Run(seed=1))
        for d in (gaps, without)
    )
    assert not one.items[[0, 1, 20]].any()
    assert (one.users == other.users).all()
    learned = NeuralContent(
        dim=4, epochs=2, encoder=encoder, item_id_embedding=True
    ).fit(gaps, Run(seed=1))
    assert learned.items[[0, 1, 20]].all(), "with ids they have vectors of their own"


def test_who_met_nothing_with_a_vector_has_none() -> None:
    data = world(
        np.zeros(4, int),
        interactions([(0, 0), (0, 1), (1, 2), (2, 3), (2, 0)]),
        missing=(2, 3),
    )
    found = NeuralContent(dim=3, epochs=1).fit(data, Run(seed=1))
    assert found.users[[0, 2]].any(axis=1).all()
    assert not found.users[1].any()
    with pytest.raises(NotEnoughData, match="a user with two items that have vectors"):
        NeuralContent().fit(world(np.zeros(4, int), data, missing=(1, 2, 3)), Run())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_history_of_which_nothing_is_known_for_the_moment_does_no_harm(
    encoder: str,
) -> None:
    """Ids are left out at random: of somebody whose items have no vectors, nothing may be left in a
    step.
    """
    data = interactions([(u, i) for u in range(8) for i in (2 * u, 2 * u + 1)])
    given = world(np.zeros(16, int), data, missing=tuple(range(14)))
    found = NeuralContent(
        dim=4, epochs=20, batch_size=1, item_id_embedding=True, encoder=encoder
    ).fit(given, Run(seed=1))
    assert found.finite()


def test_only_the_latest_items_count() -> None:
    data, _, item_island = islands()
    data = world(item_island, data)
    short = histories(data).latest(3)
    counts = np.bincount(data.user)
    assert short.counts.tolist() == np.minimum(counts, 3).tolist()
    last = data.item[np.cumsum(counts)[5] - 1]
    assert short.item[short.offsets[6] - 1] == last


@pytest.mark.parametrize(
    "unit", [2.0**-80, 2.0**10, 2.0**100]
)  # powers of two: rounding stays the same
def test_the_unit_of_the_vectors_does_not_matter(unit: float) -> None:
    data, _, item_island = islands()
    one = world(item_island, data)
    scaled = np.array(one.item_features["v"].to_pylist()) * unit
    other = dataclasses.replace(one, item_features=pa.table({"v": list(scaled)}))
    first, second = (
        NeuralContent(dim=4, epochs=3).fit(d, Run(seed=1)) for d in (one, other)
    )
    np.testing.assert_allclose(first.items, second.items, atol=1e-5)


@pytest.mark.parametrize("encoder", ["mean", "attention"])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_a_history_given_in_sql_is_summed_as_in_training(
    each: embsql.Database, encoder: str, similarity: str
) -> None:
    data, _, island = islands()
    rows = ", ".join(
        f"('u{u:02d}', 'i{i:02d}')" for u, i in zip(data.user, data.item, strict=True)
    )
    given = np.eye(4)[island] * 2 + 0.3 * np.random.default_rng(0).standard_normal(
        (len(island), 4)
    )
    vectors = ", ".join(
        f"('i{n:02d}', ARRAY{row.round(3).tolist()})" for n, row in enumerate(given)
    )
    each.train(
        "m",
        f"SELECT * FROM (VALUES {rows}) AS t (user_id, item_id)",
        algorithm="neural_content",
        dim=6,
        epochs=4,
        encoder=encoder,
        similarity=similarity,
        seed=1,
        progress=False,
        item_features=f"SELECT * FROM (VALUES {vectors}) AS t (item_id, v)",
    )
    history = ", ".join(f"'i{i:02d}'" for i in data.item[data.user == 7])
    made = each.ask(f"SELECT embsql.fold_in('m', ARRAY[{history}]) AS v").to_pylist()[
        0
    ]["v"]
    kept = each.ask(
        "SELECT embedding FROM embsql.user_embedding('m', ARRAY['u07'])"
    ).to_pylist()[0]["embedding"]
    made, kept = (np.array(vector) / np.linalg.norm(vector) for vector in (made, kept))
    np.testing.assert_allclose(made, kept, atol=1e-4)


def test_a_training_that_was_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    class Killed(Exception):
        """The end of the process."""

    def kill(epoch: int, _: dict[str, float]) -> None:
        if epoch == 2:
            raise Killed

    data, _, item_island = islands()
    options = NeuralContent(
        dim=4, epochs=3, item_id_embedding=True, encoder="attention"
    )
    kept = checkpoints(str(tmp_path), "a")
    with pytest.raises(Killed):
        options.fit(
            world(item_island, data), Run(seed=1, checkpoints=kept, on_report=kill)
        )
    resumed = options.fit(world(item_island, data), Run(seed=1, checkpoints=kept))
    assert (
        resumed.checksum()
        == options.fit(world(item_island, data), Run(seed=1)).checksum()
    )


def test_bad_options() -> None:
    for options in (
        {"dim": 0},
        {"max_length": 0},
        {"lr": 0},
        {"temperature": -1},
        {"negatives": 0},
    ):
        with pytest.raises(BadOption):
            NeuralContent(**options)
