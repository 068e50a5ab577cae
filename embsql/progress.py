"""Shows how training goes: a bar in a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from embsql.model import Listener


@contextmanager
def shown(plan: Any, wanted: bool) -> Iterator[Listener | None]:
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

    epochs = plan.algorithm.epochs * (2 if plan.evaluate else 1)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"{plan.model_name} ({plan.algorithm.name})", total=epochs, figures="")
        yield lambda _, values: progress.update(task, advance=1, figures=_figures(values))


def _line(plan: Any) -> Listener:
    def listener(epoch: int, values: dict[str, float]) -> None:
        print(
            f"{plan.model_name} epoch {epoch}/{plan.algorithm.epochs} {_figures(values)}", file=sys.stderr, flush=True
        )

    return listener


def _figures(values: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.5g}" for name, value in values.items())
