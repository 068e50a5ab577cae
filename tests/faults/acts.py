"""What a process does when it is ended: each act commits something, and can be done again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import embsql
from embsql import engines
from embsql.errors import UnknownRun
from embsql.lifecycle import removal
from embsql.shells import worker as workers
from tests.faults.versions import ITEMS, USERS, version

EVENTS = """
SELECT i % 23 AS user_id, i % 17 AS item_id FROM generate_series(0, 299) AS t (i)
"""
VECTORS = """
SELECT i AS item_id, CAST(ARRAY[i, 1, {seed}] AS FLOAT8[]) AS embedding
FROM generate_series(0, 16) AS t (i)
"""
TIMED = """
SELECT i % 23 AS user_id, i % 17 AS item_id, i AS event_time FROM generate_series(0, 299) AS t (i)
"""
KNOWN = "SELECT i AS item_id, i % 3 AS shelf FROM generate_series(0, 16) AS t (i)"
SQL = """
SELECT done.run_id
FROM embsql.train(
    'm', $source, options => '{"dim": 4, "epochs": 2, "threads": 1, "seed": %s, "force": true}'
) AS done
"""
MADE_OF_LIVE = """
SELECT
    model.live_run,
    (SELECT count(*) FROM embsql.top_items AS top WHERE top.run_id = model.live_run) AS top_items,
    (SELECT count(*) FROM embsql.clusters AS made WHERE made.run_id = model.live_run) AS clusters
FROM embsql.models AS model
WHERE model.model_name = 'm'
"""
PROJECT = "project"  # the folder of dbt's
COUNTS = {"users": USERS, "items": ITEMS}
PUBLISHED = range(
    9001, 9009
)  # runs of a model p, in a file from which they are published
JOBS = (  # what a worker is asked for
    'embsql.train(\'m\', $source, options => \'{{"dim": 4, "epochs": 2, "seed": {seed}}}\')',
    "embsql.cluster('m', k => 3)",
    "embsql.evaluate('m', options => '{{\"k\": 3}}')",
    "embsql.promote('m')",
)
OPEN = "SELECT job.job_id FROM embsql.jobs AS job WHERE job.status IN ('queued', 'running')"
LATER = """
UPDATE embsql.jobs AS job
SET heartbeat_at = job.heartbeat_at - INTERVAL '61 seconds', start_after = job.enqueued_at
WHERE job.status IN ('queued', 'running')
"""
FAILED = """
SELECT job.job_id, job.command, job.error
FROM embsql.jobs AS job
WHERE job.status <> 'done'
"""


@dataclass(frozen=True, slots=True)
class Given:
    """Where an act is done, and the draws that decide how: the same when it is done again."""

    database: embsql.Database
    runs: list[int]  # of the model m that are finished, the live one last
    beside: Path  # a folder that the database's file is in, or would be
    draw: random.Random
    target: str  # the database, as `connect` takes it


Act = Callable[
    [Given], int | None
]  # the run of the model m that is live afterwards, None for the one before


def train(
    database: embsql.Database, algorithm: str, model: str, seed: int, **options: Any
) -> int | None:
    """A training of a moment, with one right result for a seed; the run, if it is live."""
    usual = {"dim": 4, "epochs": 2, "threads": 1, "progress": False, "force": True}
    source = options.pop("source", EVENTS)
    run = database.train(
        model, source, algorithm=algorithm, seed=seed, **usual | options
    )
    return run.run_id if run.status == "live" else None


def als(given: Given) -> int | None:
    return train(given.database, "als", "m", given.draw.randrange(10**6))


def item2vec(given: Given) -> int | None:
    return train(given.database, "item2vec", "m", given.draw.randrange(10**6))


def tune(given: Given) -> int | None:
    seed = given.draw.randrange(10**6)
    return train(given.database, "als", "m", seed, dim=[2, 4], epochs=1, n_trials=2)


def gated(given: Given) -> int | None:
    """A training that is measured first, and may be refused."""
    return train(
        given.database, "als", "m", given.draw.randrange(10**6), evaluate=True, k=3
    )


def in_sql(given: Given) -> int:
    """What dbt's materialization does too."""
    done = given.database.ask(SQL % given.draw.randrange(10**6), source=EVENTS)
    return int(done["run_id"][0].as_py())


def two_tower(given: Given) -> int | None:
    seed = given.draw.randrange(10**6)
    sides = {"source": TIMED, "item_features": KNOWN}
    layers = {"hidden_layers": 1, "hidden_dim": 4}
    return train(given.database, "two_tower", "m", seed, negatives=4, **layers, **sides)


def sasrec(given: Given) -> int | None:
    return train(
        given.database, "sasrec", "m", given.draw.randrange(10**6), source=TIMED
    )


