"""What a report of a run costs: to write, in bytes, and in the browser, where a Chromium is found.

Vectors are random around 20 centers. Writing is measured in a process of its own, which has opened
the database before. In the browser, which draws without a graphics card: from the start of loading
until something is painted and until the map is drawn, and how often it is drawn anew while it is
dragged for three seconds.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import embsql
from benchmarks._apart import apart
from benchmarks._browser import Browser, browser, chromium
from benchmarks._lines import line

CENTERS = 20
DRAGGED = 3.0  # seconds
PAINTED = (
    "new Promise(done => new PerformanceObserver(seen => done(seen.getEntries()[0].startTime))"
    ".observe({type: 'paint', buffered: true}))"
)
CANVAS = "document.querySelector('canvas')"
MIDDLE = (
    "(({left, top, width, height}) => [left + width / 2, top + height / 2])"
    f"({CANVAS}.getBoundingClientRect())"
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--items", type=int, default=100_000, help="(default 100000)")
    parser.add_argument("--users", type=int, default=0, help="(default 0)")
    parser.add_argument("--dim", type=int, default=64, help="(default 64)")


def measure(options: argparse.Namespace) -> None:
    sizes = vars(options) | {"items": options.items, "users": options.users}
    data = f"{options.items:,} items, {options.users:,} users, dim {options.dim}"
    with tempfile.TemporaryDirectory() as folder:
        database, page = Path(folder) / "report.duckdb", Path(folder) / "report.html"
        _make(database, sizes["items"], sizes["users"], options.dim)
        paths = {"database": str(database), "page": str(page)}
        both = apart(write, models=["m@1", "m@2"], **paths)
        _line(data, "time to write, two runs", both["cpu"], "s", both)
        done = apart(write, models=["m@1"], **paths)
        _line(data, "time to write", done["cpu"], "s", done)
        _line(data, "size", page.stat().st_size / 1e6, "MB", done)
        if chromium() is None:
            return
        with browser() as tab:
            for metric, value, unit in looked_at(tab, page):
                _line(data, metric, value, unit, {})


def _line(
    data: str, metric: str, value: float, unit: str, done: dict[str, Any]
) -> None:
    measured = {"seconds": done.get("seconds"), "peak_rss_mb": done.get("peak_rss_mb")}
    line("report", data, "embsql", metric, value, unit, **measured)


def _make(database: Path, items: int, users: int, dim: int) -> None:
    """Two runs of vectors around centers; of the first items are in clusters."""
    random = np.random.default_rng(0)
    centers = random.normal(size=(CENTERS, dim))
    with embsql.connect(database) as db:
        sides = {
            name: _table(name, centers[np.arange(n) % CENTERS], random)
            for name, n in (("item", items), ("user", users))
            if n
        }
        for _ in range(2):
            items, users = sides["item"], sides.get("user")
            db.register_embeddings("m", items, users=users, force=True)
        db.cluster("m@1", k=CENTERS)


def _table(name: str, centers: np.ndarray, random: np.random.Generator) -> pa.Table:
    vectors = (centers + random.normal(size=centers.shape)).astype(np.float32)  # (n, d)
    lists = pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
    ids = [f"{name}-{n:07d}" for n in range(len(vectors))]
    return pa.table(
        {f"{name}_id": ids, "embedding": lists.cast(pa.list_(pa.float32()))}
    )


def write(database: str, page: str, models: list[str]) -> dict[str, Any]:
    """Seconds and CPU seconds of a report of a run, or of two."""
    with embsql.connect(database, read_only=True) as db:
        begin, cpu = time.perf_counter(), time.process_time()
        db.report(*models, path=page)
        taken = time.perf_counter() - begin, time.process_time() - cpu
    return {"seconds": taken[0], "cpu": taken[1]}


def looked_at(tab: Browser, page: Path) -> list[tuple[str, float, str]]:
    """How long it takes to load, and how often the map is drawn while it is dragged."""
    begin = time.perf_counter()
    tab.open(page)
    loaded = time.perf_counter() - begin
    painted = tab.value(PAINTED) / 1000
    tab.value(f"{CANVAS}.scrollIntoView()")
    x, y = tab.value(MIDDLE)
    tab.move("mousePressed", x, y, button="left", buttons=1, clickCount=1)
    frames, begin, turns = (
        int(tab.value(f"{CANVAS}.dataset.frames")),
        time.perf_counter(),
        0,
    )
    while (seconds := time.perf_counter() - begin) < DRAGGED:
        turns += 1
        around = x + 100 * math.sin(turns / 5), y + 60 * math.cos(turns / 5)
        tab.move("mouseMoved", *around, button="left", buttons=1)
    drawn = int(tab.value(f"{CANVAS}.dataset.frames")) - frames
    return [
        ("first paint", painted, "s"),
        ("until the map is drawn", loaded, "s"),
        ("frames while dragged", drawn / seconds, "1/s"),
    ]
