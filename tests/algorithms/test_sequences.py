"""What sequence models promise beyond the contract: order, no look at the future, exact losses,
early stopping.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn.functional import cross_entropy

from embsql import algorithms
from embsql.checkpoints import checkpoints
from embsql.data import Embeddings, Events, Interactions
from embsql.errors import BadOption, Diverged, NotEnoughData
from embsql.features.time import (
    DAY,
    FIRST_GAP,
    FIRST_ITEM_AGE,
    HOURS,
    MIN_TIMESTAMP_US,
    time_features,
)
from embsql.nn import sequence_loss
from embsql.nn.histories import EventHistories
from embsql.nn.histories import histories as packed_histories
from embsql.nn.sequence_loss import SequenceLoss
from embsql.nn.sequence_model import SequenceModel, build_model
from embsql.nn.sequence_networks import Gru, MeanPooling
from embsql.nn.sequence_tasks import Bag, MaskedItem, NextItem, SequenceBatch, make_task
from embsql.nn.transformer import Transformer, apply_rotary, rotary_tables
from embsql.run import Run

IN_ORDER = ["gru4rec", "sasrec", "bert4rec"]
NAMES = [*IN_ORDER, "youtube_dnn"]


def walked(
    sequences: list[list[int]], times: list[list[int]] | None = None, n_items: int = 0
) -> Interactions:
    """Users' items in this order, each event a unit of time after the one before unless times are
    given.
    """
    user = np.repeat(
        np.arange(len(sequences)), [len(sequence) for sequence in sequences]
    )
    item = np.concatenate([np.array(sequence, int) for sequence in sequences])
    n_items = max(n_items, int(item.max()) + 1)
    pairs, pair = np.unique(user * n_items + item, return_inverse=True)
    time = np.arange(len(user)) if times is None else np.concatenate(times)
    last = np.zeros(len(pairs), np.int64)
    np.maximum.at(last, pair, time)
    return Interactions(
        (pairs // n_items).astype(np.int32),
        (pairs % n_items).astype(np.int32),
        np.ones(len(pairs), np.float32),
        last,
        pa.array([f"u{n:04}" for n in range(len(sequences))]),
        pa.array([f"i{n:04}" for n in range(n_items)]),
        Events(
            pair.astype(np.int32), np.ones(len(user), np.float32), time.astype(np.int64)
        ),
    )


def fit(name: str, data: Interactions, **options: object) -> Embeddings:
    return algorithms.make(name, {"dim": 16, "lr": 0.01, **options}).fit(
        data, Run(seed=1, threads=1)
    )


def best(found: Embeddings) -> np.ndarray:
    return (found.users @ found.items.T).argmax(axis=1)


def histories(*items: list[int]) -> EventHistories:
    item = torch.tensor([code for one in items for code in one])
    start = torch.tensor([0, *np.cumsum([len(one) for one in items])])
    return EventHistories(
        start,
        item,
        torch.ones(len(item)),
        torch.arange(len(item)).float(),
        torch.zeros(len(item), 0),
    )


# --- what they learn -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", IN_ORDER)
def test_after_the_last_comes_the_next(name: str) -> None:
    """Everybody walks around a ring of items from a place of their own: who stopped somewhere is
    shown what follows.
    """
    rng = np.random.default_rng(0)
    starts, lengths = rng.integers(12, size=200), rng.integers(2, 10, 200)
    walks = [
        [int(start + n) % 12 for n in range(length)]
        for start, length in zip(starts, lengths, strict=True)
    ]
    # It sees both sides of a mask, but is asked for what has one: without dropout it learns the
    # ring on every machine.
    slow = {"epochs": 30, "lr": 0.005, "dropout": 0.0}
    found = fit(name, walked(walks), **(slow if name == "bert4rec" else {"epochs": 6}))
    assert (best(found) == (starts + lengths) % 12).mean() > 0.95


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("gru4rec", {"epochs": 40}),
        ("sasrec", {"epochs": 15, "lr": 0.005, "n_heads": 2}),
    ],
)
def test_what_comes_next_may_hang_on_more_than_the_last(
    name: str, options: dict[str, object]
) -> None:
    """After 0 comes what came before it: a chain of pairs cannot know, a memory can."""
    walks = [[1 + n % 4, 0, 1 + n % 4, 0] for n in range(64)]
    found = fit(name, walked(walks), dropout=0.0, **options)
    assert (best(found) == 1 + np.arange(64) % 4).all()


def test_the_mean_of_a_history_is_near_what_others_with_it_have() -> None:
    walks = [
        list(np.random.default_rng(n).permutation(6)[:4] + 6 * (n % 3))
        for n in range(60)
    ]
    data = walked(walks)
    data = dataclasses.replace(
        data, time=None, events=None
    )  # no order: each item from the user's others
    found = fit("youtube_dnn", data, epochs=5)
    assert (best(found) // 6 == np.arange(60) % 3).all()


@pytest.mark.parametrize("temperature", [None, 0.2])
def test_folding_in_is_what_the_mean_does(temperature: float | None) -> None:
    found = fit(
        "youtube_dnn",
        walked([[0, 1, 2], [3, 3, 1], [2, 0]]),
        epochs=1,
        temperature=temperature,
    )
    assert found.network is None  # nothing to plan in SQL
    scaled = found.items * found.fold_in.item_scale[:, None]
    assert (found.fold_in.kind, found.similarity) == (
        "mean",
        "cosine" if temperature else "dot",
    )
    for user, history in enumerate([[0, 1, 2], [3, 3, 1], [2, 0]]):
        folded = scaled[history].mean(axis=0)
        assert np.allclose(
            found.users[user],
            folded / np.linalg.norm(folded) if temperature else folded,
            atol=1e-5,
        )


@pytest.mark.parametrize("name", NAMES)
def test_cosines_learn_too(name: str) -> None:
    """Everybody walks among the items of an island; vectors have length 1 and the best item is one
    of the island.
    """
    rng = np.random.default_rng(0)
    walks = [list(rng.permutation(6)[:5] + 6 * (n % 3)) for n in range(90)]
    found = fit(name, walked(walks), epochs=12, temperature=0.1)
    assert found.similarity == "cosine"
    assert np.allclose(
        np.linalg.norm(np.concatenate([found.users, found.items]), axis=1), 1, atol=1e-5
    )
    assert (best(found) // 6 == np.arange(90) % 3).mean() > 0.95


def test_hours_tell() -> None:
    """Item 1 follows in the morning, item 2 in the evening; the hour of the event before tells
    which.
    """
    day = MIN_TIMESTAMP_US // DAY + 1
    evening = np.arange(64) % 2
    walks = [[0, 1 + int(late)] if n < 56 else [0] for n, late in enumerate(evening)]
    times = [
        (day + n) * DAY + late * DAY // 2 + np.arange(len(walks[n]))
        for n, late in enumerate(evening)
    ]
    found = fit("sasrec", walked(walks, times), epochs=6, time_features=True)
    assert (best(found) == 1 + evening)[56:].all()
    without = fit("sasrec", walked(walks, times), epochs=6)
    assert len(np.unique(best(without)[56:])) == 1


def test_what_was_fashionable_is_not_recommended_now() -> None:
    """Item 1 was all the rage a hundred days ago, item 2 is now; 1 has more events."""
    old = [0 if n % 3 else 100 for n in range(60)]
    walks = [[0, 2 if late else 1] for late in old] + [[0]]
    times = [np.array([late, late]) for late in old] + [np.array([100])]
    aged = fit("youtube_dnn", walked(walks, times), epochs=20, example_age=True)
    assert best(aged)[-1] == 2
    assert best(fit("youtube_dnn", walked(walks, times), epochs=20))[-1] == 1


@pytest.mark.parametrize(
    ("options", "shown"),
    [({}, 1), ({"weighted_loss": True}, 2), ({"half_life": 5.0}, 2)],
)
def test_events_count_by_weight_and_age(options: dict[str, object], shown: int) -> None:
    """After 0 came 1 two times of three, but long ago and with little weight."""
    walks = [[0, 2] if n % 3 == 0 else [0, 1] for n in range(60)] + [[0]]
    times = [
        np.array([40, 40]) if n % 3 == 0 else np.array([0, 0]) for n in range(60)
    ] + [np.array([40])]
    data = walked(walks, times)
    heavy = np.where(data.item[data.events.pair] == 2, 5.0, 1.0).astype(np.float32)
    data = dataclasses.replace(
        data, events=dataclasses.replace(data.events, weight=heavy)
    )
    assert best(fit("gru4rec", data, epochs=8, **options))[-1] == shown


# --- what they may not see -----------------------------------------------------------------------


def networks(dropout: float = 0.0) -> dict[str, torch.nn.Module]:
    g = torch.Generator().manual_seed(1)
    return {
        "gru4rec": Gru(8, 2, dropout, g),
        "sasrec": Transformer(8, 2, 2, dropout, g, causal=True),
        "youtube_dnn": MeanPooling([8, 4, 8], dropout, g, bag=False),
    }


@pytest.mark.parametrize("name", networks())
def test_a_state_knows_no_future_and_no_other_history(name: str) -> None:
    network, g = networks()[name].eval(), torch.Generator().manual_seed(2)
    lengths = [5, 1, 9, 9, 2]
    together = histories(*([0] * n for n in lengths))
    x = torch.randn(sum(lengths), 8, generator=g)
    packed = together.pack(torch.arange(5))
    with torch.no_grad():
        state = network(x[packed.event], packed)
        for user, (begin, length) in enumerate(
            zip(together.offsets.tolist(), lengths, strict=False)
        ):
            rows = (packed.row == packed.user.tolist().index(user)).nonzero()[:, 0]
            for n in range(1, length + 1):
                alone = network(
                    x[begin : begin + n], histories([0] * n).pack(torch.tensor([0]))
                )
                assert torch.allclose(alone[-1], state[rows[n - 1]], atol=1e-5)


@pytest.mark.parametrize("name", [*networks(), "bert4rec"])
def test_a_state_is_the_same_whichever_others_are_wanted(name: str) -> None:
    """Chance too, so that a seed's figures hang on the seed alone."""
    g = torch.Generator().manual_seed(1)
    both_directions = Transformer(8, 2, 2, 0.3, g, causal=False)
    network = {**networks(0.3), "bert4rec": both_directions}[name]
    packed = histories([0] * 5, [0], [0] * 9).pack(torch.arange(3))
    x = torch.randn(15, 8, generator=g)
    state_at = torch.tensor([14, 2, 3])
    network.dropout.generator.manual_seed(2)
    every = network(x, packed)
    network.dropout.generator.manual_seed(2)
    some = network(x, packed, state_at)
    assert torch.allclose(some, every[state_at], atol=1e-6)


