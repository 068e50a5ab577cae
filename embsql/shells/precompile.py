"""Compiles the training loops ahead of the first training, by training a little of everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from embsql.api.database import Database, connect
from embsql.numeric.plain import compiled_loops_only

EVENTS = (
    "SELECT i % 41 AS user_id, i * 31 % 23 AS item_id, 1 + i % 5 AS weight, i AS event_time "
    "FROM range(2000) t(i)"
)
Trainings = Sequence[tuple[str, dict[str, Any]]]
LEAST_SQUARES: Trainings = (
    ("als", {"evaluate": True, "gate": False}),
    ("als", {"feedback": "explicit"}),
    ("svd", {}),
)
SKIP_GRAMS: Trainings = (
    ("item2vec", {"method": "skipgram"}),
    ("item2vec", {"method": "cbow"}),
    ("item2vec", {"method": "ppmi"}),
    ("node2vec", {"nodes": "items", "p": 0.5}),
    ("node2vec", {}),
)


def compile_all() -> None:
    """Train, cluster and materialize in memory, each family of loops in a process of its own.

    In one process numba compiles one function at a time. What it compiles stays in its cache.
    """
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as processes:
        list(processes.map(_compile, (_least_squares, _skip_grams)))


def _compile(family: Callable[[Database], None]) -> None:
    with compiled_loops_only(), connect(":memory:") as database:
        family(database)


def _least_squares(database: Database) -> None:
    _train(database, LEAST_SQUARES)
    database.cluster("m0")
    database.materialize("m0")


def _skip_grams(database: Database) -> None:
    _train(database, SKIP_GRAMS)


def _train(database: Database, trainings: Trainings) -> None:
    """Train them as models m0, m1, ..."""
    for number, (algorithm, options) in enumerate(trainings):
        database.train(
            f"m{number}", EVENTS, algorithm=algorithm, dim=8, progress=False, **options
        )
