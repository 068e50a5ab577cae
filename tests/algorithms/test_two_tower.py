"""What the two towers promise beyond the contract: features, newcomers, histories, losses, early stopping."""

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

import embsql
from embsql import algorithms
from embsql.algorithms import _towers
from embsql.algorithms._encoders import FAR, Feature, described, encode
from embsql.algorithms._loop import carve
from embsql.data import Interactions
from embsql.errors import BadFeatures, BadOption, Diverged
from embsql.model import Run
from tests.conftest import ENGINES
from tests.worlds import interactions, islands

KINDS, PER_KIND = 4, 12


def tasteful(seed: int = 0) -> tuple[Interactions, np.ndarray, np.ndarray]:
    """People of four lands buy things of their land's colour, seldom others: (interactions, lands, colours)."""
    rng = np.random.default_rng(seed)
    land, colour = np.repeat(np.arange(KINDS), 20), np.repeat(np.arange(KINDS), PER_KIND)
    pairs = [
        (u, i)
        for u in range(len(land))
        for i in range(len(colour))
        if rng.random() < (0.4 if land[u] == colour[i] else 0.03)
    ]
    users = pa.table({"land": [f"land {n}" for n in land], "age": rng.normal(40, 10, len(land))})
    items = pa.table({"colours": [[f"colour {n}", "all"] for n in colour], "price": rng.gamma(2, 5, len(colour))})
    return dataclasses.replace(interactions(pairs), user_features=users, item_features=items), land, colour


@pytest.mark.parametrize("layers", [0, 1])
@pytest.mark.parametrize("entity", ["user", "item"])
def test_one_never_met_is_near_its_kind(layers: int, entity: str) -> None:
    """What is left out of training entirely has its place by its features alone."""
    data, land, colour = tasteful()
    kind, codes, vocabulary = (land, data.user, data.users) if entity == "user" else (colour, data.item, data.items)
    newcomers = np.arange(0, len(vocabulary), 5)
    found = algorithms.make("two_tower", {"dim": 16, "layers": layers}).fit(
        data.where(~np.isin(codes, newcomers)), Run(seed=1, threads=1)
    )
    scores = found.users @ found.items.T if entity == "user" else found.items @ found.users.T
    others = colour if entity == "user" else land
    top = np.argsort(-scores[newcomers], axis=1)[:, :8]
    assert (others[top] == kind[newcomers][:, None]).mean() > 0.8, "by chance it would be 0.25"


@pytest.fixture(scope="module", params=ENGINES)
def shop(request) -> Iterator[embsql.Database]:
    """A model of the tasteful world, and its people and things as tables."""
    data, land, colour = tasteful()
    target = ":memory:" if request.param == "duckdb" else request.getfixturevalue("new_database")()
    with embsql.connect(target) as database:
        rows = {
            "buys (user_id text, item_id text)": zip(
                data.users.take(data.user), data.items.take(data.item), strict=True
            ),
            "people (user_id text, land text)": zip(data.users, (f"land {n}" for n in land), strict=True),
            "things (item_id text, colour text)": zip(data.items, (f"colour {n}" for n in colour), strict=True),
        }
        for table, values in rows.items():
            listed = ", ".join(str(tuple(str(value) for value in row)) for row in values)
            database.engine.run(f"CREATE TABLE {table}")
            database.engine.run(f"INSERT INTO {table.split(' ')[0]} VALUES {listed}")
        database.train("shop", "buys", algorithm="two_tower", dim=16, user_features="people", item_features="things",
                       progress=False)  # fmt: skip
        yield database


def test_a_new_customer_is_shown_what_their_land_likes(shop) -> None:
    for n in range(KINDS):
        call = f"embsql.recommend_new('shop', '{{\"land\": \"land {n}\"}}', k => 10)"
        rows = shop.ask(
            f"SELECT t.colour, r.source FROM {call} AS r JOIN things AS t ON t.item_id = r.item_id"
        ).to_pylist()
        assert sum(row["colour"] == f"colour {n}" for row in rows) >= 9
        assert {row["source"] for row in rows} == {"features"}


