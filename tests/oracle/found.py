"""What comparing generated answers has found, each as one small call of models of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle.calls import named
from tests.oracle.data import Cluster, Figure, Gate, Model, Run, Seen, Vector, World

SCALES = (
    2.0 ** -np.linspace(0, 4, 16).round()
)  # so that a system wants more steps than dimensions
STEEP = np.random.default_rng(5).integers(-4, 5, (32, 16)) * SCALES  # (32, 16)
SOLVER = {
    "confidence_offset": 0.0,
    "confidence_scale": 1.0,
    "target_offset": 1.0,
    "unobserved_weight": 1.0,
    "reg_exponent": 0.5,
    "reg": 0.125,
}


def side(**vectors: list[float]) -> dict[str, Vector]:
    return {
        one: Vector(np.array(vector, np.float64), 0.0, 1)
        for one, vector in vectors.items()
    }


def run(
    run_id: int, model: str, similarity: str, users: Any, items: Any, *seen: Seen
) -> Run:
    dim = len(next(iter(items.values())).embedding)
    made = Run(run_id, model, "ready", similarity, dim, False, users, items, list(seen))
    made.clusters = [Cluster("item", "default", 0, 1, 0.5, "x", True, np.eye(dim)[0])]
    return made


def world() -> World:
    """Models whose vectors are of different lengths, and runs whose vectors lie opposite."""
    users, items = (
        side(ada=[1, 0], bob=[1, 1], cyd=[0, 1]),
        side(a=[1, 0], b=[0, 1], c=[2, 1]),
    )
    store = run(101, "store", "dot", users, items, Seen("ada", "a", 1.0, None))
    store.solver = "least_squares", SOLVER
    store.figures = [
        Figure(split, "all", metric, 10, value, 0.25, None, None, None)
        for split, value in (("random", 0.25), ("last", 0.5))
        for metric in ("recall", "ndcg")
    ]
    movies = run(
        102, "movies", "cosine", side(ada=[1, 0, 0]), side(a=[1, 0, 0], b=[0, 1, 0])
    )
    rows = side(**{f"i{n}": list(row) for n, row in enumerate(STEEP)})
    steep = run(103, "steep", "dot", side(ada=[1] * 16), rows)
    steep.solver = "least_squares", SOLVER
    here = run(
        104, "turned", "dot", side(ada=[0, 1]), side(a=[1, 0], b=[1, 0], c=[0, 1])
    )
    there = run(105, "turned", "dot", side(bob=[0, 1]), side(a=[1, 0], b=[-1, 0]))
    again = run(
        106, "turned", "dot", side(bob=[0, 1]), side(a=[1, 0], b=[-1, 0], c=[0, 1])
    )
    alone, with_live = (
        (None, "none", *(None,) * 7),
        (104, "vectors", 3, 1, 0.5, 0.25, 0.25, 0.1, 0.4),
    )
    for one, compared in ((here, alone), (there, with_live), (again, with_live)):
        one.gate = Gate("passed", "last", "ndcg", 10, 0.5, 0.25, *compared, 0.0, None)
    runs = [store, movies, steep, here, there, again]
    return World([Model(one.model, one.run_id, []) for one in runs[:4]], runs, [])


FOUND = {
    "a run evaluated by two splits is one row": named("models"),
    "figures of two splits say of which": named(
        "compare", model_a="store", model_b="store@101"
    ),
    "a run shows the figures of one split": named("runs", model="store"),
    "every run of a model has its gate": named("gate", model="turned"),
    "a run that is named has its own": named("gate", model="turned@105"),
    "centroids of other runs are of other lengths": named(
        "nearest_cluster", model="store", to_vector=[1.0, 2.0]
    ),
    "a vector without a direction is in no group": named(
        "nearest_cluster", model="store", to_vector=[0.0, 0.0]
    ),
    "a run's number is made of digits": named(
        "score", model="store@101.0", for_user="ada", for_item="b"
    ),
    "and of nothing else": named(
        "score", model="store@ 101", for_user="ada", for_item="b"
    ),
    "seen items come back for NULL": named(
        "recommend_from", model="store", items=["a"], exclude_seen=None
    ),
    "seeds come back for NULL": named(
        "lookalikes", model="store", seeds=["ada"], exclude_seeds=None
    ),
    "nothing met explains nothing": named(
        "explain", model="store", for_user="bob", for_item="b"
    ),
    "both models are looked for": named("compare", model_a="movies", model_b="nosuch"),
    "NULL is no model": named("runs", model=None),
    "a steep system is solved": named(
        "fold_in", model="steep", items=["i0", "i1", "i2"]
    ),
    "where all cancels out, all has moved": named(
        "drift", model_a="turned@104", model_b="turned@105"
    ),
    "what cancels out has moved": named(
        "drift", model_a="turned@104", model_b="turned@106"
    ),
}
