"""What `embsql demo` takes to train and measure, with nothing compiled and with what that left.

Each process has a folder of its own for compiled code. The figure is the one that the demo prints,
so that any commit can be asked: `--against REVISION --same-code`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._lines import line

SPAN = re.compile(r"Trained and measured in ([\d.]+) s")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", help="a file instead of the demo's shop")
    parser.add_argument(
        "--warm",
        type=int,
        default=1,
        help="how often again in the same folder (default 1)",
    )


def measure(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1 + options.warm):
            metric = "again" if number else "nothing compiled"
            seconds = demo(Path(folder), options.data)
            data = options.data or "the demo's shop"
            line("first_minute", data, "embsql", metric, seconds, "s")


def demo(folder: Path, data: str | None) -> float:
    """Seconds that the demo prints, with a folder for compiled code."""
    words = ["--db", str(folder / "demo.duckdb"), "demo"]
    words += ["--data", data] if data else []
    done = subprocess.run(
        [sys.executable, "-m", "embsql", *words],
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder / "compiled")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    (folder / "demo.duckdb").unlink()
    found = SPAN.search(done.stdout)
    if not found:
        sys.exit("the demo did not say how long it took")
    return float(found[1])
