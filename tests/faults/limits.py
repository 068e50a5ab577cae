"""Acts that meet a full disk, a timeout or a connection that is cut: a sentence, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.kills import endless
from tests.faults.result import Tried

BLOWS = {"duckdb": ("full",), "postgres": ("late", "cut")}


def tries(seed: int, first: int, engines: list[str]) -> Iterator[Tried]:
    """Act after act, each on the next engine."""
    return endless(seed, first, engines, BLOWS)
