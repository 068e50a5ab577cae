"""Acts ended by SIGKILL: of their process, at a step or at any moment, or of the server."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults import seen
from tests.faults.acts import ACTS, Act
from tests.faults.disk import full
from tests.faults.earlier import LAST
from tests.faults.result import Tried
from tests.faults.victims import (
    Asked,
    Found,
    Limits,
    again,
    begin,
    begin_earlier,
    begin_file,
    begin_source,
    upgraded,
    victim,
)
from tests.faults.zygote import LONG, called, zygote
from tests.servers import started

Server = Callable[[], Any]  # what starts one while a block runs
# what a commit has answered must outlive the server's processes, some of which are killed
durable: Server = partial(started, "synchronous_commit = on")
LIFE = 40  # tries in one database, of which each goes on from what the one before left
BLOWS = {
    "duckdb": ("step", "step", "moment"),
    "postgres": ("step", "step", "moment", "server"),
}


def tries(seed: int, first: int, engines: list[str]) -> Iterator[Tried]:
    """Kill after kill, each on the next engine."""
    return endless(seed, first, engines, BLOWS)


def endless(
    seed: int,
    first: int,
    engines: list[str],
    blows: dict[str, tuple[str, ...]],
    acts: dict[str, Act] | None = None,
    server: Server = durable,
    disk: Path | None = None,
    world: type[World] | None = None,
) -> Iterator[Tried]:
    """Acts ended by a blow of those of their engine, from the first try on."""
    with ExitStack() as opened:
        worlds = [
            opened.enter_context(living(engine, server, acts, disk, world))
            for engine in engines
        ]
        number = first
        while True:
            here = worlds[number % len(worlds)]
            draw = random.Random(f"{seed} {number}")
            yield here.tried(draw, blows[here.engine])
            number += 1


# --- where acts are done -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine's databases are made."""

    filled: str  # the database that the others are copies of
    copied: Callable[[int], tuple[str, Path]]  # a copy, and a folder for it
    empty: Callable[[int], tuple[str, Path]]  # one with nothing in it
    first: tuple[seen.Parts, list[int]]  # what is in the filled one


@contextmanager
def living(
    engine: str,
    server: Server = durable,
    acts: dict[str, Act] | None = None,
    disk: Path | None = None,
    world: type[World] | None = None,
) -> Iterator[World]:
    """An engine's database, while a block runs; its server is on that disk."""
    acts = acts or ACTS[engine]
    with PLACES[engine](server, acts) as place:
        yield (world or World)(engine, place, acts, disk)


