"""What every benchmark does: find its data, take turns, print a line."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parent.parent
Name = TypeVar("Name", bound=Hashable)


def real(*names: str) -> Path:
    """A file of real data; without it the benchmark stops and says so."""
    folder = Path(os.environ.get("EMBSQL_DATA", ROOT.parent / "shared" / "data"))
    path = folder.joinpath(*names)
    if not path.exists():
        sys.exit(
            f"data not found: {'/'.join(names)} (set EMBSQL_DATA to the folder that holds it)"
        )
    return path


def line(
    benchmark: str,
    data: str,
    system: str,
    metric: str,
    value: float | None,
    unit: str,
    *,
    peer: str | None = None,
    peer_value: float | None = None,
    seconds: float | None = None,
    peak_rss_mb: float | None = None,
    **settings: Any,
) -> None:
    """Print one figure.

    `ratio` is always value / peer_value; `seconds` is how long the work behind the figure took.
    """
    ratio = value / peer_value if value is not None and peer_value else None
    print(
        json.dumps(
            {
                "benchmark": benchmark,
                "data": data,
                "system": system,
                "metric": metric,
                "value": _short(value),
                "unit": unit,
                "peer": peer,
                "peer_value": _short(peer_value),
                "ratio": _short(ratio),
                "seconds": _short(seconds),
                "peak_rss_mb": _short(peak_rss_mb),
                "settings": settings,
            }
        ),
        flush=True,
    )


def _short(number: float | None) -> float | None:
    """Five digits say all that such measurements know."""
    return None if number is None else float(f"{number:.5g}")


@dataclass(frozen=True, slots=True)
class Timed:
    """What a piece of work took, and what it gave the last time."""

    seconds: float  # median
    result: Any


def in_turn(works: Mapping[Name, Callable[[], Any]], repeat: int) -> dict[Name, Timed]:
    """Do every piece of work once, then again, every other round backwards: what disturbs one
    disturbs all.
    """
    took: dict[Name, list[float]] = {name: [] for name in works}
    results: dict[Name, Any] = {}
    for turn in range(repeat):
        for name in list(works)[:: -1 if turn % 2 else 1]:
            start = time.perf_counter()
            results[name] = works[name]()
            took[name].append(time.perf_counter() - start)
    return {name: Timed(statistics.median(took[name]), results[name]) for name in works}
