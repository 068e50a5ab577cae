"""Which process this is, said so that another one can tell for certain that it has ended."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

PROC = Path("/proc")


def identity() -> str:
    """This process among all: its machine's start, its namespace, its number, its own start.

    "" where the system does not say so: then nobody can tell whether the process still lives.
    """
    return _identity(os.getpid())


@cache
def _identity(pid: int) -> str:  # by the number, which another process has after a fork
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink(PROC / "self/ns/pid")  # noqa: PTH115 - it leads to no path
    except OSError:
        return ""
    return f"{boot} {namespace} {pid} {_start(pid)}"


def _start(pid: int) -> str:
    """When a process began, in ticks since the machine did; "" where that cannot be read."""
    try:
        words = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # what stands in brackets is a name of any letters
    return words.rpartition(")")[2].split()[19]


def is_gone(other: str) -> bool:
    """Whether a process has certainly ended; of those on other machines nobody knows."""
    ours, theirs = identity().split(), other.split()
    if not ours or theirs[:2] != ours[:2]:
        return False
    pid, start = int(theirs[2]), theirs[3]
    with suppress(PermissionError):  # another user's, which is there
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
    return _start(pid) not in ("", start)
