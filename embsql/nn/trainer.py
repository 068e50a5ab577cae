"""The training loop that all networks share: epochs, schedule, clipping, early stopping, and the
way to the device.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from embsql.data import Interactions
from embsql.errors import Diverged, NoGpu
from embsql.nn.optim import clip, optimizers
from embsql.nn.state import Best, State
from embsql.run import Run

STEPS = 32  # an epoch has at least so many, or a small source would hardly be trained on
HELD_OUT = 20_000  # pairs at most that early stopping looks at
# multiplications of a step that are worth a thread: threads wait for each other several times a
# step
WORTH = 2e7
CLIP = 10.0  # length at which a step's gradient is cut


@dataclass(frozen=True, slots=True)
class Loop:
    """How long, how fast, and when to stop."""

    name: str  # of the algorithm, for messages
    epochs: int
    lr: float  # of Adam at the first step; falls to 0 along half a cosine
    patience: int = 0  # epochs without a better figure after which to stop; 0: never

    def train(
        self,
        model: nn.Module,
        batches: Callable[[], Iterable[Any]],
        steps: int,
        loss_of: Callable[[Any], Tensor],
        run: Run,
        figure: Callable[[], float] | None = None,
    ) -> None:
        """Lower the loss of every batch (`steps` of them an epoch).

        With patience, keep the epoch of the best figure.

        With checkpoints, goes on from the newest. Raises Diverged and CheckpointNotWritten.
        """
        changes = optimizers(model.parameters(), self.lr)
        state = State(model, changes, Best(model, self.patience), run)
        for epoch in state.left(self.epochs):
            steps_of = zip(
                batches(), self._falling(epoch, steps), strict=False
            )  # the second has no end
            losses = [
                _step(model, batch, lr, loss_of, list(changes.values()), run)
                for batch, lr in steps_of
            ]
            loss = float(torch.stack(losses).mean())
            if not math.isfinite(loss):
                raise Diverged(algorithm=self.name, epoch=epoch, model=run.model_name)
            shown = {"validation": figure()} if figure and self.patience else {}
            state.ended(epoch, {"loss": loss, **shown})
        state.best.restore()

    def _falling(self, epoch: int, steps: int) -> Iterator[float]:
        """The step sizes of an epoch."""
        total = self.epochs * steps
        return (
            self.lr * (1 + math.cos(math.pi * n / total)) / 2
            for n in itertools.count((epoch - 1) * steps)
        )


def _step(
    model: nn.Module,
    batch: Any,
    lr: float,
    loss_of: Callable[[Any], Tensor],
    optimizers: list[Any],
    run: Run,
) -> Tensor:
    run.check()
    model.zero_grad(set_to_none=True)
    with torch.autocast(
        run.device, torch.bfloat16, enabled=run.device == "cuda"
    ):  # a CPU repeats itself in float32
        loss = loss_of(batch)
    loss.backward()
    clip(model.parameters(), CLIP)
    for optimizer in optimizers:
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
    return loss.detach()


def batch_of(batch_size: int, n: int) -> int:
    """Examples per step of n: fewer than asked for where that would leave too few steps."""
    return max(1, min(batch_size, math.ceil(n / STEPS)))


def shuffled(n: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """The numbers below n in random order, in pieces (size,)."""
    return iter(torch.randperm(n, generator=generator).split(size))


def carve(data: Interactions, seed: int) -> tuple[Interactions, Interactions]:
    """The data without, and only with, a pair of every user of at least three, or of as many as are
    looked at.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data))  # (n,)
    _, first = np.unique(data.user[order], return_index=True)  # (u,) a random pair of each user
    chosen = order[first][np.bincount(data.user)[data.user[order[first]]] >= 3]
    held = np.zeros(len(data), np.bool_)  # (n,)
    held[rng.permutation(chosen)[:HELD_OUT]] = True
    return data.where(~held), data.where(held)


@contextmanager
def placed(run: Run, work: float) -> Iterator[torch.Generator]:
    """The source of all randomness, and as many of the run's threads as a step's multiplications
    are worth.

    Raises NoGpu.
    """
    if run.device == "cuda" and not torch.cuda.is_available():
        raise NoGpu
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(run.threads, int(work / WORTH))))
    run.generator = torch.Generator().manual_seed(run.seed)
    try:
        yield run.generator
    finally:
        torch.set_num_threads(before)
