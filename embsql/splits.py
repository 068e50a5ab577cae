"""Held-out interactions: what a model is not shown, so that it can be asked about it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from embsql.data import Interactions
from embsql.errors import NotEvaluated

Mask = NDArray[np.bool_]


def split(
    data: Interactions, method: str = "auto", *, seed: int = 42, fraction: float = 0.2
) -> tuple[Interactions, Interactions]:
    """Training pairs and held-out pairs, which together are the data; vocabularies unchanged.

    `method` is one of

    - `last`: the last pair of every user with at least two, by time, of equal times the highest item code.
      No user's training pair is later than that user's held-out pair. Pairs of other users may be.
    - `time`: the last `fraction` of all pairs. Every training pair is earlier than every held-out pair; pairs
      of one instant stay together. Users and items may have no training pair left: `Exam` counts them.
    - `random`: `fraction` of each user's pairs (rounded, at least one) of users with at least two, who keep at
      least one. It lets a model see the future, so its figures flatter; use it where there is no time.
    - `auto`: `last` where the source has event_time, else `random`.

    Raises NotEvaluated where the method is unknown, needs a time that is missing, or nothing can be held out.
    """
    name = named(data, method)
    if not 0 < fraction < 1:
        raise NotEvaluated(name="the model", reason=f"the held-out fraction must be between 0 and 1, got {fraction}")
    held = METHODS[name](data, seed, fraction)  # (n,)
    if not held.any():
        raise NotEvaluated(name="the model", reason=f"split '{name}' finds nothing to hold out; {NEEDS[name]}")
    return data.where(~held), data.where(held)


def named(data: Interactions, method: str) -> str:
    """The method that is meant by `method`. Raises NotEvaluated when the data do not allow it."""
    if method not in {"auto", *METHODS}:
        known = ", ".join(("auto", *METHODS))
        raise NotEvaluated(name="the model", reason=f"there is no split '{method}', only {known}")
    name = ("random" if data.time is None else "last") if method == "auto" else method
    if name != "random" and data.time is None:
        reason = f"split '{name}' needs event_time, which the source does not give; select it or use split 'random'"
        raise NotEvaluated(name="the model", reason=reason)
    return name


def _last(data: Interactions, _seed: int, _fraction: float) -> Mask:
    """The last pair of every user with at least two."""
    assert data.time is not None  # noqa: S101  # checked by named; tells the type checker
    rows = data.by_user()
    begins = rows.start[:-1][rows.counts > 0]  # (users with pairs,)
    if not len(begins):
        return np.zeros(0, bool)
    counts = rows.counts[rows.counts > 0]  # (users with pairs,)
    latest = np.repeat(np.maximum.reduceat(data.time, begins), counts)  # (n,) the user's last time
    place = np.where(data.time == latest, np.arange(len(data)), -1)  # (n,)
    last = np.maximum.reduceat(place, begins)  # (users with pairs,)
    held = np.zeros(len(data), bool)  # (n,)
    held[last[counts > 1]] = True
    return held


def _time(data: Interactions, _seed: int, fraction: float) -> Mask:
    """The last fraction of all pairs; the instant at the border is held out whole, unless it is all there is."""
    assert data.time is not None  # noqa: S101  # checked by named; tells the type checker
    if not len(data):
        return np.zeros(0, bool)
    border = len(data) - max(1, round(len(data) * fraction))
    cut = np.partition(data.time, border)[border]
    held: Mask = data.time > cut if cut == data.time.min() else data.time >= cut  # (n,)
    return held


def _random(data: Interactions, seed: int, fraction: float) -> Mask:
    """A fraction of the pairs of every user with at least two."""
    rows = data.by_user()
    order = np.lexsort((np.random.default_rng(seed).random(len(data)), data.user))  # (n,) shuffled within users
    place = np.empty(len(data), np.int64)  # (n,) place of a pair among the shuffled pairs of its user
    place[order] = np.arange(len(data)) - np.repeat(rows.start[:-1], rows.counts)
    take = np.clip(np.rint(rows.counts * fraction), 1, np.maximum(rows.counts - 1, 0))  # (n_users,)
    held: Mask = place < take[data.user]  # (n,)
    return held


METHODS: dict[str, Callable[[Interactions, int, float], Mask]] = {"last": _last, "time": _time, "random": _random}
NEEDS = {
    "last": "it needs users with at least two items",
    "time": "it needs at least two different times",
    "random": "it needs users with at least two items",
}
