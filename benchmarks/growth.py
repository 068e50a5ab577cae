"""How time and memory grow with the pairs, the items and the length of vectors.

Each point is a process of its own, which has compiled its loops before: one epoch of als or of
item2vec, the ten best items of every user (topk), or all figures of a held-out part with their
baselines (evaluate; the vectors of both are made). Along one axis the other two stay as --at says,
and there are as many users as such data have. The last line of an axis is the slope of a line
through its points on two logarithmic scales: 1 is growth in proportion.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._als_systems import ITEMS, PAIRS_PER_USER, SEED
from benchmarks._apart import apart, forget_peak, peak_rss_mb, rss_mb
from benchmarks._lines import line
from benchmarks._made import Pairs, clustered, load
from embsql import algorithms
from embsql.data import Embeddings
from embsql.evaluation.evaluator import measure as figures
from embsql.evaluation.splits import split
from embsql.numeric.plain import compiled_loops_only
from embsql.numeric.topk import top_k
from embsql.run import Run

K = 10
FEWEST_ITEMS = 2 * PAIRS_PER_USER
WARM = (2000, 500, 20_000)  # users, items, pairs
SIZES = {
    "pairs": [1_000_000, 2_000_000, 4_000_000, 8_000_000, 20_000_000, 50_000_000],
    "items": [5_000, 10_000, 20_000, 40_000, 80_000],
    "dim": [16, 32, 64, 128, 256],
}
AT = {"pairs": 4_000_000, "items": ITEMS, "dim": 64}

Figures = dict[str, float]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--by", nargs="+", choices=[*SIZES], default=[*SIZES])
    for axis, sizes in SIZES.items():
        parser.add_argument(f"--{axis}", nargs="+", type=int, default=sizes)
    parser.add_argument(
        "--at",
        nargs=len(AT),
        type=int,
        metavar=tuple(axis.upper() for axis in AT),
        default=[*AT.values()],
        help="what stays along the other axes",
    )


def measure(options: argparse.Namespace) -> None:
    at = dict(zip(AT, options.at, strict=True))
    for axis in options.by:
        for part in options.part:
            points = {
                size: _point(part, axis, options.threads, **at | {axis: size})
                for size in getattr(options, axis)
            }
            _slopes(part, axis, points)


def _point(part: str, axis: str, threads: int, **size: int) -> Figures:
    """A point, and its line."""
    with tempfile.TemporaryDirectory() as folder:
        _world(size["pairs"], size["items"]).save(Path(folder))
        values = {"dim": size["dim"], "threads": threads}
        done = apart(work, part=part, folder=folder, **values)
    data = f"generated {size['pairs']} pairs, {size['items']} items"
    line(
        "growth",
        data,
        part,
        f"time by {axis}",
        done["seconds"],
        "s",
        seconds=done["seconds"],
        peak_rss_mb=done["peak_rss_mb"],
        grown_mb=round(done["grown_mb"], 1),
        **values,
    )
    return done


def _world(pairs: int, items: int) -> Pairs:
    """As many users as such data have."""
    if items < FEWEST_ITEMS:
        sys.exit(
            f"{items} items are too few to draw pairs of: give at least {FEWEST_ITEMS}"
        )
    return clustered(max(10, pairs // PAIRS_PER_USER), items, pairs)


def _slopes(part: str, axis: str, points: dict[int, Figures]) -> None:
    """The lines of an axis, of time and of memory over what the process held before its data."""
    if len(points) < 2:
        return
    sizes = np.log([*points])  # (points,)
    for metric, key in (("time", "seconds"), ("memory", "grown_mb")):
        values = np.log([max(done[key], 1e-3) for done in points.values()])  # (points,)
        slope = float(np.polyfit(sizes, values, 1)[0])
        name = f"growth of {metric} by {axis}"
        line("growth", "generated", part, name, slope, "slope", sizes=[*points])


# --- one point -----------------------------------------------------------------------------------


def work(part: str, folder: str, dim: int, threads: int) -> dict[str, Any]:
    """Seconds of a piece of work in this process, and what memory it takes with its data."""
    _warm(part, threads)
    before, run = rss_mb(), Run(SEED, threads)
    do = PARTS[part](load(folder), dim, run)
    forget_peak()
    start = time.perf_counter()
    do()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "grown_mb": peak_rss_mb() - before}


@cache
def _warm(part: str, threads: int) -> None:
    """Load and compile what is loaded and compiled once."""
    with compiled_loops_only():
        PARTS[part](clustered(*WARM), 8, Run(SEED, threads))()


def _training(algorithm: str) -> Callable[[Pairs, int, Run], Callable[[], Any]]:
    def prepared(pairs: Pairs, dim: int, run: Run) -> Callable[[], Any]:
        data = pairs.interactions()
        chosen = algorithms.make(algorithm, {"dim": dim, "epochs": 1})
        return lambda: chosen.fit(data, run)

    return prepared


def _top_k(pairs: Pairs, dim: int, run: Run) -> Callable[[], Any]:
    users, items = _vectors(pairs, dim)
    seen = pairs.interactions().by_user()
    return lambda: top_k(users, items, K, seen=seen, run=run)


def _evaluation(pairs: Pairs, dim: int, run: Run) -> Callable[[], Any]:
    made = Embeddings(*_vectors(pairs, dim))
    parts = split(pairs.interactions(), "random", fraction=0.1, seed=SEED)
    return lambda: figures(made, parts, run, k=[K])


def _vectors(pairs: Pairs, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of users (u, dim) and of items (i, dim)."""
    rng = np.random.default_rng(SEED)
    users, items = (rng.standard_normal((n, dim), np.float32) for n in pairs.shape)
    return users, items


PARTS = {
    "als": _training("als"),
    "item2vec": _training("item2vec"),
    "topk": _top_k,
    "evaluate": _evaluation,
}
