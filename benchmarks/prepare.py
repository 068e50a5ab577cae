"""What reading a table into coded, aggregated, ordered arrays costs over DuckDB doing the same in bare SQL.

The bare query: two tables of distinct ids with row_number, two joins, GROUP BY, ORDER BY, fetched as Arrow with both
vocabularies. Each reading happens in a process of its own; the results are compared to the byte. And what reading a CSV
file by its name costs, in CPU time: its ids are kept as they stand there.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import statistics
import tempfile
import time
from typing import Any

import numpy as np

import embsql
from benchmarks._apart import apart
from benchmarks._lines import line
from embsql.model import Columns, Run
from embsql.prepare import prepare

EVENTS = """
CREATE TABLE events AS
SELECT
    'user-' || CAST(floor($users * pow(random(), 1.5)) AS INTEGER) AS user_id,
    'item-' || CAST(floor($items * pow(random(), 3)) AS INTEGER) AS item_id
FROM range($rows)
"""  # busy users, popular items, repeated pairs
CSV = """
SELECT
    CAST(floor({rows} / 60 * pow(random(), 1.5)) AS INTEGER) AS user_id,
    CAST(floor({rows} / 200 * pow(random(), 3)) AS INTEGER) AS item_id,
    1 + i % 5 AS weight,
    TIMESTAMP '2026-01-01' + INTERVAL 1 SECOND * i AS event_time
FROM range({rows}) AS t(i)
"""
VOCABULARY = """
CREATE TEMP TABLE {0}s AS
SELECT id, CAST(row_number() OVER (ORDER BY id) - 1 AS INTEGER) AS code
FROM (SELECT DISTINCT {0}_id AS id FROM events)
"""
PAIRS = """
SELECT users.code AS "user", items.code AS item, CAST(count(*) AS FLOAT) AS weight
FROM events
JOIN users ON users.id = events.user_id
JOIN items ON items.id = events.item_id
GROUP BY ALL ORDER BY ALL
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--csv-rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)


def measure(options: argparse.Namespace) -> None:
    measure_table(options)
    measure_csv(options)


def measure_csv(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/events.csv"
        write_csv(file, options.csv_rows)
        took = [apart(read_csv, file=file, threads=options.threads) for _ in range(options.repeat)]
    line("prepare", f"generated CSV of {options.csv_rows} rows", "embsql", "reading",
         statistics.median(one["seconds"] for one in took), "CPU s",
         peak_rss_mb=statistics.median(one["peak_rss_mb"] for one in took), threads=options.threads,
         repeat=options.repeat)  # fmt: skip


def write_csv(file: str, rows: int) -> None:
    """Events with ids that are whole numbers, a weight and a time."""
    with embsql.connect(":memory:") as database:
        database.engine.run("SELECT setseed(0.5)")
        database.engine.run(f"COPY ({CSV.format(rows=rows)}) TO '{file}'")


def read_csv(file: str, threads: int) -> dict[str, Any]:
    _warm()
    with embsql.connect(":memory:") as database:
        database.engine.run(f"SET threads = {threads}")
        start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        prepare(database.engine, file, Columns(), Run(threads=2), explicit=False)
    return {"seconds": resource.getrusage(resource.RUSAGE_SELF).ru_utime - start}


def measure_table(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/events.duckdb"
        write(file, options.rows)
        rounds = [_round(turn, file=file, threads=options.threads) for turn in range(options.repeat)]
    assert len({one["checksum"] for both in rounds for one in both.values()}) == 1, "the two readings differ"
    took = {
        key: {system: statistics.median(both[system][key] for both in rounds) for system in ("embsql", "duckdb")}
        for key in ("seconds", "peak_rss_mb")
    }
    for metric, key, unit in (("reading", "seconds", "s"), ("peak memory", "peak_rss_mb", "MB")):
        line("prepare", f"generated {options.rows} rows", "embsql", metric, took[key]["embsql"], unit,
             peer="duckdb, bare query", peer_value=took[key]["duckdb"], seconds=took["seconds"]["embsql"],
             peak_rss_mb=took["peak_rss_mb"]["embsql"], threads=options.threads, repeat=options.repeat)  # fmt: skip


def write(file: str, rows: int) -> None:
    """The events, with embsql's tables beside them so that both readings open the same file."""
    with embsql.connect(file) as database:
        database.engine.run("SELECT setseed(0.5)")
        database.engine.run(EVENTS, rows=rows, users=max(10, rows // 60), items=max(10, rows // 200))


def _round(turn: int, **values: Any) -> dict[str, dict[str, Any]]:
    """Both readings, in the other order every other time."""
    both = [("embsql", read), ("duckdb", bare)]
    return {name: apart(work, **values) for name, work in (both[::-1] if turn % 2 else both)}


def read(file: str, threads: int) -> dict[str, Any]:
    _warm()
    with embsql.connect(file) as database:
        database.engine.run(f"SET threads = {threads}")
        start = time.perf_counter()
        data = prepare(database.engine, "events", Columns(), Run(threads=2), explicit=False).interactions()
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "checksum": _sum(data.user, data.item, data.weight)}


def _warm() -> None:
    """Load what is loaded once."""
    with embsql.connect(":memory:") as database:
        source = "SELECT range % 50 AS user_id, range % 7 AS item_id FROM range(500)"
        prepare(database.engine, source, Columns(), Run(threads=2), explicit=False)


def bare(file: str, threads: int) -> dict[str, Any]:
    with embsql.connect(file) as database:
        database.engine.run(f"SET threads = {threads}")
        start = time.perf_counter()
        for entity in ("user", "item"):
            database.engine.run(VOCABULARY.format(entity))
        vocabularies = [database.ask(f"SELECT id FROM {entity}s ORDER BY code") for entity in ("user", "item")]
        pairs = database.ask(PAIRS)
        seconds = time.perf_counter() - start
    assert all(len(ids) for ids in vocabularies)
    return {"seconds": seconds, "checksum": _sum(*(pairs[name].to_numpy() for name in ("user", "item", "weight")))}


def _sum(*columns: np.ndarray) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for column in columns:
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()
