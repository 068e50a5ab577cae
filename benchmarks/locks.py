"""What PostgreSQL locks, and how long it plans, against how many runs are kept.

Parts: questions (locks and answers of questions about one small run, by runs kept: what such an
answer takes is planning), readers (many sessions that ask of many models at once), commands
(forget, install --roles and pg_dump with the server's own settings).

Without --server it starts a server of its own, with pgvector, in a temporary folder.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import embsql
from benchmarks._lines import in_turn, line
from benchmarks._postgres_clients import program
from benchmarks._server import New, databases, running
from embsql.errors import EmbsqlError

ROWS = 20  # users, items and pairs of every run
TIMES = 100  # that a question is asked in one statement
QUESTIONS = {
    "recommend": "SELECT * FROM embsql.recommend('m0', 'u1', k => 3)",
    "similar_items": "SELECT * FROM embsql.similar_items('m0', 'i1', k => 3)",
    "score": "SELECT embsql.score('m0', 'u1', 'i1')",
    "recommend_from": "SELECT * FROM embsql.recommend_from('m0', ARRAY['i1'], k => 3)",
    "features": "SELECT * FROM embsql.features('m0')",
}
HELD = """
SELECT count(*) AS locks
FROM pg_locks AS held
JOIN pg_class AS c ON c.oid = held.relation
WHERE held.pid = pg_backend_pid()
    AND c.relnamespace IN ('embsql'::regnamespace, 'embsql_runs'::regnamespace)
