"""How long a choice may take: a duration in words, what is left of it, and who goes over it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any

from embsql.errors import InvalidArgument
from embsql.options import shown
from embsql.stopping import Work

Clock = Callable[[], float]  # seconds since some instant

UNITS = {"s": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}
MINUTE = 60
ROUNDING = 1e-6  # of binary fractions: 0.3 is not 0.4
ALLOWED = "a duration above 0, for example '90 seconds', '5 minutes' or '1 hour'"


def read_duration(value: Any) -> float:
    """The seconds of a duration in words, or of a timedelta. Raises InvalidArgument."""
    seconds = (
        value.total_seconds() if isinstance(value, timedelta) else _of_words(value)
    )
    if not 0 < seconds < math.inf:
        raise InvalidArgument(name="budget", allowed=ALLOWED, value=shown(value))
    return seconds


def _of_words(value: Any) -> float:
    """The seconds of a number and a unit; 0 for anything else."""
    words = value if isinstance(value, str) else ""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]+)\s*", words)
    if found is None:
        return 0.0
    number, unit = found.groups()
    word = unit.lower()
    is_plural = len(word) > 2 and word not in UNITS
    return float(number) * UNITS.get(word.removesuffix("s") if is_plural else word, 0)


def duration(seconds: float) -> str:
    """So many seconds in words."""
    if seconds >= 2 * MINUTE:
        return f"{math.ceil(seconds / MINUTE)} minutes"
    if seconds >= 10:
        return f"{math.ceil(seconds)} seconds"
    if seconds < 0.1:
        return f"{seconds:.2g} seconds"
    return f"{math.ceil(seconds * 10 - ROUNDING) / 10:.1f} seconds"


@dataclass(frozen=True, slots=True)
class Budget:
    """So many seconds, from when it is made."""

    seconds: float
    clock: Clock = field(default=monotonic, compare=False)
    begun: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "begun", self.clock())

    @property
    def spent(self) -> float:
        """Seconds since it was made."""
        return self.clock() - self.begun

    @property
    def left(self) -> float:
        """Seconds until it is over; less than 0 when it is."""
        return self.seconds - self.spent


@dataclass(slots=True)
class Deadline:
    """Stops work that takes longer than it may, or will: its epochs show how fast it goes."""

    clock: Clock
    allowed: float  # seconds
    epochs: int
    check_run: Callable[[], None] | None  # what else is asked meanwhile
    work: Work = field(default_factory=Work)
    begun: float = field(init=False)
    foreseen: float | None = None  # seconds of all epochs
    _first: float | None = None  # seconds of the first epoch, which may compile

    def __post_init__(self) -> None:
        self.begun = self.clock()

    @property
    def passed(self) -> float:
        """Seconds since it was made."""
        return self.clock() - self.begun

    def check(self) -> None:
        """Raise Stopped where it has taken too long, and whatever else the run raises."""
        if self.check_run:
            self.check_run()
        if self.passed > self.allowed:
            self.work.stop()
        self.work.check()

    def add_epoch(self, number: int, _: Mapping[str, float]) -> None:
        """An epoch has ended: from the second one on it is foreseen when the last one will."""
        passed = self.passed
        if self._first is None or number < 2:
            self._first = passed
            self.foreseen = passed * self.epochs
            return
        pace = (passed - self._first) / (number - 1)
        self.foreseen = self._first + pace * (self.epochs - 1)
        if self.foreseen > self.allowed:
            self.work.stop()
