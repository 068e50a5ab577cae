"""Who may train a model now: leases, signs of life, cancelling."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, TypeVar

from embsql import processes, stopping
from embsql.engines import Engine, open_engine
from embsql.errors import (
    AlreadyTraining,
    Cancelled,
    CannotOpen,
    ConnectionLost,
    DatabaseBusy,
    EmbsqlError,
    LostLease,
    NotTraining,
    OthersWrite,
)
from embsql.sqlfiles.files import statements
from embsql.stopping import Stopped, Work

# seconds between signs of life; a lease ends 60 seconds after the last
HEARTBEAT_INTERVAL = 10.0
# Seconds between looks at whether someone wants the run to stop: more where looking would else take
# more than its share of the time, but not so many that a cancel is seen late.
POLL_INTERVAL = 0.25
LONGEST_INTERVAL = 1.5
POLL_SHARE = 0.01
TRIES = 11  # of a transaction in which others come first: some 15 seconds
HELD_LEASES: set[str] = set()  # owners of the leases that this process holds

Answer = TypeVar("Answer")


def retry(engine: Engine, attempt: Callable[[], Answer]) -> Answer:
    """Try a short transaction again when another writer was first.

    It waits a little longer each time. Raises OthersWrite where there always was one.
    """
    for number in range(TRIES):
        try:
            return attempt()
        except Exception as error:
            if not engine.conflict(error):
                raise
            if number == TRIES - 1:
                reason = str(error).strip().splitlines()[0]
                raise OthersWrite(tries=TRIES, reason=reason) from error
            time.sleep(random.uniform(0.5, 1.0) * 0.01 * 2**number)  # noqa: S311 - no secret
    raise AssertionError("unreachable")


def wait_after(cost: float) -> float:
    """Seconds to wait after a look that took so many."""
    return max(POLL_INTERVAL, min(cost / POLL_SHARE, LONGEST_INTERVAL))


def looks(over: threading.Event, clock: Callable[[], float]) -> Iterator[None]:
    """A look now and then until `over`; the clock says what each of them takes."""
    cost = 0.0
    while not over.wait(wait_after(cost)):
        begin = clock()
        yield
        cost = clock() - begin


def clock_of(engine: Engine) -> Callable[[], float]:
    """What a look costs by: this thread's work, where the database works in it, else the time."""
    return time.thread_time if engine.embedded else time.monotonic


