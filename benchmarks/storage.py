"""How long a DuckDB file is after retrainings on a source that grows a little each time.

Events are of users and items by power laws, so most of the new ones are busy users', and many of
pairs that are there already. What grows must grow with what is new and with the vectors of the runs
that are kept, whose bytes embsql.storage() tells apart. Blocks that are free were written anew
elsewhere, and later runs are written into them; so the file is longer than what is in use.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import duckdb

import embsql
from benchmarks._lines import line

EVENTS = """
CREATE TABLE IF NOT EXISTS events (user_id VARCHAR, item_id VARCHAR, event_time TIMESTAMP)
"""
MORE = """
INSERT INTO events
SELECT
    'user-' || lpad(CAST(floor($users * pow(random(), 2)) AS VARCHAR), 8, '0') AS user_id,
    'item-' || lpad(CAST(floor($items * pow(random(), 3)) AS VARCHAR), 8, '0') AS item_id,
    TIMESTAMP '2026-01-01' + to_days($day) + to_seconds(86400 * random()) AS event_time
FROM range($events)
"""
BLOCKS = """
SELECT block_size, used_blocks, free_blocks FROM pragma_database_size()
WHERE database_name = current_database()
"""
PARTS = "SELECT part, sum(bytes) AS bytes FROM embsql.storage() GROUP BY part"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--retrainings", type=int, default=10)
    parser.add_argument("--growth", type=float, default=0.01, help="of each (0.01)")
    parser.add_argument(
        "--keep", type=int, default=10, help="runs that were live before"
    )


def measure(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        events, target = Path(folder, "events.duckdb"), Path(folder, "shop.duckdb")
        added = int(options.events * options.growth)
        first: dict[str, float] = {}
        for day in range(options.retrainings + 1):
            _grow(events, options, day, added if day else options.events)
            _train(target, events, options)
            found = _sizes(target)
            first = first or found
            for metric, bytes_ in found.items():
                _figure(options, day, metric, bytes_, first[metric])


def _grow(path: Path, options: argparse.Namespace, day: int, events: int) -> None:
    """Add the events of a day to the source."""
    sizes = {"users": options.users, "items": options.items}
    with duckdb.connect(path) as source:
        source.execute("SELECT setseed($1)", [1 / (day + 2)])
        source.execute(EVENTS)
        source.execute(MORE, {**sizes, "day": day, "events": events})


def _train(path: Path, events: Path, options: argparse.Namespace) -> None:
    with embsql.connect(path) as database:
        database.train(
            "shop",
            "events",
            source_db=str(events),
            dim=options.dim,
            epochs=1,
            keep=options.keep,
            progress=False,
        )


def _sizes(path: Path) -> dict[str, float]:
    """Bytes of the file, closed, and of its parts."""
    with embsql.connect(path, read_only=True) as database:
        parts = {row["part"]: float(row["bytes"]) for row in database.rows(PARTS)}
        (blocks,) = database.rows(BLOCKS)
    used, free = (
        blocks["block_size"] * blocks[f"{kind}_blocks"] for kind in ("used", "free")
    )
    whole = {"file": path.stat().st_size, "in use": used, "free": free}
    return {**whole, "in use less vectors": used - parts["vectors"], **parts}


def _figure(
    options: argparse.Namespace, day: int, metric: str, found: float, first: float
) -> None:
    line(
        "storage",
        f"{options.events} events, {day} x {options.growth:.0%} more",
        "embsql duckdb",
        metric,
        found / 1e6,
        "MB",
        peer="one run",
        peer_value=first / 1e6,
        keep=options.keep,
        dim=options.dim,
        users=options.users,
        items=options.items,
    )
