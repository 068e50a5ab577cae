"""The training loop that all networks share.

Epochs, learning rate schedule, clipping, early stopping, checkpoints, and the way to the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from embsql.checkpoints import Checkpoint
from embsql.data import Interactions
from embsql.errors import Diverged, NoGpu
from embsql.nn.optim import Optimizer, Tensors, build_optimizers, clip_gradients
from embsql.run import Run

Arrays = dict[str, NDArray[Any]]

MIN_STEPS = 32  # of an epoch, or a small source would hardly be trained on
MAX_HELD_OUT = 20_000  # pairs that early stopping looks at
# of a step, that are worth a thread: threads wait for each other several times a step
MULTIPLICATIONS_PER_THREAD = 2e7
MAX_GRADIENT_NORM = 10.0


@dataclass(frozen=True, slots=True)
class TrainingLoop:
    """How long, how fast, and when to stop."""

    name: str  # of the algorithm, for messages
    epochs: int
    lr: float  # of Adam at the first step; falls to 0 along half a cosine
    patience: int = 0  # epochs without a better figure after which to stop; 0: never

    def train(
        self,
        model: nn.Module,
        batches: Callable[[], Iterable[Any]],
        n_batches: int,
        loss_of: Callable[[Any], Tensor],
        run: Run,
        validate: Callable[[], float] | None = None,
    ) -> None:
        """Lower the loss of every batch (`n_batches` of them an epoch).

        With something to validate by, keeps the epoch that is best by it. With checkpoints, goes
        on from the newest. Raises Diverged and CheckpointNotWritten.
        """
        optimizers = build_optimizers(model.parameters(), self.lr)
        stopping = EarlyStopping(model, self.patience)
        state = TrainerState(model, optimizers, stopping, run)
        for epoch in state.remaining_epochs(self.epochs):
            schedule = self._cosine_schedule(epoch, n_batches)
            losses = [
                _step(model, batch, lr, loss_of, optimizers, run)
                for batch, lr in zip(batches(), schedule, strict=True)
            ]
            loss = float(torch.stack(losses).mean())
            if not math.isfinite(loss):
                raise Diverged(algorithm=self.name, epoch=epoch, model=run.model_name)
            metrics = {"loss": loss}
            if validate:
                metrics["validation"] = validate()
            state.end_epoch(epoch, metrics)
        stopping.restore()

    def _cosine_schedule(self, epoch: int, n_batches: int) -> Iterator[float]:
        """The learning rates of an epoch's batches."""
        total = self.epochs * n_batches
        first = (epoch - 1) * n_batches
        for step in range(first, first + n_batches):
            cosine = math.cos(math.pi * step / total)
            yield self.lr * (1 + cosine) / 2


def _step(
    model: nn.Module,
    batch: Any,
    lr: float,
    loss_of: Callable[[Any], Tensor],
    optimizers: dict[str, Optimizer],
    run: Run,
) -> Tensor:
    """Move the model by one batch; its loss: ()"""
    run.check()
    model.zero_grad(set_to_none=True)
    # a CPU trains in float32, in which it repeats itself
    on_gpu = run.device == "cuda"
    with torch.autocast(run.device, torch.bfloat16, enabled=on_gpu):
        loss = loss_of(batch)
    loss.backward()
    clip_gradients(model.parameters(), MAX_GRADIENT_NORM)
    for optimizer in optimizers.values():
        optimizer.lr = lr
        optimizer.step()
    return loss.detach()


# --- early stopping, and checkpoints -------------------------------------------------------------


