"""What a training pays for showing signs of life, and a job for reading with its asker's rights.

Parts: heartbeat (the same training in a DuckDB file, with the thread that beats and without),
source (the same training in PostgreSQL: by a worker, of a guarded source, and of the SELECT as it
stands).
What is printed is CPU time, the server's processes included.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any
from unittest import mock

import embsql
from benchmarks._clock._family import Family
from benchmarks._lines import line
from benchmarks._server import databases, running
from embsql.lifecycle import leases
from embsql.shells import worker

NEVER = 1e6  # seconds
SOURCE = "SELECT user_id, item_id FROM pairs"
PAIRS = """
CREATE TABLE pairs AS
SELECT n % {users} AS user_id,
    ((n % {users}) * 7919 + ((n - n % {users}) / {users})::bigint * 104729) % {items} AS item_id
FROM generate_series(0, {pairs} - 1) AS numbers (n)
"""
TRAINED: dict[str, Any] = {"dim": 32, "epochs": 3, "force": True}
ASKED = "SELECT embsql.train('shop', $source, 'als', $options) AS job"
DONE = "SELECT status, error FROM embsql.jobs ORDER BY job_id DESC LIMIT 1"
Work = Callable[[], object]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--pairs", type=int, default=8_000_000)
    parser.add_argument("--users", type=int, default=200_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=7, help="of both in turn")


def measure(options: argparse.Namespace) -> None:
    for part in options.part:
        with PARTS[part](options) as works:
            _compare(part, works, options)


@contextmanager
def heartbeat(options: argparse.Namespace) -> Iterator[dict[str, Work]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(embsql.connect(Path(folder) / "shop.duckdb")) as database,
    ):
        database.engine.run(_pairs(options))
        train = _training(database, options)
        yield {"with": train, "without": lambda: _heartless(train)}


def _heartless(train: Work) -> None:
    with mock.patch.object(leases, "POLL_INTERVAL", NEVER):
        train()


@contextmanager
def source(options: argparse.Namespace) -> Iterator[dict[str, Work]]:
    with running(None) as server, databases(server) as new:
        address = new()
        with closing(embsql.connect(address)) as database:
            database.engine.run(_pairs(options))
            train = _training(database, options)
            yield {
                "with": lambda: _by_worker(database, address, options),
                "without": train,
            }


def _by_worker(
    database: embsql.Database, address: str, options: argparse.Namespace
) -> None:
    trained = json.dumps({**TRAINED, "threads": options.threads})
    database.engine.ask(ASKED, source=SOURCE, options=trained)
    worker.run(address, once=True, log=lambda _: None)
    done = database.engine.ask(DONE).to_pylist()[0]
    if done["status"] != "done":
        sys.exit(done["error"])


def _training(database: embsql.Database, options: argparse.Namespace) -> Work:
    return lambda: database.train(
        "shop", SOURCE, algorithm="als", threads=options.threads, **TRAINED
    )


def _pairs(options: argparse.Namespace) -> str:
    return PAIRS.format(users=options.users, items=options.items, pairs=options.pairs)


def _compare(part: str, works: dict[str, Work], options: argparse.Namespace) -> None:
    """Do both in turn, and print the ratio of their CPU times with its interval of 97%."""
    clock = Family()
    took: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()  # what only the first costs
    for turn in range(options.repeat):
        for name in list(works)[:: -1 if turn % 2 else 1]:
            start = clock.cpu()
            works[name]()
            took[name].append(clock.cpu() - start)
    ratios = [
        one / other for one, other in zip(took["with"], took["without"], strict=True)
    ]
    interval = 2.2 * stdev(ratios) / math.sqrt(len(ratios))
    for name, seconds in took.items():
        line(
            "lease",
            f"{options.pairs} pairs of {options.users} users and {options.items} items",
            f"{part}, {name}",
            "CPU time",
            median(seconds),
            "s",
            peer="without",
            peer_value=median(took["without"]),
            mean_ratio=mean(ratios),
            interval=interval,
            repeat=options.repeat,
            threads=options.threads,
        )


PARTS: dict[str, Callable[[argparse.Namespace], object]] = {
    "heartbeat": heartbeat,
    "source": source,
}
