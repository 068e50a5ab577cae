"""What times mean to algorithms: ages, decay, and the time features that a network reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from embsql.data import Clock, Float32, Int64, Interactions
from embsql.options import require

DAY = 86_400_000_000  # microseconds
HOUR = DAY // 24
MINUTE = HOUR // 60
# a larger time is microseconds since 1970, a smaller one the source's own order
MIN_TIMESTAMP_US = 10**14
# buckets of a span of time, each twice as long as the one before, from a minute or one unit
SPAN_BUCKETS = 40
HOURS, WEEKDAYS = 24, 7
# rows of the table that `time_features` points into: hours, weekdays, gaps, ages of the item
FIRST_GAP = HOURS + WEEKDAYS
FIRST_ITEM_AGE = FIRST_GAP + SPAN_BUCKETS
N_TIME_FEATURES = FIRST_ITEM_AGE + SPAN_BUCKETS


def ages(algorithm: Any, option: str, time: Int64 | None) -> NDArray[np.float64]:
    """How long before the last event of all each happened (m,).

    In days, or in units of a numeric event_time. Raises BadOption, naming the option that wants
    it, where there are no times.
    """
    known = _required(algorithm, option, time)
    unit = DAY if is_timestamp(known.max()) else 1
    age: NDArray[np.float64] = (known.max() - known) / unit
    return age


def _required(algorithm: Any, option: str, time: Int64 | None) -> Int64:
    """The times. Raises BadOption, naming the option that wants them, where there are none."""
    require(
        algorithm,
        "left out: the source has no event_time",
        **{option: time is not None},
    )
    assert time is not None  # noqa: S101 - `require` has just checked it; mypy does not see that
    return time


def time_features(algorithm: Any, data: Interactions) -> Int64:
    """Time features of each event, as rows of a table: (m, 4).

    The hour, the weekday, the time since the user's event before and since the item's first.
    Raises BadOption where there are no times.
    """
    events = data.events_by_time()
    time = _required(algorithm, "time_features", events.time)
    user = data.user[events.pair]  # (m,)
    item = data.item[events.pair]  # (m,)
    return time_rows(user, item, time, clock(item, time, data.n_items))


def clock(item: NDArray[np.int32], time: Int64, n_items: int) -> Clock:
    """What a network knows of the times (m,) of events with items (m,)."""
    return Clock(int(time.max()), first_times(item, time, n_items))


def time_rows(
    user: NDArray[np.int32], item: NDArray[np.int32], time: Int64, known: Clock
) -> Int64:
    """Rows of the table for events (m,) of each user in order: (m, 4)."""
    timestamps = is_timestamp(known.latest_time)
    unit = MINUTE if timestamps else 1
    hour = time // HOUR % HOURS * timestamps  # (m,)
    weekday = time // DAY % WEEKDAYS * timestamps  # (m,)
    time_gap = _gaps(user, time)  # (m,)
    item_age = time - known.first_times[item]  # (m,)
    rows = [
        hour,
        HOURS + weekday,
        FIRST_GAP + _span_bucket(time_gap / unit),
        FIRST_ITEM_AGE + _span_bucket(item_age / unit),
    ]
    features: Int64 = np.stack(rows, axis=1)
    return features


def _gaps(user: NDArray[np.int32], time: Int64) -> Int64:
    """The time since the user's event before, 0 at the first: (m,)."""
    is_same_user = np.diff(user, prepend=-1) == 0  # (m,)
    time_gap = np.diff(time, prepend=time[:1])  # (m,)
    return np.where(is_same_user, time_gap, 0)


def first_times(item: NDArray[np.int32], time: Int64, n_items: int) -> Int64:
    """The time of each item's first event, the last of all for an item without: (i,)."""
    first = np.full(n_items, time.max())
    np.minimum.at(first, item, time)
    return first


def _span_bucket(span: NDArray[np.float64]) -> Int64:
    """The bucket of each span of time, (m,)."""
    span = np.maximum(span, 0)
    bucket = np.log2(span + 1).astype(np.int64)  # (m,)
    clipped: Int64 = np.clip(bucket, 0, SPAN_BUCKETS - 1)
    return clipped


def is_timestamp(latest_time: int) -> bool:
    """Whether times are moments, by the latest of them, not the source's own order."""
    return abs(int(latest_time)) > MIN_TIMESTAMP_US


def time_decay(age: NDArray[np.float64], half_life: float) -> Float32:
    """Weights (m,) halved for every half-life of age."""
    decay = np.exp2(-age / half_life)  # (m,)
    return decay.astype(np.float32)
