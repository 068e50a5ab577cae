"""Who may train a model now: leases, signs of life, cancelling."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

from embsql.engines import Engine
from embsql.errors import AlreadyTraining, Cancelled, CannotOpen, DatabaseBusy, LostLease, NotTraining, ServerGone
from embsql.surface import statements

BEAT = 10.0  # seconds between signs of life; a lease ends 60 seconds after the last
LOOK = 0.25  # seconds between looks at whether someone wants the run to stop
HELD: set[str] = set()  # owners of the leases that this process holds

Answer = TypeVar("Answer")


def retry(engine: Engine, attempt: Callable[[], Answer], tries: int = 8) -> Answer:
    """Try a short transaction again when another writer was first, waiting a little longer each time."""
    for number in range(tries):
        try:
            return attempt()
        except Exception as error:
            if not engine.conflict(error) or number == tries - 1:
                raise
            time.sleep(random.uniform(0.5, 1.0) * 0.01 * 2**number)  # noqa: S311 - spreads writers, hides nothing
    raise AssertionError("unreachable")


class Lease:
    """The right to train one model, held while the block runs. Raises AlreadyTraining on entry."""

    def __init__(self, engine: Engine, model_name: str, run_id: int) -> None:
        self.engine, self.model_name, self.run_id = engine, model_name, run_id
        self.owner = uuid.uuid4().hex
        self._marker = marker(engine.path, model_name)
        self._looked = self._beaten = time.monotonic()
        self._interrupt = Interrupt()

    def __enter__(self) -> Lease:
        held = self._record()
        if held and _is_dead(held):
            self._say("release", owner=held["owner"])
        values = {"owner": self.owner, "run_id": self.run_id, "host": socket.gethostname(), "pid": os.getpid()}
        retry(self.engine, lambda: self._say("take_lease", **values))
        held = self._record()
        if not held or held["owner"] != self.owner:
            raise AlreadyTraining(name=self.model_name, **_holder(held or values))
        if self._marker:
            self._marker.unlink(missing_ok=True)
        HELD.add(self.owner)
        self._interrupt.watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._interrupt.unwatch()
        HELD.discard(self.owner)
        with suppress(ServerGone, CannotOpen):  # a server that is gone: the next trainer sees that nobody holds it
            retry(self.engine, lambda: self._say("release", owner=self.owner))
        if self._marker:
            self._marker.unlink(missing_ok=True)

    def check(self) -> None:
        """Show a sign of life now and then. Raises Cancelled or LostLease; costs microseconds in between."""
        self._interrupt.check()
        now = time.monotonic()
        if now - self._looked > LOOK:
            self._looked = now
            self._look()
        if now - self._beaten > BEAT:
            self._beaten = now
            self.beat()

    def beat(self) -> None:
        """Show a sign of life. Raises LostLease when the lease has become another's."""
        if not retry(self.engine, lambda: self._say("beat", owner=self.owner)):
            raise LostLease(name=self.model_name, run_id=self.run_id)

    def _look(self) -> None:
        held = self._record()
        if not held or held["owner"] != self.owner:
            raise LostLease(name=self.model_name, run_id=self.run_id)
        if held["cancelled"] or (self._marker and self._marker.exists()):
            raise Cancelled(name=self.model_name, run_id=self.run_id)

    def _record(self) -> dict[str, Any] | None:
        rows = self.engine.ask(statements(engine=self.engine.name)["lease"], model_name=self.model_name).to_pylist()
        return rows[0] if rows else None

    def _say(self, name: str, **values: Any) -> int:
        return self.engine.run(statements(engine=self.engine.name)[name], model_name=self.model_name, **values)


class Interrupt:
    """Remembers Ctrl-C: an exception raised by it inside a library's callback is lost, and the run would go on."""

    def __init__(self) -> None:
        self.seen = False
        self._before: Any = None

    def watch(self) -> None:
        """Begin to listen; only the main thread hears signals."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._handle)

    def unwatch(self) -> None:
        """Leave Ctrl-C to whoever had it before."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self.seen:
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if callable(self._before):
            self._before(number, frame)


def _is_dead(held: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that is gone, or this one, which knows what it holds."""
    if held["host"] != socket.gethostname():
        return False
    if held["pid"] == os.getpid():
        return held["owner"] not in HELD
    try:
        os.kill(held["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _holder(held: dict[str, Any]) -> dict[str, Any]:
    return {"pid": held["pid"], "host": held["host"], "run_id": held["run_id"], "age": f"{held.get('age', 0)} s"}


def cancel(engine: Engine, model_name: str) -> None:
    """Ask the trainer of a model to stop; it does within two seconds. Raises NotTraining."""
    if not retry(engine, lambda: engine.run(statements(engine=engine.name)["request_cancel"], model_name=model_name)):
        raise NotTraining(name=model_name)


def cancel_elsewhere(path: str, model_name: str, busy: DatabaseBusy) -> None:
    """Ask a trainer in another process, which holds the file open, to stop. Raises `busy` for a file that is none."""
    mark = marker(path, model_name)
    if mark is None:
        raise busy
    mark.touch()


def marker(path: str, model_name: str) -> Path | None:
    """A file beside the database whose presence asks the trainer of a model, in whichever process, to stop."""
    return None if path in ("", ":memory:") else Path(f"{Path(path).resolve()}.cancel-{model_name}")
