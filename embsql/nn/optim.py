"""Optimizers, and large embedding tables of which a step reads and writes few rows."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

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


class RowAdagrad(torch.optim.Optimizer):  # type: ignore[misc]  # torch is untyped
    """Adagrad for tables with sparse gradients (Duchi, Hazan and Singer, 2011).

    For each row it keeps one sum, of the mean squares of its gradients, instead of one for each
    component (Lerer et al., 2019, "PyTorch-BigGraph"). Steps are divided by the root of its mean
    over all steps, not of the sum itself: that they become smaller is the schedule's work. The step
    size is then one for Adam, too.
    """

    def __init__(self, tables: list[EmbeddingTable], lr: float) -> None:
        super().__init__(tables, {"lr": lr})
        for table in tables:
            sums = torch.zeros(len(table), device=table.device)  # (n,)
            step = torch.tensor(0.0)
            self.state[table] = {"step": step, "sum": sums}

    @torch.no_grad()
    def step(self) -> None:
        """Move the rows that have a gradient."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, group["lr"])

    def _move(self, table: EmbeddingTable, lr: float) -> None:
        gradient = table.grad.coalesce()
        rows = gradient.indices()[0]  # (r,) each once
        slopes = gradient.values()  # (r, d)
        step = self.state[table]["step"]  # ()
        sums = self.state[table]["sum"]  # (n,)
        step += 1
        sums[rows] += slopes.square().mean(1)
        root = (sums[rows] / step).sqrt()  # (r,)
        step_size = lr / (root + EPSILON)  # (r,)
        table[rows] -= slopes * step_size[:, None]


def build_optimizers(
    parameters: Iterable[nn.Parameter], lr: float
) -> dict[str, torch.optim.Optimizer]:
    """By name: Adam for most, row-wise Adagrad for large tables.

    None that would have nothing to do.
    """
    listed = list(parameters)
    tables = [parameter for parameter in listed if _is_large_table(parameter)]
    others = [parameter for parameter in listed if not _is_large_table(parameter)]
    optimizers: dict[str, torch.optim.Optimizer] = {}
    if others:
        adam = torch.optim.Adam(others, lr=lr, fused=True)
        optimizers["adam"] = adam
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
