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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import embsql
from embsql.engines.duckdb import DuckDB
from embsql.engines.postgres import PostgreSQL
from embsql.errors import CannotOpen, EmbsqlError
from tests.faults import earlier, seen
from tests.faults.acts import ALL, DBT, Given, fill, fill_source

# seconds a server is given to recover, and a backend to notice that its client is gone
PATIENCE = 60
OTHERS = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database()
    AND application_name IN ('embsql', 'dbt')
    AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """An act in a database; whatever it draws follows from `draws`."""

    target: str
    folder: Path
    act: str
    draws: str
    runs: list[int]

    def opened(self) -> Any:
        """Its database; one of an earlier version as it is."""
        return (
            earlier.opened(self.target)
            if self.act == "upgrade"
            else embsql.connect(self.target)
        )

    @property
    def threaded(self) -> bool:
        """Whether other threads than the main one do it."""
        return self.act in DBT

    def done_in(self, database: embsql.Database) -> int | None:
        """Do it."""
        draw = random.Random(self.draws)
        given = Given(database, self.runs, self.folder, draw, self.target)
        return ALL[self.act](given)


# --- the victim ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limits:
    """What a victim has, each without limit where it is 0."""

    step: int = 0  # at which it dies
    file: int = 0  # bytes that no file may pass
    buffers: int = 0  # megabytes that DuckDB may use
    memory: int = 0  # bytes that the process may take besides those it has

    def set_in(self, database: Any) -> None:
        """Make them hold, but for the step."""
        if self.file:
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (self.file, resource.RLIM_INFINITY)
            )
        if self.buffers:
            database.engine.run(f"SET memory_limit = '{self.buffers}MB'")
        if self.memory:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            most = pages * resource.getpagesize() + self.memory
            resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def victim(asked: Asked, limits: Limits, pipe: Connection) -> None:
    """Do an act under some limits."""
    try:
        with asked.opened() as database:
            pipe.send(("begins", _backend(database)))
            limits.set_in(database)
            with steps(pipe, limits.step, every=asked.threaded):
                asked.done_in(database)
        pipe.send(("ended", "done"))
    except EmbsqlError as error:
        pipe.send(("ended", f"sentence {type(error).__name__}"))
    except BaseException:
        pipe.send(("ended", f"traceback {traceback.format_exc(limit=-3, chain=False)}"))


def _backend(database: embsql.Database) -> int:
    """The process of the server that does what this one asks."""
    if database.engine.embedded:
        return 0
    return int(database.ask("SELECT pg_backend_pid() AS pid")["pid"][0].as_py())


@contextmanager
def steps(
    pipe: Connection | None = None, last: int = 0, *, every: bool = False
) -> Iterator[list[str]]:
    """Count what the main thread, or every one, does to the database and to files.

    Die at the last step.
    """
    taken: list[str] = []

    def step(name: str) -> None:
        if every or threading.current_thread() is threading.main_thread():
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


FILLED = ""  # a DuckDB file that the zygote has filled


def begin_file(target: str, pipe: Connection) -> None:
    """Copy the filled file; what is in it."""
    shutil.copy(FILLED, target)
    with embsql.connect(target) as database:
        pipe.send(_first(database))


def begin(target: str, pipe: Connection) -> None:
    """Fill a new database; what is in it then."""
    with embsql.connect(target) as database:
        fill(database)
        pipe.send(_first(database))


def _first(database: embsql.Database) -> tuple[seen.Parts, list[int]]:
    found = seen.Look(database)
    return found.parts(), _runs(found)


def begin_source(target: str, pipe: Connection) -> None:
    """Fill the file that is published from."""
    with embsql.connect(target) as database:
        fill_source(database)
    pipe.send(None)


def begin_earlier(target: str, filled: str, last: str, pipe: Connection) -> None:
    """Make a database of an earlier version."""
    earlier.make(target, filled, last)
    with earlier.opened(target) as bare:
        pipe.send({"content": earlier.content(bare)})


def again(asked: Asked, gone: int, pipe: Connection) -> None:
    """Look at what an act left that was ended, and do it to its end."""
    _sent(pipe, lambda: _again(asked, gone))


def upgraded(asked: Asked, filled: str, pipe: Connection) -> None:
    """Likewise, of an installation over an earlier version."""
    _sent(pipe, lambda: _upgraded(asked, filled))


def _sent(pipe: Connection, found: Callable[[], Found]) -> None:
    try:
        pipe.send(found())
    except BaseException:
        pipe.send(
            Found({}, {}, [traceback.format_exc(limit=-3, chain=False)], [], 0, 0)
        )


def _again(asked: Asked, gone: int) -> Found:
    with _opened(asked) as database:
        look = seen.Look(database)
        found = _parts(look, asked.folder)
        wrong = [f"at once: {each}" for each in look.contradictions(gone)]
        begin = time.monotonic()
        with steps(every=asked.threaded) as taken:
            live = asked.done_in(database)
        seconds = time.monotonic() - begin
        look = seen.Look(database)
        after = _parts(look, asked.folder)
        wrong += [f"afterwards: {each}" for each in look.contradictions(gone)]
        wrong += seen.left_over(database)
        wrong += (
            []
            if live is None or str(live) == after["live m"]
            else [f"{live} is not live"]
        )
        runs = _runs(look)
    wrong += _files(asked)
    return Found(found, after, wrong, runs, len(taken), seconds)


def _upgraded(asked: Asked, filled: str) -> Found:
    with _opened(asked) as bare:
        found = {"content": earlier.content(bare)}
        begin = time.monotonic()
        with steps() as taken:
            bare.install()
        seconds = time.monotonic() - begin
        after = {"content": earlier.content(bare)}
    with embsql.connect(asked.target) as database, embsql.connect(filled) as wanted:
        look = seen.Look(database)
        wrong = look.contradictions(0) + seen.left_over(database)
        shown, right = earlier.parts(look), earlier.parts(seen.Look(wanted))
    others = [
        part for part in shown.keys() | right if shown.get(part) != right.get(part)
    ]
    wrong += [f"{part} is another" for part in others]
    return Found(found, after, wrong, [], len(taken), seconds)


@contextmanager
def _opened(asked: Asked) -> Iterator[Any]:
    """The database, as soon as the server has recovered and has noticed that the other is gone."""
    end = time.monotonic() + PATIENCE
    with ExitStack() as opened:
        while True:
            try:
                database = opened.enter_context(asked.opened())
                break
            except CannotOpen:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        while not database.engine.embedded and database.ask(OTHERS).num_rows:
            assert time.monotonic() < end, "a backend goes on without its client"
            time.sleep(0.05)
        yield database


def _parts(look: seen.Look, folder: Path) -> seen.Parts:
    """What is in the database, and in the copy that was published of it."""
    copy = folder / "copy.duckdb"
    found = look.parts()
    if copy.exists():
        with embsql.connect(str(copy), read_only=True) as database:
            published = seen.Look(database)
            (live,) = (row["live_run"] for row in published.models)
            found["published"] = f"{live} {published.part('run', live)}"
    return found


def _runs(look: seen.Look) -> list[int]:
    """The finished runs of m, the live one last."""
    (live,) = (row["live_run"] for row in look.models if row["model_name"] == "m")
    return [run for run in look.ready("m") if run != live] + [live]


def _files(asked: Asked) -> list[str]:
    """Files that nobody asked for."""
    names = {path.name for path in asked.folder.iterdir()} - {
        "copy.duckdb",
        Path(asked.target).name,
    }
    return [f"a file {name} is left" for name in sorted(names)]
