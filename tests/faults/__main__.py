"""python -m tests.faults kills --seed 1 --minutes 10 --state kills.json"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.faults.result import resumed

PARTS = {
    "kills": "a process or a server that is killed, at a step or at any moment",
    "networks": "likewise, of trainings by torch",
    "dbt": "likewise, of `dbt run` where dbt is installed",
    "limits": "a full disk, a statement's timeout, a connection that is cut",
    "readers": "answers while versions change and go",
    "trainers": "64 trainers of 8 models, and 64 processes at one file",
    "hostile": "120 payloads through every door",
}


def main() -> int:
    """Run a part; the exit status is 1 when something was wrong."""
    options = _options()
    totals = resumed(options.state, options.part, options.seed)
    part = importlib.import_module(f"tests.faults.{options.part}")
    end = time.monotonic() + 60 * options.minutes
    with closing(
        part.tries(options.seed, totals.tries, options.engines.split(","))
    ) as tries:
        for tried in tries:
            totals.add(tried)
            if options.state:
                options.state.write_text(totals.line())
            if time.monotonic() > end:
                break
    sys.stdout.write(totals.line() + "\n")
    return min(totals.wrong, 1)


def _options() -> argparse.Namespace:
    words = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    words.add_argument(
        "part", choices=PARTS, help="; ".join(f"{n}: {PARTS[n]}" for n in PARTS)
    )
    words.add_argument("--seed", type=int, default=1)
    words.add_argument(
        "--minutes", type=float, default=10, help="no try begins after these"
    )
    words.add_argument(
        "--state", type=Path, help="a file to go on from, where it was ended"
    )
    words.add_argument(
        "--engines", default="duckdb,postgres", help="one of these, or both"
    )
    return words.parse_args()


if __name__ == "__main__":
    sys.exit(main())
