"""What a question about many subjects costs over asking one by one, and over top-k tables.

Vectors are written twice by embsql into DuckDB files, with cells and without. Every way of asking
has a process of its own; what is answered without cells is exact.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from typing import Any

import embsql
from benchmarks import search
from benchmarks._apart import apart
from benchmarks._lines import line

QUESTIONS = {"recommend": "user", "similar_items": "item"}
SUBJECTS = """
(SELECT array_agg(CAST(n AS VARCHAR)) FROM range($first, $first + $n) AS subject (n))
"""
BATCH = "SELECT * FROM embsql.{name}_batch('m', {subjects}, k => 10)"
LATERAL = """
SELECT subject.id AS for_{entity}, answer.*
FROM (SELECT unnest({subjects}) AS id) AS subject,
LATERAL (SELECT * FROM embsql.{name}('m', subject.id, k => 10)) AS answer
"""
ALONE = "SELECT * FROM embsql.{name}('m', $id, k => 10)"
FILES = ("all", "cells")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--subjects", type=int, nargs="*", default=[100, 1000, 10_000])
    parser.add_argument(
        "--exact", type=int, default=1000, help="the most without cells"
    )
    parser.add_argument("--lateral", type=int, default=100, help="the most by LATERAL")
    parser.add_argument("--alone", type=int, default=20, help="asked one by one")


def measure(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        search.made_vectors(folder, options.items, options.users)
        for name in FILES:
            apart(search.write, folder=folder, in_cells=name == "cells")
        for name in QUESTIONS:
            _measured(options, folder, name)
        _materialized(options, folder)


def _measured(options: argparse.Namespace, folder: str, name: str) -> None:
    """The figures of one question."""
    asked = {"folder": folder, "name": name, "threads": options.threads}
    alone = {file: _alone(options, asked, file) for file in FILES}
    most = {"all": options.exact, "cells": max(options.subjects)}
    for n, file in itertools.product(options.subjects, FILES):
        for way, limit in (("batch", most[file]), ("LATERAL", options.lateral)):
            if n <= limit:
                _many(options, asked, file, way=way, n=n, peer=alone["all"])
    _recall(options, asked)


def _alone(options: argparse.Namespace, asked: dict[str, Any], file: str) -> float:
    """CPU time of a subject, asked one by one."""
    done = apart(ask_alone, **asked, file=file, n=options.alone)
    cpu: float = done["cpu"]
    _line(options, asked["name"], f"{file}, one by one", cpu)
    return cpu


def _many(
    options: argparse.Namespace,
    asked: dict[str, Any],
    file: str,
    *,
    way: str,
    n: int,
    peer: float,
) -> None:
    done = apart(ask_many, **asked, file=file, way=way, n=n)
    _line(
        options,
        asked["name"],
        f"{file}, {way}",
        done["cpu"],
        peer="all, one by one",
        peer_value=peer,
        seconds=done["seconds"],
        peak_rss_mb=done["peak_rss_mb"],
        subjects=n,
    )


def _recall(options: argparse.Namespace, asked: dict[str, Any]) -> None:
    """How much of the exact answer there is by cells."""
    n = min(options.subjects)
    found = {
        file: {
            tuple(row)
            for row in apart(ask_many, **asked, file=file, way="batch", n=n)["rows"]
        }
        for file in FILES
    }
    right = len(found["all"] & found["cells"]) / len(found["all"])
    data = f"made {options.items} x {search.DIM}"
    line("batch", data, f"{asked['name']}, cells", "recall", right, "", subjects=n)


def _line(
    options: argparse.Namespace, name: str, way: str, cpu: float, **more: Any
) -> None:
    data = f"made {options.items} x {search.DIM}"
    line("batch", data, f"{name}, {way}", "cpu", cpu, "CPU ms a subject", **more)


def _materialized(options: argparse.Namespace, folder: str) -> None:
    done = apart(materialize, folder=folder, threads=options.threads)
    _line(
        options,
        "recommend",
        "materialize",
        done["cpu"] / options.users,
        seconds=done["seconds"],
        peak_rss_mb=done["peak_rss_mb"],
        subjects=options.users,
    )


# --- in a process of its own ----------------------------------------------------------------------


def _opened(folder: str, file: str, threads: int) -> embsql.Database:
    database = embsql.connect(f"{folder}/{file}.duckdb", read_only=True)
    database.engine.run("SET threads = $threads", threads=threads)
    return database


def ask_alone(
    folder: str, file: str, name: str, n: int, threads: int
) -> dict[str, Any]:
    """Milliseconds of CPU time that a subject takes, the first one left out."""
    database, sql = _opened(folder, file, threads), ALONE.format(name=name)
    ids = [str(search.FIRST_ID + number) for number in range(n + 1)]
    database.ask(sql, id=ids[0])
    start = time.process_time()
    for one in ids[1:]:
        database.ask(sql, id=one)
    return {"cpu": 1e3 * (time.process_time() - start) / n}


def ask_many(
    folder: str, file: str, name: str, way: str, n: int, threads: int
) -> dict[str, Any]:
    """Milliseconds of CPU time that a subject takes, and of the first ones what is answered."""
    database, entity = _opened(folder, file, threads), QUESTIONS[name]
    text = BATCH if way == "batch" else LATERAL
    sql = text.format(name=name, entity=entity, subjects=SUBJECTS)
    start, began = time.process_time(), time.perf_counter()
    answer = database.ask(sql, first=search.FIRST_ID, n=n)
    cpu, seconds = time.process_time() - start, time.perf_counter() - began
    subjects, items = answer[f"for_{entity}"], answer["item_id"]
    rows = list(zip(subjects.to_pylist(), items.to_pylist(), strict=True))
    assert len(rows) == n * search.K
    return {"cpu": 1e3 * cpu / n, "seconds": seconds, "rows": rows[: 100 * search.K]}


def materialize(folder: str, threads: int) -> dict[str, Any]:
    """Milliseconds of CPU time of the top-k table of all users."""
    with embsql.connect(f"{folder}/all.duckdb") as database:
        start, began = time.process_time(), time.perf_counter()
        database.materialize("m", k=10, items=False, threads=threads)
        cpu, seconds = time.process_time() - start, time.perf_counter() - began
    return {"cpu": 1e3 * cpu, "seconds": seconds}
