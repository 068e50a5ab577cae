"""What must hold when things go wrong: cancels, two trainers.

Kills, readers and many trainers: tests/faults.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import duckdb
import pytest

import embsql
from embsql.algorithms.als import ALS
from embsql.api.database import cancel
from embsql.errors import (
    AlreadyTraining,
    BusyWithReaders,
    Cancelled,
    DatabaseBusy,
    LostLease,
    NotTraining,
)
from embsql.sqlfiles.files import read_sql

EVENTS = "SELECT i % 97 AS user_id, (i * 31) % 53 AS item_id FROM range(5000) t(i)"


def slow(monkeypatch: pytest.MonkeyPatch, hook) -> None:
    """Let every training call `hook(run)` before it begins."""
    fit = ALS.fit
    monkeypatch.setattr(
        ALS, "fit", lambda self, data, run: (hook(run), fit(self, data, run))[1]
    )


def wait(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_cancel_leaves_the_live_version(tmp_path, monkeypatch) -> None:
    with embsql.connect(str(tmp_path / "a.duckdb")) as database:
        first = database.train("m", EVENTS, dim=4)

        def forever(run: embsql.Run) -> None:
            while True:
                run.check()
                time.sleep(0.01)

        slow(monkeypatch, forever)
        caught: list[BaseException] = []

        def work() -> None:
            with embsql.connect(database.engine.second()) as second:
                try:
                    second.train("m", EVENTS, dim=4, seed=2)
                except Cancelled as error:
                    caught.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        wait(lambda: database.ask("SELECT 1 FROM embsql.leases").num_rows == 1)
        with pytest.raises(AlreadyTraining, match=f"process {os.getpid()}"):
            database.train("m", EVENTS, dim=4, seed=3)
        database.cancel("m")
        thread.join(timeout=600)
        assert not thread.is_alive()
        assert caught
        runs = database.ask("SELECT status FROM embsql.runs('m')").to_pylist()
        assert [row["status"] for row in runs] == ["cancelled", "live"]
        assert database.ask("SELECT live_run FROM embsql.models()").to_pylist() == [
            {"live_run": first.run_id}
        ]
        with pytest.raises(NotTraining):
            database.cancel("m")


def test_log_is_readable_while_it_trains(db, monkeypatch) -> None:
    seen: list[int] = []
    fit = ALS.fit

    def watched(self, data, run):
        report = run.on_report

        def then_look(epoch, values):
            report(epoch, values)
            with embsql.connect(db.engine.second()) as reader:
                seen.append(
                    reader.ask("SELECT * FROM embsql.training_log('m')").num_rows
                )

        run.on_report = then_look
        return fit(self, data, run)

    monkeypatch.setattr(ALS, "fit", watched)
    db.train("m", EVENTS, dim=4, epochs=3)
    assert seen == [1, 2, 3]


def test_a_late_trainer_is_refused(db, monkeypatch) -> None:
    """The lease was taken over while this one slept: its result must not be published."""
    first = db.train("m", EVENTS, dim=4)

    def robbed(_: embsql.Run) -> None:
        with embsql.connect(db.engine.second()) as other:
            other.engine.run("UPDATE embsql.leases SET owner = 'another'")

    slow(monkeypatch, robbed)
    with pytest.raises(LostLease):
        db.train("m", EVENTS, dim=4, seed=2)
    assert db.ask("SELECT live_run FROM embsql.models()").to_pylist() == [
        {"live_run": first.run_id}
    ]
    assert db.ask(
        "SELECT count(DISTINCT run_id) AS n FROM embsql.item_embeddings"
    ).to_pylist() == [{"n": 1}]


TRAIN = """
import embsql, sys
with embsql.connect(sys.argv[1]) as db:
    print("open", flush=True)
    for seed in range(10**6):
        epochs = 2 if seed == 0 else int(sys.argv[2])
        events = "SELECT i % 97 AS user_id, (i * 31) % 53 AS item_id FROM range(5000) t(i)"
        db.train("m", events, dim=4, epochs=epochs, seed=seed)
        print(seed, flush=True)
"""


def start(path: Path, epochs: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(TRAIN), str(path), str(epochs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "open\n"
    assert process.stdout.readline()
    return process


READ = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=True)
print("open", flush=True)
sys.stdin.read()
"""


