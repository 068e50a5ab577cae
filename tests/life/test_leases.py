"""Who trains keeps the lease whatever runs, loses it only for certain, and stops when asked to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg import conninfo

import embsql
from embsql import processes, stopping
from embsql.algorithms.als import ALS
from embsql.errors import AlreadyTraining, Cancelled, NoMemory, NotTraining
from embsql.lifecycle import leases

ROWS = "(VALUES ('a', 'x'), ('a', 'y'), ('b', 'y'), ('b', 'z'), ('c', 'x'), ('c', 'z')) AS v"
EVENTS = f"SELECT * FROM {ROWS} (user_id, item_id)"
LONG = "range(100000)"
ENDLESS = {  # one row of numbers, which never comes
    "duckdb": f"SELECT sum(hash(a.range + b.range)) AS n "
    f"FROM {LONG} AS a, {LONG} AS b, {LONG} AS c",
    "postgres": "SELECT 1 AS n FROM pg_sleep(36000)",
}


def endless(database: embsql.Database, columns: str) -> str:
    return f"SELECT {columns} FROM ({ENDLESS[database.engine.name]}) AS given"


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120  # a guard against hanging, not a measurement
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@contextmanager
def training(
    database: embsql.Database, source: str, **options: Any
) -> Iterator[list[Any]]:
    """Trains m in a thread; what came of it, once the block has ended."""
    outcome: list[Any] = []

    def work() -> None:
        with embsql.connect(database.engine.second()) as mine:
            try:
                outcome.append(mine.train("m", source, dim=2, epochs=1, **options))
            except Cancelled as error:
                outcome.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield outcome
    finally:
        thread.join(120)
        assert not thread.is_alive()


def lease(database: embsql.Database) -> dict[str, Any]:
    rows = database.ask(
        "SELECT * FROM embsql.leases WHERE model_name = 'm'"
    ).to_pylist()
    return rows[0] if rows else {}


def cancelled(
    database: embsql.Database, outcome: list[Any], status: str = "cancelled"
) -> None:
    """Whether a training has ended as one does that was asked to stop."""
    assert [type(end) for end in outcome] == [Cancelled]
    runs = database.ask("SELECT status FROM embsql.runs('m')").to_pylist()
    assert runs == [{"status": status}]
    assert not lease(database)
    assert database.train("m", EVENTS, dim=2, epochs=1).status == "live"


# --- signs of life -------------------------------------------------------------------------------


def test_a_lease_lives_while_a_select_runs(each, monkeypatch) -> None:
    """A source of more than a minute is no reason to take the model from who reads it."""
    monkeypatch.setattr(leases, "HEARTBEAT_INTERVAL", 0.0)
    with training(each, endless(each, "n AS user_id, n AS item_id")) as outcome:
        wait(lambda: bool(lease(each)))
        begun = lease(each)["expires_at"]
        wait(lambda: lease(each)["expires_at"] > begun)
        with pytest.raises(AlreadyTraining):
            each.train("m", EVENTS)
        each.cancel("m")
    cancelled(each, outcome)


def test_a_look_that_costs_much_is_followed_by_a_longer_wait() -> None:
    waits: list[float] = []

    class Over(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return len(waits) > 4

    reads = iter([0.0, 0.001, 1.0, 1.01, 2.0, 5.0, 5.0, 5.0])
    for _ in leases.looks(Over(), lambda: next(reads)):
        pass
    assert waits == pytest.approx([0.25, 0.25, 1.0, 1.5, 0.25])


def held_by(database: embsql.Database, **columns: Any) -> None:
    """Somebody holds the lease, with a sign of life just now."""
    values = {"host": "h", "pid": 1, "process": None} | columns
    statement = (
        "INSERT INTO embsql.leases (model_name, owner, run_id, host, pid, process, "
        "cancelled, heartbeat_at,"
    )
    statement += (
        " expires_at) VALUES ('m', 'somebody', 1, $host, $pid, $process, FALSE, "
        "embsql_internal.utc_now(),"
    )
    database.engine.run(
        f"{statement} embsql_internal.utc_now() + INTERVAL '60 seconds')", **values
    )


def ended() -> int:
    """The number of a process that was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


