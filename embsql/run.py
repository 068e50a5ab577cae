"""What a training run is: its specification, and the handle that an algorithm and a caller hold."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from embsql import stopping
from embsql.phases import Phases

if TYPE_CHECKING:
    from embsql.checkpoints import Checkpoints
    from embsql.data import Embeddings

# hears of every epoch and its figures
Listener = Callable[[int, dict[str, float]], None]


def usable_cores() -> int:
    """Cores this process may use."""
    return (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a source are meant.

    None: the default name, which weight and time may lack.
    """

    user: str | None = None  # user_id
    item: str | None = None  # item_id
    weight: str | None = None  # weight; 1 for every row when absent
    time: str | None = None  # event_time


class Own(str):
    """A source that embsql itself wrote, of its own tables: it is read as whoever trains."""

    __slots__ = ()


@dataclass(slots=True)
class Run:
    """One training run: all that an algorithm may know of the outside, and what `train` gives back.

    An algorithm takes randomness only from `seed`, tells progress only through `report`, and calls
    `check` at least twice a second so that the run can be cancelled.
    """

    seed: int = 42
    threads: int = field(default_factory=usable_cores)
    device: str = "cpu"  # "cpu" or "cuda"
    run_id: int | None = None
    model_name: str = ""
    status: str = "training"  # training ready live retired failed cancelled
    # "ndcg@10" -> value on the held-out split
    metrics: dict[str, float] = field(default_factory=dict)
    refused: str | None = None  # why the gate did not let it go live
    # why maps or clusters that were asked for were not made; it is live all the same
    incomplete: str | None = None
    # what simpler methods do better than the algorithm that was chosen for it
    warning: str | None = None
    skipped: bool = False  # nothing had changed: this is the run that was live already
    # what to start from, NaN for who is new; None: afresh
    before: Embeddings | None = field(default=None, repr=False)
    # where the training loop says how far it is
    checkpoints: Checkpoints | None = field(default=None, repr=False)
    # torch's, where training has one: what checkpoints hold of chance
    generator: Any = field(default=None, repr=False)
    on_report: Listener | None = field(default=None, repr=False)
    on_check: Callable[[], None] | None = field(default=None, repr=False)
    phases: Phases = field(default_factory=Phases, repr=False, compare=False)

    def report(self, *, epoch: int, **values: float) -> None:
        """Say that an epoch (counted from 1) has ended, with its figures, for example loss=0.12."""
        if self.on_report:
            self.on_report(epoch, values)

    def check(self) -> None:
        """Raise `Stopped`, `Cancelled` or `LostLease` when the run must stop.

        It costs microseconds.
        """
        stopping.raise_if_stopped()
        if self.on_check:
            self.on_check()