def test_turned_pairs_tell_how_far_apart_two_events_are_and_gradients_are_exact() -> (
    None
):
    cos, sin = (table.double() for table in rotary_tables(7, 8, 2))
    vectors = torch.randn(1, 24, generator=torch.Generator().manual_seed(1))
    qkv = vectors.repeat(7, 1).double().requires_grad_()  # (t, 3d)
    turned = apply_rotary(qkv, cos, sin, 2)
    assert torch.equal(turned[0], qkv[0]), "the first event is not turned"
    assert torch.equal(turned[:, 16:], qkv[:, 16:]), "values never are"
    q, k = (part.unflatten(1, (2, 4)) for part in turned[:, :16].split(8, dim=1))
    products = torch.einsum("ihe,jhe->hij", q, k)  # (h, t, t)
    assert torch.allclose(products[:, 1:, 1:], products[:, :-1, :-1])
    assert not torch.allclose(products[:, 1:], products[:, :-1])
    assert torch.autograd.gradcheck(lambda x: apply_rotary(x, cos, sin, 2), qkv)


def test_both_directions_see_all_of_their_own_history_only() -> None:
    network = Transformer(
        8, 1, 2, 0.0, torch.Generator().manual_seed(1), causal=False
    ).eval()
    x = torch.randn(9, 8, generator=torch.Generator().manual_seed(2))
    both, alone = histories([0] * 4, [0] * 5), histories([0] * 4)
    changed = x.clone()
    changed[3] = torch.arange(8)
    with torch.no_grad():
        packed = both.pack(torch.arange(2))
        back = packed.event.argsort()
        of = {
            name: network(value[packed.event], packed)[back]
            for name, value in (("x", x), ("y", changed))
        }
        assert torch.allclose(
            of["x"][:4], network(x[:4], alone.pack(torch.tensor([0]))), atol=1e-5
        )
    assert not torch.allclose(of["x"][0], of["y"][0], atol=1e-3), (
        "the first event sees the fourth"
    )
    assert torch.equal(of["x"][4:], of["y"][4:]), "and nobody another history"


