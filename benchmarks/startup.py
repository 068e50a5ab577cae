"""What it costs before any arithmetic: to import, to print help, to open a file, to train again.

Each is CPU time of a process of its own, which has imported everything once before; `second
training` is that of a training alone, in a process that has trained the same.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._lines import line

ASK = """
import embsql
database = embsql.connect("there.duckdb")
repr(database.ask("SELECT * FROM embsql.models()"))
"""
OPEN = "import embsql; embsql.connect({!r}).close()"
COMMAND = ["-m", "embsql"]
WORKS = {  # what is measured -> what Python is given
    "import embsql": ["-c", "import embsql"],
    "embsql --help": [*COMMAND, "--help"],
    "embsql sql": [*COMMAND, "--db", "there.duckdb", "sql", "SELECT 1"],
    "connect, new file": ["-c", OPEN.format("new.duckdb")],
    "connect, existing file": ["-c", OPEN.format("there.duckdb")],
    "first answer": ["-c", ASK],
}
SHOP = "the demo's shop"
DEMO = """
import runpy, sys
sys.modules["torch"] = None  # without the towers, which nothing here asks about
sys.argv = ["embsql", "--db", "shop.duckdb", "demo"]
runpy.run_module("embsql", run_name="__main__")
"""
TRAININGS = """
import sys, time, embsql
train = dict(evaluate=True, gate=False, force=True, progress=False, user_col="customer_id",
             weight_col="quantity", time_col="ordered_at")
with embsql.connect(sys.argv[1]) as database:
    for _ in range(1 + int(sys.argv[2])):
        begin = time.process_time()
        database.train("demo", "shop_orders", **train)
        print(time.process_time() - begin)
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeat", type=int, default=11, help="of each (default 11)")


def measure(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _python(work, WORKS["connect, existing file"])
        took: dict[str, list[float]] = {name: [] for name in WORKS}
        for _ in range(options.repeat):
            for name, words in WORKS.items():
                (work / "new.duckdb").unlink(missing_ok=True)
                before = _children_cpu()
                _python(work, words)
                took[name].append(_children_cpu() - before)
        for name, seconds in took.items():
            _line("none", name, seconds)
        _line(SHOP, "second training", _second_trainings(work, options.repeat))


def _line(data: str, metric: str, seconds: list[float]) -> None:
    value = statistics.median(seconds)
    line("startup", data, "embsql", metric, value, "s", repeat=len(seconds))


def _second_trainings(folder: Path, repeat: int) -> list[float]:
    """CPU seconds of each training after the first, on the shop that the demo leaves."""
    _python(folder, ["-c", DEMO])
    printed = _python(folder, ["-c", TRAININGS, "shop.duckdb", str(repeat)])
    return [float(seconds) for seconds in printed.split()[1:]]


def _python(folder: Path, words: list[str]) -> str:
    """What Python prints in a folder, with bytecode and compiled loops kept there."""
    kept = {"NUMBA_CACHE_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    # without what `--clock cpu` has Python load at each start
    kept["PYTHONPATH"] = os.pathsep.join(p for p in paths if Path(p).name != "_clock")
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, **kept},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
