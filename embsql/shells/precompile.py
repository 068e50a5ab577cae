"""Compiles the training loops ahead of the first training, by training a little of everything."""

from __future__ import annotations

from typing import Any

from embsql.api.database import connect
from embsql.numeric.plain import compiled_loops_only

EVENTS = (
    "SELECT i % 41 AS user_id, i * 31 % 23 AS item_id, 1 + i % 5 AS weight, i AS event_time "
    "FROM range(2000) t(i)"
)
TRAININGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("als", {"evaluate": True, "gate": False}),
    ("als", {"feedback": "explicit"}),
    ("svd", {}),
    ("item2vec", {"method": "skipgram"}),
    ("item2vec", {"method": "cbow"}),
    ("item2vec", {"method": "ppmi"}),
    ("node2vec", {"nodes": "items", "p": 0.5}),
    ("node2vec", {}),
)


def compile_all() -> None:
    """Train, cluster and materialize in memory.

    What numba compiles meanwhile stays in its cache.
    """
    with compiled_loops_only(), connect(":memory:") as database:
        for number, (algorithm, options) in enumerate(TRAININGS):
            database.train(
                f"m{number}",
                EVENTS,
                algorithm=algorithm,
                dim=8,
                progress=False,
                **options,
            )
        database.cluster("m0")
        database.materialize("m0")
