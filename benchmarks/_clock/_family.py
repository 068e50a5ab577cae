"""CPU seconds of a process and of all that it has started, as /proc knows them."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NANOSECOND = 1e-9
PROC = Path("/proc")
SUBREAPER = 36  # of prctl: orphans among our descendants become our children
GET_SUBREAPER = 37


class Family:
    """This process and its descendants, as /proc knows them."""

    def __init__(self) -> None:
        self.known: dict[str, bool] = {}  # process: whether it descends from us
        self.tick = os.sysconf("SC_CLK_TCK")

    def cpu(self) -> float:
        """Seconds of all of them, those that have ended included."""
        ended = os.times()
        own = time.process_time() + ended.children_user + ended.children_system
        return own + sum(self._seconds(process) for process in self._descendants())

    def _descendants(self) -> list[str]:
        names = os.listdir(PROC)  # noqa: PTH208 - Path objects cost more
        alive = {name for name in names if name.isdigit()}
        self.known = {
            process: known for process, known in self.known.items() if process in alive
        }
        for process in sorted(alive - self.known.keys(), key=int):
            self.known[process] = self._descends(process)
        return [process for process, ours in self.known.items() if ours]

    def _descends(self, process: str) -> bool:
        fields = _stat(process)
        return len(fields) > 1 and (
            int(fields[1]) == os.getpid() or self.known.get(fields[1], False)
        )

    def _seconds(self, process: str) -> float:
        """Of a process alive and of its children that have ended."""
        fields = _stat(process)
        ended = (int(fields[13]) + int(fields[14])) / self.tick if fields else 0.0
        return ended + sum(map(_thread, _schedules(process)))


def adopt(*, orphans: bool = True) -> None:
    """Let servers that leave the process that started them be counted: the system hands them to us.

    Only Linux does.
    """
    ctypes.CDLL(None).prctl(SUBREAPER, int(orphans), 0, 0, 0)


@contextmanager
def adopting() -> Iterator[None]:
    """Adopt the servers that are started in the block and, unless others are too, no more."""
    if not PROC.exists():
        yield
        return
    adopted = ctypes.c_int()
    ctypes.CDLL(None).prctl(GET_SUBREAPER, ctypes.byref(adopted), 0, 0, 0)
    adopt()
    try:
        yield
    finally:
        adopt(orphans=bool(adopted))


def _stat(process: str) -> list[str]:
    """The fields of /proc/PROCESS/stat after the name: state, parent, ...; none where it has
    ended.
    """
    with suppress(OSError):
        return (
            (PROC / process / "stat")
            .read_text(encoding="utf-8")
            .rpartition(")")[2]
            .split()
        )
    return []


def _schedules(process: str) -> list[Path]:
    """The files of a process's threads; none where it has ended."""
    with suppress(OSError):
        return list((PROC / process / "task").glob("*/schedstat"))
    return []


def _thread(schedule: Path) -> float:
    with suppress(OSError):
        return int(schedule.read_text(encoding="ascii").split()[0]) * NANOSECOND
    return 0.0
