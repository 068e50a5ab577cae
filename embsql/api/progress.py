"""Shows how training goes: a bar in a terminal or a notebook, lines elsewhere."""

from __future__ import annotations

import html
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from embsql.phases import Phases
from embsql.run import Listener, Run

POLL_INTERVAL = 0.5  # seconds between looks at whether the phase has changed
MAX_SILENCE = 10.0  # seconds without a line
Show = Callable[[str, float | None], None]  # a line, and what share of the run is done


def is_watched() -> bool:
    """Whether somebody looks on: in a terminal, or in a notebook."""
    return sys.stderr.isatty() or _in_notebook()


def _in_notebook() -> bool:
    """Whether this process is a notebook's kernel, which has loaded IPython."""
    ipython = sys.modules.get("IPython")
    return hasattr(ipython and ipython.get_ipython(), "kernel")


@contextmanager
def show_progress(plan: Any, phases: Phases, wanted: bool) -> Iterator[Listener | None]:
    """A listener for `train` that shows what it hears, or None when nothing is to be shown."""
    if not wanted:
        yield None
        return
    with _shown()(plan, phases) as listener:
        yield listener


def show_warning(run: Run) -> None:
    """A line where something simple was better than the algorithm that was chosen."""
    if run.warning:
        _print(f"run {run.run_id} of {run.model_name}: {run.warning}", None)


def _shown() -> Callable[[Any, Phases], AbstractContextManager[Listener]]:
    """What shows it here."""
    if sys.stderr.isatty():
        return _bar
    return partial(_cell, show=_cell_output()) if _in_notebook() else _lines


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
            f"{plan.model_name} ({plan.algorithm_name})",
            total=_total(plan),
            figures="",
            phases=phases,
        )

        def listener(number: int, values: dict[str, float]) -> None:
            progress.update(
                task,
                advance=_advance(plan, values),
                figures=_epoch(plan, number, values),
            )

        yield listener


@contextmanager
def _lines(
    plan: Any, phases: Phases, silence: float = MAX_SILENCE
) -> Iterator[Listener]:
    """A line for each epoch and phase, and whenever there was none for so many seconds."""
    with _watched(plan, phases, _print, silence) as listener:
        yield listener


def _print(line: str, _: float | None) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _cell(plan: Any, phases: Phases, show: Show) -> Iterator[Listener]:
    """One line below a notebook's cell, with a bar that is gone at the end."""
    try:
        with _watched(plan, phases, show, POLL_INTERVAL) as listener:
            yield listener
    finally:
        words = (f"{plan.model_name} {phases.elapsed:.1f} s", phases.summary())
        show(": ".join(filter(None, words)), None)


def _cell_output() -> Show:
    """An output of the notebook's cell, replaced by each line."""
    from IPython.display import display

    output = display({"text/plain": ""}, raw=True, display_id=True)

    def show(line: str, share: float | None) -> None:
        written = html.escape(line)
        bar = "" if share is None else f'<progress value="{share:.3f}"></progress> '
        output.update({"text/plain": line, "text/html": bar + written}, raw=True)

    return show


@contextmanager
def _watched(
    plan: Any, phases: Phases, show: Show, silence: float
) -> Iterator[Listener]:
    """Lines from a thread that looks at the phase, and for each epoch."""
    lines = _Lines(plan, phases, show)
    lines.write()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(min(POLL_INTERVAL, silence)):
            lines.write_if_due(silence)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lines.add_epoch
    finally:
        over.set()
        watcher.join()


class _Lines:
    """Lines, each with the seconds since the beginning and the phase."""

    def __init__(self, plan: Any, phases: Phases, show: Show) -> None:
        self._plan, self._phases, self._show = plan, phases, show
        self._epochs = 0  # done
        self._figures = ""
        self._shown: str | None = None  # the phase in the last line, and its part
        self._written = time.monotonic()

    def add_epoch(self, number: int, values: dict[str, float]) -> None:
        self._epochs += _advance(self._plan, values)
        self.write(f": {_epoch(self._plan, number, values)}")

    def write(self, figures: str = "") -> None:
        phase = self._phases.word
        if figures or phase != self._shown:
            self._figures = figures  # those of an epoch stay until its phase is over
        self._shown, self._written = phase, time.monotonic()
        name, seconds = self._plan.model_name, f"{self._phases.elapsed:.1f} s"
        line = " ".join(filter(None, (name, seconds, phase)))
        self._show(line + self._figures, self._epochs / _total(self._plan))

    def write_if_due(self, silence: float) -> None:
        changed = self._phases.word not in {self._shown, ""}
        if changed or time.monotonic() - self._written >= silence:
            self.write()


def _total(plan: Any) -> int:
    """How many epochs there are in all trainings of a run, should none end early."""
    trainings = (2 if plan.evaluate else 1) + (plan.search.trials if plan.search else 0)
    return int(trainings * plan.algorithm.epochs)


def _advance(plan: Any, values: dict[str, float]) -> int:
    """How many epochs have ended: all of a trial, which shows none of its own."""
    if not _is_trial(values):
        return 1
    return int(plan.algorithm.epochs) if plan.search else 0


def _is_trial(values: dict[str, float]) -> bool:
    """Whether a setting of a search has ended, not an epoch."""
    return any(name.startswith("trial_") for name in values)


def _epoch(plan: Any, number: int, values: dict[str, float]) -> str:
    """How far it is, and its figures."""
    figures = (f"{name} {value:.5g}" for name, value in values.items())
    return " ".join((_progress(plan, number, values), *figures))


def _progress(plan: Any, number: int, values: dict[str, float]) -> str:
    """How far it is; how many epochs there will be may be what is searched."""
    if plan.search is None and plan.choosing is None:
        return f"epoch {number}/{plan.algorithm.epochs}"
    if not _is_trial(values):
        return f"epoch {number}"
    of = f"/{plan.search.trials}" if plan.search else ""
    return f"trial {number}{of}"