"""
RUN = """
INSERT INTO embsql.run_records (
    run_id, model_name, algorithm, params, source_sql, seed, dim, similarity, status,
    users, items, interactions, versions, started_at, finished_at
)
VALUES (
    $run, $model, 'als', '{}', '', 1, 4, 'dot', 'ready',
    $rows, $rows, $rows, '{}', now(), now()
)
"""
MODEL = """
INSERT INTO embsql.models (model_name, live_run, earlier_runs, updated_at)
VALUES ($model, $run, '{}', now())
ON CONFLICT (model_name) DO UPDATE SET live_run = excluded.live_run
"""
VECTORS = """
INSERT INTO embsql_runs.{part}
SELECT $run, $letter || n, CAST(CAST(ARRAY[n, 1, -n, 2] AS text) AS real[])::vector, 1, 0, 1
FROM generate_series(1, $rows) AS n
"""
PAIRS = """
INSERT INTO embsql_runs.{part}
SELECT $run, 'u' || n, 'i' || n, 1, NULL
FROM generate_series(1, $rows) AS n
"""
TABLES = {"item_embeddings": VECTORS, "user_embeddings": VECTORS, "interactions": PAIRS}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument(
        "--server",
        help="postgresql://... with the right to create databases, and pgvector",
    )
    parser.add_argument(
        "--runs",
        nargs="+",
        type=int,
        default=[1, 11, 165],
        help="kept, for the part questions",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=21,
        help="of every loop, of which the median is taken",
    )
    parser.add_argument(
        "--models", type=int, default=200, help="of each run, for the other parts"
    )
    parser.add_argument("--each", type=int, default=11, help="runs kept of every model")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=30, help="that clients ask")


def measure(options: argparse.Namespace) -> None:
    with running(options.server) as server, databases(server) as new:
        for part in options.part:
            PARTS[part](options, new)


def keep(database: embsql.Database, runs: range, each: int = 11) -> None:
    """Write small runs, so many of every model m0, m1, ...; the last one of each is live."""
    for run in runs:
        with database.engine.transaction():
            _keep(database, run, f"m{(run - runs.start) // each}")


def _keep(database: embsql.Database, run: int, model: str) -> None:
    engine = database.engine
    engine.run(RUN, run=run, model=model, rows=ROWS)
    for kind, rows in TABLES.items():
        values = {"letter": kind[0]} if rows is VECTORS else {}
        part = engine.ask(
            "SELECT embsql_internal.open_partition($kind, $run) AS part",
            kind=kind,
            run=run,
        )["part"][0]
        engine.run(rows.format(part=part), run=run, rows=ROWS, **values)
        engine.run(
            "SELECT embsql_internal.attach_partition($kind, $run)", kind=kind, run=run
        )
    engine.run(MODEL, model=model, run=run)


def held(database: embsql.Database, question: str) -> int:
    """How many tables and indexes a question locks, asked until there is a plan for any run."""
    with database.engine.transaction():
        for _ in range(8):
            database.engine.ask(question)
        return int(database.engine.ask(HELD)["locks"][0].as_py())


# --- questions: one session, few runs and many ---------------------------------------------------


def questions(options: argparse.Namespace, new: New) -> None:
    with ExitStack() as opened:
        kept = {
            runs: opened.enter_context(embsql.connect(new())) for runs in options.runs
        }
        for runs, database in kept.items():
            keep(database, range(1, runs + 1), each=runs)
        for name, question in QUESTIONS.items():
            _question(name, question, kept, options.repeat)


def _question(
    name: str, question: str, kept: dict[int, embsql.Database], repeat: int
) -> None:
    fewest = min(kept)
    works = {runs: _asking(database, question) for runs, database in kept.items()}
    locks = {runs: held(database, question) for runs, database in kept.items()}
    took = in_turn(works, repeat)
    for runs in kept:
        data, peer = f"{runs} runs of {ROWS} users and items", f"{fewest} runs"
        line(
            "locks",
            data,
            name,
            "locks",
            locks[runs],
            "locks",
            peer=peer,
            peer_value=locks[fewest],
        )
        line(
            "locks",
            data,
            name,
            "median answer",
            1000 * took[runs].seconds / TIMES,
            "ms",
            peer=peer,
            peer_value=1000 * took[fewest].seconds / TIMES,
            repeat=repeat,
            times=TIMES,
        )


def _asking(database: embsql.Database, question: str) -> Callable[[], Any]:
    """The question asked so often inside the server, so that no client is timed."""
    asked = question.replace("SELECT", "PERFORM", 1)
    loop = f"DO $do$ BEGIN FOR n IN 1..{TIMES} LOOP {asked}; END LOOP; END $do$"
    return lambda: database.engine.run(loop)


# --- readers: many sessions, many models ---------------------------------------------------------


def readers(options: argparse.Namespace, new: New) -> None:
    address = _filled(options, new)
    with tempfile.TemporaryDirectory() as folder:
        scripts = [
            part
            for script in _scripts(Path(folder), options.models)
            for part in ("-f", script)
        ]
        command = [
            program("pgbench"),
            "-n",
            "-c",
            options.clients,
            "-j",
            2,
            "-T",
            options.seconds,
            *scripts,
            address,
        ]
        words = [str(word) for word in command]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    failed = done.stderr.count("ERROR:") + done.stderr.count("FATAL:")
    line(
        "locks",
        _data(options),
        "readers",
        "errors",
        failed,
        "errors",
        clients=options.clients,
        seconds_each=options.seconds,
        code=done.returncode,
    )


def _scripts(folder: Path, models: int) -> Iterator[str]:
    """Every question, each time of another model."""
    for name, question in QUESTIONS.items():
        asked = question.replace("'m0'", "'m' || :model")
        (folder / f"{name}.sql").write_text(
            f"\\set model random(0, {models - 1})\n{asked};\n"
        )
        yield f"{folder}/{name}.sql"


# --- commands: what touches every run ------------------------------------------------------------


def commands(options: argparse.Namespace, new: New) -> None:
    address = _filled(options, new)
    works = {
        "install --roles": lambda: _installed(address),
        "forget": lambda: _forgotten(address),
        "pg_dump": lambda: subprocess.run(
            [program("pg_dump"), "-f", "/dev/null", address], check=True
        ),
    }
    for name, work in works.items():
        line("locks", _data(options), name, "errors", _errors(work), "errors")


def _installed(address: str) -> None:
    with embsql.connect(address) as database:
        database.install(roles=True)


def _forgotten(address: str) -> None:
    with embsql.connect(address) as database:
        database.forget("u1")


def _errors(work: Callable[[], Any]) -> int:
    import psycopg

    try:
        work()
    except (EmbsqlError, psycopg.Error, subprocess.CalledProcessError) as error:
        print(error, flush=True)
        return 1
    return 0


def _filled(options: argparse.Namespace, new: New) -> str:
    """The address of a database with so many models."""
    address = new()
    with embsql.connect(address) as database:
        keep(database, range(1, options.models * options.each + 1), options.each)
    return address


def _data(options: argparse.Namespace) -> str:
    return f"{options.models} models of {options.each} runs"


PARTS: dict[str, Callable[[argparse.Namespace, New], None]] = {
    "questions": questions,
    "readers": readers,
    "commands": commands,
}
