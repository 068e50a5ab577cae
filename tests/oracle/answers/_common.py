"""What the answers of several chapters begin with."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tests.oracle.compare import RANK, Entry, Ranked, Refused
from tests.oracle.data import Run, Vector, World, by_bytes


def live(world: World, name: str | None) -> Run:
    """'shop' is the live run, 'shop@7' run 7 of shop; anything else is refused."""
    model, run_id = _parts(world, name)
    wanted = model.live_run if "@" not in (name or "") else run_id
    for run in world.runs_of(model.name):
        if run.run_id == wanted and run.status == "ready":
            return run
    raise Refused("has no finished run to read")


def newest(world: World, name: str | None) -> Run:
    """The newest run of a model whatever became of it, or the one that is named."""
    model, run_id = _parts(world, name)
    for run in world.runs_of(model.name):
        if "@" not in (name or "") or run.run_id == run_id:
            return run
    raise Refused("has no finished run to read")


def _parts(world: World, name: str | None) -> tuple[Any, int | None]:
    """The model of a name, and the number behind the @ where it is one."""
    word, _, number = (name or "").partition("@")
    model = world.model(word)
    if model is None:
        raise Refused(f'no model named "{word}".')
    return model, int(number) if re.fullmatch("[0-9]{1,18}", number) else None


def cosine(a: np.ndarray, b: np.ndarray) -> float | None:
    """The cosine of two vectors; none when one of them is zero."""
    length = math.sqrt((a @ a) * (b @ b))
    return float(a @ b) / length if length else None


def finite(vector: list[float | None] | None, *, idle: bool = False) -> None:
    """Refuses a caller's vector with anything but numbers in it."""
    if any(number is None or not math.isfinite(number) for number in vector or []):
        refusal = Refused("")
        refusal.idle = idle
        raise refusal


def sized(run: Run, vector: list[float | None]) -> np.ndarray:
    """A caller's vector, of the run's length or it is refused."""
    if len(vector) != run.dim:
        raise Refused("")
    return np.array(vector, np.float64)


def _twin(vector: Vector, score: float | None, *, exact: bool) -> Hashable:
    """What rows of the very same score share: the score where it is exact, else the vector."""
    if exact or score is None:
        return score and round(score, 7)
    return vector.embedding.tobytes(), vector.bias


def ranking(
    side: Mapping[str, Vector],
    scores: Iterable[tuple[str, float | None]],
    *more: Any,
    exact: bool,
) -> list[Entry]:
    """Entries (id, rank, score, ...) of ids and scores."""
    return [
        Entry(
            (one, RANK, score, *more),
            score,
            _twin(side[one], score, exact=exact),
            (one,),
        )
        for one, score in scores
    ]


def sorted_ids(ids: Iterable[str]) -> list[str]:
    """Ids in the order of their bytes."""
    return sorted(ids, key=by_bytes)


def k_of(k: int | None) -> int:
    """How many are asked for: none for NULL."""
    return max(k or 0, 0)


def of_each(
    asked: list[str | None] | None, k: int | None, best: Callable[[str], Ranked]
) -> Ranked:
    """The answers about each of a list, each once, behind the id that they are about."""
    subjects = sorted_ids({one for one in asked or [] if one is not None})
    entries = [
        replace(entry, row=(one, *entry.row))
        for one in subjects
        for entry in best(one).entries
    ]
    return Ranked(entries, k_of(k), parts=1)
