"""What runs in forked processes: an act that is ended, and the look at what it left."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import embsql
from embsql.engines.duckdb import DuckDB
from embsql.engines.postgres import PostgreSQL
from embsql.errors import CannotOpen, EmbsqlError
from tests.faults import seen
from tests.faults.acts import ACTS, Given, fill

PATIENCE = (
    60  # seconds a server is given to recover, and a backend to notice that its client is gone
)
OTHERS = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'embsql' AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """An act in a database; whatever it draws follows from `draws`."""

    target: str
    folder: Path
    act: str
    draws: str
    runs: list[int]

    def done_in(self, database: embsql.Database) -> int | None:
        """Do it."""
        draw = random.Random(self.draws)
        return ACTS[self.act](Given(database, self.runs, self.folder, draw))


# --- the victim ----------------------------------------------------------------------------------


def victim(asked: Asked, step: int, largest: int, pipe: Connection) -> None:
    """Do an act, and die at its n-th step; no file may pass `largest` bytes (0: any may)."""
    try:
        with embsql.connect(asked.target) as database:
            pipe.send(("begins", _backend(database)))
            if largest:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
            with steps(pipe, step):
                asked.done_in(database)
        pipe.send(("ended", "done"))
    except EmbsqlError as error:
        pipe.send(("ended", f"sentence {type(error).__name__}"))
    except BaseException:
        pipe.send(("ended", traceback.format_exc(limit=-3, chain=False)))


def _backend(database: embsql.Database) -> int:
    """The process of the server that does what this one asks."""
    if database.engine.embedded:
        return 0
    return int(database.ask("SELECT pg_backend_pid() AS pid")["pid"][0].as_py())


@contextmanager
def steps(pipe: Connection | None = None, last: int = 0) -> Iterator[list[str]]:
    """Count what the main thread does to the database and to files, and die at the last step."""
    taken: list[str] = []

    def step(name: str) -> None:
        if threading.current_thread() is threading.main_thread():
            taken.append(name)
            if pipe and len(taken) == last:
                pipe.send(("step", name))
                os.kill(os.getpid(), signal.SIGKILL)

    undone = [_stepping(place, name, step) for place, name in PLACES]
    try:
        yield taken
    finally:
        for undo in undone:
            undo()


PLACES: list[tuple[Any, str]] = [
    *(
        (engine, name)
        for engine in (DuckDB, PostgreSQL)
        for name in ("run", "ask", "write", "transaction")
    ),
    (os, "replace"),
    (os, "fsync"),
    (shutil, "copyfileobj"),
]


def _stepping(place: Any, name: str, step: Callable[[str], None]) -> Callable[[], None]:
    """Take a step before each call and after it; what undoes that."""
    original = getattr(place, name)

    def call(*arguments: Any, **values: Any) -> Any:
        what = f"{name} {str(arguments[1])[:50]!r}" if len(arguments) > 1 else name
        step(f"before {what}")
        answer = original(*arguments, **values)
        step(f"after {what}")
        return answer

    @contextmanager
    def transaction(engine: Any) -> Iterator[None]:
        with original(engine):
            step("after BEGIN")
            yield
            step("before COMMIT")
        step("after COMMIT")

    setattr(place, name, transaction if name == "transaction" else call)
    return lambda: setattr(place, name, original)


# --- who comes afterwards ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """What an ended act left, what doing it again made of that, and what is wrong with either."""

    found: seen.Parts
    after: seen.Parts
    wrong: list[str]
    runs: list[int]
    steps: int
    seconds: float


def begin(target: str, pipe: Connection) -> None:
    """Fill a new database."""
    with embsql.connect(target) as database:
        fill(database)
    pipe.send(None)


def look(target: str, folder: Path, pipe: Connection) -> None:
    """What is in a database."""
    with embsql.connect(target) as database:
        pipe.send((_parts(database, folder), _runs(database)))


def again(asked: Asked, gone: int, pipe: Connection) -> None:
    """Look at what an act left that was ended, and do it to its end."""
    try:
        pipe.send(_again(asked, gone))
    except BaseException:
        pipe.send(Found({}, {}, [traceback.format_exc(limit=-3, chain=False)], [], 0, 0))


def _again(asked: Asked, gone: int) -> Found:
    with _opened(asked.target) as database:
        found = _parts(database, asked.folder)
        wrong = [f"at once: {each}" for each in seen.contradictions(database, gone)]
        begin = time.monotonic()
        with steps() as taken:
            live = asked.done_in(database)
        seconds = time.monotonic() - begin
        after = _parts(database, asked.folder)
        wrong += [f"afterwards: {each}" for each in seen.contradictions(database, gone)]
        wrong += seen.left_over(database)
        wrong += [] if live is None or str(live) == after["live m"] else [f"{live} is not live"]
        runs = _runs(database)
    wrong += _files(asked)
    return Found(found, after, wrong, runs, len(taken), seconds)


@contextmanager
def _opened(target: str) -> Iterator[embsql.Database]:
    """The database, as soon as the server has recovered and has noticed that the other is gone."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            database = embsql.connect(target)
            break
        except CannotOpen:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    with database:
        while not database.engine.embedded and database.ask(OTHERS).num_rows:
            assert time.monotonic() < end, "a backend goes on without its client"
            time.sleep(0.05)
        yield database


def _parts(database: embsql.Database, folder: Path) -> seen.Parts:
    """What is in the database, and in the copy that was published of it."""
    copy = folder / "copy.duckdb"
    found = seen.parts(database)
    if copy.exists():
        with embsql.connect(str(copy), read_only=True) as published:
            (live,) = (row["live_run"] for row in seen.models(published))
            found["published"] = f"{live} {seen.rows_of(published.engine, live)}"
    return found


def _runs(database: embsql.Database) -> list[int]:
    """The finished runs of m, the live one last."""
    live = database.ask("SELECT live_run FROM embsql.models() WHERE model_name = 'm'")
    last = live["live_run"][0].as_py()
    return [run for run in seen.ready(database.engine, "m") if run != last] + [last]


def _files(asked: Asked) -> list[str]:
    """Files that nobody asked for."""
    names = {path.name for path in asked.folder.iterdir()} - {
        "copy.duckdb",
        Path(asked.target).name,
    }
    return [f"a file {name} is left" for name in sorted(names)]
