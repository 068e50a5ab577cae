"""What every algorithm promises. A new one is tested by existing."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from embsql import algorithms, options
from embsql.data import Embeddings, Events, Interactions
from embsql.errors import BadOption, Cancelled, UnknownAlgorithm, UnknownOption
from embsql.run import Run
from tests.worlds import interactions, islands

NAMES = algorithms.names()
SHARED = {
    "dim",
    "epochs",
    "reg",
    "alpha",
    "lr",
    "batch_size",
    "negatives",
    "window",
    "seed",
    "device",
}
SYNONYMS = {
    "factors",
    "num_factors",
    "rank",
    "iterations",
    "n_iter",
    "regularization",
    "l2",
    "learning_rate",
    "lam",
}


def has(name: str, option: str) -> bool:
    return option in {known.name for known in options.declared(algorithms.find(name))}


def small(name: str, epochs: int = 2) -> algorithms.Algorithm:
    """With 8 dims; and, of what takes hundreds of steps to learn anything, with fewer epochs than
    by default.
    """
    values: dict[str, object] = {"dim": 8} if has(name, "dim") else {}
    if has(name, "sampling_correction"):
        values |= {"epochs": epochs, "lr": 0.01}
    return algorithms.make(name, values)


def with_vectors(name: str, data: Interactions, group: np.ndarray) -> Interactions:
    """The data with vectors of 8 numbers for items, for what trains on given ones: a direction per
    group, and noise.
    """
    if not has(name, "vector_col") and name != "fusion":
        return data
    given = np.eye(8)[group] + 0.1 * np.random.default_rng(0).standard_normal(
        (len(group), 8)
    )
    return dataclasses.replace(data, item_features=pa.table({"vector": list(given)}))


def world(name: str) -> tuple[Interactions, np.ndarray, np.ndarray]:
    data, user_island, item_island = islands()
    if algorithms.find(
        name
    ).ordered:  # by code, nothing but higher codes would ever come next
        order = np.lexsort(
            (np.random.default_rng(0).random(len(data)), data.user)
        ).astype(np.int32)
        data = dataclasses.replace(
            data, events=Events(order, data.weight, np.arange(len(data)))
        )
    return with_vectors(name, data, item_island), user_island, item_island


@cache
def trained(name: str) -> tuple[Interactions, Embeddings, list[int]]:
    """The world, what a training on it finds, and the epochs that it reports."""
    data, epochs = world(name)[0], []
    found = small(name).fit(
        data, Run(seed=5, threads=2, on_report=lambda epoch, _: epochs.append(epoch))
    )
    return data, found, epochs


@pytest.mark.parametrize("name", NAMES)
class TestAlgorithm:
    def test_shapes_and_finite(self, name: str) -> None:
        data, found, _ = trained(name)
        assert found.users.shape == (data.n_users, 8)
        assert found.items.shape == (data.n_items, 8)
        assert found.users.dtype == found.items.dtype == np.float32
        assert found.finite()

    def test_same_seed_same_bytes(self, name: str) -> None:
        data, found, _ = trained(name)
        assert (
            small(name).fit(data, Run(seed=5, threads=2)).checksum() == found.checksum()
        )

    def test_islands_do_not_mix(self, name: str) -> None:
        """Every item's nearest neighbor lives on its own island, and so does every user's best
        unseen item.
        """
        data, user_island, item_island = world(name)
        found = small(name, epochs=20).fit(data, Run(seed=2))
        unit = found.items / np.maximum(
            np.linalg.norm(found.items, axis=1, keepdims=True), 1e-12
        )
        cosine = unit @ unit.T - 2 * np.eye(len(unit))
        assert (item_island[cosine.argmax(axis=1)] == item_island).all()
        scores = found.users @ found.items.T
        scores[data.user, data.item] = -np.inf
        some = np.isin(
            np.arange(data.n_users), data.user[np.bincount(data.user)[data.user] < 10]
        )
        assert (item_island[scores.argmax(axis=1)] == user_island)[some].all()

    def test_more_dims_than_data(self, name: str) -> None:
        data = with_vectors(
            name,
            interactions([(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 2)]),
            np.arange(3),
        )
        found = (
            algorithms.make(name, {"dim": 32}) if has(name, "dim") else small(name)
        ).fit(data, Run(seed=1))
        assert found.items.shape == (3, 32 if has(name, "dim") else 8)
        assert found.finite()

    def test_stops_when_asked(self, name: str) -> None:
        def stop() -> None:
            raise Cancelled(name="m", run_id=1)

        data, _, _ = world(name)
        with pytest.raises(Cancelled):
            small(name).fit(data, Run(seed=1, on_check=stop))

    def test_reports_every_epoch(self, name: str) -> None:
        assert trained(name)[2] == list(range(1, small(name).epochs + 1))

    def test_options_say_why(self, name: str) -> None:
        for option in options.declared(algorithms.find(name)):
            assert option.reason, f"{name}.{option.name} has no reason behind it"
            assert option.name not in SYNONYMS, (
                f"{option.name}: the shared names are {sorted(SHARED)}"
            )

    def test_docstring_is_a_manual(self, name: str) -> None:
        assert len(algorithms.find(name).__doc__.splitlines()) > 3

    def test_options_survive_a_round_trip(self, name: str) -> None:
        made = small(name)
        assert algorithms.make(name, dataclasses.asdict(made)) == made
        as_text = {
            key: str(value)
            for key, value in dataclasses.asdict(made).items()
            if value is not None
        }
        assert algorithms.make(name, as_text) == made

    @pytest.mark.parametrize("value", [0, -3, "many", 1.5, float("nan")])
    def test_bad_dim(self, name: str, value: object) -> None:
        if not has(name, "dim"):
            pytest.skip("its vectors are given")
        with pytest.raises(BadOption, match="dim"):
            algorithms.make(name, {"dim": value})


def test_unknown_algorithm_suggests() -> None:
    with pytest.raises(UnknownAlgorithm, match='Did you mean "als"'):
        algorithms.find("asl")


def test_unknown_option_suggests() -> None:
    with pytest.raises(UnknownOption, match='Did you mean "epochs"'):
        algorithms.make("als", {"epoch": 3})
