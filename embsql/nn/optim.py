"""Optimizers, and large embedding tables of which a step reads and writes few rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

Tensors = dict[str, Tensor]

# rows; a step of Adam moves all: so many of length 64 take it 11 ms, and 1e6 take 216
LARGE_TABLE_ROWS = 100_000
EPSILON = 1e-10  # what a gradient of zero is divided by


class EmbeddingTable(nn.Parameter):  # type: ignore[misc]  # torch is untyped
    """(n, d): a vector for each id.

    A large one must be looked up so that its gradients are sparse.
    """

    @property
    def is_large(self) -> bool:
        """Whether only the rows that a step looks up should be touched."""
        return len(self) > LARGE_TABLE_ROWS


class Optimizer(ABC):
    """What moves parameters by their gradients.

    Its own, as torch's class loads torch's compiler when the first is made: two seconds of every
    first training.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], lr: float) -> None:
        self.parameters = parameters
        self.lr = lr
        self.state: dict[int, Tensors] = {}  # of those that were ever moved, by number

    @abstractmethod
    def step(self) -> None:
        """Move the parameters that have a gradient."""

    def load_state(self, state: dict[int, Tensors]) -> None:
        """Go on from the state of an optimizer of as many parameters."""
        for number, values in state.items():
            device = self.parameters[number].device
            self.state[number] = {
                name: value.to(device) for name, value in values.items()
            }


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), by torch's function for it."""

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters that have a gradient."""
        moved = {n: p for n, p in enumerate(self.parameters) if p.grad is not None}
        states = [self._state_of(n) for n in moved]
        adam(
            list(moved.values()),
            [parameter.grad for parameter in moved.values()],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],  # of a variant with the largest of them
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.lr,
            weight_decay=0,
            eps=1e-8,
            maximize=False,
        )

    def _state_of(self, number: int) -> Tensors:
        """The step and both means of a parameter's gradients, from zero on."""
        if number not in self.state:
            parameter = self.parameters[number]
            self.state[number] = {
                "step": torch.zeros((), device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        return self.state[number]


class RowAdagrad(Optimizer):
    """Adagrad for tables with sparse gradients (Duchi, Hazan and Singer, 2011).

    For each row it keeps one sum, of the mean squares of its gradients, instead of one for each
    component (Lerer et al., 2019, "PyTorch-BigGraph"). Steps are divided by the root of its mean
    over all steps, not of the sum itself: that they become smaller is the schedule's work. The step
    size is then one for Adam, too.
    """

    def __init__(self, parameters: Sequence[EmbeddingTable], lr: float) -> None:
        super().__init__(parameters, lr)
        for number, table in enumerate(parameters):
            sums = torch.zeros(len(table), device=table.device)  # (n,)
            step = torch.zeros((), device=table.device)
            self.state[number] = {"step": step, "sum": sums}

    @torch.no_grad()
    def step(self) -> None:
        """Move the rows that have a gradient."""
        for number, table in enumerate(self.parameters):
            if table.grad is not None:
                self._move(table, self.state[number])

    def _move(self, table: nn.Parameter, state: Tensors) -> None:
        gradient = table.grad.coalesce()
        rows = gradient.indices()[0]  # (r,) each once
        slopes = gradient.values()  # (r, d)
        step, sums = state["step"], state["sum"]  # (), (n,)
        step += 1
        sums[rows] += slopes.square().mean(1)
        root = (sums[rows] / step).sqrt()  # (r,)
        step_size = self.lr / (root + EPSILON)  # (r,)
        table[rows] -= slopes * step_size[:, None]


def build_optimizers(
    parameters: Iterable[nn.Parameter], lr: float
) -> dict[str, Optimizer]:
    """By name: Adam for most, row-wise Adagrad for large tables.

    None that would have nothing to do.
    """
    listed = list(parameters)
    tables = [parameter for parameter in listed if _is_large_table(parameter)]
    others = [parameter for parameter in listed if not _is_large_table(parameter)]
    optimizers: dict[str, Optimizer] = {}
    if others:
        optimizers["adam"] = Adam(others, lr)
    if tables:
        optimizers["adagrad"] = RowAdagrad(tables, lr)
    return optimizers


def _is_large_table(parameter: nn.Parameter) -> bool:
    return isinstance(parameter, EmbeddingTable) and parameter.is_large


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale the gradient, of all parameters at once, down to a norm.

    Rows that a sparse one has several times are summed first.
    """
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            gradients.append(parameter.grad.values())
        else:
            gradients.append(parameter.grad)
    norm = nn.utils.get_total_norm(gradients)  # ()
    scale = (max_norm / (norm + 1e-6)).clamp(max=1)  # ()
    for gradient in gradients:
        gradient.mul_(scale)
