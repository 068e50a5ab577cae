"""Toy worlds whose right answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

import embsql
from embsql.data import Interactions
from embsql.lifecycle.named_statements import execute_named
from embsql.lifecycle.pair_versions import write_pairs
from embsql.numeric.aggregate import by_pair
from embsql.run import Run


def interactions(
    pairs: list[tuple[int, int]], weights: list[float] | None = None
) -> Interactions:
    """Interactions from (user, item) numbers; ids are u000, i000, ..."""
    user = np.array([u for u, _ in pairs], np.int32)
    item = np.array([i for _, i in pairs], np.int32)
    weight = np.ones(len(pairs)) if weights is None else np.array(weights, np.float64)
    shape = (int(user.max()) + 1, int(item.max()) + 1)
    columns = by_pair(user, item, weight, None, shape, Run(), average=False)
    users, items = (
        pa.array([f"{letter}{n:03d}" for n in range(size)])
        for letter, size in zip("ui", shape, strict=True)
    )
    return Interactions(*columns, users, items)


def checkerboard(n: int = 50) -> tuple[Interactions, list[tuple[int, int]]]:
    """Even users meet even items, odd meet odd, each but one: (what is known, the pairs left
    out).
    """
    held = [(u, (u + 2) % n if (u + 2) % n % 2 == u % 2 else u) for u in range(n)]
    pairs = [
        (u, i)
        for u in range(n)
        for i in range(n)
        if u % 2 == i % 2 and (u, i) not in held
    ]
    return interactions(pairs), held


def islands(
    islands: int = 4, users: int = 15, items: int = 10, seed: int = 0
) -> tuple[Interactions, np.ndarray, np.ndarray]:
    """Groups that share nothing: (interactions, island of each user, island of each item)."""
    rng = np.random.default_rng(seed)
    pairs = [
        (g * users + u, g * items + int(i))
        for g in range(islands)
        for u in range(users)
        for i in rng.choice(items, 6, replace=False)
    ]
    pairs += [(g * users, g * items + i) for g in range(islands) for i in range(items)]
    return (
        interactions(pairs),
        np.repeat(np.arange(islands), users),
        np.repeat(np.arange(islands), items),
    )


ITEMS = {  # id: (vector, bias, how many users)
    "east": ([1.0, 0.0], 0.0, 3),
    "north": ([0.0, 1.0], 0.0, 2),
    "northeast": ([1.0, 1.0], 0.0, 2),
    "west": ([-2.0, 0.0], 0.5, 1),
    "nowhere": ([0.0, 0.0], 0.25, 1),
    'it\'s "odd" 🙂': ([0.5, 0.25], 0.0, 1),
}
USERS = {  # id: (vector, bias, how many items)
    "ada": ([1.0, 0.0], 0.0, 2),
    "bob": ([0.0, 2.0], 0.0, 1),
    "cyd": ([3.0, 3.0], 1.0, 2),
    "nil": ([0.0, 0.0], 0.0, 1),
}
SEEN = [
    ("ada", "east", 2.0),
    ("ada", "north", 1.0),
    ("bob", "north", 1.0),
    ("cyd", "east", 1.0),
    ("cyd", "west", 4.0),
    ("nil", "northeast", 1.0),
]

TOWERS = {  # of the compass: entity, feature, kind, value, center, scale, what it adds
    "user": [
        ("", "always", None, None, None, [0, 0]),
        ("land", "category", None, None, None, [0.5, 0.5]),
        ("land", "category", "DE", None, None, [1, 0]),
        ("land", "category", "FR", None, None, [0, 1]),
        ("age", "number", None, None, None, [0, -1]),
        ("age", "number", "", 30.0, 10.0, [0, 0.5]),
        ("likes", "tags", None, None, None, [0, 0]),
        ("likes", "tags", "a", None, None, [2, 0]),
        ("likes", "tags", "b", None, None, [0, 2]),
        ("joined", "time", None, None, None, [0, 0]),
        ("joined", "time", "", 19723.0, 2.0, [1, 1]),
    ],
    "item": [
        ("", "always", None, None, None, [0, 0, 0.25]),
        ("title", "text", None, None, None, [0, 0, -1]),
        ("title", "text", "big", None, None, [2, 0, 0]),
        ("title", "text", "red", None, None, [0, -4, 0]),
    ],
}
LAYER = [
    ([1.0, 5.0, 2.0], 0.5),
    ([0.0, 1.0, -4.0], 0.0),
]  # of the items' tower: weights and bias

TRIALS = [  # of the compass: options tried, ndcg@10, seconds, why it failed
    ('{"dim": 1}', 0.25, 0.5, None),
    ('{"dim": 2}', 0.5, 1.0, None),
    ('{"dim": 9}', None, 0.0, "too many"),
    ('{"dim": 4}', 0.5, 2.0, None),
]

JUDGED = {  # of the compass: what a gate would have kept
    "verdict": "refused",
    "split": "last",
    "metric": "ndcg",
    "k": 10,
    "value": 0.25,
    "popular_value": 0.125,
    "compared_run": 7,
    "basis": "vectors",
    "users": 400,
    "left_out": 3,
    "new_value": 0.25,
    "live_value": 0.5,
    "difference": -0.25,
    "ci_low": -0.5,
    "ci_high": -0.125,
    "tolerance": 0.05,
    "reason": "worse",
}

COHORTS = [
    ("team", "ada", "red"),
    ("team", "cyd", "red"),
    ("team", "cyd", "red"),
    ("team", "bob", "blue"),
    ("team", "zoe", "blue"),
    ("team", "nil", "grey"),
    ("club", "ada", "chess"),
]


def known_run(database: embsql.Database) -> None:
    """Write the two models with the vectors above, as training would have."""
    for run_id, (name, similarity) in enumerate(
        [("compass", "dot"), ("angles", "cosine")], 1
    ):
        _registered(database, run_id, name, similarity)
        for entity, rows in (("item", ITEMS), ("user", USERS)):
            _embeddings(database, run_id, entity, rows, biased=similarity == "dot")
        users, items, weights = zip(*SEEN, strict=True)
        pairs = {
            "user_id": list(users),
            "item_id": list(items),
            "weight": np.array(weights, "f4"),
        }
        rows = {"run_id": [run_id] * len(SEEN), **pairs}
        write_pairs(database.engine, run_id, [rows])
        database.promote(f"{name}@{run_id}")
    _grouped(database)
    _towers(database)
    _tried(database)
    execute_named(database.engine, "judge", run_id=1, **JUDGED)
    sets, members, cohorts = zip(*COHORTS, strict=True)
    database.engine.write(
        "cohorts",
        {"cohort_set": list(sets), "user_id": list(members), "cohort": list(cohorts)},
    )


def _tried(database: embsql.Database) -> None:
    """What the compass's options were chosen from."""
    for number, (params, value, seconds, error) in enumerate(TRIALS, 1):
        status = "failed" if error else "done"
        execute_named(
            database.engine,
            "log_trial",
            run_id=1,
            trial=number,
            params=params,
            metric="ndcg@10",
            value=value,
            seconds=seconds,
            status=status,
            error=error,
            **dict.fromkeys(("algorithm", "ci_low", "ci_high", "reason")),
        )


