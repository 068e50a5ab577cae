"""Answers while versions are promoted, rolled back and removed: each is of one version."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import embsql
from tests.faults.result import Tried
from tests.faults.versions import next_move, read, version
from tests.servers import started

READERS = 4  # of each engine
Wrong = list[str]
Server = Callable[[], Any]  # what starts one while a block runs


def tries(_seed: int, _first: int, engines: list[str]) -> Iterator[Tried]:
    """A change of version after another, on every engine, with all that was read meanwhile."""
    with ExitStack() as opened:
        sides = [opened.enter_context(side(engine)) for engine in engines]
        for number in itertools.count(2):
            yield sides[number % len(sides)](number // len(sides) + 1)


@contextmanager
def side(name: str, server: Server = started) -> Iterator[Callable[[int], Tried]]:
    """What changes the version of one engine's database once, while readers read."""
    with PLACES[name](server) as (target, opening), embsql.connect(target) as database:
        version(database, 1)
        with reading(lambda: opening(database)) as taken:

            def change(number: int) -> Tried:
                move = next_move(database, number)
                reads, wrong = taken()
                return Tried(
                    Counter({f"{name} {move}": 1, f"{name} reads": reads}), wrong
                )

            yield change


@contextmanager
def reading(opening: Callable[[], Any]) -> Iterator[Callable[[], tuple[int, Wrong]]]:
    """Readers, each with its connection; what takes how many reads there were, and what failed."""
    over, lock = threading.Event(), threading.Lock()
    counts, wrong = [0], []

    def work(begin: int) -> None:
        with closing(opening()) as connection:
            for number in itertools.count(begin):
                if over.is_set():
                    return
                found = read(connection, number)
                with lock:
                    counts[0] += 1
                    wrong.extend(found)

    def taken() -> tuple[int, Wrong]:
        with lock:
            result = counts[0], wrong[:]
            counts[0] = 0
            wrong.clear()
            return result

    threads = [
        threading.Thread(target=work, args=(number,)) for number in range(READERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield taken
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def _file(_: Server) -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        yield f"{folder}/w.duckdb", lambda database: database.engine.second()


@contextmanager
def _server(server: Server) -> Iterator[Any]:
    import psycopg

    with server() as address:
        yield address, lambda _: psycopg.connect(address, autocommit=True)


PLACES = {"duckdb": _file, "postgres": _server}