def test_a_file_that_others_read_is_opened_as_the_message_says(tmp_path) -> None:
    path = tmp_path / "r.duckdb"
    embsql.connect(path).close()
    reader = subprocess.Popen(
        [sys.executable, "-c", READ, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout
    assert reader.stdout.readline() == "open\n"
    with pytest.raises(BusyWithReaders, match=f"process {reader.pid}") as busy:
        embsql.connect(path)
    assert f'embsql.connect("{path}", read_only=True)' in str(busy.value)
    with embsql.connect(path, read_only=True) as database:
        assert database.models().num_rows == 0
    reader.communicate("")


def test_interrupt_and_cancel_from_another_process(tmp_path) -> None:
    path = tmp_path / "c.duckdb"
    # installed here, as a copy: the other process need not
    embsql.connect(path).close()
    process = start(path, 10**6)
    with pytest.raises(DatabaseBusy, match=str(process.pid)):
        embsql.connect(str(path))
    time.sleep(0.5)
    cancel(str(path), "m")
    _, errors = process.communicate(timeout=600)
    assert "was cancelled" in errors
    process = start(path, 10**6)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(
        timeout=600
    )  # a guard against hanging, not a measurement
    assert "KeyboardInterrupt" in errors
    with embsql.connect(str(path)) as database:
        assert database.ask("SELECT 1 FROM embsql.leases").num_rows == 0


KILLED = """
import embsql, os, signal, sys
database = embsql.connect(sys.argv[1])
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path: Path) -> None:
    """Open a file in a process that is killed: what it wrote is in the log, nowhere else."""
    words = [sys.executable, "-c", KILLED, str(path)]
    done = subprocess.run(words, check=False, timeout=600)
    assert done.returncode == -signal.SIGKILL
    assert path.with_name(f"{path.name}.wal").stat().st_size > 0


def test_a_file_opens_after_its_first_process_was_killed(tmp_path) -> None:
    """All of the installation stands in the log then, which DuckDB must be able to read again."""
    path = tmp_path / "killed.duckdb"
    killed(path)
    duckdb.connect(str(path)).close()
    with embsql.connect(path) as database:
        database.train(
            "m", "SELECT i % 9 AS user_id, i % 7 AS item_id FROM range(63) t(i)", dim=2
        )
        assert database.models()["live_run"].to_pylist() == [1]


VECTORS = """
SELECT run_id, item_id AS id, embedding, norm, bias, interactions FROM embsql.item_embeddings
UNION ALL
SELECT run_id, user_id, embedding, norm, bias, interactions FROM embsql.user_embeddings
ORDER BY ALL
"""
BEFORE_CELLS = """
DROP TABLE embsql.cells;
DROP TABLE embsql.cell_members;
DELETE FROM embsql.migrations WHERE file_name = '0046_cells.duckdb.sql';
UPDATE embsql.surface SET surface = 'of the version before';
"""


def of_the_version_before(path: Path) -> None:
    """A file with a run whose tables of vectors are as they were before they had cells."""
    declared = read_sql("schema/0002_vectors.sql").split(";")
    with embsql.connect(path) as database:
        database.train("m", EVENTS, dim=4)
        for table in ("item_embeddings", "user_embeddings"):
            (create,) = (one for one in declared if f"{table} (" in one)
            database.engine.run(f"""
                CREATE TABLE kept AS SELECT * EXCLUDE (cell) FROM embsql.{table};
                DROP TABLE embsql.{table};
                {create};
                INSERT INTO embsql.{table} SELECT * FROM kept;
                DROP TABLE kept;
            """)
        database.engine.run(BEFORE_CELLS)


def test_a_file_opens_after_the_process_that_brought_it_up_to_date_was_killed(
    tmp_path,
) -> None:
    """Its tables are made anew, so that DuckDB can read that again, too."""
    path = tmp_path / "killed.duckdb"
    of_the_version_before(path)
    with duckdb.connect(str(path), read_only=True) as plain:
        before = plain.execute(VECTORS).fetchall()
    killed(path)
    with duckdb.connect(str(path)) as plain:
        assert plain.execute(VECTORS).fetchall() == before
    with embsql.connect(path) as database:
        near = database.ask("SELECT * FROM embsql.similar_items('m', '3', k => 2)")
        assert near.num_rows == 2


@pytest.mark.parametrize("table", ["item_embeddings", "user_embeddings"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_no_length_of_a_vector_is_no_number(table: str, value: str) -> None:
    entity = table.removesuffix("_embeddings")
    own = {"run_id": [1], f"{entity}_id": ["x"], "embedding": [[1.0]]}
    good = {"norm": [1.0], "bias": [0.0], "interactions": [1]}
    with embsql.connect(":memory:") as database:
        for column in ("norm", "bias"):
            rows = own | good | {column: [float(value)]}
            with pytest.raises(duckdb.ConstraintException, match="CHECK constraint"):
                database.engine.write(table, rows)
        database.engine.write(table, own | good)