class EarlyStopping:
    """The weights of the best epoch so far, and when to stop."""

    def __init__(self, model: nn.Module, patience: int) -> None:
        self.model = model
        self.patience = patience
        self.best = -math.inf
        self.epochs_since_best = 0
        self.weights: Tensors = {}

    @property
    def should_stop(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.patience <= self.epochs_since_best

    def update(self, figure: float) -> None:
        """Take note of an epoch's figure, more being better."""
        self.epochs_since_best += 1
        if figure > self.best:
            self.best = figure
            self.epochs_since_best = 0
            weights = self.model.state_dict()
            self.weights = {name: value.clone() for name, value in weights.items()}

    def restore(self) -> None:
        """Give the model the best epoch's weights, if there was one."""
        if self.weights:
            self.model.load_state_dict(self.weights)


class TrainerState:
    """All that training changes, as arrays to keep in checkpoints.

    Weights, what the optimizers remember, the best weights, the source of randomness, and each
    epoch's metrics.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: dict[str, Optimizer],
        stopping: EarlyStopping,
        run: Run,
    ) -> None:
        self.model = model
        self.optimizers = optimizers
        self.stopping = stopping
        self.run = run
        self.epoch_metrics: list[dict[str, float]] = []  # of the epochs that are over

    def remaining_epochs(self, epochs: int) -> Iterator[int]:
        """The epochs that are not over, of so many; begins with what the newest checkpoint has."""
        self._resume()
        done = len(self.epoch_metrics)
        for epoch in range(done + 1, epochs + 1):
            if self.stopping.should_stop:
                return
            yield epoch

    def end_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """Remember an epoch and its metrics, and report it. Raises CheckpointNotWritten."""
        self.epoch_metrics.append(metrics)
        if "validation" in metrics:
            self.stopping.update(metrics["validation"])
        if self.run.checkpoints:
            notes = {
                "epoch_metrics": self.epoch_metrics,
                "best": self.stopping.best,
                "epochs_since_best": self.stopping.epochs_since_best,
            }
            checkpoint = Checkpoint(epoch, self._arrays(), notes)
            self.run.checkpoints.save(checkpoint)
        self.run.report(epoch=epoch, **metrics)

    def _resume(self) -> None:
        """Go on from the newest checkpoint, if one is of this model.

        The epochs it has are reported once more.
        """
        shapes = _shapes(self.model.state_dict())
        checkpoints = self.run.checkpoints.newest() if self.run.checkpoints else ()
        for saved in checkpoints:
            if _shapes(_part("model", saved.arrays)) == shapes:
                self._restore(saved)
                break
        for epoch, metrics in enumerate(self.epoch_metrics, 1):
            self.run.report(epoch=epoch, **metrics)

    def _arrays(self) -> Arrays:
        """Every tensor by part and name, part/name."""
        parts = {"model": self.model.state_dict(), "best": self.stopping.weights}
        for name, optimizer in self.optimizers.items():
            for number, values in optimizer.state.items():
                parts[f"{name}/{number}"] = values
        tensors = {
            f"{part}/{name}": value
            for part, values in parts.items()
            for name, value in values.items()
        }
        tensors["generator"] = self.run.generator.get_state()
        return {name: value.cpu().numpy() for name, value in tensors.items()}

    def _restore(self, saved: Checkpoint) -> None:
        notes = saved.notes
        self.epoch_metrics = notes["epoch_metrics"]
        self.stopping.best = notes["best"]
        self.stopping.epochs_since_best = notes["epochs_since_best"]
        self.stopping.weights = _part("best", saved.arrays)
        self.model.load_state_dict(_part("model", saved.arrays))
        for name, optimizer in self.optimizers.items():
            optimizer.load_state(_by_number(_part(name, saved.arrays)))
        generator = torch.tensor(saved.arrays["generator"])
        self.run.generator.set_state(generator)


def _part(part: str, arrays: Arrays) -> Tensors:
    """The arrays of a part, by their names in it."""
    prefix = f"{part}/"
    return {
        name.removeprefix(prefix): torch.tensor(array)
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _by_number(tensors: Tensors) -> dict[int, Tensors]:
    """Tensors named number/name, by number and name."""
    numbered: dict[int, Tensors] = {}
    for key, value in tensors.items():
        number, _, name = key.partition("/")
        numbered.setdefault(int(number), {})[name] = value
    return numbered


def _shapes(tensors: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in tensors.items()}


# --- batches, held-out pairs, device -------------------------------------------------------------


def effective_batch_size(batch_size: int, n: int) -> int:
    """Examples per step of n: fewer than asked for where that would leave too few steps."""
    for_min_steps = math.ceil(n / MIN_STEPS)
    return max(1, min(batch_size, for_min_steps))


def shuffled_batches(n: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """The numbers below n in random order, in batches (size,)."""
    order = torch.randperm(n, generator=generator)
    return iter(order.split(size))


def hold_out(data: Interactions, seed: int) -> tuple[Interactions, Interactions]:
    """The data without, and only with, the held-out pairs.

    One random pair of every user of at least three, or of as many users as are looked at.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(data))  # (n,)
    shuffled = data.user[order]  # (n,)
    _, first = np.unique(shuffled, return_index=True)  # (u,)
    pair = order[first]  # (u,) a random pair of each user
    counts = np.bincount(data.user)  # (n_users,)
    has_three = counts[data.user[pair]] >= 3  # (u,)
    candidates = rng.permutation(pair[has_three])
    is_held_out = np.zeros(len(data), np.bool_)  # (n,)
    is_held_out[candidates[:MAX_HELD_OUT]] = True
    return data.where(~is_held_out), data.where(is_held_out)


@contextmanager
def torch_context(run: Run, multiplications: float) -> Iterator[torch.Generator]:
    """The source of all randomness, and as many of the run's threads as a step is worth.

    Raises NoGpu.
    """
    if run.device == "cuda" and not torch.cuda.is_available():
        raise NoGpu
    useful_threads = int(multiplications / MULTIPLICATIONS_PER_THREAD)
    threads_before = torch.get_num_threads()
    n_threads = max(1, min(run.threads, useful_threads))
    torch.set_num_threads(n_threads)
    run.generator = torch.Generator().manual_seed(run.seed)
    try:
        yield run.generator
    finally:
        torch.set_num_threads(threads_before)
