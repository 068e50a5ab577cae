"""The queue: what SQL asks for is done once, by whichever worker lives, and nothing half done is
published.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

import embsql
from embsql.errors import NoWorker
from embsql.lifecycle import leases
from embsql.shells import worker
from tests.faults.zygote import zygote
from tests.worlds import known_run

EVENTS = "SELECT i % 97 AS user_id, (i * 31) % 53 AS item_id FROM generate_series(0, 4999) AS t (i)"
QUICK, ENDLESS = {"dim": 4, "epochs": 2}, {"dim": 4, "epochs": 10**6}


class Queue:
    """An analyst's connection, and what is asked through it."""

    def __init__(self, address: str) -> None:
        self.connection = psycopg.connect(address, autocommit=True)

    def ask(self, sql: str, *values: Any) -> Any:
        """The first value of the first row, None when there is none."""
        row = self.connection.execute(sql, values or None).fetchone()
        return row[0] if row else None

    def train(self, model: str = "m", source: str = EVENTS, **options: Any) -> int:
        return self.ask(
            "SELECT embsql.train(%s, %s, options => %s)",
            model,
            source,
            json.dumps(QUICK | options),
        )

    def job(self, job_id: int) -> dict[str, Any]:
        cursor = self.connection.execute(
            "SELECT * FROM embsql.jobs WHERE job_id = %s", [job_id]
        )
        return dict(
            zip(
                [column.name for column in cursor.description],
                cursor.fetchone(),
                strict=True,
            )
        )

    def status(self, job_id: int) -> str:
        return self.job(job_id)["status"]

    def wait(self, job_id: int, status: str) -> dict[str, Any]:
        """The job once it has come to a status; what ended otherwise never will."""
        wait(lambda: self.status(job_id) in {status, "done", "failed", "cancelled"})
        row = self.job(job_id)
        assert row["status"] == status, row
        return row

    def live(self) -> int | None:
        return self.ask("SELECT live_run FROM embsql.models() WHERE model_name = 'm'")

    def quiet(self) -> bool:
        """Whether the server does nothing for anybody else."""
        return self.ask(
            "SELECT count(*) = 0 FROM pg_stat_activity "
            "WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()"
        )

    def trains(self, model: str = "m") -> bool:
        """Whether a training has written something to its log; none will that failed."""
        failed = self.ask(
            "SELECT job FROM embsql.jobs AS job WHERE job.status = 'failed'"
        )
        assert not failed, failed
        return self.ask(
            "SELECT count(*) > 0 "
            "FROM embsql.training_log AS l JOIN embsql.runs AS r USING (run_id) "
            "WHERE r.model_name = %s AND r.status = 'training'",
            model,
        )


