"""The figures of a run's vectors, and top-k by cosine of random ones, against numpy on every
engine.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

import embsql
from embsql.lifecycle.named_statements import execute_named
from embsql.lifecycle.pair_versions import write_pairs

USERS, ITEMS, DIM = 230, 140, 6  # more users than are asked for their lists


class World:
    """A run of random vectors, items in three groups."""

    def __init__(self, similarity: str, seed: int, dim: int = DIM) -> None:
        rng = np.random.default_rng(seed)
        self.similarity, self.dim = similarity, dim
        self.group = rng.integers(0, 3, ITEMS)
        centers = rng.standard_normal((3, dim))
        self.ids = {
            "user": [f"u{n:03d}" for n in range(USERS)],
            "item": [f"i{n:03d}" for n in range(ITEMS)],
        }
        self.vectors = {
            "user": rng.standard_normal((USERS, dim)).astype("f4"),
            "item": (
                centers[self.group] + rng.standard_normal((ITEMS, dim)) / 2
            ).astype("f4"),
        }
        self.vectors["item"][7] = 0
        self.bias = {
            "user": rng.standard_normal(USERS).astype("f4"),
            "item": rng.standard_normal(ITEMS).astype("f4"),
        }
        self.seen = {
            (u, int(i))
            for u in range(USERS)
            for i in rng.choice(ITEMS, 3 + u % 5, replace=False)
        }
        self.weight = {pair: float(rng.integers(1, 5)) for pair in sorted(self.seen)}
        self.time = {pair: int(rng.integers(0, 4)) for pair in sorted(self.seen)}

    def counts(self, entity: str) -> np.ndarray:
        codes = [pair[entity == "item"] for pair in self.seen]
        return np.bincount(codes, minlength=len(self.ids[entity]))

    def write(self, database: embsql.Database) -> None:
        engine = database.engine
        execute_named(engine, "ensure_model", model_name="m")
        execute_named(
            engine,
            "begin_run",
            run_id=1,
            model_name="m",
            algorithm="als",
            params="{}",
            source_sql="",
            seed=1,
            versions="{}",
        )
        for entity, ids in self.ids.items():
            engine.write(
                f"{entity}_embeddings",
                {
                    "run_id": np.ones(len(ids), np.int64),
                    f"{entity}_id": ids,
                    "embedding": self.vectors[entity],
                    "norm": np.linalg.norm(self.vectors[entity], axis=1),
                    "bias": self.bias[entity],
                    "interactions": self.counts(entity).astype(np.int32),
                },
            )
        pairs = sorted(self.seen)
        rows = {
            "run_id": np.ones(len(pairs), np.int64),
            "user_id": [self.ids["user"][u] for u, _ in pairs],
            "item_id": [self.ids["item"][i] for _, i in pairs],
            "weight": np.array(list(self.weight.values()), "f4"),
            "last_time": np.array(list(self.time.values()), np.int64),
        }
        write_pairs(engine, 1, [rows])
        execute_named(
            engine,
            "finish_run",
            run_id=1,
            source_hash="",
            dim=self.dim,
            similarity=self.similarity,
            users=USERS,
            items=ITEMS,
            interactions=len(pairs),
            checksum="",
        )
        database.promote("m@1")

    def scores(self) -> np.ndarray:
        """Of every user and item (USERS, ITEMS), what was seen left out."""
        scores = np.full((USERS, ITEMS), -np.inf)
        users, items = (
            self.vectors["user"].astype("f8"),
            self.vectors["item"].astype("f8"),
        )
        if self.similarity == "dot":
            scores = users @ items.T + self.bias["user"][:, None] + self.bias["item"]
        else:
            scores = cosines(users, items)
        for pair in self.seen:
            scores[pair] = -np.inf
        return scores


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.divide(
        a @ b.T, lengths, out=np.full((len(a), len(b)), -np.inf), where=lengths > 0
    )


@pytest.fixture(params=["dot", "cosine"])
def world(request, each: embsql.Database) -> tuple[World, embsql.Database]:
    made = World(request.param, seed=len(request.param))
    made.write(each)
    return made, each


def test_embedding_health(world: tuple[World, embsql.Database]) -> None:
    made, database = world
    rows = database.ask("SELECT * FROM embsql.embedding_health('m')").to_pylist()
    found = {(row["entity"], row["check"]): row["value"] for row in rows}
    expected = {
        key: value
        for entity in ("item", "user")
        for key, value in health(made, entity).items()
    }
    expected |= shown(made)
    assert found == {
        key: pytest.approx(value, rel=1e-4, abs=1e-6) for key, value in expected.items()
    }


def health(made: World, entity: str) -> dict[tuple[str, str], float]:
    vectors = made.vectors[entity].astype("f8")
    norms = np.linalg.norm(vectors, axis=1)
    eigenvalues = np.linalg.eigvalsh(np.cov(vectors.T))
    near = cosines(vectors, vectors)
    np.fill_diagonal(near, -np.inf)
    fine = np.flatnonzero(norms)
    lists = np.argsort(-near[fine], axis=1, kind="stable")[:, :10]
    values = {
        "zero_vectors": (norms == 0).mean(),
        "not_finite": 0.0,
        "participation_ratio": eigenvalues.sum() ** 2 / (eigenvalues**2).sum(),
        "norm_popularity": np.corrcoef(norms, np.log1p(made.counts(entity)))[0, 1],
        "hubness": np.bincount(lists.ravel()).max() / (len(fine) - 1),
    }
    return {(entity, check): float(value) for check, value in values.items()}


def shown(made: World) -> dict[tuple[str, str], float]:
    """Coverage and Gini of the lists of the 100 users whose ids have the smallest hashes."""
    hashes = [
        hashlib.md5(id_.encode(), usedforsecurity=False).hexdigest()
        for id_ in made.ids["user"]
    ]
    asked = np.argsort(hashes)[:100]
    lists = np.argsort(-made.scores()[asked], axis=1, kind="stable")[:, :10]
    counts = np.sort(np.unique(lists, return_counts=True)[1])  # (n,)
    n = len(counts)
    gini = 2 * (np.arange(1, n + 1) * counts).sum() / (n * counts.sum()) - (n + 1) / n
    return {("item", "coverage_at_10"): n / ITEMS, ("item", "gini_at_10"): float(gini)}


def test_vectors_along_one_line_are_noticed(each: embsql.Database) -> None:
    made = World("dot", seed=1, dim=20)
    made.vectors["user"] = np.outer(1 + made.counts("user"), np.ones(20)).astype(
        "f4"
    )  # and as long as it is active
    made.write(each)
    asked = (
        "SELECT * FROM embsql.embedding_health('m') "
        "WHERE \"check\" IN ('participation_ratio', 'norm_popularity')"
    )
    found = {
        (row["entity"], row["check"]): row["ok"] for row in each.ask(asked).to_pylist()
    }
    assert found == {
        ("item", "participation_ratio"): True,
        ("item", "norm_popularity"): True,
        ("user", "participation_ratio"): False,
        ("user", "norm_popularity"): False,
    }


def test_coherence(world: tuple[World, embsql.Database]) -> None:
    made, database = world
    labels = [f"g{g}" for g in made.group]
    rows = database.ask(
        "SELECT * FROM embsql.coherence('m', $ids, $labels, k => 4)",
        ids=made.ids["item"],
        labels=labels,
    ).to_pylist()
    known = np.flatnonzero(np.linalg.norm(made.vectors["item"], axis=1))
    near = cosines(
        made.vectors["item"][known].astype("f8"),
        made.vectors["item"][known].astype("f8"),
    )
    np.fill_diagonal(near, -np.inf)
    group = made.group[known]
    same = group[np.argsort(-near, axis=1, kind="stable")[:, :4]] == group[:, None]
    for g, row in zip(range(3), rows, strict=True):
        chance = ((group == g).sum() - 1) / (len(group) - 1)
        share = same[group == g].mean()
        assert row == {
            "label": f"g{g}",
            "items": (group == g).sum(),
            "share": pytest.approx(share),
            "chance": pytest.approx(chance),
            "lift": pytest.approx(share / chance),
        }


def test_history_similarity(world: tuple[World, embsql.Database]) -> None:
    made, database = world
    near = cosines(made.vectors["item"].astype("f8"), made.vectors["item"].astype("f8"))
    for u in range(0, USERS, 40):
        past = [i for w, i in made.seen if w == u and i not in (3, 7)]
        values, times = near[3, past], np.array([made.time[u, i] for i in past])
        age = np.array([len({t for t in times if t > time}) for time in times])
        expected = {
            "mean": values.mean(),
            "max": values.max(),
            "p90": np.quantile(values, 0.9),
            "share_above": (values > 0.5).mean(),
            "decayed": np.average(values, weights=np.exp(-age)),
        }
        sql = "SELECT * FROM embsql.history_similarity('m', $user, 'i003')"
        (row,) = database.ask(sql, user=made.ids["user"][u]).to_pylist()
        assert row == {
            name: pytest.approx(float(value), abs=1e-5)
            for name, value in expected.items()
        }


def test_features(world: tuple[World, embsql.Database]) -> None:
    made, database = world
    for entity, other in (("user", "item"), ("item", "user")):
        sql = "SELECT * FROM embsql.features('m', entity => $entity)"
        rows = database.ask(sql, entity=entity).to_pylist()
        assert [row["entity_id"] for row in rows] == made.ids[entity]
        for n in range(0, len(rows), 17):
            assert rows[n] == feature(made, entity, other, n)


def feature(made: World, entity: str, other: str, n: int) -> dict[str, Any]:
    own = [pair for pair in sorted(made.seen) if pair[entity == "item"] == n]
    partners = [pair[other == "item"] for pair in own]
    weights, times = (
        [made.weight[pair] for pair in own],
        [made.time[pair] for pair in own],
    )
    near = cosines(
        made.vectors[entity][[n]].astype("f8"),
        made.vectors[other][partners].astype("f8"),
    )[0]
    near = near[np.isfinite(near)]
    return {
        "entity_id": made.ids[entity][n],
        "embedding": made.vectors[entity][n].tolist(),
        "norm": pytest.approx(float(np.linalg.norm(made.vectors[entity][n])), abs=1e-5),
        "interactions": len(own),
        "total_weight": sum(weights) or None,
        "mean_weight": pytest.approx(np.mean(weights)) if own else None,
        "first_time": min(times, default=None),
        "last_time": max(times, default=None),
        "mean_neighbor_degree": pytest.approx(made.counts(other)[partners].mean())
        if own
        else None,
        "mean_cosine": pytest.approx(float(near.mean()), abs=1e-5)
        if len(near)
        else None,
    }


def test_mean_of_vectors(world: tuple[World, embsql.Database]) -> None:
    made, database = world
    sql = "SELECT embsql.vector_avg(v.embedding) AS mean FROM embsql.item_embedding('m') AS v"
    (row,) = database.ask(sql).to_pylist()
    assert row["mean"] == pytest.approx(
        made.vectors["item"].astype("f8").mean(axis=0).tolist(), abs=1e-6
    )


VECTOR = {"duckdb": "CAST({} AS FLOAT[])", "postgres": "CAST({} AS vector)"}


@pytest.mark.parametrize(
    "name", ["vector_inner_product", "vector_cosine_similarity", "vector_l2_distance"]
)
def test_vectors_of_different_lengths_are_refused(
    known: embsql.Database, name: str
) -> None:
    word = VECTOR[known.engine.name]
    with pytest.raises(Exception, match=r"dimension|length"):
        known.ask(
            f"SELECT embsql.{name}({word.format('ARRAY[1.0, 2.0]')}, {word.format('ARRAY[1.0]')})"
        )


def test_a_mean_of_different_lengths_is_refused(known: embsql.Database) -> None:
    word = VECTOR[known.engine.name]
    rows = f"(VALUES ({word.format('ARRAY[1.0, 2.0]')}), ({word.format('ARRAY[1.0]')})) AS v (e)"
    with pytest.raises(Exception, match=r"dimension|length"):
        known.ask(f"SELECT embsql.vector_avg(v.e) FROM {rows}")


@pytest.mark.parametrize("model", ["compass", "angles"])
@pytest.mark.parametrize("name", ["nearest_items", "nearest_users"])
@pytest.mark.parametrize("vector", ["ARRAY[1.0, 0.0, 0.0]", "ARRAY[1.0]"])
def test_a_vector_of_the_wrong_length_is_refused(
    known: embsql.Database, model: str, name: str, vector: str
) -> None:
    with pytest.raises(Exception, match=r"dimension"):
        known.ask(f"SELECT * FROM embsql.{name}('{model}', {vector})")


@pytest.mark.parametrize("name", ["nearest_items", "nearest_users", "nearest_cluster"])
@pytest.mark.parametrize("entry", ["NaN", "Infinity", "-Infinity"])
def test_a_vector_that_is_not_finite_is_refused(
    known: embsql.Database, name: str, entry: str
) -> None:
    vector = VECTOR[known.engine.name].format(
        f"ARRAY[CAST('{entry}' AS real), CAST(1 AS real)]"
    )
    with pytest.raises(Exception, match=r"NaN|infinit"):
        known.ask(f"SELECT * FROM embsql.{name}('compass', {vector})")


@pytest.mark.parametrize("models", ["'compas', 'compass'", "'compass', 'compas'"])
def test_an_unknown_model_raises_for_a_set_without_members_too(
    known: embsql.Database, models: str
) -> None:
    with pytest.raises(Exception, match='no model named "compas"'):
        known.ask(f"SELECT * FROM embsql.cohort_drift({models}, 'nosuch')")


@pytest.mark.parametrize("entity", ["user", "item"])
def test_wide_features_are_the_long_ones(known: embsql.Database, entity: str) -> None:
    wide = known.features("compass", entity=entity).to_pylist()
    long = known.ask(
        "SELECT * FROM embsql.features('compass', entity => $entity)", entity=entity
    ).to_pylist()
    assert [[row["e1"], row["e2"]] for row in wide] == [
        row.pop("embedding") for row in long
    ]
    assert [
        {name: value for name, value in row.items() if name not in ("e1", "e2")}
        for row in wide
    ] == long
