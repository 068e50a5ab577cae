"""The worker: does in its own process what was asked for in PostgreSQL.

Jobs come from SELECT embsql.train(...) and the like.

Any number may run, on any machine. A job is one worker's at a time. A short command and its answer
are one transaction, so it is done once; training and measuring may begin again after a crash, which
changes no result.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from embsql import engines
from embsql.api import commands
from embsql.api.database import Database
from embsql.engines import Engine
from embsql.errors import (
    AlreadyTraining,
    Cancelled,
    CannotOpen,
    ConnectionLost,
    EmbsqlError,
    LostLease,
    NoWorker,
    StatementFailed,
    shared,
)
from embsql.lifecycle import leases
from embsql.sqlfiles import files
from embsql.stopping import Stopped, Work

if TYPE_CHECKING:
    from embsql.engines.postgres import PostgreSQL

CHANNEL = "embsql_jobs"
# seconds between looks at the queue when nothing is notified; what was put off comes due without a
# word
POLL_INTERVAL = 5.0
MAX_ATTEMPTS = 5  # of a job that fails for no fault of its own
UNTRANSACTED_COMMANDS = {  # they hold no transaction, or several one after the other
    "train",
    "refresh",
    "evaluate",
    "register_embeddings",
    "cluster",
    "project",
    "materialize",
    "forget",
}
TRANSIENT = (ConnectionLost, CannotOpen, LostLease)
MAX_ERROR_LINES = 5  # of a message that are kept


def run(address: str, *, once: bool = False, log: Callable[[str], None]) -> None:
    """Work until asked to stop (SIGTERM, Ctrl-C), or with `once` until nothing is due.

    Raises NoWorker.
    """
    worker = Worker(address, log)
    with closing(worker), worker.handle_signals():
        try:
            worker.work(once=once)
        except KeyboardInterrupt:
            worker.release_claims()


@dataclass(frozen=True, slots=True)
class Job:
    """A row of embsql.jobs that a worker has claimed."""

    job_id: int
    command: str
    model_name: str | None
    arguments: list[str]
    attempts: int  # this one counted

    def __str__(self) -> str:  # without the arguments: they may name a person
        named = filter(None, (self.command, self.model_name))
        return f"job {self.job_id} ({' '.join(named)})"


class ClaimLost(Exception):
    """A job has become another worker's, or was decided on otherwise."""


