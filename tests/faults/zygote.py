"""Processes that are warm when they begin, so that ending one costs a second and not ten."""

from __future__ import annotations

import multiprocessing
from functools import cache
from multiprocessing.context import ForkServerContext

PRELOADED = ["tests.faults.preload"]  # what the zygote imports before it forks


@cache
def zygote() -> ForkServerContext:
    """What forks them, from a process that has trained once and opened nothing since."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context