def gru4rec(given: Given) -> int | None:
    return train(
        given.database, "gru4rec", "m", given.draw.randrange(10**6), source=TIMED
    )


def dbt_run(given: Given) -> int:
    """`dbt run` of a project in the folder above: an embedding, and what is made of its run."""
    # here: only where dbt is installed
    from tests.faults.dbt import run

    database, seed = given.database, given.draw.randrange(10**6)
    if database.engine.embedded:
        database.close()  # dbt opens the file itself
    else:
        database.engine.run(LATER)
    run(given.beside.parent / PROJECT, database.engine.name, given.target, seed)
    if database.engine.embedded:
        database.engine = engines.open_engine(given.target)
    removal.sweep(database.engine)  # what dbt's own session could read while it waited
    (live,) = database.ask(MADE_OF_LIVE).to_pylist()
    assert live["top_items"], live
    assert live["clusters"], live
    return int(live["live_run"])


def evaluate(given: Given) -> None:
    given.database.evaluate("m", k=given.draw.randint(2, 4))


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


def publish_there(given: Given) -> None:
    """Into this database, a server's, from a file."""
    run_id = given.draw.choice(PUBLISHED)
    with embsql.connect(
        str(given.beside.parent / "source.duckdb"), read_only=True
    ) as source:
        source.publish(given.database.engine.second(), f"p@{run_id}")


def materialize(given: Given) -> None:
    given.database.materialize("m", k=given.draw.randint(2, 6), threads=1)


def cluster(given: Given) -> None:
    entity, k = given.draw.choice(["item", "user"]), given.draw.randint(2, 5)
    given.database.cluster(
        "m", entity=entity, k=k, seed=given.draw.randrange(99), threads=1
    )


def project(given: Given) -> None:
    given.database.project("m", entity=given.draw.choice(["item", "user"]))


def forget(given: Given) -> None:
    given.database.forget(given.draw.randrange(23))


def compact(given: Given) -> None:
    given.database.compact()


def install(given: Given) -> None:
    """Every question anew, as where they are an earlier version's, the roles and the schema ml."""
    server = not given.database.engine.embedded
    given.database.engine.run(
        "UPDATE embsql.surface SET surface = 'of another version'"
    )
    given.database.install(ml=True, roles=server)


def upgrade(given: Given) -> None:
    """An installation over an earlier version."""
    given.database.install()


def worker(given: Given) -> None:
    """A job, which is done by the second worker where the first was killed in the middle of it."""
    engine, job = given.database.engine, given.draw.choice(JOBS)
    if not engine.ask(OPEN).num_rows:
        asked = f"SELECT {job.format(seed=given.draw.randrange(10**6))} AS job_id"
        engine.ask(asked, **{"source": EVENTS} if "$source" in job else {})
    for _ in range(3):  # after a loss it is put off
        engine.run(LATER)
        workers.run(engine.second(), once=True, log=lambda _: None)
    failed = engine.ask(FAILED).to_pylist()
    assert not failed, failed


def _named(*acts: Act) -> dict[str, Act]:
    return {act.__name__: act for act in acts}


ANYWHERE = _named(
    als,
    item2vec,
    tune,
    gated,
    evaluate,
    register,
    promote,
    drop_run,
    publish,
    materialize,
    cluster,
    project,
    forget,
    compact,
    install,
    upgrade,
)
ACTS = {
    "duckdb": ANYWHERE | _named(in_sql),
    "postgres": ANYWHERE | _named(publish_there, worker),
}
NETWORKS = _named(two_tower, sasrec, gru4rec)  # by torch
DBT = _named(dbt_run)  # where dbt is installed
ALL = ACTS["duckdb"] | ACTS["postgres"] | NETWORKS | DBT


def fill(database: embsql.Database) -> None:
    """What acts find first."""
    for part in FILLING:
        part(database)


def _runs(database: embsql.Database) -> None:
    """A model of two runs, and one of vectors from elsewhere."""
    for seed in range(2):
        train(database, "als", "m", seed)
    database.register_embeddings("r", VECTORS.format(seed=1))


def _more(database: embsql.Database) -> None:
    """A run of other loops, another model, and all that can be made of a run."""
    train(database, "item2vec", "m", 3)
    train(database, "als", "other", 1)
    database.materialize("m", k=3, threads=1)
    for entity in ("item", "user"):
        database.cluster("m", entity=entity, k=3, threads=1)
        database.project("m", entity=entity)


FILLING = [_runs, _more]


def fill_source(database: embsql.Database) -> None:
    """What `publish_there` publishes."""
    for run_id in PUBLISHED:
        version(database, run_id, "p")
    database.engine.run(
        "UPDATE embsql.run_records SET users = $users, items = $items", **COUNTS
    )