class Worker:
    """One process's share in the queue.

    `name` is written into the jobs it has; `log` gets a line per event.
    """

    def __init__(self, address: str, log: Callable[[str], None]) -> None:
        engine = Database(address).engine
        if engine.embedded:
            engine.close()
            raise NoWorker(database=engine.label)
        self.address, self.log = address, log
        self.engine = cast("PostgreSQL", engine)
        chance = uuid.uuid4().hex[:8]
        self.name = f"{socket.gethostname()}:{os.getpid()}:{chance}"
        self._stopping = self._alone = False
        self._pooled = self.engine.pooled()
        self._how = (
            f", every {POLL_INTERVAL:g} seconds, as a pooler passes no notification on"
            if self._pooled
            else ""
        )

    def close(self) -> None:
        """Give the connections back."""
        self.engine.close()

    # --- starting and stopping -------------------------------------------------------------------

    @contextmanager
    def handle_signals(self) -> Iterator[None]:
        """Hear signals while the block runs.

        SIGTERM is Ctrl-C, which a training knows how to end for.
        """
        handlers = {
            signal.SIGINT: self._stop,
            signal.SIGTERM: lambda *_: signal.raise_signal(signal.SIGINT),
        }
        before = {
            number: signal.signal(number, handler)
            for number, handler in handlers.items()
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """Interrupt, once: what follows is short and puts things in order."""
        if not self._stopping:
            self._stopping = True
            raise KeyboardInterrupt

    def stop(self) -> None:
        """End after the job at hand; for another thread to call."""
        self._stopping = True
        with closing(engines.open_engine(self.address)) as engine:
            engine.run(f"NOTIFY {CHANNEL}")

    def release_claims(self) -> None:
        """Hand back what was begun, on a new connection.

        The interrupt may have hit the old one in mid-sentence.
        """
        self.close()
        with (
            suppress(ConnectionLost, CannotOpen),
            closing(engines.open_engine(self.address)) as engine,
        ):
            if engine.run(
                _statement("release_claims"), worker=self.name, **leases.this_process()
            ):
                self.log("handed the job back to the queue")
        self.log("stopped")

    # --- the queue -------------------------------------------------------------------------------

    def work(self, *, once: bool) -> None:
        """Take one job after the other; a server that is gone is waited for."""
        self.log(f"waiting for jobs of {self.engine.label}{self._how}")
        while not self._stopping:
            try:
                job = self._claim()
                self._alone = False
                if job:
                    self._process(job)
                elif once:
                    return
                else:
                    self._wait()
            except (ConnectionLost, CannotOpen):
                self._without_server()

    def _wait(self) -> None:
        """Until somebody leaves a job; a pooler passes no notification on: that needs a session."""
        if self._pooled:
            time.sleep(POLL_INTERVAL)
        else:
            self.engine.wait(CHANNEL, POLL_INTERVAL)

    def _without_server(self) -> None:
        if not self._alone:
            self.log(f"{self.engine.label} is unreachable; reconnecting")
        self._alone = True
        time.sleep(1)

    def _claim(self) -> Job | None:
        """The next job, now this worker's.

        Two workers may reach for jobs of one model, and one of them looks again.
        """
        rows = leases.retry(
            self.engine, lambda: self.engine.ask(_statement("claim"), worker=self.name)
        ).to_pylist()
        return Job(**rows[0]) if rows else None

    def _process(self, job: Job) -> None:
        self.log(f"{job} begins")
        try:
            self.log(f"{job} {self._run_job(job)}")
        except ClaimLost:
            self.log(f"{job} was claimed by another worker; the result is discarded")

    # --- one job ---------------------------------------------------------------------------------

    def _run_job(self, job: Job) -> str:
        """Do it and write down what came of it, which is also the answer. Raises ClaimLost."""
        if job.attempts > MAX_ATTEMPTS:
            return self._end(
                job,
                "failed",
                f"failed after {MAX_ATTEMPTS} attempts: each time the worker process died",
            )
        try:
            return self._do(job)
        except Stopped:
            return self._end(job, "cancelled", f"{job} was cancelled")
        except ClaimLost:
            raise
        except Exception as error:
            if self._stopping:  # what an interrupt left behind
                raise KeyboardInterrupt from error
            return self._handle_failure(job, error)

    def _do(self, job: Job) -> str:
        """Run the command in a session of its own: what a source sets there, no other job meets."""
        self._check(self.engine, job)
        with (
            self._attended(job) as work,
            Database(self.address) as database,
            _transaction(job, database.engine),
        ):
            cast("PostgreSQL", database.engine).act_for(job.job_id)
            with work:
                database.engine.run(_statement("check_rights"), command=job.command)
                answer = commands.perform(database, job.command, job.arguments)
            self._write(
                database.engine,
                "end_job",
                job,
                status="done",
                result=answer,
                error=None,
            )
        return "is done"

    def _handle_failure(self, job: Job, error: Exception) -> str:
        """What becomes of a job that raised."""
        message = _message(error)
        if not isinstance(error, EmbsqlError) or type(error) is StatementFailed:
            # nobody foresaw it; for who runs the worker to read
            self.log(f"{job} raised {error!r}")
        if isinstance(error, AlreadyTraining):
            self._note("postpone_job", job, error=message)
            return f"waits: {message}"
        if job.attempts < MAX_ATTEMPTS and (
            isinstance(error, TRANSIENT) or self._conflict(error)
        ):
            self._note("retry_job", job, error=message)
            return f"will be tried again: {message}"
        return self._end(
            job, "cancelled" if isinstance(error, Cancelled) else "failed", message
        )

    def _conflict(self, error: Exception) -> bool:
        """Whether another writer was first, which a command says in embsql's words."""
        return self.engine.conflict(cast("Exception", error.__cause__ or error))

    def _end(self, job: Job, status: str, message: str) -> str:
        self._note("end_job", job, status=status, result=None, error=message)
        return f"{status}: {message}"

    def _note(self, name: str, job: Job, **values: Any) -> None:
        """Change the job's row.

        A connection lost while the job ran, the second attempt opens again.
        """
        try:
            self._write(self.engine, name, job, **values)
        except ConnectionLost:
            self._write(self.engine, name, job, **values)

    def _write(self, engine: Engine, name: str, job: Job, **values: Any) -> None:
        """Change the job's row, if it is still this worker's. Raises ClaimLost."""
        if not engine.run(_statement(name), **self._claim_key(job), **values):
            raise ClaimLost

    def _claim_key(self, job: Job) -> dict[str, Any]:
        return {"job_id": job.job_id, "worker": self.name, "attempts": job.attempts}

    # --- signs of life ---------------------------------------------------------------------------

    @contextmanager
    def _attended(self, job: Job) -> Iterator[Work]:
        """Show signs of life while the block runs, and stop the work when somebody wants it to end.

        A thread does it, on a connection of its own, whatever the command is.
        """
        work, over = Work(), threading.Event()
        threading.Thread(
            target=self._attend, args=(job, work, over), daemon=True
        ).start()
        try:
            yield work
        finally:
            over.set()

    def _attend(self, job: Job, work: Work, over: threading.Event) -> None:
        for _ in leases.looks(over, time.monotonic):
            with (
                suppress(Exception),
                closing(engines.open_engine(self.address)) as engine,
            ):
                self._look(engine, job, work, over)

    def _look(
        self, engine: Engine, job: Job, work: Work, over: threading.Event
    ) -> None:
        """Beat and look, until the job is over or the connection is lost.

        Five beats in a row may fail.
        """
        beaten = 0.0
        for _ in leases.looks(over, time.monotonic):
            try:
                self._check(engine, job)
            except Stopped:
                work.stop()
            if time.monotonic() - beaten > leases.HEARTBEAT_INTERVAL:
                engine.run(_statement("job_heartbeat"), **self._claim_key(job))
                beaten = time.monotonic()

    def _check(self, engine: Engine, job: Job) -> None:
        """Raise Stopped for a job that is to stop, and for one that another worker has."""
        found = engine.ask(_statement("look"), **self._claim_key(job)).to_pylist()
        if not found or found[0]["cancelled"]:
            raise Stopped


def _transaction(job: Job, engine: Engine) -> AbstractContextManager[None]:
    """What a job and its answer are done in: a short one in one transaction."""
    return (
        nullcontext() if job.command in UNTRANSACTED_COMMANDS else engine.transaction()
    )


def _statement(name: str) -> str:
    return files.statements("jobs.sql")[name]


def _message(error: Exception) -> str:
    """What is written down of an error.

    Its first lines, without rows and what PostgreSQL cannot store.
    """
    lines = shared(error).replace("\0", "").splitlines()[:MAX_ERROR_LINES]
    return "\n".join(lines) or type(error).__name__