class Lease:
    """The right to train one model, held while the block runs. Raises AlreadyTraining on entry.

    A thread shows signs of life on a connection of its own, whatever the holder is doing; it calls
    `on_poll` with that connection at each of its looks.
    """

    def __init__(
        self,
        engine: Engine,
        model_name: str,
        run_id: int,
        on_poll: Callable[[Engine], None] | None = None,
    ) -> None:
        self.engine = engine
        self.model_name = model_name
        self.run_id = run_id
        self._on_poll = on_poll
        self.owner = uuid.uuid4().hex
        self._marker = cancel_file(engine.path, model_name)
        self._interrupt = Interrupt()
        self._work = Work()
        self._end: EmbsqlError | None = None  # why the holder must stop
        self._over = threading.Event()
        self._heart: threading.Thread

    def __enter__(self) -> Lease:
        with ExitStack() as opened:
            second = opened.enter_context(closing(open_engine(self.engine.second())))
            # before anybody can see the lease, and take its holder for dead
            HELD_LEASES.add(self.owner)
            opened.callback(HELD_LEASES.discard, self.owner)
            self._take()
            opened.callback(self._give_back)
            self._heart = threading.Thread(
                target=self._beat, args=(second,), daemon=True
            )
            self._heart.start()  # which fails where memory is full
            opened.pop_all()
        self._interrupt.install()
        return self

    def _take(self) -> None:
        """Make the lease this one's. Raises AlreadyTraining."""
        held = self._record(self.engine)
        if held and _is_dead(self.engine, held):
            dead = held["owner"]
            retry(self.engine, lambda: self._execute("release", owner=dead))
        values = {"owner": self.owner, "run_id": self.run_id, **this_process()}
        retry(self.engine, lambda: self._execute("take_lease", **values))
        held = self._record(self.engine)
        if not held or held["owner"] != self.owner:
            raise AlreadyTraining(name=self.model_name, **_holder(held or values))
        if self._marker:
            self._marker.unlink(missing_ok=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._interrupt.restore()
        self._over.set()
        self._heart.join()
        HELD_LEASES.discard(self.owner)
        self._give_back()

    def _give_back(self) -> None:
        """Let others train."""
        # Of a server that is gone: the next trainer sees that nobody holds it.
        with suppress(ConnectionLost, CannotOpen), stopping.unstopped():
            retry(self.engine, lambda: self._execute("release", owner=self.owner))
        if self._marker:
            self._marker.unlink(missing_ok=True)

    @contextmanager
    def working(self) -> Iterator[None]:
        """End the block, also in the middle of a statement, when the holder must stop.

        Raises Cancelled or LostLease.
        """
        try:
            with self._work:
                yield
        except Stopped:
            self.check()
            raise

    def check(self) -> None:
        """Raise Cancelled or LostLease when the holder must stop; costs next to nothing."""
        self._interrupt.check()
        if self._end:
            raise self._end

    def heartbeat(self) -> None:
        """Show a sign of life. Raises LostLease when the lease has become another's."""
        if not retry(self.engine, lambda: self._execute("heartbeat", owner=self.owner)):
            raise self._lost()

    # --- the heart: a thread, a connection -------------------------------------------------------

    def _beat(self, second: Engine) -> None:
        """Show signs of life, and see to it that the holder stops when it must."""
        with closing(second) as engine:
            beaten = time.monotonic()
            for _ in looks(self._over, clock_of(engine)):
                # the next comes soon, and six in a row may fail
                with suppress(Exception):
                    self._poll(engine)
                    if time.monotonic() - beaten > HEARTBEAT_INTERVAL:
                        self._execute("heartbeat", engine, owner=self.owner)
                        beaten = time.monotonic()
                    if self._on_poll:
                        self._on_poll(engine)

    def _poll(self, engine: Engine) -> None:
        held = self._record(engine)
        if not held or held["owner"] != self.owner:
            self._end = self._lost()
        elif held["cancelled"] or (self._marker and self._marker.exists()):
            self._end = Cancelled(name=self.model_name, run_id=self.run_id)
        if self._end:
            self._work.stop()

    def _lost(self) -> LostLease:
        return LostLease(name=self.model_name, run_id=self.run_id)

    def _record(self, engine: Engine) -> dict[str, Any] | None:
        lease = statements(engine=engine.name)["lease"]
        rows = engine.rows(lease, model_name=self.model_name)
        return rows[0] if rows else None

    def _execute(self, name: str, engine: Engine | None = None, **values: Any) -> int:
        engine = engine or self.engine
        return engine.run(
            statements(engine=engine.name)[name], model_name=self.model_name, **values
        )


class Interrupt:
    """Remembers Ctrl-C.

    An exception raised inside a library's callback is lost, and the run would go on.
    """

    def __init__(self) -> None:
        self.seen = False
        self._before: Any = None

    def install(self) -> None:
        """Begin to listen; only the main thread hears signals."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
            signal.signal(signal.SIGINT, self._handle)

    def restore(self) -> None:
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


def this_process() -> dict[str, Any]:
    """Who holds a lease, in the words of its table."""
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process": processes.identity(),
    }


def _is_dead(engine: Engine, held: dict[str, Any]) -> bool:
    """Whether the holder has certainly ended, so that nobody needs to wait for its heart to stop.

    Who writes to an embedded database is this process, and it knows what it holds.
    """
    if held["owner"] in HELD_LEASES:
        return False
    process = held["process"] or ""
    ours = bool(process) and process == processes.identity()
    return engine.embedded or ours or processes.is_gone(process)


def _holder(held: dict[str, Any]) -> dict[str, Any]:
    return {
        "pid": held["pid"],
        "host": held["host"],
        "run_id": held["run_id"],
        "age": f"{held.get('age', 0)} s",
    }


def request_cancel(engine: Engine, model_name: str) -> None:
    """Ask the trainer of a model to stop; it does within two seconds. Raises NotTraining."""
    if not retry(
        engine,
        lambda: engine.run(
            statements(engine=engine.name)["request_cancel"], model_name=model_name
        ),
    ):
        raise NotTraining(name=model_name)


def cancel_elsewhere(path: str, model_name: str, busy: DatabaseBusy) -> None:
    """Ask a trainer in another process, which holds the file open, to stop.

    Raises `busy` for a file that is none.
    """
    mark = cancel_file(path, model_name)
    if mark is None:
        raise busy
    mark.touch()


def cancel_file(path: str, model_name: str) -> Path | None:
    """A file next to the database that asks the trainer of a model to stop.

    The trainer may be in any process.
    """
    return (
        None
        if path in ("", ":memory:")
        else Path(f"{Path(path).resolve()}.cancel-{model_name}")
    )