def _towers(database: embsql.Database) -> None:
    """What makes vectors of newcomers to the compass."""
    for entity, rows in TOWERS.items():
        feature, kind, value, center, scale, embedding = zip(*rows, strict=True)
        database.engine.write(
            "tower_features",
            {
                "run_id": [1] * len(rows),
                "entity": [entity] * len(rows),
                "feature": feature,
                "kind": kind,
                "value": pa.array(value, pa.string()),
                "center": pa.array(center, pa.float64()),
                "scale": pa.array(scale, pa.float64()),
                "embedding": np.array(embedding, "f4"),
            },
        )
    weights, bias = zip(*LAYER, strict=True)
    database.engine.write(
        "tower_layers",
        {
            "run_id": [1] * 2,
            "entity": ["item"] * 2,
            "layer": [2] * 2,
            "position": [1, 2],
            "weights": np.array(weights, "f4"),
            "bias": np.array(bias, "f4"),
        },
    )


def _grouped(database: embsql.Database) -> None:
    """Two clusterings of the compass's items, one by direction with labels and one of vectors as
    they are; a map.
    """
    for name, unit, label in (
        ("default", True, ["right", None]),
        ("far", False, [None, None]),
    ):
        own = {
            "run_id": [1, 1],
            "entity_kind": ["item"] * 2,
            "clustering_name": [name] * 2,
            "cluster_id": [0, 1],
        }
        centroids = np.array([[1, 0], [0, 1]] if unit else [[3, 4], [0, 0]], "f4")
        numbers = {
            "size": [2, 1],
            "radius": [0.5, 0.0],
            "unit_length": [unit] * 2,
            "centroid": centroids,
        }
        database.engine.write(
            "clusters", own | numbers | {"label": pa.array(label, pa.string())}
        )
    database.engine.write(
        "cluster_members",
        {
            "run_id": [1] * 3,
            "entity_kind": ["item"] * 3,
            "clustering_name": ["default"] * 3,
            "entity_id": ["east", "northeast", "north"],
            "cluster_id": [0, 0, 1],
            "distance": [0.0, 0.75, 0.0],
            "silhouette": [1.0, 0.25, 1.0],
            "top_rank": pa.array([1, 2, 1], pa.int32()),
        },
    )
    database.engine.write(
        "maps",
        {
            "run_id": [1] * 2,
            "entity_kind": ["item"] * 2,
            "method_name": ["pca"] * 2,
            "entity_id": ["north", "west"],
            "x": [0.0, -2.0],
            "y": [1.0, 0.5],
        },
    )


