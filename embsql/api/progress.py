"""Shows how training goes: a bar in a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from embsql.phases import Phases
from embsql.run import Listener

POLL_INTERVAL = 0.5  # seconds between looks at whether the phase has changed
MAX_SILENCE = 10.0  # seconds without a line


@contextmanager
def show_progress(plan: Any, phases: Phases, wanted: bool) -> Iterator[Listener | None]:
    """A listener for `train` that shows what it hears, or None when nothing is to be shown."""
    if not wanted:
        yield None
        return
    shown = _bar if sys.stderr.isatty() else _lines
    with shown(plan, phases) as listener:
        yield listener


@contextmanager
def _bar(plan: Any, phases: Phases) -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    trainings = (2 if plan.evaluate else 1) + (plan.search.trials if plan.search else 0)
    epochs = plan.algorithm.epochs
    columns = (
        TextColumn("{task.description}"),
        # asked at each refresh: no epoch ends while loops are compiled
        TextColumn("{task.fields[phases].word}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(
            f"{plan.model_name} ({plan.algorithm.name})",
            total=trainings * epochs,
            figures="",
            phases=phases,
        )

        def listener(number: int, values: dict[str, float]) -> None:
            progress.update(
                task,
                advance=epochs if _is_trial(values) else 1,
                figures=_epoch(plan, number, values),
            )

        yield listener


@contextmanager
def _lines(
    plan: Any, phases: Phases, silence: float = MAX_SILENCE
) -> Iterator[Listener]:
    """A line for each epoch and phase, and whenever there was none for so many seconds."""
    lines = _Lines(plan.model_name, phases)
    lines.write()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(min(POLL_INTERVAL, silence)):
            lines.write_if_due(silence)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda number, values: lines.write(f": {_epoch(plan, number, values)}")
    finally:
        over.set()
        watcher.join()


class _Lines:
    """Lines on the standard error, each with the seconds since the beginning and the phase."""

    def __init__(self, name: str, phases: Phases) -> None:
        self._name, self._phases = name, phases
        self._shown: str | None = None  # the phase in the last line
        self._written = time.monotonic()

    def write(self, figures: str = "") -> None:
        self._shown, self._written = self._phases.current, time.monotonic()
        words = [self._name, f"{self._phases.elapsed:.1f} s", self._phases.word]
        print(" ".join(filter(None, words)) + figures, file=sys.stderr, flush=True)

    def write_if_due(self, silence: float) -> None:
        changed = self._phases.current not in {self._shown, None}
        if changed or time.monotonic() - self._written >= silence:
            self.write()


def _is_trial(values: dict[str, float]) -> bool:
    """Whether a setting of a search has ended, not an epoch."""
    return any(name.startswith("trial_") for name in values)


def _epoch(plan: Any, number: int, values: dict[str, float]) -> str:
    """How far it is, and its figures."""
    figures = (f"{name} {value:.5g}" for name, value in values.items())
    return " ".join((_progress(plan, number, values), *figures))


def _progress(plan: Any, number: int, values: dict[str, float]) -> str:
    """How far it is; how many epochs there will be may be what is searched."""
    if plan.search is None:
        return f"epoch {number}/{plan.algorithm.epochs}"
    return (
        f"trial {number}/{plan.search.trials}"
        if _is_trial(values)
        else f"epoch {number}"
    )