def test_a_new_thing_is_near_its_kind_and_interests_its_land(shop) -> None:
    for n in range(KINDS):
        vector = f"embsql.embed_item('shop', '{{\"colour\": \"colour {n}\"}}')"
        items, users = (f"embsql.nearest_{entity}s('shop', {vector}, k => 8)" for entity in ("item", "user"))
        things = shop.ask(f"SELECT t.colour FROM {items} AS r JOIN things AS t ON t.item_id = r.item_id")
        people = shop.ask(f"SELECT p.land FROM {users} AS r JOIN people AS p ON p.user_id = r.user_id")
        assert things["colour"].to_pylist().count(f"colour {n}") >= 7
        assert people["land"].to_pylist().count(f"land {n}") >= 5


# --- options -------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["softmax", "bpr", "triplet", "contrastive"])
@pytest.mark.parametrize("sampler", ["uniform", "popularity", "in_batch", "mixed"])
def test_every_loss_with_every_sampler_keeps_islands_apart(loss: str, sampler: str) -> None:
    data, user_island, item_island = islands()
    options = {"dim": 8, "loss": loss, "sampler": sampler, "negatives": 20}
    found = algorithms.make("two_tower", options).fit(data, Run(seed=1, threads=1))
    best = np.argsort(-(found.users @ found.items.T), axis=1)[:, :5]
    assert (item_island[best] == user_island[:, None]).mean() > 0.97


@pytest.mark.parametrize("history", ["separate", "shared"])
@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_history_serves_users(history: str, similarity: str) -> None:
    data, user_island, item_island = islands()
    options = {"dim": 8, "history": history, "similarity": similarity}
    found = algorithms.make("two_tower", options).fit(data, Run(seed=1, threads=1))
    best = np.argsort(-(found.users @ found.items.T), axis=1)[:, :5]
    assert (item_island[best] == user_island[:, None]).mean() > 0.97
    assert [row[0] for row in found.towers["user"].rows] == ["items"] * (1 + data.n_items)
    assert found.similarity == similarity


def test_the_item_to_be_predicted_is_not_in_the_history() -> None:
    data = interactions([(0, 0), (0, 1), (0, 2), (1, 2)])
    generator = torch.Generator().manual_seed(1)
    options = algorithms.make("two_tower", {"dim": 2, "history": "separate", "similarity": "dot"})
    pair = _towers.pair(options, data, {"user": None, "item": None}, generator)
    table = pair.users.history.table.detach()
    with torch.no_grad():
        found = pair.users.history(torch.tensor([0, 0, 1]), torch.tensor([0, 2, 2]))
    assert torch.allclose(found[0], (table[1] + table[2]) / 2, atol=1e-6)
    assert torch.allclose(found[1], (table[0] + table[1]) / 2, atol=1e-6)
    assert torch.allclose(found[2], pair.users.history.unknown[0], atol=1e-6), "nothing is left: unknown"


def test_corrected_loss_is_the_softmax_over_the_catalogue() -> None:
    """Over many draws the estimate of the sum comes near the sum over what was met, whatever is drawn how often."""
    rng = np.random.default_rng(0)
    data = interactions([(u, int(i)) for u in range(40) for i in set(np.minimum(rng.zipf(1.3, 8) - 1, 199)) | {199}])
    scores = torch.from_numpy(rng.normal(0, 1, data.n_items)).float()
    for sampler in ("uniform", "popularity"):
        generator = torch.Generator().manual_seed(2)
        negative = _towers.negatives(sampler, 100, 32, data, generator)
        totals = []
        for _ in range(2000):
            drawn = negative.draw()
            s = _towers.Scores(scores[:1], scores[drawn][None], (drawn == 0)[None], negative.expected[drawn])
            totals.append(math.exp(float(_towers.softmax(s, 0) + scores[0])))
        wanted = float(torch.logsumexp(scores[np.unique(data.item)], 0))
        assert math.log(np.mean(totals)) == pytest.approx(wanted, abs=0.03)


def test_no_more_negatives_than_the_catalogue_are_drawn() -> None:
    data, _, _ = islands()
    negative = _towers.negatives("uniform", 10_000, 32, data, torch.Generator())
    assert negative.draw().tolist() == list(range(data.n_items))


def test_early_stopping_stops_and_keeps_the_best() -> None:
    data, _, _ = islands()
    heard: list[dict[str, float]] = []
    algorithm = algorithms.make("two_tower", {"dim": 8, "epochs": 50, "patience": 2, "lr": 0.05})
    algorithm.fit(data, Run(seed=1, threads=1, on_report=lambda _, values: heard.append(values)))
    figures = [values["validation"] for values in heard]
    assert len(heard) < 50
    assert figures.index(max(figures)) == len(figures) - 3


