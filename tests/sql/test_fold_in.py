"""Folding in and explaining against numpy's exact solution, on runs as training writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import embsql
from embsql.algorithms.als import BIAS_DAMPING
from embsql.errors import Refused
from embsql.lifecycle.folding import foldable
from tests.conftest import ENGINES

USERS, ITEMS, DIM = 60, 30, 8
RUNS: dict[str, dict[str, Any]] = {
    "implicit": {"algorithm": "als", "epochs": 40, "cg_steps": 8},
    "alpha": {
        "algorithm": "als",
        "epochs": 40,
        "cg_steps": 8,
        "alpha": 2.0,
        "reg": 0.1,
        "reg_exponent": 0.5,
    },
    "explicit": {
        "algorithm": "als",
        "epochs": 40,
        "cg_steps": 8,
        "feedback": "explicit",
    },
    "normalized": {"algorithm": "svd"},
    "plain": {"algorithm": "svd", "method": "plain"},
}
LEAST_SQUARES = ["implicit", "alpha", "explicit"]


def history(n: int = USERS) -> list[tuple[str, str, float]]:
    """Two tastes and noise: (user, item, weight from 1 to 5)."""
    rng = np.random.default_rng(7)
    pairs = [
        (u, i)
        for u in range(n)
        for i in range(ITEMS)
        if rng.random() < (0.5 if u % 2 == i % 2 else 0.1)
    ]
    return [(f"u{u:02d}", f"i{i:02d}", float(1 + (u + i * 3) % 5)) for u, i in pairs]


@pytest.fixture(scope="module", params=ENGINES)
def trained(request) -> Iterator[embsql.Database]:
    """A database with one run of every way to fold in."""
    target = (
        ":memory:"
        if request.param == "duckdb"
        else request.getfixturevalue("new_database")()
    )
    with embsql.connect(target) as database:
        rows = ", ".join(
            f"('{user}', '{item}', {weight})" for user, item, weight in history()
        )
        source = f"SELECT * FROM (VALUES {rows}) AS t (user_id, item_id, weight)"
        for name, options in RUNS.items():
            database.train(name, source, dim=DIM, progress=False, **options)
        yield database


def used(database: embsql.Database, model: str) -> dict[str, Any]:
    """What options that were left out are for the run's data."""
    params = json.loads(database.runs(model).to_pylist()[0]["params"])
    found: dict[str, Any] = params.get("defaults", {})
    return found


