"""What dbt costs: an embedding node beside the same training alone, a whole build, and a build with
nothing to do.

The demonstration project (dbt_project/demo) is built on its generated shop, in DuckDB, with
threads: 4 as it comes. Then its model `shop` is trained once more, by dbt without other models
beside it, and by `db.train` from the same rows; each in a new process, which has to load what
training needs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks._lines import ROOT, line

ALONE = """
import sys, time, json, embsql
path, source, params = sys.argv[1:]
with embsql.connect(path) as db:
    start = time.perf_counter()
    db.train("alone", source, evaluate=True, force=True, **json.loads(params))
    db.cluster("alone", entity="user", k=8, labels="SELECT * FROM main.customer_labels")
    db.cluster("alone", k=8)
    db.project("alone", entity="user")
    db.materialize("alone", k=5)
    print(time.perf_counter() - start)
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--customers",
        type=int,
        default=25_000,
        help="of the shop; some 20 order lines each",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=3,
        help="builds with nothing changed, trainings alone",
    )


def measure(options: argparse.Namespace) -> None:
    folder = _programs()
    with tempfile.TemporaryDirectory() as made:
        shutil.copytree(ROOT / "dbt_project", Path(made) / "dbt_project")
        project = Path(made) / "dbt_project" / "demo"
        _run([folder / "dbt", "deps"], project)
        build = [
            folder / "dbt",
            "build",
            "--vars",
            json.dumps({"customers": options.customers}),
        ]
        first = _run(build, project)
        nodes = len(_nodes(project))
        again = statistics.median(_run(build, project) for _ in range(options.repeat))
        lines, source, params, runs = _facts(project / "shop.duckdb")
        command = [folder / "python", "-c", ALONE, "shop.duckdb", source, params]
        forced = [
            folder / "dbt",
            "run",
            "--select",
            "shop",
            "--full-refresh",
            *build[2:],
        ]
        node, alone = [], []
        for _ in range(options.repeat):
            _run(forced, project)
            node.append(_nodes(project)["shop"])
            alone.append(float(_said(command, project)))
    data = f"generated shop, {lines} order lines"
    line(
        "dbt",
        data,
        "dbt build",
        "wall time, from empty",
        first,
        "s",
        nodes=nodes,
        threads=4,
    )
    line(
        "dbt",
        data,
        "dbt build",
        "wall time, nothing changed",
        again,
        "s",
        runs=runs,
        threads=4,
    )
    took, peer = statistics.median(node), statistics.median(alone)
    line(
        "dbt",
        data,
        "dbt node",
        "wall time of an embedding model",
        took,
        "s",
        peer="db.train",
        peer_value=peer,
    )
    line("dbt", data, "dbt node", "more than db.train", took - peer, "s")


def _programs() -> Path:
    """Where dbt is: in this environment, or in the one that make dbt builds."""
    for folder in (Path(sys.executable).parent, ROOT / ".venv" / "dbt" / "bin"):
        if (folder / "dbt").exists():
            return folder
    return sys.exit("dbt is not installed; make dbt gives it an environment of its own")


def _run(command: list[object], folder: Path) -> float:
    start = time.perf_counter()
    _said(command, folder)
    return time.perf_counter() - start


def _said(command: list[object], folder: Path) -> str:
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
    return done.stdout


def _nodes(project: Path) -> dict[str, float]:
    """Seconds of every node of the last build."""
    results = json.loads((project / "target" / "run_results.json").read_text())[
        "results"
    ]
    return {
        result["unique_id"].split(".")[2]: result["execution_time"]
        for result in results
    }


def _facts(path: Path) -> tuple[int, str, str, int]:
    """How many order lines there are; the source and options of the run of `shop`; how many
    runs.
    """
    with duckdb.connect(str(path), read_only=True) as connection:
        (lines,) = connection.sql("SELECT count(*) FROM main.order_lines").fetchall()[0]
        (runs,) = connection.sql("SELECT count(*) FROM embsql.runs").fetchall()[0]
        record = "SELECT source_sql, params FROM embsql.runs WHERE model_name = 'shop'"
        source, params = connection.sql(record).fetchall()[0]
    return lines, source, params, runs