BOOT, NAMESPACE, *_ = (processes.identity() or "no proc 1 1").split()
START = (processes.identity() or "no proc 1 1").split()[3]


@pytest.mark.skipif(
    not processes.identity(),
    reason="this system has no /proc that tells processes apart",
)
@pytest.mark.parametrize(
    ("process", "gone"),
    [
        (lambda: f"{BOOT} {NAMESPACE} {ended()} 1", True),
        (
            lambda: f"{BOOT} {NAMESPACE} {os.getppid()} 1",
            True,
        ),  # a number that another process has now
        (lambda: f"{BOOT} {NAMESPACE} {os.getpid()} {START}", False),
        (
            lambda: f"{BOOT} pid:[1] {ended()} 1",
            False,
        ),  # a container of the same machine
        (lambda: f"another-boot {NAMESPACE} {ended()} 1", False),
        (lambda: "", False),
    ],
)
def test_a_process_is_gone_only_for_certain(
    process: Callable[[], str], gone: bool
) -> None:
    assert processes.is_gone(process()) is gone


def test_who_may_live_in_another_container_is_waited_for(pg) -> None:
    """The same host's name and a number that no process here has are no proof of death."""
    with embsql.connect(pg) as database:
        pid = ended()
        process = f"{BOOT} pid:[1] {pid} 1"
        held_by(database, host=leases.this_process()["host"], pid=pid, process=process)
        with pytest.raises(AlreadyTraining):
            database.train("m", EVENTS)


@pytest.mark.skipif(
    not processes.identity(),
    reason="this system has no /proc that tells processes apart",
)
def test_who_has_ended_here_is_not_waited_for(pg) -> None:
    with embsql.connect(pg) as database:
        held_by(database, process=f"{BOOT} {NAMESPACE} {ended()} 1")
        assert database.train("m", EVENTS, dim=2, epochs=1).status == "live"


def test_who_held_a_file_before_is_not_waited_for(tmp_path) -> None:
    """A file has one process that writes to it: whoever held a lease in it before has gone,
    wherever that was.
    """
    with embsql.connect(str(tmp_path / "a.duckdb")) as database:
        held_by(database, host="another")
        assert database.train("m", EVENTS, dim=2, epochs=1).status == "live"


def test_a_lease_is_held_as_soon_as_others_see_it(tmp_path, monkeypatch) -> None:
    """Of the threads of one process none takes another for dead that has only just begun."""
    take = leases.Lease._take
    with embsql.connect(str(tmp_path / "a.duckdb")) as database:
        second = embsql.connect(database.engine.second())

        def taken(lease: leases.Lease) -> None:
            take(lease)
            monkeypatch.setattr(leases.Lease, "_take", take)
            with pytest.raises(AlreadyTraining):
                second.train("m", EVENTS, dim=2)

        monkeypatch.setattr(leases.Lease, "_take", taken)
        assert database.train("m", EVENTS, dim=2).status == "live"
        second.close()


# --- stopping ------------------------------------------------------------------------------------


def test_a_side_table_is_stopped_while_it_is_read(each) -> None:
    features = endless(each, "'x' AS item_id, n AS price")
    with training(each, EVENTS, algorithm="fusion", item_features=features) as outcome:
        wait(lambda: bool(lease(each)))
        each.cancel("m")
    cancelled(each, outcome)


def test_a_training_is_stopped(each, monkeypatch) -> None:
    began = threading.Event()

    def endlessly(_: ALS, __: Any, run: embsql.Run) -> None:
        began.set()
        while True:
            run.check()
            time.sleep(0.01)

    with monkeypatch.context() as patched:
        patched.setattr(ALS, "fit", endlessly)
        with training(each, EVENTS) as outcome:
            began.wait(120)
            each.cancel("m")
    cancelled(each, outcome)