class World:
    """A run as numpy sees it."""

    def __init__(self, database: embsql.Database, model: str) -> None:
        self.options = used(database, model) | RUNS[model]
        self.items, self.item_bias = side(database, "item", model)
        self.users, self.user_bias = side(database, "user", model)
        self.pairs = history()
        self.weight = np.array([weight for _, _, weight in self.pairs], np.float32)

    def system(
        self, ids: list[str], weights: list[float]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The matrix A (d, d), the vectors (n, d) and the pulls (n,) of a history's own
        equations.
        """
        vectors, weight = np.array([self.items[one] for one in ids]), np.array(weights)
        if self.options["algorithm"] == "svd":
            popularity = {
                one: sum(w for _, i, w in self.pairs if i == one) for one in ids
            }
            plain = self.options.get("method") == "plain"
            return (
                np.eye(DIM),
                vectors,
                weight / (1.0 if plain else np.array([popularity[one] for one in ids])),
            )
        if "feedback" in self.options:
            return self._ratings(ids, vectors, weight)
        alpha = self.options.get("alpha")
        amount = weight * (1 / self.weight.mean() if alpha is None else alpha)
        density = len(self.pairs) / (len(self.users) * len(self.items))
        unseen = 15 * density if alpha is None else 1.0
        ridge = self.options["reg"] * (
            amount.sum() + unseen * len(self.items)
        ) ** self.options.get("reg_exponent", 1)
        table = np.array(list(self.items.values()))
        matrix = (
            unseen * table.T @ table
            + ridge * np.eye(DIM)
            + (vectors.T * amount) @ vectors
        )
        return matrix, vectors, amount + (0 if alpha is None else 1)

    def _ratings(
        self, ids: list[str], vectors: np.ndarray, weight: np.ndarray
    ) -> tuple[Any, Any, Any]:
        mean = float(self.weight.mean(dtype=np.float64))
        rest = weight - mean - np.array([self.item_bias[one] for one in ids])
        spread = np.std(
            [w - self.user_bias[u] - self.item_bias[i] for u, i, w in self.pairs]
        )
        matrix = vectors.T @ vectors + 0.08 * spread * len(ids) * np.eye(DIM)
        return matrix, vectors, rest - rest.sum() / (len(ids) + BIAS_DAMPING)

    def solution(self, ids: list[str], weights: list[float]) -> np.ndarray:
        matrix, vectors, pulls = self.system(ids, weights)
        return np.linalg.solve(matrix, pulls @ vectors)

    def history(self, user: str) -> tuple[list[str], list[float]]:
        mine = [(item, weight) for one, item, weight in self.pairs if one == user]
        return [item for item, _ in mine], [weight for _, weight in mine]


def side(
    database: embsql.Database, entity: str, model: str
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    rows = database.ask(
        f"SELECT {entity}_id AS id, embedding, bias FROM embsql.{entity}_embedding('{model}')"
    ).to_pylist()
    return (
        {row["id"]: np.array(row["embedding"], np.float64) for row in rows},
        {row["id"]: row["bias"] for row in rows},
    )


def array(ids: list[Any]) -> str:
    return f"ARRAY{ids}"  # a list of plain text or numbers is written the same in both languages


def folded(
    database: embsql.Database, model: str, ids: list[str], weights: list[float]
) -> np.ndarray:
    found = database.ask(
        f"SELECT embsql.fold_in('{model}', {array(ids)}, {array(weights)}) AS x"
    )["x"][0].as_py()
    return np.array(found, np.float64)


def near(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    return bool(np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b))


@pytest.mark.parametrize("model", RUNS)
def test_fold_in_is_the_exact_solution(trained, model: str) -> None:
    world = World(trained, model)
    for ids, weights in (
        (["i03"], [2.0]),
        (["i01", "i04", "i09"], [1.0, 5.0, 2.0]),
        world.history("u05"),
    ):
        assert near(
            folded(trained, model, ids, weights), world.solution(ids, weights), 1e-4
        )


@pytest.mark.parametrize("model", RUNS)
def test_fold_in_of_ones_own_history_is_ones_vector(trained, model: str) -> None:
    world = World(trained, model)
    for user in ("u00", "u17", "u41"):
        found = folded(trained, model, *world.history(user))
        assert near(
            found,
            world.users[user],
            1e-4 if world.options["algorithm"] == "svd" else 0.05,
        )


@pytest.mark.parametrize("model", RUNS)
def test_contributions_add_up_to_the_score(trained, model: str) -> None:
    world = World(trained, model)
    ids, weights = world.history("u17")
    matrix, vectors, pulls = world.system(ids, weights)
    rows = trained.ask(
        f"SELECT * FROM embsql.explain('{model}', 'u17', 'i02')"
    ).to_pylist()
    expected = dict(
        zip(
            ids,
            pulls * (vectors @ np.linalg.solve(matrix, world.items["i02"])),
            strict=True,
        )
    )
    score = world.solution(ids, weights) @ world.items["i02"]
    size = max(map(abs, expected.values()))
    assert {row["item_id"]: row["weight"] for row in rows} == dict(
        zip(ids, weights, strict=True)
    )
    assert all(
        abs(row["contribution"] - expected[row["item_id"]]) < 1e-3 * size
        for row in rows
    )
    assert sum(row["contribution"] for row in rows) == pytest.approx(
        score, abs=1e-3 * size
    )
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert [row["contribution"] for row in rows] == sorted(
        (row["contribution"] for row in rows), reverse=True
    )


@pytest.mark.parametrize("model", RUNS)
def test_recommend_from_ranks_by_the_folded_vector(trained, model: str) -> None:
    world, (ids, weights) = World(trained, model), (["i01", "i04"], [2.0, 5.0])
    call = f"embsql.recommend_from('{model}', {array(ids)}, {array(weights)}, k => 100)"
    rows = trained.ask(f"SELECT * FROM {call}").to_pylist()
    x = folded(trained, model, ids, weights)
    bias = 0.0
    if model == "explicit":
        mean = float(world.weight.mean(dtype=np.float64))
        bias = mean + sum(
            w - mean - world.item_bias[one] for one, w in zip(ids, weights, strict=True)
        ) / (2 + BIAS_DAMPING)
    scores = {
        one: x @ y + world.item_bias[one] + bias
        for one, y in world.items.items()
        if one not in ids
    }
    assert {row["item_id"]: row["score"] for row in rows} == pytest.approx(
        scores, abs=1e-4
    )
    assert [row["rank"] for row in rows] == list(range(1, len(scores) + 1))
    assert {row["source"] for row in rows} == {"fold_in"}


def test_ratings_left_out_are_the_highest_and_repeated_ones_are_averaged(
    trained,
) -> None:
    assert near(
        bare(trained, "explicit", ["i01", "i02"]),
        folded(trained, "explicit", ["i01", "i02"], [5, 5]),
        1e-6,
    )
    twice = folded(trained, "explicit", ["i01", "i02", "i02"], [4, 1, 3])
    assert near(twice, folded(trained, "explicit", ["i01", "i02"], [4, 2]), 1e-6)


def test_weights_left_out_are_one_and_repeated_ones_add_up(trained) -> None:
    assert near(
        bare(trained, "implicit", ["i01", "i02"]),
        folded(trained, "implicit", ["i01", "i02"], [1, 1]),
        1e-6,
    )
    twice = folded(trained, "implicit", ["i01", "i02", "i02"], [4, 1, 3])
    assert near(twice, folded(trained, "implicit", ["i01", "i02"], [4, 4]), 1e-6)


def bare(database: embsql.Database, model: str, ids: list[str]) -> np.ndarray:
    return np.array(
        database.ask(f"SELECT embsql.fold_in('{model}', {array(ids)}) AS x")["x"][
            0
        ].as_py()
    )


def weighed(database: embsql.Database, model: str, ids: list[str], weights: str) -> Any:
    call = f"embsql.fold_in('{model}', {array(ids)}, ARRAY[{weights}])"
    return database.ask(f"SELECT {call} AS x")["x"][0].as_py()


@pytest.mark.parametrize("model", RUNS)
def test_a_missing_weight_is_left_out_as_in_training(trained, model: str) -> None:
    assert near(
        np.array(weighed(trained, model, ["i01", "i02"], "NULL, 2.0")),
        folded(trained, model, ["i02"], [2.0]),
        1e-6,
    )
    assert (
        weighed(trained, model, ["i01", "i02"], "CAST(NULL AS DOUBLE PRECISION), NULL")
        is None
    )


@pytest.mark.parametrize("model", sorted(set(RUNS) - {"explicit"}))
def test_a_weight_of_zero_is_no_interaction(trained, model: str) -> None:
    assert near(
        folded(trained, model, ["i01", "i02"], [0.0, 2.0]),
        folded(trained, model, ["i02"], [2.0]),
        1e-6,
    )
    assert weighed(trained, model, ["i01", "i02"], "0.0, 0.0") is None
    call = f"embsql.recommend_from('{model}', ARRAY['i01', 'i02'], weights => ARRAY[0.0, 0.0])"
    rows = trained.ask(f"SELECT item_id, source FROM {call}").to_pylist()
    assert {row["source"] for row in rows} == {"popular"}


@pytest.mark.parametrize("rating", [0.0, -3.0])
def test_a_rating_may_be_zero_or_negative(trained, rating: float) -> None:
    ids, weights = ["i01", "i02"], [rating, 4.0]
    assert near(
        folded(trained, "explicit", ids, weights),
        World(trained, "explicit").solution(ids, weights),
        1e-4,
    )


@pytest.mark.parametrize("model", RUNS)
@pytest.mark.parametrize("weight", ["'NaN'", "'Infinity'", "'-Infinity'", "1e300"])
@pytest.mark.parametrize("item", ["i01", "unheard of"])
def test_a_weight_that_is_not_finite_is_an_error(
    trained, model: str, weight: str, item: str
) -> None:
    with pytest.raises(Refused, match="the list of weights holds NaN or infinity"):
        weighed(
            trained, model, [item, "i02"], f"CAST({weight} AS DOUBLE PRECISION), 1.0"
        )


@pytest.mark.parametrize("model", sorted(set(RUNS) - {"explicit"}))
@pytest.mark.parametrize("item", ["i01", "unheard of"])
def test_a_negative_weight_is_an_error_unless_it_is_a_rating(
    trained, model: str, item: str
) -> None:
    with pytest.raises(Refused, match=f'^item "{item}" has the negative weight -5'):
        weighed(trained, model, ["i02", item], "1.0, -5.0")


@pytest.mark.parametrize("model", RUNS)
@pytest.mark.parametrize("weight", [1e-30, 1e37])
def test_large_weights_and_small_ones_give_a_vector(
    trained, model: str, weight: float
) -> None:
    found = folded(trained, model, ["i01", "i02"], [weight, weight])
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "question", ["SELECT embsql.fold_in", "SELECT * FROM embsql.recommend_from"]
)
def test_every_item_needs_its_weight(trained, question: str) -> None:
    with pytest.raises(
        Refused,
        match="2 items with 1 weights: give every item one weight, or none at all",
    ):
        trained.ask(f"{question}('implicit', ARRAY['i01', 'i02'], ARRAY[1.0])")
    with pytest.raises(
        Refused,
        match="0 items with 2 weights: give every item one weight, or none at all",
    ):
        trained.ask(f"{question}('implicit', NULL, ARRAY[1.0, 2.0])")


@pytest.mark.parametrize("table", ["fold_in_settings", "item_gramian", "item_weights"])
def test_what_folding_in_needs_goes_with_its_run(trained, table: str) -> None:
    of_model = (
        "JOIN embsql.runs AS r ON r.run_id = t.run_id WHERE r.model_name = 'gone'"
    )
    count = f"SELECT count(*) AS n FROM embsql.{table} AS t {of_model}"
    rows = ", ".join(
        f"('{user}', '{item}', {weight})" for user, item, weight in history(10)
    )
    source = f"SELECT * FROM (VALUES {rows}) AS t (user_id, item_id, weight)"
    first = trained.train(
        "gone",
        source,
        algorithm="svd" if table == "item_weights" else "als",
        dim=2,
        progress=False,
    )
    before = trained.ask(count)["n"][0].as_py()
    trained.train(
        "gone", source, algorithm="svd", method="plain", dim=2, progress=False
    )
    trained.drop_run(f"gone@{first.run_id}")
    assert before > 0
    assert trained.ask(count)["n"][0].as_py() == (
        1 if table == "fold_in_settings" else 0
    )
    trained.engine.run(
        "UPDATE embsql.models SET live_run = NULL WHERE model_name = 'gone'"
    )
    trained.drop_run(f"gone@{int(first.run_id) + 1}")


def test_publishing_takes_it_along(trained, tmp_path) -> None:
    target = str(tmp_path / "copy.duckdb")
    trained.publish(target, "implicit", "normalized")
    with embsql.connect(target) as copy:
        for model in ("implicit", "normalized"):
            ours, theirs = (
                folded(one, model, ["i01", "i04"], [1.0, 2.0])
                for one in (trained, copy)
            )
            assert near(theirs, ours, 1e-5)


@pytest.mark.parametrize("options", [{}, {"feedback": "explicit"}, {"reg": 1000.0}])
@pytest.mark.parametrize("dim", [16, 64])
def test_specks_are_nothing(db, pg, options: dict[str, Any], dim: int) -> None:
    """als leaves some in dimensions that no item fills, whose products PostgreSQL refuses."""
    source = (
        "SELECT 'u' || i % 41 AS user_id, 'i' || (i * 31) % 23 AS item_id, 1 + i % 5 AS weight "
        "FROM generate_series(1, 400) AS t(i)"
    )
    asked = (
        "SELECT embsql.fold_in('m', ARRAY['i3', 'i7'], ARRAY[1, 2]) AS v",
        "SELECT item_id FROM embsql.recommend_from('m', ARRAY['i3', 'i7'], k => 3)",
        "SELECT item_id FROM embsql.explain('m', 'u5', 'i7')",
    )
    with embsql.connect(pg) as server:
        answers = []
        for database in (db, server):
            database.train("m", source, dim=dim, progress=False, **options)
            answers.append([database.ask(sql).to_pylist() for sql in asked])
    here, there = answers
    np.testing.assert_allclose(here[0][0]["v"], there[0][0]["v"], atol=1e-4)
    assert here[1:] == there[1:]


@pytest.mark.parametrize("model", RUNS)
def test_numpy_folds_in_as_sql_does(trained: embsql.Database, model: str) -> None:
    """What `refresh` and `watch` compute, for histories of several lengths, one of them empty."""
    run_id = trained.engine.rows(f"SELECT embsql.live_run('{model}') AS r")[0]["r"]
    fold = foldable(trained.engine, run_id)
    histories = [["i03"], ["i01", "i02", "i07", "i20"], []]
    rows = pa.table(
        {
            "user_id": [f"{n}" for n, items in enumerate(histories) for _ in items],
            "item_id": [item for items in histories for item in items],
            "weight": pa.array([2.0, 5.0, 1.0, 3.0, 4.0], pa.float32()),
            "last_time": pa.array([1] * 5, pa.int64()),
        }
    )
    pairs = fold.coded(rows, pa.array(["0", "1", "2"]), fold.items.ids)
    folded = fold.fold_in(trained.engine, pairs)
    assert folded.known.tolist() == [True, True, False]
    for n, weights in enumerate(([2.0], [5.0, 1.0, 3.0, 4.0])):
        right = trained.engine.rows(
            f"SELECT embsql.fold_in('{model}', $items, $weights) AS v",
            items=histories[n],
            weights=weights,
        )[0]["v"]
        np.testing.assert_allclose(folded.vectors[n], right, atol=1e-5, rtol=1e-4)
