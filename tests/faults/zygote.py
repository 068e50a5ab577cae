"""Processes that are warm when they begin, so that ending one costs a second and not ten."""

from __future__ import annotations

import multiprocessing
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import Any

PRELOADED = ["tests.faults.preload"]  # what the zygote imports before it forks
LONG = 120  # seconds that no process of a try takes


@cache
def zygote() -> ForkServerContext:
    """What forks them, from a process that has trained once and opened nothing since."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def called(function: Any, *arguments: Any) -> Any:
    """What a function sends from a process of its own; its last argument is the pipe."""
    pipe, its_end = zygote().Pipe()
    process = zygote().Process(target=function, args=(*arguments, its_end), daemon=True)
    process.start()
    its_end.close()
    try:
        assert pipe.poll(2 * LONG), "it hangs"
        return pipe.recv()
    finally:
        process.join(LONG)
        process.kill()


def returned(function: Any, *arguments: Any) -> Any:
    """What a function returns in a process of its own."""
    return called(_send, function, arguments)


def _send(function: Any, arguments: tuple[Any, ...], pipe: Connection) -> None:
    pipe.send(function(*arguments))
