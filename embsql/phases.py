"""What a run is doing: each of its seconds counts for one phase."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

READING = "reading"  # the source and the side inputs
SEARCHING = "searching"  # for options: trainings and measurements of a search
TRAINING = "training"  # an algorithm's fit
MEASURING = "measuring"  # what was trained, and the gate's comparison
WRITING = "writing"  # the run's rows and their indexes
COMPILING = "compiling"  # loops, whichever phase calls them first
# Of all runs, held for microseconds: with one of its own a run could not be copied.
LOCK = threading.Lock()


class Phases:
    """The seconds of a run by phase; those of the compiler are taken out of the other phases.

    Any thread may ask, and any thread of the run may compile.
    """

    def __init__(self) -> None:
        self._begun = self._counted = time.perf_counter()
        self._seconds: dict[str, float] = {}  # of the phases so far, in order
        self._entered: str | None = READING
        self._compilations = 0  # under way
        self._part = ""

    def enter(self, phase: str | None) -> None:
        """Begin a phase; with None the last one ends."""
        with LOCK:
            self._count()
            self._entered = phase
            self._part = ""

    def work_on(self, part: str) -> None:
        """Say which part of the phase begins, for whoever looks on."""
        self._part = part

    def compile(self, change: int) -> None:
        """So many compilations more, or fewer, are under way."""
        with LOCK:
            self._count()
            self._compilations += change

    def _count(self) -> None:
        """Add the time since this was last done to the phase that it belongs to."""
        now = time.perf_counter()
        if self.current:
            passed = now - self._counted
            self._seconds[self.current] = self._seconds.get(self.current, 0) + passed
        self._counted = now

    @property
    def current(self) -> str | None:
        """The phase now; None when the run is over."""
        return COMPILING if self._compilations else self._entered

    @property
    def word(self) -> str:
        """The phase now, and which part of it; nothing when the run is over."""
        current = self.current
        return " ".join(filter(None, (current, self._part))) if current else ""

    @property
    def compiled(self) -> float:
        """Seconds of compiling until now."""
        with LOCK:
            self._count()
            return self._seconds.get(COMPILING, 0.0)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._begun

    def summary(self) -> str:
        """The seconds of what has ended: "reading 0.4, compiling 12.1, training 3.2"."""
        with LOCK:
            return ", ".join(f"{name} {s:.1f}" for name, s in self._seconds.items())

    @contextmanager
    def of_this_thread(self) -> Iterator[None]:
        """Meanwhile what this thread compiles, or one that has its context, is this run's."""
        token = _here.set(self)
        try:
            yield
        finally:
            _here.reset(token)


_here: ContextVar[Phases | None] = ContextVar("phases", default=None)


def compilation(change: int) -> None:
    """So many compilations more, or fewer, are under way in this thread."""
    phases = _here.get()
    if phases:
        phases.compile(change)