def test_means_of_a_history_leave_events_out_only_in_training() -> None:
    x = torch.tensor([[1.0, 0], [3, 0], [5, 0], [7, 2]])
    packed = histories([0, 0, 0], [0]).pack(torch.arange(2))
    running = [[1, 0], [2, 0], [3, 0], [7, 2]]
    for bag, all_of_it in ((True, [[3, 0], [3, 0], [3, 0], [7, 2]]), (False, running)):
        pool = MeanPooling([2, 2], 0.5, torch.Generator().manual_seed(1), bag=bag)
        parts = {tuple(pool(x, packed)[2].tolist()) for _ in range(200)}
        assert parts == {(0, 0), (1, 0), (3, 0), (5, 0), (2, 0), (4, 0), (3, 0)}
        assert pool.eval()(x, packed).tolist() == all_of_it


def test_every_history_has_something_hidden_and_the_mask_is_all_the_network_sees_of_it() -> (
    None
):
    events = histories(*([n] * (1 + n % 7) for n in range(300)))
    batch = MaskedItem(events, 999, torch.Generator().manual_seed(1)).batch(
        torch.arange(300)
    )
    hidden = batch.inputs == 999
    assert hidden.nonzero()[:, 0].tolist() == batch.state_at.tolist()
    assert len(batch.packed.row[hidden].unique()) == 300
    assert torch.equal(
        events.item[batch.target], batch.packed.user[batch.packed.row[batch.state_at]]
    )
    last_only = sum(int(hidden[batch.packed.row == n].sum()) == 1 for n in range(300))
    assert 0.2 < hidden.float().mean() < 0.45
    assert last_only > 30