def test_a_test_is_stopped_while_it_is_read(each) -> None:
    test = endless(each, "'a' AS user_id, n AS item_id")
    with training(each, EVENTS, evaluate=True, test=test) as outcome:
        wait(lambda: bool(lease(each)))
        each.cancel("m")
    cancelled(each, outcome)


def waits_for(database: embsql.Database, kind: str) -> bool:
    """Whether a session of this database waits for something of a kind."""
    waiting = (
        "SELECT 1 AS n FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = $kind"
    )
    return (
        database.ask(
            f"{waiting} AND query NOT LIKE 'LISTEN%' AND state = 'active'", kind=kind
        ).num_rows
        > 0
    )


def test_writing_is_stopped(pg) -> None:
    with embsql.connect(pg) as database, embsql.connect(pg) as other:
        with other.engine.transaction():
            other.engine.run(
                "LOCK TABLE embsql.item_embeddings IN ACCESS EXCLUSIVE MODE"
            )
            with training(database, EVENTS) as outcome:
                wait(lambda: waits_for(database, "Lock"))
                database.cancel("m")
        cancelled(database, outcome)


def test_building_an_index_is_stopped(pg) -> None:
    """The run is whole by then, and stays: it is not live."""
    with embsql.connect(pg) as database:
        name = conninfo.conninfo_to_dict(pg)["dbname"]
        database.engine.run(f"ALTER DATABASE {name} SET embsql.index_above = '0'")
        database.engine.run(
            "CREATE FUNCTION public.sleep() RETURNS event_trigger LANGUAGE plpgsql"
            " AS 'BEGIN PERFORM pg_sleep(36000); END';"
            "CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE INDEX')"
            " EXECUTE FUNCTION public.sleep()"
        )
        with training(database, EVENTS) as outcome:
            wait(lambda: waits_for(database, "Timeout"))
            database.cancel("m")
        database.engine.run("DROP EVENT TRIGGER slow")
        cancelled(database, outcome, "ready")


@pytest.mark.parametrize(
    "method",
    [
        lambda engine, sql: engine.run(sql),
        lambda engine, sql: engine.ask(sql),
        lambda engine, sql: engine.gather(sql),
        lambda engine, sql: engine.run(f"CREATE TABLE made AS {sql}"),
    ],
)
def test_every_statement_can_be_stopped(
    each, method: Callable[[Any, str], Any]
) -> None:
    """Also of the caller's own connection; and nothing begins after that."""
    work, ended = stopping.Work(), threading.Event()

    def stop() -> None:
        wait(lambda: bool(work._ends))
        while not ended.wait(0.01):
            work.stop()

    thread = threading.Thread(target=stop)
    try:
        thread.start()
        with work, pytest.raises(stopping.Stopped):
            method(each.engine, ENDLESS[each.engine.name])
        with work, pytest.raises(stopping.Stopped):
            each.engine.ask("SELECT 1 AS n")
    finally:
        ended.set()
        thread.join()
    assert each.ask("SELECT 1 AS n").num_rows == 1


def test_nobody_s_training_cannot_be_cancelled(each) -> None:
    with pytest.raises(NotTraining):
        each.cancel("m")


def test_a_lease_whose_heart_cannot_start_is_given_back(each) -> None:
    """As where memory is full: no thread has a stack of 64 TiB."""
    usual = threading.stack_size(1 << 46)
    try:
        with pytest.raises(NoMemory, match="too little memory: can't start new thread"):
            each.train("m", EVENTS, dim=2, epochs=1, progress=False)
    finally:
        threading.stack_size(usual)
    assert not each.ask("SELECT held.model_name FROM embsql.leases AS held").num_rows
    assert each.train("m", EVENTS, dim=2, epochs=1, progress=False).status == "live"