def wait(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds  # a guard against hanging, not a measurement
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def queue(pg) -> Iterator[Queue]:
    made = Queue(pg)
    yield made
    made.connection.close()


def work(address: str, once: bool, lines: Connection) -> None:
    """What a worker's process does."""
    leases.HEARTBEAT_INTERVAL = 0.1
    worker.run(address, once=once, log=lines.send)


class Started:
    """A worker in a process of its own, forked from one that has everything imported and
    compiled.
    """

    def __init__(self, address: str, how: str) -> None:
        context = zygote()
        self._lines, end = context.Pipe(duplex=False)
        self.process = context.Process(target=work, args=(address, how == "once", end))
        self.process.start()
        end.close()

    def line(self) -> str:
        """The next that it prints, "" after the last."""
        try:
            return self._lines.recv()
        except EOFError:
            return ""

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> list[str]:
        """What it prints until its end."""
        lines = list(iter(self.line, ""))
        self.process.join(120)
        return lines

    def kill(self) -> None:
        self.process.kill()
        self.end()


@pytest.fixture
def start(pg) -> Iterator[Callable[..., Started]]:
    """Starts workers; `start("once")` ends when nothing is due."""
    started: list[Started] = []

    def begin(how: str = "on", address: str = pg) -> Started:
        started.append(Started(address, how))
        return started[-1]

    yield begin
    for one in started:
        one.kill()


def finish(started: Started) -> str:
    """What a worker printed until it ended, which it did in order."""
    lines = "\n".join(started.end())
    assert started.process.exitcode == 0, lines
    return lines


def stop(started: Started) -> str:
    started.signal(signal.SIGTERM)
    return finish(started)


def shorten(queue: Queue, job_id: int) -> None:
    """Let an endless job end the next time it is begun."""
    words = "SELECT array_agg(replace(w.word, '1000000', '2') ORDER BY w.n)"
    words = f"{words} FROM unnest(arguments) WITH ORDINALITY AS w (word, n)"
    queue.connection.execute(
        f"UPDATE embsql.jobs SET arguments = ({words}) WHERE job_id = %s", [job_id]
    )


def stopped(process: Started) -> bool:
    """Whether a worker does nothing until it gets SIGCONT."""
    return (
        Path(f"/proc/{process.process.pid}/stat")
        .read_text()
        .rpartition(") ")[2]
        .startswith("T")
    )


def dead(queue: Queue, job_id: int) -> None:
    """As if the job's worker had given no sign of life for a minute."""
    late = "heartbeat_at = heartbeat_at - INTERVAL '61 s'"
    queue.connection.execute(
        f"UPDATE embsql.jobs SET {late} WHERE job_id = %s", [job_id]
    )
    queue.connection.execute(
        f"UPDATE embsql.leases SET {late}, expires_at = expires_at - INTERVAL '61 s'"
    )


# --- what is asked is done -----------------------------------------------------------------------


def test_every_command(queue, start) -> None:
    start()
    first = queue.wait(queue.train(evaluate=True, gate=False), "done")
    assert first["result"] == ["1", "live", None]
    assert first["requested_by"] == queue.ask("SELECT session_user::text")
    assert first["finished_at"] >= first["started_at"] >= first["enqueued_at"]
    assert queue.wait(queue.train(seed=2), "done")["result"] == ["2", "live", None]
    assert queue.wait(queue.ask("SELECT embsql.rollback('m')"), "done")["result"] == [
        "1"
    ]
    assert queue.wait(queue.ask("SELECT embsql.promote('m@2')"), "done")["result"] == [
        "2"
    ]
    figures = queue.wait(queue.ask("SELECT embsql.evaluate('m')"), "done")["result"]
    assert "ndcg@10" in json.loads(figures[0])
    assert queue.wait(queue.ask("SELECT embsql.drop_run('m@1')"), "done")["result"] == [
        "dropped"
    ]
    assert queue.live() == 2


def test_the_log_is_readable_while_it_trains(queue, start) -> None:
    job = queue.train(**ENDLESS)
    process = start()
    wait(queue.trains)
    assert queue.ask("SELECT count(*) FROM embsql.training_log('m')") > 0
    assert queue.job(job)["heartbeat_at"]
    stop(process)


def test_functions_explain_themselves(queue) -> None:
    for name in (
        "train",
        "evaluate",
        "promote",
        "rollback",
        "drop_run",
        "forget",
        "cancel",
    ):
        assert queue.ask(
            "SELECT obj_description(f.oid) FROM pg_proc AS f WHERE f.oid = %s::regproc",
            f"embsql.{name}",
        )


def test_once_does_what_is_there(queue, start) -> None:
    job = queue.train()
    said = finish(start("once"))
    assert f"job {job} (train m) is done" in said
    assert queue.status(job) == "done"


def test_duplicates_merge_while_they_wait(queue, start) -> None:
    first = queue.train()
    assert queue.train() == first
    other = queue.train(seed=2)
    assert other != first
    finish(start("once"))
    again = queue.train()
    assert again not in (first, other)
    assert queue.ask("SELECT count(*) FROM embsql.jobs") == 3


def test_one_training_of_a_model_at_a_time(queue, start) -> None:
    first = queue.train(**ENDLESS)
    one, two = start(), start()
    wait(queue.trains)
    second, elsewhere = queue.train(seed=2), queue.train("other")
    queue.wait(elsewhere, "done")
    assert (queue.status(first), queue.status(second)) == ("running", "queued")
    stop(one)
    stop(two)


def test_two_workers_do_nothing_twice(queue, start) -> None:
    queue.train()
    finish(start("once"))
    for number in range(1, 21):
        queue.ask("SELECT embsql.forget(%s)", f"{number}")
    for process in (start("once"), start("once")):
        finish(process)
    # a second time nothing would be left
    done = "status = 'done' AND attempts = 1 AND CAST(result[1] AS integer) > 1"
    assert (
        queue.ask(
            f"SELECT count(*) FROM embsql.jobs WHERE command = 'forget' AND {done}"
        )
        == 20
    )
    assert queue.ask("SELECT count(*) FROM embsql.events WHERE event = 'forget'") == 20


def test_who_is_forgotten_leaves_no_trace(queue, start) -> None:
    queue.train(
        source=f"SELECT 'ada-' || user_id || '-ada' AS user_id, item_id FROM ({EVENTS}) AS e"
    )
    finish(start("once"))
    job = queue.ask("SELECT embsql.forget('ada-7-ada')")
    said = finish(start("once"))
    assert int(queue.job(job)["result"][0]) > 1
    for table in ("jobs", "events", "source_checks", "user_embeddings", "interactions"):
        assert not queue.ask(
            f"SELECT count(*) FROM embsql.{table} AS t WHERE CAST(t AS text) LIKE '%ada-7-ada%'"
        )
    assert (queue.job(job)["arguments"], queue.job(job)["dedup_key"]) == (
        [],
        None,
    )  # a hash could be tried out
    assert "ada" not in said


# --- what cannot be done -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("train('Shop', 'SELECT 1')", "'Shop' is not a model name"),
        ("train(NULL, 'SELECT 1')", "NULL is not a model name"),
        ("train('m', 'SELECT 1', options => 'dim=4')", "JSON object"),
        ("train('m', 'SELECT 1', options => '[4]')", "JSON object"),
        ("train('m', 'SELECT 1', options => NULL)", "JSON object"),
        ("evaluate('m', '4')", "JSON object"),
        ("train('m', NULL)", "source must be text, got NULL"),
        ("cancel('m')", 'model "m" is not being trained'),
    ],
)
def test_mistakes_that_sql_sees(queue, call: str, says: str) -> None:
    with pytest.raises(psycopg.Error, match=says):
        queue.ask(f"SELECT embsql.{call}")