# --- histories -----------------------------------------------------------------------------------


def test_histories_by_hand() -> None:
    h = histories([1, 2, 3], [], [4], [5, 6])
    assert (h.latest(2).item.tolist(), h.latest(2).offsets.tolist()) == (
        [2, 3, 4, 5, 6],
        [0, 2, 2, 3, 5],
    )
    fewer, last = h.without_last(torch.tensor([0, 3]))
    assert (fewer.item.tolist(), fewer.offsets.tolist(), last.tolist()) == (
        [1, 2, 4, 5],
        [0, 2, 2, 3, 4],
        [3, 6],
    )
    longer = h.append(9)
    assert (longer.item.tolist(), longer.offsets.tolist()) == (
        [1, 2, 3, 9, 4, 9, 5, 6, 9],
        [0, 4, 4, 6, 9],
    )
    assert longer.age.tolist() == [0, 1, 2, 2, 3, 3, 4, 5, 5], (
        "it is of the last event's moment"
    )
    packed = h.pack(torch.tensor([3, 2, 0]))
    assert packed.user.tolist() == [0, 3, 2]
    assert packed.event.tolist() == [0, 1, 2, 4, 5, 3]
    assert packed.position.tolist() == [0, 1, 2, 0, 1, 0]
    assert packed.last.tolist() == [2, 4, 5]


