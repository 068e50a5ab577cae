"""What a training does now: in its row while it runs, and on the standard error."""

from __future__ import annotations

import re
import threading
from copy import deepcopy
from dataclasses import asdict
from typing import Any

import pytest
from numba import njit
from numba.core import event

import embsql
from embsql.algorithms.als import ALS
from embsql.api import progress
from embsql.errors import Diverged
from embsql.lifecycle.named_statements import execute_named
from embsql.lifecycle.plan import Plan
from embsql.numeric import compiler  # noqa: F401 - what a test compiles is heard of
from embsql.numeric.linalg import parallel_map
from embsql.phases import COMPILING, MEASURING, READING, TRAINING, Phases
from embsql.run import Run
from embsql.sources.source import source
from tests.life.test_leases import EVENTS, wait

SECONDS = r"{} \d+\.\d"
PLAN = Plan("m", source("events", "source"), ALS(epochs=2))


def test_a_run_can_be_copied() -> None:
    run = Run(seed=3)
    copied = deepcopy(run)
    copied.phases.enter(TRAINING)
    assert copied.phases.current == TRAINING
    assert run.phases.current == READING
    assert asdict(copied)["seed"] == 3


def compile_something() -> None:
    @njit
    def plus_one(number: int) -> int:
        return number + 1

    assert plus_one(1) == 2


def row(database: embsql.Database) -> dict[str, Any]:
    rows = database.ask("SELECT * FROM embsql.runs('m')").to_pylist()
    return {name: rows[0][name] for name in ("status", "phase", "phase_seconds")}


def matches(summary: str, *names: str) -> bool:
    return bool(re.fullmatch(", ".join(map(SECONDS.format, names)), summary))


class Waiter(event.Listener):
    """Lets no compilation begin before readers see that it does."""

    def __init__(self, reader: embsql.Database) -> None:
        self.reader = reader

    def on_start(self, _: Any) -> None:
        wait(lambda: row(self.reader)["phase"] == COMPILING)

    def on_end(self, _: Any) -> None:
        pass


def test_readers_see_the_phase_and_what_each_took(each, monkeypatch) -> None:
    fit = ALS.fit
    reader = embsql.connect(each.engine.second())

    def watched(self: ALS, data: Any, run: Run) -> Any:
        wait(lambda: row(reader)["phase"] == TRAINING)
        with event.install_listener("numba:compile", Waiter(reader)):
            compile_something()
        return fit(self, data, run)

    monkeypatch.setattr(ALS, "fit", watched)
    with reader:
        each.train("m", EVENTS, dim=2, epochs=1)
    found = row(each)
    assert (found["status"], found["phase"]) == ("live", None)
    assert matches(
        found["phase_seconds"], "reading", "training", "compiling", "writing"
    )


def test_an_evaluated_training_measures(each) -> None:
    each.train("m", EVENTS, dim=2, epochs=1, evaluate=True, gate=False)
    assert re.search(SECONDS.format("measuring"), row(each)["phase_seconds"])


def test_a_failed_run_is_in_no_phase(each, monkeypatch) -> None:
    def failing(*_: Any) -> Any:
        raise Diverged(algorithm="als", epoch=1, model="m")

    monkeypatch.setattr(ALS, "fit", failing)
    with pytest.raises(Diverged):
        each.train("m", EVENTS, dim=2, epochs=1)
    found = row(each)
    assert (found["status"], found["phase"]) == ("failed", None)
    assert matches(found["phase_seconds"], "reading", "training")


def test_who_forgets_keeps_no_trainer_waiting(pg, monkeypatch) -> None:
    """The run's row is locked meanwhile; signs of life come from the thread that writes it."""
    fit = ALS.fit
    changed: list[int] = []

    def during(self: ALS, data: Any, run: Run) -> Any:
        values = {"run_id": run.run_id, "phase": "a phase", "phase_seconds": ""}
        with other.engine.transaction():
            execute_named(other.engine, "hold_trainings")
            changed.append(execute_named(trainer.engine, "log_phase", **values))
        changed.append(execute_named(trainer.engine, "log_phase", **values))
        return fit(self, data, run)

    monkeypatch.setattr(ALS, "fit", during)
    with embsql.connect(pg) as trainer, embsql.connect(pg) as other:
        trainer.train("m", EVENTS, dim=2, epochs=1)
    assert changed == [0, 1]


def test_a_run_counts_what_its_own_threads_compile() -> None:
    run, other = Run(threads=2), Run()
    threads = set()

    def work(_: int, __: int) -> None:
        threads.add(threading.get_ident())
        compile_something()

    with run.phases.of_this_thread():
        parallel_map(work, [(0, 1), (1, 2)], run)
    compile_something()
    run.phases.enter(None)
    other.phases.enter(None)
    assert threading.get_ident() not in threads
    assert matches(run.phases.summary(), "reading", "compiling")
    assert matches(other.phases.summary(), "reading")


def test_a_second_counts_once_however_many_compile() -> None:
    phases = Phases()
    phases.compile(1)
    phases.compile(1)
    phases.compile(-1)
    assert phases.current == COMPILING
    phases.compile(-1)
    phases.enter(None)
    assert sum(phases._seconds.values()) <= phases.elapsed
    assert phases.current is None


def test_lines_come_while_nothing_happens(capfd) -> None:
    shown = ""
    with progress._lines(PLAN, Phases(), silence=0.001):

        def seen() -> bool:
            nonlocal shown
            shown += capfd.readouterr().err
            return len(shown.splitlines()) > 2

        wait(seen)
    assert all(
        re.fullmatch(r"m \d+\.\d s reading", line) for line in shown.split("\n")[:-1]
    )


def test_a_line_says_the_seconds_the_phase_and_the_epoch(db, capfd) -> None:
    db.train("m", EVENTS, dim=2, epochs=2, progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert all(
        re.match(r"m \d+\.\d s (reading|training|compiling|writing)", x) for x in lines
    )
    assert sum("training: epoch" in line for line in lines) == 2


def test_a_notebook_s_cell_has_one_line_with_the_share_and_the_last_epoch() -> None:
    shown: list[tuple[str, float | None]] = []
    phases = Phases()
    with progress._cell(PLAN, phases, lambda *line: shown.append(line)) as listener:
        phases.enter(TRAINING)
        listener(1, {"loss": 0.5})
        wait(lambda: len(shown) > 2)  # seconds go on
        phases.enter(MEASURING)
        wait(lambda: "measuring" in shown[-1][0])
        phases.enter(None)
    texts = [re.sub(r"\d+\.\d", "0.0", line) for line, _ in shown]
    assert set(texts[1:-2]) <= {
        "m 0.0 s training: epoch 1/2 loss 0.0",
        "m 0.0 s training",
    }
    assert texts[0] == "m 0.0 s reading"
    assert "m 0.0 s measuring" in texts
    assert texts[-1] == "m 0.0 s: reading 0.0, training 0.0, measuring 0.0"
    assert [shown[0][1], shown[1][1], shown[-1][1]] == [0, 0.5, None]
