"""What reading a table, or a CSV file, into coded, aggregated, ordered arrays costs over DuckDB
doing it in bare SQL.

The bare query: two tables of distinct ids with row_number, two joins, GROUP BY, ORDER BY, fetched
as Arrow with both vocabularies. Each reading happens in a process of its own; the results are
compared to the byte. The CSV file has columns for weights and times as well; its bare query reads
it once into a table and leaves the times alone.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import tempfile
import time
from typing import Any

import numpy as np

import embsql
from benchmarks._apart import apart
from benchmarks._lines import line
from benchmarks._made import WARM_ROWS
from embsql.run import Columns, Run
from embsql.sources.prepare import prepare

EVENTS = """
CREATE TABLE events AS
SELECT
    'user-' || CAST(floor($users * pow(random(), 1.5)) AS INTEGER) AS user_id,
    'item-' || CAST(floor($items * pow(random(), 3)) AS INTEGER) AS item_id
FROM range($rows)
"""  # busy users, popular items, repeated pairs
CSV = """
COPY (
    SELECT *, 1 + hash(user_id) % 5 AS weight,
        TIMESTAMP '2026-01-01' + to_seconds(rowid) AS event_time
    FROM events
) TO '{}'
"""
BARE_CSV = "CREATE TEMP TABLE events AS SELECT * FROM read_csv('{}')"
VOCABULARY = """
CREATE TEMP TABLE {0}s AS
SELECT id, CAST(row_number() OVER (ORDER BY id) - 1 AS INTEGER) AS code
FROM (SELECT DISTINCT {0}_id AS id FROM events)
"""
PAIRS = """
SELECT users.code AS "user", items.code AS item, CAST({weight} AS FLOAT) AS weight
FROM events
JOIN users ON users.id = events.user_id
JOIN items ON items.id = events.item_id
GROUP BY ALL ORDER BY ALL
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument(
        "--csv", action="store_true", help="a CSV file instead of a table"
    )
    parser.add_argument("--repeat", type=int, default=3)


def measure(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = (write_csv if options.csv else write)(folder, options.rows)
        rounds = [
            _round(turn, **files, threads=options.threads)
            for turn in range(options.repeat)
        ]
    assert len({one["checksum"] for both in rounds for one in both.values()}) == 1, (
        "the two readings differ"
    )
    took = {
        key: {
            system: statistics.median(both[system][key] for both in rounds)
            for system in ("embsql", "duckdb")
        }
        for key in ("seconds", "peak_rss_mb")
    }
    data = f"generated {options.rows} rows{' of CSV' if options.csv else ''}"
    for metric, key, unit in (
        ("reading", "seconds", "s"),
        ("peak memory", "peak_rss_mb", "MB"),
    ):
        line(
            "prepare",
            data,
            "embsql",
            metric,
            took[key]["embsql"],
            unit,
            peer="duckdb, bare query",
            peer_value=took[key]["duckdb"],
            seconds=took["seconds"]["embsql"],
            peak_rss_mb=took["peak_rss_mb"]["embsql"],
            threads=options.threads,
            repeat=options.repeat,
        )


def write(folder: str, rows: int) -> dict[str, str]:
    """The events, with embsql's tables beside them so that both readings open the same file."""
    file = f"{folder}/events.duckdb"
    with embsql.connect(file) as database:
        _events(database, rows)
    return {"file": file, "source": "events"}


def write_csv(folder: str, rows: int) -> dict[str, str]:
    """The events as text, to be read in memory."""
    source = f"{folder}/events.csv"
    with embsql.connect(":memory:") as database:
        _events(database, rows)
        database.engine.run(CSV.format(source))
    return {"file": ":memory:", "source": source}


def _events(database: embsql.Database, rows: int) -> None:
    database.engine.run("SELECT setseed(0.5)")
    database.engine.run(
        EVENTS, rows=rows, users=max(10, rows // 60), items=max(10, rows // 200)
    )


def _round(turn: int, **values: Any) -> dict[str, dict[str, Any]]:
    """Both readings, in the other order every other time."""
    both = [("embsql", read), ("duckdb", bare)]
    return {
        name: apart(work, **values) for name, work in (both[::-1] if turn % 2 else both)
    }


def read(file: str, source: str, threads: int) -> dict[str, Any]:
    _warm()
    with embsql.connect(file) as database:
        database.engine.run("SET threads = $threads", threads=threads)
        start = time.perf_counter()
        data = prepare(
            database.engine, source, Columns(), Run(threads=2), explicit=False
        ).interactions()
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "checksum": _sum(data.user, data.item, data.weight)}


def _warm() -> None:
    """Load what is loaded once."""
    with embsql.connect(":memory:") as database:
        source = f"SELECT range % 50 AS user_id, range % 7 AS item_id FROM range({WARM_ROWS})"
        prepare(database.engine, source, Columns(), Run(threads=2), explicit=False)


def bare(file: str, source: str, threads: int) -> dict[str, Any]:
    csv = source.endswith(".csv")
    with embsql.connect(file) as database:
        database.engine.run("SET threads = $threads", threads=threads)
        start = time.perf_counter()
        if csv:
            database.engine.run(BARE_CSV.format(source))
        for entity in ("user", "item"):
            database.engine.run(VOCABULARY.format(entity))
        vocabularies = [
            database.ask(f"SELECT id FROM {entity}s ORDER BY code")
            for entity in ("user", "item")
        ]
        pairs = database.ask(
            PAIRS.format(weight="sum(events.weight)" if csv else "count(*)")
        )
        seconds = time.perf_counter() - start
    assert all(len(ids) for ids in vocabularies)
    return {
        "seconds": seconds,
        "checksum": _sum(
            *(pairs[name].to_numpy() for name in ("user", "item", "weight"))
        ),
    }


def _sum(*columns: np.ndarray) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for column in columns:
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()
