"""Shows how training goes: a bar in a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from embsql.run import Listener


@contextmanager
def show_progress(plan: Any, wanted: bool) -> Iterator[Listener | None]:
    """A listener for `train` that shows what it hears, or None when nothing is to be shown."""
    if not wanted:
        yield None
    elif sys.stderr.isatty():
        with _bar(plan) as listener:
            yield listener
    else:
        yield _line(plan)


@contextmanager
def _bar(plan: Any) -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    trainings = (2 if plan.evaluate else 1) + (plan.search.trials if plan.search else 0)
    epochs = plan.algorithm.epochs
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(
            f"{plan.model_name} ({plan.algorithm.name})",
            total=trainings * epochs,
            figures="",
        )

        def listener(number: int, values: dict[str, float]) -> None:
            figures = f"{_place(plan, number, values)} {_figures(values)}"
            progress.update(
                task, advance=epochs if _is_trial(values) else 1, figures=figures
            )

        yield listener


def _line(plan: Any) -> Listener:
    def listener(number: int, values: dict[str, float]) -> None:
        print(
            f"{plan.model_name} {_place(plan, number, values)} {_figures(values)}",
            file=sys.stderr,
            flush=True,
        )

    return listener


def _is_trial(values: dict[str, float]) -> bool:
    """Whether a setting of a search has ended, not an epoch."""
    return any(name.startswith("trial_") for name in values)


def _place(plan: Any, number: int, values: dict[str, float]) -> str:
    """How far it is; how many epochs there will be may be what is searched."""
    if plan.search is None:
        return f"epoch {number}/{plan.algorithm.epochs}"
    return (
        f"trial {number}/{plan.search.trials}"
        if _is_trial(values)
        else f"epoch {number}"
    )


def _figures(values: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.5g}" for name, value in values.items())
