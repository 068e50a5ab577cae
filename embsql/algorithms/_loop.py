"""The training loop that all networks share: epochs, schedule, clipping, early stopping, and the way to the device."""

from __future__ import annotations

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
from embsql.model import Run

STEPS = 32  # an epoch has at least so many, or a small source would hardly be trained on
HELD_OUT = 20_000  # pairs at most that early stopping looks at
WORTH = 2e7  # multiplications of a step that are worth a thread: threads wait for each other several times a step
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
        """Lower the loss of every batch (`steps` of them an epoch); with patience, keep the epoch of the best figure.

        Raises Diverged.
        """
        optimizer = torch.optim.Adam(model.parameters(), lr=self.lr, fused=True)
        total = self.epochs * steps
        falling = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: (1 + math.cos(math.pi * n / total)) / 2)
        best = Best(model, self.patience)
        for epoch in range(1, self.epochs + 1):
            losses = [_step(model, batch, loss_of, optimizer, falling, run) for batch in batches()]
            loss = float(torch.stack(losses).mean())
            if not math.isfinite(loss):
                raise Diverged(algorithm=self.name, epoch=epoch, model=run.model_name)
            shown = {"validation": figure()} if figure and self.patience else {}
            run.report(epoch=epoch, loss=loss, **shown)
            if shown and best.over(shown["validation"]):
                break
        best.restore()


def _step(
    model: nn.Module, batch: Any, loss_of: Callable[[Any], Tensor], optimizer: Any, falling: Any, run: Run
) -> Tensor:
    run.check()
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(batch)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()
    falling.step()
    return loss.detach()


class Best:
    """The weights of the best epoch so far."""

    def __init__(self, model: nn.Module, patience: int) -> None:
        self.model, self.patience, self.figure, self.age = model, patience, -math.inf, 0
        self.weights: dict[str, Tensor] = {}

    def over(self, figure: float) -> bool:
        """Take note of an epoch's figure, more being better; whether patience has run out."""
        self.age += 1
        if figure > self.figure:
            self.figure, self.age = figure, 0
            self.weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        return self.age >= self.patience

    def restore(self) -> None:
        """Give the model the best epoch's weights, if there was one."""
        if self.weights:
            self.model.load_state_dict(self.weights)


def batch_of(batch_size: int, n: int) -> int:
    """Examples per step of n: fewer than asked for where that would leave too few steps."""
    return max(1, min(batch_size, math.ceil(n / STEPS)))


def shuffled(n: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """The numbers below n in random order, in pieces (size,)."""
    return iter(torch.randperm(n, generator=generator).split(size))


def carve(data: Interactions, seed: int) -> tuple[Interactions, Interactions]:
    """The data without, and only with, a pair of every user of at least three, or of as many as are looked at."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data))  # (n,)
    _, first = np.unique(data.user[order], return_index=True)  # (u,) a random pair of each user
    chosen = order[first][np.bincount(data.user)[data.user[order[first]]] >= 3]
    held = np.zeros(len(data), np.bool_)  # (n,)
    held[rng.permutation(chosen)[:HELD_OUT]] = True
    return data.where(~held), data.where(held)


@contextmanager
def placed(run: Run, work: float) -> Iterator[torch.Generator]:
    """The source of all randomness, and as many of the run's threads as a step's multiplications are worth.

    Raises NoGpu.
    """
    if run.device == "cuda" and not torch.cuda.is_available():
        raise NoGpu
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(run.threads, int(work / WORTH))))
    try:
        yield torch.Generator().manual_seed(run.seed)
    finally:
        torch.set_num_threads(before)
