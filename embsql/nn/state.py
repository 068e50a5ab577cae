"""All that a training of the loop changes, as arrays to keep and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from embsql.checkpoints import Checkpoint
from embsql.run import Run


class Best:
    """The weights of the best epoch so far."""

    def __init__(self, model: nn.Module, patience: int) -> None:
        self.model, self.patience, self.figure, self.age = model, patience, -math.inf, 0
        self.weights: dict[str, Tensor] = {}

    @property
    def over(self) -> bool:
        """Whether patience has run out."""
        return 0 < self.patience <= self.age

    def note(self, figure: float) -> None:
        """Take note of an epoch's figure, more being better."""
        self.age += 1
        if figure > self.figure:
            self.figure, self.age = figure, 0
            self.weights = {name: value.clone() for name, value in self.model.state_dict().items()}

    def restore(self) -> None:
        """Give the model the best epoch's weights, if there was one."""
        if self.weights:
            self.model.load_state_dict(self.weights)


class State:
    """Weights, what the optimizers remember, the best weights, the source of randomness, and each
    epoch's figures.
    """

    def __init__(self, model: nn.Module, optimizers: dict[str, Any], best: Best, run: Run) -> None:
        self.model, self.optimizers, self.best, self.run = model, optimizers, best, run
        self.told: list[dict[str, float]] = []  # figures of the epochs that are over

    def left(self, epochs: int) -> Iterator[int]:
        """The epochs that are not over, of so many; begins with what the newest checkpoint has."""
        self._resume()
        for epoch in range(len(self.told) + 1, epochs + 1):
            if self.best.over:
                return
            yield epoch

    def ended(self, epoch: int, figures: dict[str, float]) -> None:
        """Remember an epoch and its figures, and report it. Raises CheckpointNotWritten."""
        self.told.append(figures)
        if "validation" in figures:
            self.best.note(figures["validation"])
        if self.run.checkpoints:
            notes = {"told": self.told, "figure": self.best.figure, "age": self.best.age}
            self.run.checkpoints.save(Checkpoint(epoch, self._arrays(), notes))
        self.run.report(epoch=epoch, **figures)

    def _resume(self) -> None:
        """Go on from the newest checkpoint, if one is of this model.

        The epochs it has are reported once more.
        """
        checkpoints = self.run.checkpoints.newest() if self.run.checkpoints else ()
        for saved in checkpoints:
            if _shapes(_under("model", saved.arrays)) == _shapes(self.model.state_dict()):
                self._restore(saved)
                break
        for epoch, figures in enumerate(self.told, 1):
            self.run.report(epoch=epoch, **figures)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        parts = {"model": self.model.state_dict(), "best": self.best.weights} | {
            f"{name}/{number}": values  # a dict for each parameter that was ever changed
            for name, optimizer in self.optimizers.items()
            for number, values in optimizer.state_dict()["state"].items()
        }
        flat = {
            f"{part}/{name}": value
            for part, named in parts.items()
            for name, value in named.items()
        }
        flat["generator"] = self.run.generator.get_state()
        return {name: value.cpu().numpy() for name, value in flat.items()}

    def _restore(self, saved: Checkpoint) -> None:
        self.told, self.best.figure, self.best.age = (
            saved.notes[name] for name in ("told", "figure", "age")
        )
        self.best.weights = _under("best", saved.arrays)
        self.model.load_state_dict(_under("model", saved.arrays))
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(
                optimizer.state_dict() | {"state": _numbered(_under(name, saved.arrays))}
            )
        self.run.generator.set_state(torch.tensor(saved.arrays["generator"]))


def _under(part: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Tensor]:
    """The arrays of a part, by their names in it."""
    return {
        name[len(part) + 1 :]: torch.tensor(array)
        for name, array in arrays.items()
        if name.startswith(f"{part}/")
    }


def _numbered(arrays: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Arrays by number and name, that were named with both."""
    found: dict[int, dict[str, Tensor]] = {}
    for both, value in arrays.items():
        number, _, name = both.partition("/")
        found.setdefault(int(number), {})[name] = value
    return found


def _shapes(named: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in named.items()}
