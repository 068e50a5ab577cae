"""Thousands of answers of every engine against numpy's: python -m tests.campaigns.questions

Generates databases and calls from a seed, asks DuckDB in this process, DuckDB's command (another
version) and PostgreSQL, and prints one line of JSON. It takes too long for the suite, which does
the same with fewer calls (tests/oracle).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

import embsql
from tests.oracle.calls import Call, Many, calls, many
from tests.oracle.check import Checked, check
from tests.oracle.data import World
from tests.oracle.engines import COMMAND, Asked, command, in_process
from tests.oracle.generate import world
from tests.oracle.write import write
from tests.servers import started

EACH = 1000  # answers of one database


def main() -> None:
    """Run the campaign; the exit status is 1 when an answer is wrong."""
    options = _options()
    compared: dict[str, Counter[str]] = {}
    undecided: Counter[str] = Counter()
    wrong: list[dict[str, str]] = []
    for engine, one in _checked(options):
        name = one.call.question
        if isinstance(one.call, Many):
            name += f" for many {one.call.argument}"
        compared.setdefault(engine, Counter())[name] += 1
        undecided[engine] += one.undecided
        if one.wrong:
            wrong.append(
                {
                    "engine": engine,
                    "question": name,
                    "sql": one.call.sql,
                    "why": one.wrong,
                }
            )
    report = {
        "seed": options.seed,
        "answers": {engine: count.total() for engine, count in compared.items()},
        "decided_in_part_by_rounding": undecided,
        "questions": compared,
        "wrong": Counter(f"{one['engine']}: {one['question']}" for one in wrong),
        "differences": wrong,
    }
    sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    sys.exit(bool(wrong))


def _options() -> Any:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--answers",
        type=int,
        default=8000,
        help="calls of one subject, on every engine",
    )
    parser.add_argument(
        "--many", type=int, default=800, help="calls of many subjects, on every engine"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--models", type=int, default=12, help="of each database")
    parser.add_argument(
        "--engines", default="duckdb,command,postgres", help="some of these"
    )
    parser.add_argument(
        "--command", type=Path, default=COMMAND, help="another DuckDB command"
    )
    return parser.parse_args()


def _checked(options: Any) -> Iterator[tuple[str, Checked]]:
    """Every answer, and the engine that gave it."""
    databases = max(1, -(-options.answers // EACH))
    with tempfile.TemporaryDirectory() as folder, _server(options) as server:
        for number in range(databases):
            seed = options.seed * 1000 + number
            made = world(seed, options.models)
            asked: list[list[Call] | list[Many]] = [
                calls(made, seed, options.answers // databases),
                many(made, seed, options.many // databases),
            ]
            for name, ask in _engines(
                options, made, Path(folder) / f"{number}.duckdb", server
            ):
                yield from (
                    (name, one) for some in asked for one in check(made, ask, some)
                )


def _engines(
    options: Any, made: World, path: Path, server: Any
) -> Iterator[tuple[str, Asked]]:
    """The engines asked for, each with the database."""
    with embsql.connect(str(path)) as database:
        write(database, made)
    if "command" in options.engines:
        version = subprocess.run(
            [options.command, "--version"], capture_output=True, text=True, check=True
        ).stdout
        yield f"DuckDB {version.split()[0].strip('v')}", command(path, options.command)
    if "duckdb" in options.engines:
        with embsql.connect(str(path), read_only=True) as database:
            yield f"DuckDB {duckdb.__version__}", in_process(database)
    if server:
        with embsql.connect(server(path.stem)) as database:
            write(database, made)
            yield "PostgreSQL", in_process(database)


@contextmanager
def _server(options: Any) -> Iterator[Any]:
    """Makes PostgreSQL databases by name, where they are asked for."""
    if "postgres" not in options.engines:
        yield None
        return
    import psycopg
    from psycopg import conninfo

    with started() as address:

        def create(name: str) -> str:
            with psycopg.connect(address, autocommit=True) as admin:
                admin.execute(f"CREATE DATABASE oracle_{name}")
            return conninfo.make_conninfo(address, dbname=f"oracle_{name}")

        yield create


if __name__ == "__main__":
    main()
