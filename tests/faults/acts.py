"""What a process does when it is ended: each act commits something, and can be done again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import embsql
from embsql.errors import UnknownRun

EVENTS = """
SELECT i % 23 AS user_id, i % 17 AS item_id FROM generate_series(0, 299) AS t (i)
"""
VECTORS = """
SELECT i AS item_id, CAST(ARRAY[i, 1, {seed}] AS FLOAT8[]) AS embedding
FROM generate_series(0, 16) AS t (i)
"""


@dataclass(frozen=True, slots=True)
class Given:
    """Where an act is done, and the draws that decide how: the same when it is done again."""

    database: embsql.Database
    runs: list[int]  # of the model m that are finished, the live one last
    beside: Path  # a folder that the database's file is in, or would be
    draw: random.Random


Act = Callable[
    [Given], int | None
]  # the run of the model m that is live afterwards, None for the one before


def train(database: embsql.Database, algorithm: str, model: str, seed: int) -> int:
    """A training that takes a moment, and has one right result for a seed."""
    options = {"dim": 4, "epochs": 2, "threads": 1, "progress": False, "force": True}
    run = database.train(model, EVENTS, algorithm=algorithm, seed=seed, **options)
    return int(run.run_id or 0)


def als(given: Given) -> int:
    return train(given.database, "als", "m", given.draw.randrange(10**6))


def item2vec(given: Given) -> int:
    return train(given.database, "item2vec", "m", given.draw.randrange(10**6))


def register(given: Given) -> None:
    source = VECTORS.format(seed=given.draw.randrange(1, 10**6))
    given.database.register_embeddings("r", source, force=True)


def promote(given: Given) -> int:
    return given.database.promote(f"m@{given.draw.choice(given.runs)}")


def drop_run(given: Given) -> None:
    if len(given.runs) > 1:
        try:
            given.database.drop_run(f"m@{given.draw.choice(given.runs[:-1])}")
        except UnknownRun:  # it was dropped before
            return


def publish(given: Given) -> None:
    given.database.publish(given.beside / "copy.duckdb", "m")


def materialise(given: Given) -> None:
    given.database.materialise("m", k=given.draw.randint(2, 6), threads=1)


def cluster(given: Given) -> None:
    entity, k = given.draw.choice(["item", "user"]), given.draw.randint(2, 5)
    given.database.cluster("m", entity=entity, k=k, seed=given.draw.randrange(99), threads=1)


def project(given: Given) -> None:
    given.database.project("m", entity=given.draw.choice(["item", "user"]))


def forget(given: Given) -> None:
    given.database.forget(given.draw.randrange(23))


def compact(given: Given) -> None:
    given.database.compact()


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (
        als,
        item2vec,
        register,
        promote,
        drop_run,
        publish,
        materialise,
        cluster,
        project,
        forget,
        compact,
    )
}


def fill(database: embsql.Database) -> None:
    """What acts find first: a model of three runs, of one of them all that can be made; others."""
    for seed, algorithm in enumerate(("als", "item2vec", "als")):
        train(database, algorithm, "m", seed)
    train(database, "als", "other", 1)
    database.register_embeddings("r", VECTORS.format(seed=1))
    database.materialise("m", k=3, threads=1)
    for entity in ("item", "user"):
        database.cluster("m", entity=entity, k=3, threads=1)
        database.project("m", entity=entity)