def test_buckets_hold_every_event_once() -> None:
    lengths = np.random.default_rng(0).integers(1, 60, 200)
    packed = histories(*([0] * n for n in lengths)).pack(torch.arange(200))
    buckets = packed.buckets()
    assert len(buckets.cell.unique()) == len(buckets.cell) == lengths.sum()
    assert buckets.event[buckets.cell].tolist() == list(range(lengths.sum()))
    assert sum(rows for rows, _ in buckets.shapes) == 200
    masks = [mask.flatten(0, 2) for mask in buckets.padding_masks()]
    assert [mask.shape for mask in masks] == buckets.shapes
    filled = torch.cat([mask.sum(1) for mask in masks])
    assert filled.tolist() == packed.length.tolist(), "a row is a history"
    assert sum(buckets.sizes) < 1.2 * lengths.sum(), "little is padding"


def test_time_features_by_hand() -> None:
    monday = (
        -(-MIN_TIMESTAMP_US // (7 * DAY)) * 7 * DAY
    )  # a Thursday, as 1970 began on one
    times = [
        np.array([monday, monday + DAY // 24, monday + DAY]),
        np.array([monday + 25 * DAY // 24]),
    ]
    rows = time_features(algorithms.make("sasrec", {}), walked([[0, 1, 0], [1]], times))
    gap, age = FIRST_GAP, FIRST_ITEM_AGE
    minutes = {0: 0, 60: 5, 1380: 10, 1440: 10}  # log2(1 + n)
    assert rows.tolist() == [
        [0, HOURS, gap + minutes[0], age + minutes[0]],
        [1, HOURS, gap + minutes[60], age + minutes[0]],
        [0, HOURS + 1, gap + minutes[1380], age + minutes[1440]],
        [1, HOURS + 1, gap + minutes[0], age + minutes[1440]],
    ]


# --- losses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [7, 1 << 19])
@pytest.mark.parametrize("bias", [0.0, 1.5])
def test_the_softmax_is_torch_s(
    monkeypatch: pytest.MonkeyPatch, chunk: int, bias: float
) -> None:
    """Some targets are among the others, some are not; values and gradients are those of the plain
    formula.
    """
    monkeypatch.setattr(sequence_loss, "CHUNK_LOGITS", chunk)
    g = torch.Generator().manual_seed(1)
    shapes = ((11, 5), (11, 5), (6, 5))
    state, own, others = (
        torch.randn(s, generator=g, dtype=torch.float64, requires_grad=True)
        for s in shapes
    )
    hit, weight = (
        torch.arange(11) % 7 - 1,
        torch.rand(11, generator=g, dtype=torch.float64),
    )
    logits = (state @ others.T + bias).masked_fill(
        hit[:, None] == torch.arange(6), -math.inf
    )
    logits = torch.cat([(state * own).sum(1, keepdim=True), logits], 1)
    wanted = (
        cross_entropy(logits, torch.zeros(11, dtype=torch.int64), reduction="none")
        * weight
    ).sum()
    found = sequence_loss.chunked_cross_entropy(state, own, others, hit, bias, weight)
    assert torch.allclose(found, wanted)
    for ours, theirs in zip(
        *(torch.autograd.grad(2 * x, (state, own, others)) for x in (found, wanted)),
        strict=True,
    ):
        assert torch.allclose(ours, theirs)


def loss_over(count: int, **options: object) -> tuple[SequenceLoss, SequenceBatch]:
    """A loss whose states are the items seen, where everybody went from item 0 to another."""
    g = torch.Generator().manual_seed(3)
    events = histories(
        *([0, int(i)] for i in np.random.default_rng(0).integers(200, size=64))
    )
    model = SequenceModel(200, 4, _Same(), g, options.get("temperature"))
    loss = SequenceLoss(
        model, events, algorithms.make("gru4rec", {"dim": 4, **options}), count, g
    )
    return loss, NextItem(events).batch(torch.arange(64))


class _Same(torch.nn.Module):
    def forward(self, x: torch.Tensor, *_: object) -> torch.Tensor:
        return 3 * x


def test_sampled_softmax_estimates_the_whole_one() -> None:
    whole, batch = loss_over(200)
    wanted = whole(batch).item()
    assert wanted == pytest.approx(math.log(200), abs=0.3)
    for count in (20, 100):
        for correction, less in ((1.0, 0.0), (0.0, math.log(200 / count))):
            some, _ = loss_over(count, sampling_correction=correction)
            assert np.mean([some(batch).item() for _ in range(50)]) == pytest.approx(
                wanted - less, abs=0.06
            )


def test_the_pull_is_as_strong_as_that_many_events() -> None:
    free, batch = loss_over(200)
    pulled, _ = loss_over(200, reg=16.0)
    lengths = pulled.model.items.square().sum().item()
    assert pulled(batch).item() - free(batch).item() == pytest.approx(
        lengths * 16 / (2 * 64), rel=1e-3
    )


@pytest.mark.parametrize("temperature", [None, 0.5])
@pytest.mark.parametrize("loss", ["softmax", "gbce", "contrastive"])
def test_what_one_state_predicts_costs_what_it_would_from_a_state_each(
    temperature: float | None, loss: str
) -> None:
    g = torch.Generator().manual_seed(3)
    events = histories([0, 1, 2], [3], [4, 5, 5, 6])
    events = dataclasses.replace(events, weight=torch.arange(8.0))
    model = SequenceModel(9, 4, MeanPooling([4, 4], 0.0, g, bag=True), g, temperature)
    if loss == "contrastive" and temperature is None:
        pytest.skip("of cosines only")
    options = algorithms.make(
        "youtube_dnn", {"dim": 4, "loss": loss, "temperature": temperature}
    )
    batch = Bag(events).batch(torch.arange(3))
    apart = batch._replace(state_at=batch.state_at[batch.state_of], state_of=None)
    of = SequenceLoss(model, events, options, 9, g)
    assert of(batch).item() == pytest.approx(of(apart).item(), rel=1e-6)
    for ours, theirs in zip(
        *(torch.autograd.grad(of(one), model.table) for one in (batch, apart)),
        strict=True,
    ):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_few_negatives_of_shared_states_estimate_all() -> None:
    g = torch.Generator().manual_seed(3)
    events = histories(
        *(torch.randperm(200, generator=g)[:5].tolist() for _ in range(64))
    )
    model = SequenceModel(200, 4, MeanPooling([4, 4], 0.0, g, bag=True), g)
    batch, options = (
        Bag(events).batch(torch.arange(64)),
        {"dim": 4, "sampling_correction": 1.0},
    )
    whole, some = (
        SequenceLoss(model, events, algorithms.make("youtube_dnn", options), n, g)
        for n in (200, 50)
    )
    assert np.mean([some(batch).item() for _ in range(50)]) == pytest.approx(
        whole(batch).item(), abs=0.06
    )


def test_gbce_by_hand() -> None:
    loss, batch = loss_over(50, loss="gbce", gbce_t=0.75)
    items = loss.model.items.detach().double()
    drawn = torch.randperm(200, generator=torch.Generator().manual_seed(7))[
        :50
    ].tolist()
    loss.generator.manual_seed(7)
    state, rate = 3 * 4**0.5 * items[0], 50 / 200
    power = rate * (0.75 * (1 - 1 / rate) + 1 / rate)
    total = 0.0
    for target in loss.events.item[batch.target].tolist():
        total += power * math.log1p(math.exp(-float(state @ items[target])))
        total += sum(
            math.log1p(math.exp(float(state @ items[i]))) for i in drawn if i != target
        )
    assert loss(batch).item() == pytest.approx(total / 64, rel=1e-5)


def test_numbers_of_a_state_are_left_out_where_it_predicts() -> None:
    whole, _ = loss_over(200, temperature=0.5)
    some, _ = loss_over(200, temperature=0.5, user_embedding_dropout=0.5)
    state = torch.tensor([[3.0, 4.0]])
    assert torch.allclose(whole._scaled(state), torch.tensor([[1.2, 1.6]]))
    parts = {
        tuple(round(x, 4) for x in some._scaled(state)[0].tolist()) for _ in range(100)
    }
    assert parts == {(0, 0), (2.4, 0), (0, 3.2), (2.4, 3.2)}, (
        "what is left is larger by as much"
    )


def test_the_contrastive_loss_by_hand() -> None:
    loss, batch = loss_over(
        200, loss="contrastive", temperature=1.0, margin=0.2, negative_weight=7.0
    )
    items = torch.nn.functional.normalize(loss.model.items.detach())
    positive = items[0] @ items[loss.events.item[batch.target]].T
    wanted = (1 - positive).mean() + 7 * (items @ items[0] - 0.2).clamp(min=0).mean()
    assert loss(batch).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_the_contrastive_loss_wants_cosines() -> None:
    with pytest.raises(
        BadOption, match="temperature must be set with loss=contrastive"
    ):
        algorithms.make("gru4rec", {"loss": "contrastive"})


@pytest.mark.parametrize("loss", ["softmax", "gbce"])
def test_few_negatives_learn_too(loss: str) -> None:
    starts = np.arange(90) % 10
    walks = [[int(start + n) % 10 for n in range(4)] for start in starts]
    found = fit("gru4rec", walked(walks), epochs=20, loss=loss, negatives=4, lr=0.02)
    assert (best(found) == (starts + 4) % 10).mean() > 0.95


@pytest.mark.parametrize("name", NAMES)
def test_a_warm_start_begins_with_the_live_vectors(name: str) -> None:
    data = walked([[0, 1, 2], [2, 3], [1, 0, 3]], n_items=5)
    before = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    before[4] = np.nan
    run = Run(
        seed=1, threads=1, before=Embeddings(np.zeros((3, 4), np.float32), before)
    )
    found = algorithms.make(name, {"dim": 4, "epochs": 1, "lr": 1e-9}).fit(data, run)
    assert np.allclose(found.items[:4], before[:4], atol=1e-6)
    assert found.finite()


@pytest.mark.parametrize("name", NAMES)
def test_a_training_that_is_killed_goes_on_to_the_same_bytes(
    name: str, tmp_path: Path
) -> None:
    """Of chance there are the order of histories, dropout, the events hidden and the items
    drawn.
    """
    data = walked([[n % 7, (n + 2) % 7, (n + 3) % 7] for n in range(40)])
    algorithm = algorithms.make(name, {"dim": 4, "epochs": 4, "negatives": 3})

    def kill(epoch: int, _: dict[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        algorithm.fit(
            data,
            Run(
                seed=1,
                threads=1,
                on_report=kill,
                checkpoints=checkpoints(str(tmp_path), "a"),
            ),
        )
    found = algorithm.fit(
        data, Run(seed=1, threads=1, checkpoints=checkpoints(str(tmp_path), "a"))
    )
    assert found.checksum() == algorithm.fit(data, Run(seed=1, threads=1)).checksum()


# --- stopping, and bad input ---------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_early_stopping_keeps_the_best(name: str) -> None:
    rng = np.random.default_rng(0)
    walks = [rng.permutation(20)[: rng.integers(1, 9)].tolist() for _ in range(40)]
    figures: list[float] = []
    algorithm = algorithms.make(
        name, {"dim": 8, "epochs": 60, "patience": 2, "lr": 0.05}
    )
    algorithm.fit(
        walked(walks),
        Run(seed=1, threads=1, on_report=lambda _, v: figures.append(v["validation"])),
    )
    assert len(figures) < 60
    assert figures.index(max(figures)) == len(figures) - 3


@pytest.mark.parametrize("name", NAMES)
def test_who_has_no_event_or_one_and_what_nobody_met(name: str) -> None:
    data = walked([[0, 1, 2], [2], [1, 0], [0, 2, 1]], n_items=5)
    found = fit(name, data.where(data.user != 3), epochs=1, max_length=2)
    assert found.finite()
    assert not found.users[3].any()
    assert found.users[1].any()


@pytest.mark.parametrize("name", [*IN_ORDER, "youtube_dnn"])
def test_nothing_to_predict_is_an_error(name: str) -> None:
    data = walked([[0], [1], [2]])
    if name == "bert4rec":
        assert fit(name, data, epochs=1).finite(), "it learns how often each comes"
    else:
        with pytest.raises(NotEnoughData, match="two events"):
            fit(name, data)


@pytest.mark.parametrize(
    "option", [{"time_features": True}, {"example_age": True}, {"half_life": 3.0}]
)
def test_what_wants_times_says_so(option: dict[str, object]) -> None:
    data = dataclasses.replace(walked([[0, 1], [1, 2]]), time=None, events=None)
    with pytest.raises(BadOption, match="no event_time"):
        fit("sasrec", data, **option)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("sasrec", {"n_heads": 3}),
        ("bert4rec", {"n_layers": 0}),
        ("gru4rec", {"n_layers": 9}),
        ("youtube_dnn", {"hidden_dim": 0}),
        ("sasrec", {"dropout": 1.0}),
        ("sasrec", {"max_length": 0}),
        ("gru4rec", {"loss": "bpr"}),
        ("bert4rec", {"max_length": 1}),
        ("sasrec", {"temperature": 0.0}),
        ("gru4rec", {"sampling_correction": 2.0}),
        ("gru4rec", {"gbce_t": 2.0}),
        ("gru4rec", {"negatives": 0}),
        ("youtube_dnn", {"hidden_layers": 4}),
        ("youtube_dnn", {"reg": -1.0}),
        ("youtube_dnn", {"user_embedding_dropout": 1.0}),
        ("youtube_dnn", {"history_dropout": 1.0}),
    ],
)
def test_bad_options(name: str, wrong: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(wrong))):
        algorithms.make(name, wrong)


def test_a_loss_that_is_no_number_is_an_error() -> None:
    with pytest.raises(Diverged):
        fit("gru4rec", walked([[0, 1, 2], [1, 2, 0]]), lr=1e30)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_model_on_a_device_reads_goes_there(name: str) -> None:
    """Batches are made on the CPU. The device "meta" has shapes without numbers, and refuses
    tensors of another, as a GPU does.
    """
    g = torch.Generator().manual_seed(1)
    data = walked([[0, 1, 2], [2, 3], [1, 0, 3]], n_items=5)
    algorithm = algorithms.make(name, {"dim": 4, "loss": "gbce", "negatives": 3})
    model = build_model(algorithm, data, g).to("meta")
    events = packed_histories(data)
    loss_of = SequenceLoss(model, events, algorithm, 3, g)
    batch = make_task(algorithm.task(data), events, 5, g).batch(torch.arange(3))
    features = torch.zeros(len(batch.inputs), 2, dtype=torch.int64)
    states = model(batch.inputs, features, batch.packed, batch.state_at)
    assert states.device.type == "meta"
    loss_of(batch).backward()
