"""What comparing generated answers has found, each as one small call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import embsql
from tests.oracle.calls import Call, named
from tests.oracle.check import check
from tests.oracle.data import Cluster, Figure, Model, Run, Seen, Vector, World
from tests.oracle.engines import Asked, command, in_process
from tests.oracle.write import write

ENGINES = ("DuckDB", "DuckDB's command", "PostgreSQL")
STEEP = np.random.default_rng(5).integers(-4, 5, (30, 6)) * [8, 4, 2, 1, 0.5, 0.25]  # (30, 6)
SOLVER = {"curve0": 0.0, "curve1": 1.0, "pull0": 1.0, "unseen": 1.0, "nu": 0.5, "reg": 0.125}


def side(**vectors: list[float]) -> dict[str, Vector]:
    return {one: Vector(np.array(vector, np.float64), 0.0, 1) for one, vector in vectors.items()}


def run(run_id: int, model: str, similarity: str, users: Any, items: Any, *seen: Seen) -> Run:
    dim = len(next(iter(items.values())).embedding)
    made = Run(run_id, model, "ready", similarity, dim, False, users, items, list(seen))
    made.clusters = [Cluster("item", "default", 0, 1, 0.5, "x", True, np.eye(dim)[0])]
    return made


def world() -> World:
    """Models whose vectors are of different lengths, and runs whose vectors lie opposite."""
    shop = run(
        1, "shop", "dot", side(ada=[1, 0], bob=[1, 1], cyd=[0, 1]), side(a=[1, 0], b=[0, 1], c=[2, 1]),
        Seen("ada", "a", 1.0, None),
    )  # fmt: skip
    shop.solver = "least_squares", SOLVER
    shop.figures = [
        Figure(split, "all", "ndcg", 10, 0.5, 0.25, None, None, None)
        for split in ("last", "random")
    ]
    films = run(2, "films", "cosine", side(ada=[1, 0, 0]), side(a=[1, 0, 0], b=[0, 1, 0]))
    steep = run(
        3, "steep", "dot", side(ada=[1] * 6), side(**{f"i{n}": row for n, row in enumerate(STEEP)})
    )  # type: ignore[arg-type] - rows are lists too
    steep.solver = "least_squares", SOLVER
    here = run(4, "turned", "dot", side(ada=[0, 1]), side(a=[1, 0], b=[1, 0], c=[0, 1]))
    there = run(5, "turned", "dot", side(bob=[0, 1]), side(a=[1, 0], b=[-1, 0]))
    again = run(6, "turned", "dot", side(bob=[0, 1]), side(a=[1, 0], b=[-1, 0], c=[0, 1]))
    runs = [shop, films, steep, here, there, again]
    return World([Model(one.model, one.run_id, []) for one in runs[:4]], runs, [])


FOUND = {
    "a run evaluated by two splits is one row": named("models"),
    "centroids of other runs are of other lengths": named("nearest_cluster", model="shop", to_vector=[1.0, 2.0]),
    "a vector without a direction is in no group": named("nearest_cluster", model="shop", to_vector=[0.0, 0.0]),
    "a run's number is made of digits": named("score", model="shop@1.0", for_user="ada", for_item="b"),
    "and of nothing else": named("score", model="shop@ 1", for_user="ada", for_item="b"),
    "seen items come back for NULL": named("recommend_from", model="shop", items=["a"], exclude_seen=None),
    "seeds come back for NULL": named("lookalikes", model="shop", seeds=["ada"], exclude_seeds=None),
    "nothing met explains nothing": named("explain", model="shop", for_user="bob", for_item="b"),
    "both models are looked for": named("compare", model_a="films", model_b="nosuch"),
    "NULL is no model": named("runs", model=None),
    "a steep system is solved": named("fold_in", model="steep", items=["i0", "i1", "i2", "i3"]),
    "where all cancels out, all has moved": named("drift", model_a="turned@4", model_b="turned@5"),
    "what cancels out has moved": named("drift", model_a="turned@4", model_b="turned@6"),
}  # fmt: skip
FAULTS = {  # until they are none
    "a run evaluated by two splits is one row": ENGINES,
    "centroids of other runs are of other lengths": ENGINES[:2],
    "a run's number is made of digits": ENGINES[:2],
    "and of nothing else": ENGINES[:2],
    "seen items come back for NULL": ENGINES[:2],
    "seeds come back for NULL": ENGINES[:2],
    "nothing met explains nothing": ENGINES[:2],
    "both models are looked for": ENGINES[2:],
    "NULL is no model": ENGINES,
    "where all cancels out, all has moved": ENGINES,
    "what cancels out has moved": ENGINES,
}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, tmp_path_factory) -> Iterator[tuple[str, Asked]]:
    path = tmp_path_factory.mktemp("found") / "found.duckdb"
    target = str(path) if "DuckDB" in request.param else request.getfixturevalue("new_database")()
    with embsql.connect(target) as database:
        write(database, world())
        if request.param != "DuckDB's command":
            yield request.param, in_process(database)
            return
    yield request.param, command(Path(path))


@pytest.mark.parametrize("what", FOUND)
def test_found(request, engine, what: str) -> None:
    name, ask = engine
    if name in FAULTS.get(what, ()):
        request.applymarker(pytest.mark.xfail(strict=True))
    asked: list[Call] = [FOUND[what]]
    assert [one.wrong for one in check(world(), ask, asked)] == [None]
