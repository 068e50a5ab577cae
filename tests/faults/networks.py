"""Trainings by torch ended by SIGKILL, as in `kills`: a tower and two sequence models."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults import zygote
from tests.faults.acts import NETWORKS
from tests.faults.kills import BLOWS, endless
from tests.faults.result import Tried


def tries(seed: int, first: int, engines: list[str]) -> Iterator[Tried]:
    """Kill after kill, each on the next engine."""
    zygote.PRELOADED.append("tests.faults.preload_torch")
    return endless(seed, first, engines, BLOWS, NETWORKS)
