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
from tests.faults.versions import READS, next_move, read, version
from tests.faults.zygote import LONG
from tests.servers import started

READERS = 4  # of each engine
# reads of an engine from one change of its version to the next: changing costs as much as ten
BETWEEN = 100
Wrong = list[str]
Server = Callable[[], Any]  # what starts one while a block runs


def tries(_seed: int, _first: int, engines: list[str]) -> Iterator[Tried]:
    """A change of version after another, on every engine, with all that was read meanwhile."""
    with ExitStack() as opened:
        sides = [opened.enter_context(side(engine)) for engine in engines]
        for number in itertools.count(2):
            yield sides[number % len(sides)](number // len(sides) + 1)


@contextmanager
def side(
    name: str, server: Server = started, between: int = BETWEEN
) -> Iterator[Callable[[int], Tried]]:
    """What changes the version of one engine's database once, while readers read so often."""
    with PLACES[name](server) as (target, opening), embsql.connect(target) as database:
        version(database, 1)
        with reading(lambda: opening(database)) as taken:

            def change(number: int) -> Tried:
                move = next_move(database, number)
                found, wrong = taken(between)
                found[move] = 1
                counts = {f"{name} {what}": many for what, many in found.items()}
                return Tried(Counter(counts), wrong)

            yield change


@contextmanager
def reading(
    opening: Callable[[], Any],
) -> Iterator[Callable[[int], tuple[Counter[str], Wrong]]]:
    """Readers, each with its connection.

    What takes how many statements were read, once there are so many, and what failed.
    """
    over, changed = threading.Event(), threading.Condition()
    counts: Counter[str] = Counter()
    wrong: Wrong = []

    def work(begin: int) -> None:
        with closing(opening()) as connection:
            for number in itertools.count(begin):
                if over.is_set():
                    return
                asked = READS[number % len(READS)]
                found = read(connection, asked)
                with changed:
                    counts.update(reads=1, answers=asked.answers)
                    wrong.extend(found)
                    changed.notify()

    def taken(least: int) -> tuple[Counter[str], Wrong]:
        with changed:
            assert changed.wait_for(lambda: counts["reads"] >= least, LONG), "it hangs"
            result = counts.copy(), wrong[:]
            counts.clear()
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
