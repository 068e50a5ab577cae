"""Commands inside a PostgreSQL backend, where PL/Python is installed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any

from embsql.api import commands
from embsql.api.database import Database
from embsql.errors import NotTraining

LOOK = 0.5  # seconds


def command(
    address: str, look: Callable[[], Any], name: str, *words: str
) -> list[str | None]:
    """Run a command of `commands.COMMANDS` on a connection of its own.

    It runs in a thread: a backend's signals are PostgreSQL's, and a training would take SIGINT for
    itself in the main one. Meanwhile this thread calls `look` now and then, which raises when the
    statement was cancelled.
    """
    with ThreadPoolExecutor(1) as pool, Database(address) as other:
        work = pool.submit(_run, address, name, words)
        try:
            while not wait([work], timeout=LOOK).done:
                look()
        except BaseException:
            with suppress(NotTraining):
                other.cancel(words[0])
            raise
        return work.result()


def _run(address: str, name: str, words: tuple[str, ...]) -> list[str | None]:
    with Database(address) as database:
        return commands.perform(database, name, words)