def test_carving_keeps_two_pairs_of_everybody() -> None:
    data, _, _ = islands()
    known, held = carve(data, seed=1)
    assert len(known) + len(held) == len(data)
    assert (np.bincount(held.user, minlength=data.n_users) <= 1).all()
    assert (np.bincount(known.user, minlength=data.n_users) >= 2).all()


def test_a_loss_that_is_no_number_is_an_error() -> None:
    data, _, _ = islands()
    with pytest.raises(Diverged):
        algorithms.make("two_tower", {"dim": 8, "similarity": "dot", "lr": 1e30, "loss": "bpr"}).fit(data, Run(seed=1))


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    algorithms.make("two_tower", {"dim": 4, "epochs": 1}).fit(islands()[0], Run(seed=1, threads=1))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    "wrong",
    [{"layers": 4}, {"id_dropout": 1.0}, {"temperature": 0.0}, {"lr": 0.0}, {"negatives": 0}, {"loss": "hinge"}],
)
def test_bad_options(wrong: dict[str, object]) -> None:
    with pytest.raises(BadOption, match=next(iter(wrong))):
        algorithms.make("two_tower", wrong)


# --- features ------------------------------------------------------------------------------------


def told(values: list[object], type_: pa.DataType | None = None) -> Feature:
    return next(described(pa.table({"x": pa.array(values, type_)}), "item_features"))


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
        ([datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 2)], pa.timestamp("ns", "UTC"), "time"),
        (["2024-01-01", "2024-01-02", None], None, "time"),
        (["2024-01-01", "2024-13-45"], None, "category"),
        ([["a"], [], None], None, "tags"),
        ([[1, 2], [2]], None, "tags"),
        (["the big red mug", "a small blue cup", "tea for two"], None, "text"),
        (["New York", "New York", "New York", "Los Angeles"], None, "category"),
    ],
)
def test_types_say_what_a_feature_is(values: list[object], type_: pa.DataType | None, kind: str) -> None:
    assert told(values, type_).kind == kind


@pytest.mark.parametrize(("values", "type_"), [([{"a": 1}], "struct"), ([[0.5, 1.5]], "list"), ([b"x"], "binary")])
def test_what_is_no_feature_is_refused(values: list[object], type_: str) -> None:
    with pytest.raises(BadFeatures, match=f'a column "x" of type {type_}'):
        told(values)


def test_encoding_by_hand() -> None:
    table = pa.table({
        "land": ["DE", "FR", "DE", None, "once"],
        "age": [10.0, 20.0, None, 30.0, 1e6],
        "tags": [["a", "b", "a"], ["b", None], [], None, ["a", "seldom"]],
    })  # fmt: skip
    made = encode(table, "user_features")
    assert [(name, value) for name, _, value, _, _ in made.rows()] == [
        ("", None), ("land", None), ("land", "DE"), ("age", None), ("age", ""), ("tags", None), ("tags", "a"),
        ("tags", "b"),
    ]  # fmt: skip
    dense = np.zeros((5, made.slots))
    np.add.at(dense, (np.repeat(np.arange(5), np.diff(made.start)), made.slot), made.factor)
    age = np.array([10.0, 20.0, 30.0, 1e6])
    z = np.clip((age - age.mean()) / age.std(), -FAR, FAR)
    expected = [  # always, land: unknown DE, age: unknown slope, tags: unknown a b
        [1, 0, 1, 0, z[0], 0, 0.5, 0.5],
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
    users = pa.table({"same": [7.0] * n, "empty": pa.array([None] * n, pa.float64()), "void": pa.nulls(n),
                      "own": [f"value {u}" for u in range(n)]})  # fmt: skip
    found = algorithms.make("two_tower", {"dim": 4, "epochs": 2}).fit(
        dataclasses.replace(data, user_features=users), Run(seed=1, threads=1)
    )
    assert found.finite()
    assert all(np.isfinite(tower.table).all() for tower in found.towers.values())


def test_a_feature_by_the_history_s_name_is_refused() -> None:
    data, _, _ = islands()
    users = pa.table({"items": ["a"] * data.n_users})
    with pytest.raises(BadFeatures, match='"items"'):
        algorithms.make("two_tower", {"history": "shared"}).fit(
            dataclasses.replace(data, user_features=users), Run(seed=1)
        )