def test_a_mistake_fails_once_and_the_worker_lives(queue, start) -> None:
    process = start()
    wrong = {
        queue.train(dims=4): 'als has no option "dims". Did you mean "dim"?',
        queue.train(source="SELECT user_id FROM nowhere"): "nowhere",
        queue.ask(
            "SELECT embsql.train('m', 'SELECT 1', 'asl')"
        ): 'no algorithm named "asl"',
        queue.ask("SELECT embsql.promote('moon')"): 'no model named "moon"',
        queue.ask("SELECT embsql.cluster('m', k => 2.4)"): "k must be",
        queue.ask("SELECT embsql.materialize('m', k => 2.4)"): "k must be",
    }
    for job, message in wrong.items():
        row = queue.wait(job, "failed")
        assert message in row["error"]
        assert row["attempts"] == 1
    queue.wait(queue.train(), "done")
    stop(process)


def test_no_password_is_shown(pg, queue, start) -> None:
    address = conninfo.make_conninfo(pg, password="s3cret")  # noqa: S106 - nobody's
    queue.train()
    queue.train("bad", source="SELECT user_id FROM nowhere")
    assert "s3cret" not in finish(start("once", address))
    for table in ("jobs", "leases", "run_records", "events"):
        assert not queue.ask(
            f"SELECT count(*) FROM embsql.{table} AS t WHERE t::text LIKE '%s3cret%'"
        )


