"""Many trainers at once: each comes to its turn, no run is lost, and one file has one writer.

A try is 64 threads that train 8 models of a DuckDB file, each with a connection of its own; 64
processes that do so in PostgreSQL; or 64 processes at one file, of which one trains.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any

import embsql
from embsql.errors import AlreadyTraining, DatabaseBusy
from tests.faults.acts import train
from tests.faults.result import Tried
from tests.faults.zygote import zygote
from tests.servers import started

TRAINERS, MODELS = 64, 8
LONG = 1200  # seconds that no try takes
COUNTED = """
SELECT run.model_name, run.status, count(*) AS runs
FROM embsql.run_records AS run
GROUP BY run.model_name, run.status
ORDER BY run.model_name
"""
LIVE = """
SELECT model.model_name, run.status, run.run_id
FROM embsql.models AS model
LEFT JOIN embsql.run_records AS run
    ON run.run_id = model.live_run AND run.model_name = model.model_name
"""


def tries(seed: int, first: int, engines: list[str]) -> Iterator[Tried]:
    """Try after try, of each kind in turn."""
    with ExitStack() as opened:
        ways = [
            opened.enter_context(WAYS[way]())
            for way in WAYS
            if way.split()[0] in engines
        ]
        for number in itertools.count(first):
            yield ways[number % len(ways)](seed + number, TRAINERS, MODELS)


def in_turn(database: embsql.Database, number: int, models: int, seed: int) -> str:
    """Train one of the models, as soon as nobody else does; "" or what went wrong."""
    try:
        while True:
            try:
                train(database, "als", f"m{number % models}", seed + number)
                return ""
            except AlreadyTraining:
                time.sleep(0.05)
    except BaseException:
        return traceback.format_exc(limit=-6)


def judged(database: embsql.Database, trainers: int, models: int) -> list[str]:
    """What is wrong when all have trained."""
    runs = {f"m{number}": trainers // models for number in range(models)}
    rows = database.ask(COUNTED).to_pylist()
    counts = {
        row["model_name"]: row["runs"] for row in rows if row["status"] == "ready"
    }
    wrong = [] if counts == runs and len(rows) == models else [f"runs are {rows}"]
    live = database.ask(LIVE).to_pylist()
    if [row["status"] for row in live] != ["ready"] * models:
        wrong.append(f"live are {live}")
    leases = database.ask("SELECT held.model_name FROM embsql.leases AS held").num_rows
    return wrong + ([f"{leases} leases are left"] if leases else [])


# --- cursors of one process ----------------------------------------------------------------------


@contextmanager
def _threads() -> Iterator[Callable[[int, int, int], Tried]]:
    yield threads


def threads(seed: int, trainers: int, models: int) -> Tried:
    """So many threads that train in one DuckDB database."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embsql.connect(f"{folder}/w.duckdb") as database,
    ):
        said: list[str] = []

        def work(number: int) -> None:
            with embsql.connect(database.engine.second()) as own:
                said.append(in_turn(own, number, models, seed))

        workers = [threading.Thread(target=work, args=(n,)) for n in range(trainers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        wrong = [one for one in said if one] + judged(database, trainers, models)
        wrong += (
            [] if len(said) == trainers else [f"{trainers - len(said)} threads died"]
        )
    return Tried(Counter({"duckdb trainings": trainers}), wrong)


# --- processes at one server ---------------------------------------------------------------------


@contextmanager
def _processes() -> Iterator[Callable[[int, int, int], Tried]]:
    import psycopg
    from psycopg import conninfo

    with started("max_connections = 300") as server:
        address = conninfo.make_conninfo(server, dbname="world")

        def go(seed: int, trainers: int, models: int) -> Tried:
            with psycopg.connect(server, autocommit=True) as admin:
                admin.execute("DROP DATABASE IF EXISTS world WITH (FORCE)")
                admin.execute("CREATE DATABASE world")
            return processes(address, seed, trainers, models)

        yield go


def processes(address: str, seed: int, trainers: int, models: int) -> Tried:
    """So many processes that train in one PostgreSQL database."""
    embsql.connect(address).close()
    said = _all(
        _trainer, [(address, number, models, seed) for number in range(trainers)]
    )
    with embsql.connect(address) as database:
        wrong = [one for one in said if one] + judged(database, trainers, models)
    return Tried(Counter({"postgres trainings": trainers}), wrong)


def _trainer(
    address: str, number: int, models: int, seed: int, pipe: Connection
) -> None:
    with embsql.connect(address) as database:
        pipe.send(in_turn(database, number, models, seed))


# --- processes at one file -----------------------------------------------------------------------


@contextmanager
def _one_file() -> Iterator[Callable[[int, int, int], Tried]]:
    yield one_file


def one_file(seed: int, trainers: int, models: int) -> Tried:  # noqa: ARG001 - of one model
    """So many processes that open one DuckDB file: who is first trains, the others are refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/w.duckdb"
        embsql.connect(path).close()
        refused = zygote().Semaphore(0)
        said = Counter(_all(_opener, [(path, seed, trainers - 1, refused)] * trainers))
        with embsql.connect(path) as database:
            wrong = judged(database, 1, 1)
    if said != {"": 1, "DatabaseBusy": trainers - 1}:
        wrong.append(f"of {trainers} processes: {said}")
    return Tried(Counter({"processes refused a file": said["DatabaseBusy"]}), wrong)


def _opener(path: str, seed: int, others: int, refused: Any, pipe: Connection) -> None:
    try:
        with embsql.connect(path) as database:
            train(database, "als", "m0", seed)
            for _ in range(others):  # the file stays open until all others have tried
                assert refused.acquire(timeout=LONG)
        pipe.send("")
    except DatabaseBusy:
        refused.release()
        pipe.send("DatabaseBusy")
    except BaseException:
        refused.release()
        pipe.send(traceback.format_exc(limit=-6))


def _all(function: Any, arguments: list[tuple[Any, ...]]) -> list[str]:
    """What so many processes say, which run at once."""
    begun = [(zygote().Pipe(), one) for one in arguments]
    working = [
        zygote().Process(target=function, args=(*one, its_end), daemon=True)
        for (_, its_end), one in begun
    ]
    for process in working:
        process.start()
    for (_, its_end), _one in begun:
        its_end.close()
    said = [_said(pipe) for (pipe, _), _one in begun]
    for process in working:
        process.join(LONG)
        process.kill()
    return said


def _said(pipe: Connection) -> str:
    try:
        return str(pipe.recv()) if pipe.poll(LONG) else "it hangs"
    except EOFError:
        return "it died without a word"


WAYS = {
    "duckdb threads": _threads,
    "postgres processes": _processes,
    "duckdb processes": _one_file,
}
