"""What the two towers promise beyond the contract: features, newcomers, histories, losses, early
stopping.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.optim.adagrad import adagrad

import embsql
from embsql import algorithms
from embsql.data import Embeddings, Interactions
from embsql.errors import BadFeatures, BadOption, Diverged
from embsql.features.encoders import (
    CLIP_STD,
    Feature,
    describe_columns,
    encode_features,
)
from embsql.nn import losses, negatives, optim, towers
from embsql.nn.trainer import hold_out
from embsql.run import Run
from tests.conftest import ENGINES
from tests.worlds import interactions, islands

KINDS, PER_KIND = 4, 12
QUICK = {
    "epochs": 5,
    "lr": 0.01,
}  # learns the worlds below in a quarter of the default's steps


def tasteful(seed: int = 0) -> tuple[Interactions, np.ndarray, np.ndarray]:
    """People of four lands buy things of their land's color, seldom others: (interactions, lands,
    colors).
    """
    rng = np.random.default_rng(seed)
    land, color = np.repeat(np.arange(KINDS), 20), np.repeat(np.arange(KINDS), PER_KIND)
    pairs = [
        (u, i)
        for u in range(len(land))
        for i in range(len(color))
        if rng.random() < (0.4 if land[u] == color[i] else 0.03)
    ]
    users = pa.table(
        {"land": [f"land {n}" for n in land], "age": rng.normal(40, 10, len(land))}
    )
    items = pa.table(
        {
            "colors": [[f"color {n}", "all"] for n in color],
            "price": rng.gamma(2, 5, len(color)),
        }
    )
    return (
        dataclasses.replace(
            interactions(pairs), user_features=users, item_features=items
        ),
        land,
        color,
    )


@pytest.mark.parametrize("layers", [0, 1])
@pytest.mark.parametrize("entity", ["user", "item"])
def test_one_never_met_is_near_its_kind(layers: int, entity: str) -> None:
    """What is left out of training entirely has its place by its features alone."""
    data, land, color = tasteful()
    kind, codes, vocabulary = (
        (land, data.user, data.users)
        if entity == "user"
        else (color, data.item, data.items)
    )
    newcomers = np.arange(0, len(vocabulary), 5)
    found = algorithms.make(
        "two_tower", {"dim": 16, "hidden_layers": layers, **QUICK}
    ).fit(data.where(~np.isin(codes, newcomers)), Run(seed=1, threads=1))
    scores = (
        found.users @ found.items.T if entity == "user" else found.items @ found.users.T
    )
    others = color if entity == "user" else land
    top = np.argsort(-scores[newcomers], axis=1)[:, :8]
    assert (others[top] == kind[newcomers][:, None]).mean() > 0.8, (
        "by chance it would be 0.25"
    )


def with_random_words(**options: object) -> tuple[float, float]:
    """How often newcomers find their kind, and how long what a word adds is, where most words say
    nothing.
    """
    data, land, color = tasteful()
    rng, newcomers = np.random.default_rng(1), np.arange(0, data.n_items, 3)
    words = [
        [f"color {n}", *(f"word {w}" for w in rng.integers(0, 60, 15))] for n in color
    ]
    with_words = dataclasses.replace(
        data, item_features=pa.table({"words": words}), user_features=None
    )
    found = algorithms.make(
        "two_tower", {"dim": 16, "similarity": "dot", **QUICK, **options}
    ).fit(
        with_words.where(~np.isin(with_words.item, newcomers)), Run(seed=1, threads=1)
    )
    top = np.argsort(-(found.items @ found.users.T)[newcomers], axis=1)[:, :8]
    return float((land[top] == color[newcomers][:, None]).mean()), float(
        np.linalg.norm(found.towers["item"].table)
    )


def test_a_pull_on_features_keeps_what_is_said_by_chance_small() -> None:
    (right, length), (free, far) = (
        with_random_words(feature_reg=10.0),
        with_random_words(),
    )
    assert right > free + 0.05
    assert length < far / 2


@pytest.fixture(scope="module", params=ENGINES)
def shop(request) -> Iterator[embsql.Database]:
    """A model of the tasteful world, and its people and things as tables."""
    data, land, color = tasteful()
    target = (
        ":memory:"
        if request.param == "duckdb"
        else request.getfixturevalue("new_database")()
    )
    with embsql.connect(target) as database:
        rows = {
            "buys (user_id text, item_id text)": zip(
                data.users.take(data.user), data.items.take(data.item), strict=True
            ),
            "people (user_id text, land text)": zip(
                data.users, (f"land {n}" for n in land), strict=True
            ),
            "things (item_id text, color text)": zip(
                data.items, (f"color {n}" for n in color), strict=True
            ),
        }
        for table, values in rows.items():
            listed = ", ".join(
                str(tuple(str(value) for value in row)) for row in values
            )
            database.engine.run(f"CREATE TABLE {table}")
            database.engine.run(f"INSERT INTO {table.split(' ')[0]} VALUES {listed}")
        database.train(
            "shop",
            "buys",
            algorithm="two_tower",
            dim=16,
            user_features="people",
            item_features="things",
            progress=False,
        )
        yield database


def test_a_new_customer_is_shown_what_their_land_likes(shop) -> None:
    for n in range(KINDS):
        call = f"embsql.recommend_new('shop', '{{\"land\": \"land {n}\"}}', k => 10)"
        rows = shop.ask(
            f"SELECT t.color, r.source FROM {call} AS r JOIN things AS t ON t.item_id = r.item_id"
        ).to_pylist()
        assert sum(row["color"] == f"color {n}" for row in rows) >= 9
        assert {row["source"] for row in rows} == {"features"}


def test_a_new_thing_is_near_its_kind_and_interests_its_land(shop) -> None:
    for n in range(KINDS):
        vector = f"embsql.embed_item('shop', '{{\"color\": \"color {n}\"}}')"
        items, users = (
            f"embsql.nearest_{entity}s('shop', {vector}, k => 8)"
            for entity in ("item", "user")
        )
        things = shop.ask(
            f"SELECT t.color FROM {items} AS r JOIN things AS t ON t.item_id = r.item_id"
        )
        people = shop.ask(
            f"SELECT p.land FROM {users} AS r JOIN people AS p ON p.user_id = r.user_id"
        )
        assert things["color"].to_pylist().count(f"color {n}") >= 7
        assert people["land"].to_pylist().count(f"land {n}") >= 5


# --- warm start ----------------------------------------------------------------------------------


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("history", ["none", "separate", "shared"])
@pytest.mark.parametrize("large", [optim.LARGE_TABLE_ROWS, 0])
def test_a_warm_start_begins_with_the_vectors_it_is_given(
    monkeypatch, similarity: str, history: str, large: int
):
    """Whatever the tower says; who is new begins with the tower and what is drawn."""
    monkeypatch.setattr(optim, "LARGE_TABLE_ROWS", large)
    data, _, _ = tasteful()
    before = Embeddings(
        *(np.random.default_rng(0).normal(0, 1, (n, 8)).astype("f4") for n in (80, 48))
    )
    before.users[::9], before.items[::5] = np.nan, np.nan
    algorithm = algorithms.make(
        "two_tower", {"dim": 8, "similarity": similarity, "history_embedding": history}
    )
    run = Run(seed=1, generator=torch.Generator().manual_seed(1))
    features = algorithm._encode_features(data)
    model = towers.build_two_towers(algorithm, data, features, run.generator)
    model.warm_start(before, run)
    for tower, wanted in ((model.users, before.users), (model.items, before.items)):
        found, known = tower.vectors().numpy(), ~np.isnan(wanted[:, 0])
        assert np.allclose(found[known], wanted[known], atol=1e-5)
        assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "options", [{}, {"history_embedding": "shared"}, {"similarity": "dot"}]
)
def test_one_epoch_after_a_warm_start_knows_newcomers(
    options: dict[str, object],
) -> None:
    """Better than one epoch from nothing, by what the tower learns of the vectors that it starts
    with.
    """
    data, land, color = tasteful()
    newcomers = np.arange(0, data.n_items, 5)
    known = data.where(~np.isin(data.item, newcomers))

    def right(
        steps: dict[str, float], before: Embeddings | None
    ) -> tuple[float, Embeddings]:
        found = algorithms.make("two_tower", {"dim": 16, **steps, **options}).fit(
            known, Run(seed=1, threads=1, before=before)
        )
        top = np.argsort(-(found.items @ found.users.T)[newcomers], axis=1)[:, :8]
        return float((land[top] == color[newcomers][:, None]).mean()), found

    _, before = right({"epochs": 8, "lr": 0.01}, None)
    before.items[newcomers] = np.nan
    cold, warm = right({"epochs": 1}, None)[0], right({"epochs": 1}, before)[0]
    assert warm > max(0.7, cold + 0.05), "by chance it would be 0.25"


def test_one_epoch_after_a_warm_start_keeps_islands_apart() -> None:
    data, user_island, item_island = islands()

    def right(
        options: dict[str, object], before: Embeddings | None = None
    ) -> tuple[float, Embeddings]:
        found = algorithms.make("two_tower", {"dim": 8, **options}).fit(
            data, Run(seed=1, threads=1, before=before)
        )
        best = np.argsort(-(found.users @ found.items.T), axis=1)[:, :5]
        return float((item_island[best] == user_island[:, None]).mean()), found

    _, before = right(QUICK)
    before.users[::10] = before.items[::10] = np.nan
    short = {"epochs": 1, "lr": 0.001}
    assert right(short, before)[0] > 0.8
    assert right(short)[0] < 0.6


# --- large tables --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"similarity": "dot"},
        {"history_embedding": "separate"},
        {"history_embedding": "shared"},
    ],
)
@pytest.mark.parametrize("large", [50, 0])  # users only, or all
def test_large_tables_keep_islands_apart(
    monkeypatch, options: dict[str, object], large: int
) -> None:
    """Whether Adam changes the rest or nothing is left to it; and the same seed comes to the same
    bytes.
    """
    monkeypatch.setattr(optim, "LARGE_TABLE_ROWS", large)
    data, user_island, item_island = islands()
    algorithm = algorithms.make(
        "two_tower", {"dim": 8, "epochs": 4, "lr": 0.02, **options}
    )
    found, again = (algorithm.fit(data, Run(seed=1, threads=1)) for _ in range(2))
    best = np.argsort(-(found.users @ found.items.T), axis=1)[:, :5]
    assert (item_island[best] == user_island[:, None]).mean() > 0.97
    assert found.checksum() == again.checksum()


def sparse_and_dense(
    dim: int,
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """A table and a weight that have the same gradients twice; the table's is sparse, then dense,
    with a row twice.
    """
    generator = torch.Generator().manual_seed(1)
    first, weight = (
        torch.randn(6, dim, generator=generator),
        torch.randn(dim, generator=generator),
    )
    slopes, rows = torch.randn(4, dim, generator=generator), torch.tensor([4, 1, 4, 0])
    made = []
    for sparse in (True, False):
        table, other = (
            optim.EmbeddingTable(first.clone()),
            torch.nn.Parameter(weight.clone()),
        )
        found = torch.nn.functional.embedding(rows, table, sparse=sparse)
        ((found * slopes).sum() + other.square().sum()).backward()
        made.append([table, other])
    return made[0], made[1]


@pytest.mark.parametrize("most", [0.5, 100.0])
def test_a_sparse_gradient_is_cut_as_a_dense_one(most: float) -> None:
    sparse, dense = sparse_and_dense(3)
    optim.clip_gradients(sparse, most)
    torch.nn.utils.clip_grad_norm_(dense, most)
    for ours, theirs in zip(sparse, dense, strict=True):
        assert torch.allclose(ours.grad.to_dense(), theirs.grad, atol=1e-6)


def test_of_length_one_it_is_adagrad() -> None:
    """One sum a row is then one sum a number; torch's own it is, once that has a step size that
    grows as the root.
    """
    (ours, _), (theirs, _) = sparse_and_dense(1)
    row_wise = optim.RowAdagrad([ours], lr=0.01)
    sums, steps = [torch.zeros_like(theirs)], [torch.tensor(0.0)]
    rest = {"weight_decay": 0, "lr_decay": 0, "eps": 1e-10, "maximize": False}
    for step in (1, 2, 3):
        with torch.no_grad():
            lr = 0.01 * step**0.5
            adagrad([theirs], [theirs.grad], sums, steps, foreach=False, lr=lr, **rest)
        row_wise.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_adam_moves_as_its_paper_has_it() -> None:
    """Algorithm 1 of Kingma and Ba (2015); what has no gradient stays."""
    (_, moved), (_, still) = sparse_and_dense(3)
    still.grad, wanted = None, moved.detach().double()
    before, adam, mean, square = (
        still.detach().clone(),
        optim.Adam([moved, still], 0.1),
        0,
        0,
    )
    for step in (1, 2, 3):
        moved.grad *= step - 2.5
        slopes = moved.grad.double()
        mean = 0.9 * mean + 0.1 * slopes
        square = 0.999 * square + 0.001 * slopes**2
        root = (square / (1 - 0.999**step)).sqrt()
        wanted = wanted - 0.1 * mean / (1 - 0.9**step) / (root + 1e-8)
        adam.step()
    assert torch.allclose(moved.double(), wanted, atol=1e-6)
    assert torch.equal(still, before)


def test_a_row_s_first_step_is_as_long_as_every_other_s() -> None:
    """Whatever its gradient's length, along it: the step size times the square root of the
    dimension; others stay.
    """
    (table, _), (_, _) = sparse_and_dense(3)
    before, slopes = table.detach().clone(), table.grad.to_dense()
    optim.RowAdagrad([table], lr=0.01).step()
    moved = (table - before).detach()
    used = [0, 1, 4]
    wanted = -torch.nn.functional.normalize(slopes[used]) * 0.01 * 3**0.5
    assert torch.allclose(moved[used], wanted, atol=1e-6)
    assert not moved[[2, 3, 5]].any()


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["softmax", "bpr", "triplet", "contrastive"])
@pytest.mark.parametrize(
    "sampler", ["uniform", "popularity", "in_batch", "mixed", "hard"]
)
def test_every_loss_with_every_sampler_keeps_islands_apart(
    loss: str, sampler: str
) -> None:
    data, user_island, item_island = islands()
    quick = (
        {"epochs": 8, "lr": 0.01}
        if loss == "contrastive"
        else {"epochs": 5, "lr": 0.02}
    )
    options = {"dim": 8, "loss": loss, "sampler": sampler, "negatives": 20, **quick}
    found = algorithms.make("two_tower", options).fit(data, Run(seed=1, threads=1))
    best = np.argsort(-(found.users @ found.items.T), axis=1)[:, :5]
    assert (item_island[best] == user_island[:, None]).mean() > 0.97


@pytest.mark.parametrize("history", ["separate", "shared"])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_history_serves_users(history: str, similarity: str) -> None:
    data, user_island, item_island = islands()
    options = {
        "dim": 8,
        "history_embedding": history,
        "similarity": similarity,
        "epochs": 4,
        "lr": 0.02,
    }
    found = algorithms.make("two_tower", options).fit(data, Run(seed=1, threads=1))
    best = np.argsort(-(found.users @ found.items.T), axis=1)[:, :5]
    assert (item_island[best] == user_island[:, None]).mean() > 0.97
    assert [row[0] for row in found.towers["user"].rows] == ["items"] * (
        1 + data.n_items
    )
    assert found.similarity == similarity


def test_a_history_is_the_mean_of_what_training_leaves_of_it() -> None:
    data = interactions([(0, 0), (0, 1), (1, 2)])
    generator = torch.Generator().manual_seed(1)
    options = algorithms.make(
        "two_tower", {"dim": 2, "history_embedding": "separate", "similarity": "dot"}
    )
    history = towers.build_two_towers(
        options, data, {"user": None, "item": None}, generator
    ).users.history
    table, users, dropouts = (
        history.table.detach(),
        torch.tensor([0, 1]),
        towers.Dropouts(generator, ids=0, history=0.5),
    )
    with torch.no_grad():
        whole, parts = (
            history(users, None),
            [history(users, dropouts) for _ in range(64)],
        )
    assert torch.allclose(
        whole, torch.stack([(table[0] + table[1]) / 2, table[2]]), atol=1e-6
    )
    for user, may_be in ((0, [table[0], table[1], whole[0]]), (1, [table[2]])):
        wanted = [*may_be, history.empty[0]]  # where nothing is left
        alike = torch.stack(
            [
                torch.stack([torch.isclose(part[user], one).all() for one in wanted])
                for part in parts
            ]
        )
        assert alike.any(1).all()
        assert alike.any(0).all()


def test_users_without_ids_are_what_they_met() -> None:
    """Two users who met the same are one and the same vector."""
    data = interactions(
        [(user, item) for user in range(40) for item in range(user % 4, 12, 4)]
    )
    options = {
        "dim": 8,
        "history_embedding": "shared",
        "user_id_embedding": False,
        "epochs": 5,
    }
    found = algorithms.make("two_tower", options).fit(data, Run(seed=1, threads=1))
    assert np.allclose(found.users[:4], found.users[4:8], atol=1e-6)
    assert not np.allclose(found.users[0], found.users[1], atol=0.1)


def test_users_of_whom_nothing_would_be_known_are_refused() -> None:
    with pytest.raises(
        BadOption,
        match="user_id_embedding must be true, "
        "unless there are user_features or a history_embedding",
    ):
        algorithms.make("two_tower", {"user_id_embedding": False}).fit(
            interactions([(0, 0), (1, 1)]), Run(seed=1, threads=1)
        )


def test_corrected_loss_is_the_softmax_over_the_catalog() -> None:
    """Over many draws the estimate of the sum comes near the sum over what was met, whatever is
    drawn how often.
    """
    rng = np.random.default_rng(0)
    data = interactions(
        [
            (u, int(i))
            for u in range(40)
            for i in set(np.minimum(rng.zipf(1.3, 8) - 1, 199)) | {199}
        ]
    )
    scores = torch.from_numpy(rng.normal(0, 1, data.n_items)).float()
    for name in ("uniform", "popularity"):
        generator = torch.Generator().manual_seed(2)
        sampler = negatives.negative_sampler(name, 100, 32, data, generator)
        totals = []
        for _ in range(2000):
            drawn = sampler.sample()
            s = losses.Scores(
                scores[:1],
                scores[drawn][None],
                (drawn == 0)[None],
                sampler.batch_counts[drawn],
            )
            totals.append(math.exp(float(losses.sampled_softmax(s, 0) + scores[0])))
        wanted = float(torch.logsumexp(scores[np.unique(data.item)], 0))
        assert math.log(np.mean(totals)) == pytest.approx(wanted, abs=0.03)


def scores(
    positive: list[float], others: list[list[float]], hits: list[list[int]]
) -> losses.Scores:
    return losses.Scores(
        torch.tensor(positive),
        torch.tensor(others),
        torch.tensor(hits) > 0,
        torch.ones(len(others[0])),
    )


def test_the_contrastive_loss_by_hand() -> None:
    given = scores(
        [0.5, 2.0], [[0.75, -1.0, 0.9], [0.5, 1.5, 3.0]], [[0, 0, 0], [0, 0, 1]]
    )
    near, far = (0.5 + 0) / 2, (0.25 + 0 + 0.4 + 0 + 1.0) / 5  # a hit is no negative
    assert float(losses.contrastive(given, 0.5, 7.0)) == pytest.approx(near + 7 * far)


def test_the_hardest_by_hand() -> None:
    """An eighth of sixteen is two: neither what is met, nor what is above the met item by more than
    the spread.
    """
    others = [[float(n) for n in range(16)]] * 3  # spread: 4.76
    hits = [[0] * 16, [0] * 14 + [1, 1], [0] * 16]
    counts = negatives.hardest(scores([20.0, 20.0, 5.0], others, hits))
    assert [row.nonzero()[:, 0].tolist() for row in counts] == [
        [14, 15],
        [12, 13],
        [8, 9],
    ]


def test_where_nothing_may_count_nothing_does() -> None:
    assert not negatives.hardest(scores([0.0], [[1.0, 2.0]], [[1, 1]])).any()


def test_who_has_met_what_among_some() -> None:
    data = interactions([(0, 0), (0, 3), (1, 1), (2, 0), (2, 1), (2, 2), (2, 3)])
    found = negatives.SeenItems(data.by_user(), "cpu").mask(
        torch.tensor([2, 0, 1, 0]), torch.tensor([3, 0, 3, 2])
    )
    assert found.int().tolist() == [
        [1, 1, 1, 1],
        [1, 1, 1, 0],
        [0, 0, 0, 0],
        [1, 1, 1, 0],
    ]


def towns(seed: int = 0) -> tuple[Interactions, np.ndarray, np.ndarray]:
    """Three lands of four towns; people buy most in their town, some in their land: (interactions,
    towns, towns).
    """
    rng = np.random.default_rng(seed)
    pairs = [
        (town * 6 + u, int(i))
        for town in range(12)
        for u in range(6)
        for i in {
            *(town * 6 + rng.choice(6, 4, replace=False)),
            *(town // 4 * 24 + rng.choice(24, 3, replace=False)),
        }
    ]
    return interactions(pairs), np.repeat(np.arange(12), 6), np.repeat(np.arange(12), 6)


def unmet_of_own_town(**options: object) -> float:
    """Share of the two best items not yet met that are of the user's town; two are left of each
    user's six.
    """
    data, home, origin = towns()
    algorithm = algorithms.make(
        "two_tower", {"dim": 16, "epochs": 12, "negatives": 72, **options}
    )
    found = algorithm.fit(data, Run(seed=1, threads=1))
    ranked = found.users @ found.items.T
    ranked[data.user, data.item] = -np.inf
    return float((origin[np.argsort(-ranked, axis=1)[:, :2]] == home[:, None]).mean())


def test_numbers_left_out_are_made_up_for() -> None:
    dropouts, x = (
        towers.Dropouts(torch.Generator().manual_seed(1), ids=0, embedding=0.2),
        torch.arange(1.0, 5)[None],
    )  # (1, 4)
    found = torch.cat([dropouts.apply(x) for _ in range(4000)])  # (4000, 4)
    assert found.unique().tolist() == pytest.approx([0, 1.25, 2.5, 3.75, 5])
    assert torch.allclose(found.mean(0), x[0], rtol=0.05)
    assert towers.Dropouts(dropouts.generator, ids=0).apply(x) is x


def test_hard_negatives_tell_neighbors_apart() -> None:
    assert (
        unmet_of_own_town(loss="bpr", sampler="hard")
        > unmet_of_own_town(loss="bpr") + 0.05
    )


def test_memory_makes_up_for_small_batches() -> None:
    small = {"sampler": "in_batch", "batch_size": 10}
    assert (
        unmet_of_own_town(negative_queue_size=256, **small)
        > unmet_of_own_town(**small) + 0.05
    )


def test_memory_is_of_the_latest_items() -> None:
    data, _, _ = islands()
    generator = torch.Generator().manual_seed(1)
    options = algorithms.make("two_tower", {"dim": 4, "negative_queue_size": 5})
    pair = towers.build_two_towers(
        options, data, {"user": None, "item": None}, generator
    )
    sampler, dropouts = (
        negatives.negative_sampler("in_batch", 1, 3, data, generator),
        towers.Dropouts(generator, 0.0),
    )
    nothing = torch.tensor([], dtype=torch.int64)
    for items in ([0, 1, 2], [3, 4, 0]):
        batch = towers.PairBatch(torch.tensor([0, 0, 1]), torch.tensor(items), nothing)
        found, _ = pair.scores(batch, sampler, dropouts)
    assert pair.queue_items.tolist() == [3, 4, 0, 0, 1]
    assert torch.allclose(
        pair.queue, pair._scored(pair.items.vectors())[pair.queue_items]
    )
    assert not pair.queue.requires_grad
    assert found.accidental_hits.int().tolist() == [
        [
            1,
            0,
            0,
            0,
            0,
            0,
            1,
            1,
        ],  # the batch's own, three remembered, two places still empty
        [0, 1, 0, 0, 0, 0, 1, 1],
        [0, 0, 1, 1, 0, 0, 1, 1],  # item 0 was met a step ago
    ]
    share = np.bincount(data.item) / len(data)
    assert np.allclose(found.expected_counts[:6], 6 * share[[3, 4, 0, 0, 1, 2]])


def test_no_more_negatives_than_the_catalog_are_drawn() -> None:
    data, _, _ = islands()
    sampler = negatives.negative_sampler("uniform", 10_000, 32, data, torch.Generator())
    assert sampler.sample().tolist() == list(range(data.n_items))


def test_early_stopping_stops_and_keeps_the_best() -> None:
    data, _, _ = islands()
    reports: list[dict[str, float]] = []
    algorithm = algorithms.make(
        "two_tower", {"dim": 8, "epochs": 50, "patience": 2, "lr": 0.05}
    )
    algorithm.fit(
        data, Run(seed=1, threads=1, on_report=lambda _, values: reports.append(values))
    )
    figures = [values["validation"] for values in reports]
    assert len(reports) < 50
    assert figures.index(max(figures)) == len(figures) - 3


def test_holding_out_keeps_two_pairs_of_everybody() -> None:
    data, _, _ = islands()
    known, held_out = hold_out(data, seed=1)
    assert len(known) + len(held_out) == len(data)
    assert (np.bincount(held_out.user, minlength=data.n_users) <= 1).all()
    assert (np.bincount(known.user, minlength=data.n_users) >= 2).all()


def test_a_loss_that_is_no_number_is_an_error() -> None:
    data, _, _ = islands()
    with pytest.raises(Diverged):
        algorithms.make(
            "two_tower", {"dim": 8, "similarity": "dot", "lr": 1e30, "loss": "bpr"}
        ).fit(data, Run(seed=1))


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    algorithms.make("two_tower", {"dim": 4, "epochs": 1}).fit(
        islands()[0], Run(seed=1, threads=1)
    )
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden_layers": 4},
        {"id_dropout": 1.0},
        {"temperature": 0.0},
        {"lr": 0.0},
        {"negatives": 0},
        {"loss": "hinge"},
        {"negative_weight": -1.0},
        {"feature_reg": -1.0},
        {"user_embedding_dropout": 1.0},
    ],
)
def test_bad_options(wrong: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(wrong))):
        algorithms.make("two_tower", wrong)


def test_a_pull_on_features_that_are_not_there_is_refused() -> None:
    with pytest.raises(
        BadOption,
        match="feature_reg must be 0, unless there are user_features or item_features",
    ):
        algorithms.make("two_tower", {"feature_reg": 1.0}).fit(
            islands()[0], Run(seed=1, threads=1)
        )


# --- features ------------------------------------------------------------------------------------


def described(values: list[object], type_: pa.DataType | None = None) -> Feature:
    return next(
        describe_columns(pa.table({"x": pa.array(values, type_)}), "item_features")
    )


@pytest.mark.parametrize(
    ("values", "type_", "kind"),
    [
        (["a", "b", "a"], None, "category"),
        (["a", "b", "a"], pa.dictionary(pa.int32(), pa.string()), "category"),
        ([True, False, None], None, "category"),
        ([None, None], pa.null(), "category"),
        ([1, 2, None], None, "number"),
        ([1.5, float("nan"), float("inf")], None, "number"),
        ([decimal.Decimal("1.50"), decimal.Decimal("2.25")], None, "number"),
        ([datetime.date(2024, 1, 1), None], None, "time"),
        (
            [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 2)],
            pa.timestamp("ns", "UTC"),
            "time",
        ),
        (["2024-01-01", "2024-01-02", None], None, "time"),
        (["2024-01-01", "2024-13-45"], None, "category"),
        ([["a"], [], None], None, "tags"),
        ([[1, 2], [2]], None, "tags"),
        (["the big red mug", "a small blue cup", "tea for two"], None, "text"),
        (["New York", "New York", "New York", "Los Angeles"], None, "category"),
    ],
)
def test_types_say_what_a_feature_is(
    values: list[object], type_: pa.DataType | None, kind: str
) -> None:
    assert described(values, type_).kind == kind


@pytest.mark.parametrize(
    ("values", "type_"),
    [([{"a": 1}], "struct"), ([[0.5, 1.5]], "list"), ([b"x"], "binary")],
)
def test_what_is_no_feature_is_refused(values: list[object], type_: str) -> None:
    with pytest.raises(BadFeatures, match=f'a column "x" of type {type_}'):
        described(values)


def test_encoding_by_hand() -> None:
    table = pa.table(
        {
            "land": ["DE", "FR", "DE", None, "once"],
            "age": [10.0, 20.0, None, 30.0, 1e6],
            "tags": [["a", "b", "a"], ["b", None], [], None, ["a", "seldom"]],
        }
    )
    made = encode_features(table, "user_features", np.ones(len(table), np.bool_))
    assert [(name, value) for name, _, value, _, _ in made.columns()] == [
        ("", None),
        ("land", None),
        ("land", "DE"),
        ("age", None),
        ("age", ""),
        ("tags", None),
        ("tags", "a"),
        ("tags", "b"),
    ]
    dense = np.zeros((5, made.n_columns))
    np.add.at(
        dense, (np.repeat(np.arange(5), np.diff(made.indptr)), made.column), made.value
    )
    age = np.array([10.0, 20.0, 30.0, 1e6])
    z = np.clip((age - age.mean()) / age.std(), -CLIP_STD, CLIP_STD)
    expected = [  # always, land: unknown DE, age: unknown slope, tags: unknown a b
        [1, 0, 1, 0, z[0], 0, 0.5**0.5, 0.5**0.5],
        [1, 1, 0, 0, z[1], 0, 0, 1],
        [1, 0, 1, 1, 0, 1, 0, 0],
        [1, 1, 0, 0, z[2], 1, 0, 0],
        [1, 1, 0, 0, z[3], 0, 1, 0],
    ]
    assert np.allclose(dense, expected)
    assert made.unknown.tolist() == [1, 3, 5]


def test_constant_and_empty_columns_do_no_harm() -> None:
    data, _, _ = islands()
    n = data.n_users
    users = pa.table(
        {
            "same": [7.0] * n,
            "empty": pa.array([None] * n, pa.float64()),
            "void": pa.nulls(n),
            "own": [f"value {u}" for u in range(n)],
        }
    )
    found = algorithms.make("two_tower", {"dim": 4, "epochs": 2}).fit(
        dataclasses.replace(data, user_features=users), Run(seed=1, threads=1)
    )
    assert found.finite()
    assert all(np.isfinite(tower.table).all() for tower in found.towers.values())


def test_a_feature_by_the_history_s_name_is_refused() -> None:
    data, _, _ = islands()
    users = pa.table({"items": ["a"] * data.n_users})
    with pytest.raises(BadFeatures, match='"items"'):
        algorithms.make("two_tower", {"history_embedding": "shared"}).fit(
            dataclasses.replace(data, user_features=users), Run(seed=1)
        )