def test_duckdb_needs_no_worker(tmp_path) -> None:
    with pytest.raises(NoWorker, match="not a PostgreSQL database"):
        worker.run(str(tmp_path / "a.duckdb"), log=print)


# --- stopping ------------------------------------------------------------------------------------


def test_cancel_what_waits_and_what_runs(queue, start) -> None:
    waiting = queue.train()
    assert queue.ask("SELECT embsql.cancel('m')") == "cancelled"
    assert queue.status(waiting) == "cancelled"
    process = start()
    running = queue.train(**ENDLESS)
    wait(queue.trains)
    waiting = queue.train(seed=2)
    assert queue.ask("SELECT embsql.cancel('m')") == "asked to stop"
    assert "was cancelled" in queue.wait(running, "cancelled")["error"]
    assert queue.status(waiting) == "cancelled"
    queue.wait(queue.train(), "done")
    stop(process)


def test_cancel_what_reads_for_long(queue, start) -> None:
    """A SELECT that runs is ended, on the server too."""
    process = start()
    running = queue.train(
        source="SELECT 1 AS user_id, 1 AS item_id FROM pg_sleep(36000)"
    )
    wait(lambda: queue.ask("SELECT count(*) > 0 FROM embsql.leases"))
    assert queue.ask("SELECT embsql.cancel('m')") == "asked to stop"
    assert "was cancelled" in queue.wait(running, "cancelled")["error"]
    assert queue.quiet()
    stop(process)


def test_cancel_what_has_only_just_begun(queue, start) -> None:
    start()
    running = queue.train(**ENDLESS)
    queue.wait(running, "running")
    assert queue.ask("SELECT embsql.cancel('m')") == "asked to stop"
    queue.wait(running, "cancelled")


def test_an_idle_worker_stops(start) -> None:
    process = start()
    assert process.line().startswith("waiting for jobs")
    assert stop(process) == "stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_worker_hands_its_job_back(
    queue, start, number: signal.Signals
) -> None:
    first = queue.train()
    finish(start("once"))
    job = queue.train(seed=2, **ENDLESS)
    process = start()
    wait(queue.trains)
    process.signal(number)
    assert "handed the job back" in finish(process)
    row = queue.job(job)
    assert (row["status"], row["attempts"]) == ("queued", 0)
    assert queue.ask("SELECT count(*) FROM embsql.leases") == 0
    assert queue.live() == int(queue.job(first)["result"][0])
    shorten(queue, job)
    finish(start("once"))
    assert queue.job(job)["attempts"] == 1
    assert queue.live() == int(queue.job(job)["result"][0])


def test_a_long_select_is_no_death(queue, start) -> None:
    """While a statement runs the signs of life go on, and a worker told to stop does not wait for
    it.
    """
    slow = (
        f"SELECT * FROM ({EVENTS}) AS e "
        f"CROSS JOIN LATERAL (SELECT pg_sleep(600 + e.item_id)) AS z"
    )
    job = queue.train(source=slow)
    process = start()
    wait(lambda: queue.ask("SELECT count(*) > 0 FROM embsql.leases"))
    for beat in (
        "SELECT heartbeat_at FROM embsql.jobs",
        "SELECT expires_at FROM embsql.leases",
    ):
        before = queue.ask(beat)
        wait(lambda beat=beat, before=before: queue.ask(beat) > before)
    stop(process)
    assert queue.status(job) == "queued"
    assert queue.ask("SELECT count(*) FROM embsql.leases") == 0


def test_a_lost_connection_is_no_end(queue, start) -> None:
    lose = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    start()
    queue.wait(queue.train(), "done")
    queue.ask(lose)
    job = queue.train(seed=2, **ENDLESS)
    wait(queue.trains)
    queue.ask(lose)
    row = queue.wait(job, "queued")
    shorten(queue, job)
    assert row["attempts"] == 1
    assert row["start_after"] > row["started_at"]
    assert "was lost" in row["error"]
    assert queue.wait(job, "done")["attempts"] == 2