def run_of(
    database: embsql.Database,
    run_id: int,
    name: str,
    items: np.ndarray,
    users: np.ndarray,
) -> None:
    """Write a live run with vectors (n, d) of items i0000, i0001, ... and users u0000, ..."""
    _registered(database, run_id, name, "dot")
    for entity, vectors in (("item", items), ("user", users)):
        rows = {
            f"{entity[0]}{n:04d}": (vector, 0.0, 1) for n, vector in enumerate(vectors)
        }
        _embeddings(database, run_id, entity, rows, biased=False)
    database.promote(f"{name}@{run_id}")


def _registered(
    database: embsql.Database, run_id: int, name: str, similarity: str
) -> None:
    engine = database.engine
    execute_named(engine, "ensure_model", model_name=name)
    execute_named(
        engine,
        "begin_run",
        run_id=run_id,
        model_name=name,
        algorithm="als",
        params="{}",
        source_sql="",
        seed=1,
        versions="{}",
    )
    execute_named(
        engine,
        "finish_run",
        run_id=run_id,
        source_hash="",
        dim=2,
        similarity=similarity,
        users=len(USERS),
        items=len(ITEMS),
        interactions=0,
        checksum="",
    )


def _embeddings(
    database: embsql.Database,
    run_id: int,
    entity: str,
    rows: dict[str, Any],
    *,
    biased: bool,
) -> None:
    vectors = np.array([vector for vector, _, _ in rows.values()], "f4")
    database.engine.write(
        f"{entity}_embeddings",
        {
            "run_id": [run_id] * len(rows),
            f"{entity}_id": list(rows),
            "embedding": vectors,
            "norm": np.linalg.norm(vectors, axis=1),
            "bias": [bias if biased else 0.0 for _, bias, _ in rows.values()],
            "interactions": [count for _, _, count in rows.values()],
        },
    )
