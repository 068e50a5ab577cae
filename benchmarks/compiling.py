"""CPU seconds of compiling in the first training of each algorithm, with nothing compiled before.

Each is a process with an empty folder for compiled code, on 50,000 generated rows. Names that an
earlier commit lacks are left out, and it may be asked for others: --cases dual.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._lines import line

TABLES = """
CREATE TABLE events AS
SELECT
    'u' || CAST(hash(i * 7 + 1) % 5000 AS VARCHAR) AS user_id,
    'i' || CAST(CAST(power(hash(i * 13 + 5) % 1000, 2) / 1000 AS INT) AS VARCHAR) AS item_id,
    1 + i % 5 AS weight, TIMESTAMP '2026-01-01' + INTERVAL (i) MINUTE AS event_time
FROM range(50000) AS t (i);
CREATE TABLE items AS
SELECT
    'i' || CAST(i AS VARCHAR) AS item_id, 'c' || CAST(i % 17 AS VARCHAR) AS category,
    [CAST(sin(i * (n + 1)) AS FLOAT) FOR n IN range(8)] AS embedding
FROM range(1001) AS t (i);
"""
VECTORS = {"item_features": "SELECT item_id, embedding FROM items"}
CASES = {  # the options of train, or of what is made of registered vectors
    "als": {},
    "half_als": VECTORS,
    "dual": VECTORS,  # as half_als was called
    "svd": {},
    "item2vec": {"epochs": 2},
    "cbow": {"algorithm": "item2vec", "method": "cbow", "epochs": 2},
    "node2vec": {"epochs": 2},
    "content": VECTORS,
    "fusion": {"item_features": "SELECT item_id, category FROM items"},
    "cluster": None,
    "project": None,
}
CHILD = """
import threading, time
from numba.core import event

class Clock(event.Listener):
    depth, began, seconds = 0, 0.0, 0.0

    def on_start(self, _):  # one at a time compiles: numba holds a lock meanwhile
        if self.depth == 0:
            self.began = time.thread_time()
        self.depth += 1

    def on_end(self, _):
        self.depth -= 1
        if self.depth == 0:
            self.seconds += time.thread_time() - self.began

clock = Clock()
event.register("numba:compile", clock)
import embsql

with embsql.connect(":memory:") as database:
    database.engine.run(TABLES)
    if OPTIONS is None:
        database.register_embeddings("m", VECTORS)
        clock.seconds = 0.0
        getattr(database, NAME)("m")
    else:
        options = {"algorithm": NAME, "threads": THREADS, "progress": False}
        database.train("m", "events", **options | OPTIONS)
print(clock.seconds)
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cases",
        type=lambda words: words.split(","),
        default=[name for name in CASES if name != "dual"],
        help="which, separated by commas (default all that this version has)",
    )


def measure(options: argparse.Namespace) -> None:
    for name in options.cases:
        with tempfile.TemporaryDirectory() as folder:
            seconds = compiling(name, options.threads, Path(folder))
        line("compiling", "50,000 rows", "embsql", name, seconds, "s")


def compiling(name: str, threads: int, folder: Path) -> float:
    """CPU seconds of compiling in a process whose folder for compiled code is empty."""
    values = {
        "TABLES": TABLES,
        "NAME": name,
        "OPTIONS": CASES[name],
        "VECTORS": VECTORS["item_features"],
        "THREADS": threads,
    }
    given = "\n".join(f"{key} = {value!r}" for key, value in values.items())
    done = subprocess.run(
        [sys.executable, "-c", f"{given}\n{CHILD}"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)
