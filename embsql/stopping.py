"""How one thread ends what another one does, also in the middle of a statement.

Work may be a part of other work, as a training is of a job: it ends when either is stopped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

# `.work`: what this thread does, where somebody may want to stop it
_here = threading.local()


class Stopped(BaseException):
    """The work has been stopped. No `except Exception` on the way takes it for a failure."""


class Work:
    """What a thread does while the block runs, until another one calls `stop`."""

    def __init__(self) -> None:
        self._stopped = False
        self._ends: list[
            Callable[[], None]
        ] = []  # of the statements that run, the innermost last
        # held while one is ended: what comes after it is not hit
        self._lock = threading.Lock()
        self._outer: Work | None = None

    def __enter__(self) -> Work:
        self._outer, _here.work = _innermost(), self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _here.work = self._outer

    def stop(self) -> None:
        """Let no statement begin, and end the one that runs.

        To be called until the work has ended: a statement that has not quite begun does not hear.
        """
        with self._lock:
            self._stopped = True
            if self._ends:
                self._ends[-1]()

    def check(self) -> None:
        """Raise Stopped when this work has been stopped."""
        if self._stopped:
            raise Stopped

    def around(self) -> Iterator[Work]:
        """This work and what it is a part of, the innermost first."""
        yield self
        if self._outer:
            yield from self._outer.around()

    @contextmanager
    def running(self, end: Callable[[], None]) -> Iterator[None]:
        """Let `end` be called while the block runs. Raises Stopped."""
        with self._lock:
            if self._stopped:
                raise Stopped
            self._ends.append(end)
        try:
            yield
        except Exception:
            if self._stopped:  # the database says so in its own words
                raise Stopped from None
            raise
        finally:
            with self._lock:
                self._ends.pop()


@contextmanager
def statement(end: Callable[[], None]) -> Iterator[None]:
    """Let a statement be ended by who stops this thread's work; `end` is called in another thread.

    Raises Stopped.
    """
    with ExitStack() as stack:
        for work in _works():
            stack.enter_context(work.running(end))
        yield


def raise_if_stopped() -> None:
    """Raise Stopped when somebody has stopped this thread's work; costs next to nothing."""
    for work in _works():
        work.check()


@contextmanager
def unstopped() -> Iterator[None]:
    """Let the block come to its end.

    What puts things in order after a stop is not stopped itself.
    """
    before, _here.work = _innermost(), None
    try:
        yield
    finally:
        _here.work = before


def _works() -> Iterator[Work]:
    """What this thread does, the innermost first."""
    innermost = _innermost()
    if innermost:
        yield from innermost.around()


def _innermost() -> Work | None:
    found: Work | None = getattr(_here, "work", None)
    return found