def test_a_killed_worker_is_replaced(queue, start) -> None:
    job = queue.train(**ENDLESS)
    process = start()
    wait(queue.trains)
    process.kill()
    assert "begins" not in finish(start("once"))  # it may still be alive
    dead(queue, job)
    shorten(queue, job)
    finish(start("once"))
    row = queue.job(job)
    assert (row["status"], row["attempts"], row["result"][1]) == ("done", 2, "live")
    assert (
        queue.ask("SELECT string_agg(status, ' ' ORDER BY run_id) FROM embsql.runs")
        == "failed live"
    )


def test_a_job_that_kills_its_workers_is_given_up(queue, start) -> None:
    job = queue.train()
    queue.connection.execute(
        "UPDATE embsql.jobs SET status = 'running', worker = 'gone', "
        "attempts = 5, heartbeat_at = embsql_internal.utc_now()"
    )
    dead(queue, job)
    finish(start("once"))
    assert "failed after 5 attempts" in queue.job(job)["error"]
    assert queue.status(job) == "failed"


def test_a_worker_that_slept_publishes_nothing(queue, start) -> None:
    job = queue.train(**ENDLESS)
    sleeper = start()
    wait(queue.trains)
    sleeper.signal(signal.SIGSTOP)
    wait(lambda: stopped(sleeper))
    wait(queue.quiet)  # a sign of life may be on its way, and would undo what follows
    dead(queue, job)
    shorten(queue, job)
    finish(start("once"))
    after = queue.job(job)
    live = queue.live()
    assert (after["status"], int(after["result"][0])) == ("done", live)
    sleeper.signal(signal.SIGCONT)
    wait(lambda: "claimed by another worker" in sleeper.line())
    assert queue.job(job) == after
    assert queue.live() == live
    assert queue.ask("SELECT count(DISTINCT run_id) FROM embsql.item_embeddings") == 1
    stop(sleeper)


def test_a_model_that_trains_elsewhere_is_waited_for(pg, queue, start) -> None:
    job = queue.train()
    with embsql.connect(pg) as database:
        database.engine.run(
            "INSERT INTO embsql.leases "
            "VALUES ('m', 'a person', 1, 'a laptop', 1, FALSE, embsql_internal.utc_now(), "
            "embsql_internal.utc_now() + INTERVAL '60 seconds')"
        )
    finish(start("once"))
    row = queue.job(job)
    assert (row["status"], row["attempts"]) == ("queued", 0)
    assert "is being trained by process 1 on a laptop" in row["error"]
    queue.connection.execute("DELETE FROM embsql.leases")
    start()
    queue.wait(job, "done")


@pytest.mark.parametrize(
    "call",
    [
        "register_embeddings('m', 'SELECT 1 AS item_id, ARRAY[1, 2] AS embedding "
        "FROM pg_sleep(36000)')",
        "evaluate('compass', '{\"test\": \"SELECT 1 AS user_id, 1 AS item_id "
        "FROM pg_sleep(36000)\"}')",
        "cluster('compass', k => 2, labels => 'SELECT 1 AS entity_id, 1 AS label "
        "FROM pg_sleep(36000)')",
        "promote('compass@1')",  # waits for who holds the run
        "forget('ada')",
    ],
)
def test_cancel_a_job_of_any_command(queue, pg, call) -> None:
    """By its number, in the middle of a statement; nothing of it is kept, and the worker goes
    on.
    """
    with embsql.connect(pg) as database:
        known_run(database)
    busy = worker.Worker(pg, lambda _line: None)
    thread = threading.Thread(target=busy.work, kwargs={"once": False}, daemon=True)
    with psycopg.connect(pg) as holder:
        holder.execute("SELECT FROM embsql.run_records FOR UPDATE")
        job = queue.ask(f"SELECT embsql.{call}")
        thread.start()
        queue.wait(job, "running")
        assert queue.ask("SELECT embsql.cancel(%s::bigint)", job) == "asked to stop"
        assert "was cancelled" in queue.wait(job, "cancelled")["error"]
    busy.stop()
    thread.join()
    busy.close()
