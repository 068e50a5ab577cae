"""What times mean to algorithms: ages, and the clock that a network reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Int64, Interactions
from embsql.options import require

DAY = 86_400_000_000  # microseconds
HOUR = DAY // 24
FIRST_CLOCK = (
    10**14
)  # a time beyond it counts microseconds since 1970, one below is the source's own order
# lengths of time that are told apart, each twice the one before, from a minute or one unit
SPANS = 40
HOURS, WEEKDAYS = 24, 7
READINGS = HOURS + WEEKDAYS + 2 * SPANS  # rows of the table that `readings` points into


def ages(algorithm: Any, option: str, time: Int64 | None) -> NDArray[np.float64]:
    """How long before the last event of all each happened (m,), in days, or in units of a numeric
    event_time.

    Raises BadOption, naming the option that wants it, where there are no times.
    """
    require(algorithm, "left out: the source has no event_time", **{option: time is not None})
    assert time is not None  # noqa: S101 - `require` has just said so; the type checker does not see it
    age: NDArray[np.float64] = (time.max() - time) / (DAY if is_clock(time) else 1)
    return age


def readings(algorithm: Any, data: Interactions) -> Int64:
    """Of each event the hour, the weekday, the time since the event before and since the item's
    first: rows (m, 4).

    Raises BadOption where there are no times.
    """
    events = data.in_order()
    ages(algorithm, "time_features", events.time)
    time, clock = np.asarray(events.time), is_clock(np.asarray(events.time))
    user, item = data.user[events.pair], data.item[events.pair]  # (m,), (m,)
    gap = np.where(np.diff(user, prepend=-1) == 0, np.diff(time, prepend=time[:1]), 0)  # (m,)
    first = np.full(data.n_items, np.iinfo(np.int64).max)  # (i,)
    np.minimum.at(first, item, time)
    hour = time // HOUR % HOURS * clock  # (m,)
    weekday = time // DAY % WEEKDAYS * clock  # (m,)
    unit = DAY // (24 * 60) if clock else 1
    spans = (_span(gap / unit), _span((time - first[item]) / unit))  # (m,), (m,)
    rows: Int64 = np.stack(
        [hour, HOURS + weekday, *(HOURS + WEEKDAYS + n * SPANS + s for n, s in enumerate(spans))], 1
    )
    return rows


def is_clock(time: Int64) -> bool:
    """Whether times are moments, not the source's own order."""
    return abs(int(time.max())) > FIRST_CLOCK


def _span(length: NDArray[np.float64]) -> Int64:
    """Which of the lengths of time that are told apart, (m,)."""
    span: Int64 = np.clip(np.log2(np.maximum(length, 0) + 1).astype(np.int64), 0, SPANS - 1)  # (m,)
    return span


def halved(age: NDArray[np.float64], half_life: float) -> Float32:
    """Weights (m,) halved for every half-life of age."""
    return np.exp2(-age / half_life).astype(np.float32)