@contextmanager
def _folders(_: Server, __: Iterable[str]) -> Iterator[Place]:
    """Makes DuckDB databases: copies of the one that the zygote has filled."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        filled = home / "filled.duckdb"
        first = called(begin_file, str(filled))

        def copied(number: int) -> tuple[str, Path]:
            folder = _folder(home, str(number))
            return str(shutil.copy(filled, folder / "w.duckdb")), folder

        def empty(number: int) -> tuple[str, Path]:
            folder = _folder(home, f"earlier-{number}")
            return str(folder / "w.duckdb"), folder

        yield Place(str(filled), copied, empty, first)


def _folder(home: Path, name: str) -> Path:
    folder = home / name
    folder.mkdir()
    return folder


@contextmanager
def _databases(server: Server, acts: Iterable[str]) -> Iterator[Place]:
    """Makes PostgreSQL databases, likewise; the filled one is a copy of that the address names."""
    import psycopg
    from psycopg import conninfo

    with tempfile.TemporaryDirectory() as name, server() as address:

        def created(dbname: str, how: str = "") -> str:
            with psycopg.connect(address, autocommit=True) as admin:
                admin.execute(f"DROP DATABASE IF EXISTS {dbname} WITH (FORCE)".encode())
                admin.execute(f"CREATE DATABASE {dbname} {how}".encode())
            return conninfo.make_conninfo(address, dbname=dbname)

        def copied(number: int) -> tuple[str, Path]:
            return created("world", "TEMPLATE filled"), _folder(Path(name), str(number))

        def empty(number: int) -> tuple[str, Path]:
            return created("earlier"), _folder(Path(name), f"earlier-{number}")

        empty_one = conninfo.conninfo_to_dict(address)["dbname"]
        filled = created("filled", f"TEMPLATE {empty_one}")
        first = called(begin, filled)
        if "publish_there" in acts:
            called(begin_source, f"{name}/source.duckdb")
        yield Place(filled, copied, empty, first)


PLACES = {"duckdb": _folders, "postgres": _databases}


@dataclass
class World:
    """A database that lives through many tries."""

    engine: str
    place: Place
    acts: dict[str, Act]
    disk: Path | None = None
    age: int = 0
    number: int = 0
    target: str = ""
    folder: Path = Path()
    before: seen.Parts = field(default_factory=dict)
    runs: list[int] = field(default_factory=list)
    gone: int = 0  # people forgotten in it
    steps: defaultdict[str, int] = field(
        default_factory=lambda: defaultdict(lambda: 40)
    )  # of an act
    seconds: defaultdict[str, float] = field(
        default_factory=lambda: defaultdict(lambda: 0.5)
    )

    def tried(self, draw: random.Random, blows: tuple[str, ...]) -> Tried:
        """One act that is ended, and what it left."""
        if self.age % LIFE == 0:
            self._renewed()
        self.age += 1
        act, blow = draw.choice([*self.acts]), draw.choice(blows)
        if act == "upgrade":
            return self._upgraded(draw, blow)
        asked = Asked(self.target, self.folder, act, str(draw.random()), self.runs)
        self.gone += act == "forget"
        ended = BLOW[blow](self, asked, draw)
        left: Found = called(again, asked, self.gone)
        found = self._judged(asked, blow, ended, self.before, left)
        self.before, self.runs = left.after, left.runs
        self.age = (
            0 if found.wrong else self.age
        )  # after a loss there is a new database
        return found

    def _upgraded(self, draw: random.Random, blow: str) -> Tried:
        """An installation over an earlier version, in a database of its own."""
        self.number += 1
        target, folder = self.place.empty(self.number)
        before = called(begin_earlier, target, self.place.filled, draw.choice(LAST))
        asked = Asked(target, folder, "upgrade", str(draw.random()), [])
        ended = BLOW[blow](self, asked, draw)
        left: Found = called(upgraded, asked, self.place.filled)
        return self._judged(asked, blow, ended, before, left)

    def _judged(
        self, asked: Asked, blow: str, ended: str, before: seen.Parts, left: Found
    ) -> Tried:
        """What is counted of an act that was ended, and what is wrong with what it left."""
        wrong = [*left.wrong, *seen.changed(before, left.found, left.after)]
        wrong += seen.unlike(before, left.after)
        how = ended if ended in PLAIN else ended.split(maxsplit=1)[0]
        if how not in (*PLAIN, "sentence", OTHERWISE[blow]):
            wrong.append(ended)
        if not wrong:
            self.steps[asked.act], self.seconds[asked.act] = left.steps, left.seconds
        what = f"{self.engine} {asked.act}, {blow}: {ended}"
        return Tried(
            Counter({how: 1, f"{self.engine} {asked.act}": 1, blow: 1}),
            [f"{what}: {each}" for each in wrong],
        )

    def _renewed(self) -> None:
        self.number += 1
        self.target, self.folder = self.place.copied(self.number)
        self.before, self.runs = self.place.first
        self.gone = 0


# --- how acts are ended --------------------------------------------------------------------------

PLAIN = ("killed", "done")
# Of a process without memory a library may make an end: OpenBLAS interrupts it, LLVM aborts it.
OTHERWISE = defaultdict(str, memory="traceback")
UNLIMITED = Limits()


def _killed_at_a_step(world: World, asked: Asked, draw: random.Random) -> str:
    with _begun(asked, Limits(step=draw.randint(1, world.steps[asked.act]))) as running:
        return running.ended()


def _killed_at_a_moment(world: World, asked: Asked, draw: random.Random) -> str:
    with _begun(asked) as running:
        time.sleep(draw.uniform(0, 1.1 * world.seconds[asked.act]))
        running.process.kill()
        return running.ended()


def _server_killed(world: World, asked: Asked, draw: random.Random) -> str:
    """The server ends every session and recovers when one of its processes is killed."""
    with _begun(asked) as running:
        time.sleep(draw.uniform(0, world.seconds[asked.act]))
        with suppress(ProcessLookupError):
            os.kill(running.backend, signal.SIGKILL)
        return running.ended()


def _full(world: World, asked: Asked, draw: random.Random) -> str:  # noqa: ARG001 - of any act
    with _begun(asked, Limits(file=int(10 ** draw.uniform(2, 5.5)))) as running:
        return running.ended()


def _few_buffers(world: World, asked: Asked, draw: random.Random) -> str:  # noqa: ARG001 - of any act
    with _begun(asked, Limits(buffers=draw.randint(1, 12))) as running:
        return running.ended()


def _no_memory(world: World, asked: Asked, draw: random.Random) -> str:  # noqa: ARG001 - of any act
    with _begun(asked, Limits(memory=int(10 ** draw.uniform(5, 8)))) as running:
        return running.ended()


def _no_room(world: World, asked: Asked, draw: random.Random) -> str:
    """The disk of the server is full, and has room again before anybody looks."""
    assert world.disk, "only of a server on a disk of its own"
    with full(world.disk, int(10 ** draw.uniform(3, 6.5))), _begun(asked) as running:
        return running.ended()


def _late(world: World, asked: Asked, draw: random.Random) -> str:  # noqa: ARG001 - of any act
    from psycopg import conninfo

    late = f"-c statement_timeout={draw.randint(2, 60)}"
    patient = Asked(conninfo.make_conninfo(asked.target, options=late), *_rest(asked))
    with _begun(patient) as running:
        return running.ended()


def _rest(asked: Asked) -> tuple[Path, str, str, list[int]]:
    return asked.folder, asked.act, asked.draws, asked.runs


def _cut(world: World, asked: Asked, draw: random.Random) -> str:
    """The session is ended, as by an administrator or a network that is gone."""
    import psycopg

    with (
        psycopg.connect(asked.target, autocommit=True) as admin,
        _begun(asked) as running,
    ):
        time.sleep(draw.uniform(0, world.seconds[asked.act]))
        admin.execute("SELECT pg_terminate_backend(%s)", [running.backend])
        return running.ended()


BLOW = {
    "step": _killed_at_a_step,
    "moment": _killed_at_a_moment,
    "server": _server_killed,
    "full": _full,
    "buffers": _few_buffers,
    "memory": _no_memory,
    "room": _no_room,
    "late": _late,
    "cut": _cut,
}


@dataclass
class Running:
    """A victim."""

    process: Any
    pipe: Any
    backend: int
    # what it said when it ended by itself, before it could begin
    said: str | None = None

    def ended(self) -> str:
        """How it ended: killed, done, with a sentence, or with a traceback."""
        said = self.said
        with suppress(EOFError):
            while said is None:
                assert self.pipe.poll(LONG), "it hangs"
                kind, value = self.pipe.recv()
                said = value if kind == "ended" else None
        self.process.join(LONG)
        return said if said is not None else "killed"


@contextmanager
def _begun(asked: Asked, limits: Limits = UNLIMITED) -> Iterator[Running]:
    """A process that has opened the database and begins the act."""
    pipe, its_end = zygote().Pipe()
    process = zygote().Process(
        target=victim, args=(asked, limits, its_end), daemon=True
    )
    process.start()
    its_end.close()
    assert pipe.poll(LONG), "it hangs"
    kind, value = pipe.recv()
    try:
        yield (
            Running(process, pipe, value, None)
            if kind == "begins"
            else Running(process, pipe, 0, value)
        )
    finally:
        process.kill()
        process.join()
