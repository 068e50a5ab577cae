"""Large tables of ids, of which a step meets few rows: only these are read and written."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# rows; a step of Adam moves all: so many of length 64 take it 11 ms, and 1e6 take 216
LARGE = 100_000
EPSILON = 1e-10  # what a gradient of zero is divided by


class Table(nn.Parameter):  # type: ignore[misc]  # torch is imported without its types
    """(n, d): a vector for each id.

    A large one must be looked up so that its gradients are sparse.
    """

    @property
    def large(self) -> bool:
        """Whether there are so many rows that only those a step meets should be touched."""
        return len(self) > LARGE


class RowAdagrad(torch.optim.Optimizer):  # type: ignore[misc]  # torch is imported without its types
    """Adagrad (Duchi, Hazan and Singer, 2011, "Adaptive subgradient methods") for tables with
    sparse gradients.

    For each row it keeps one sum, of the mean squares of its gradients, instead of one for each
    number (Lerer et al., 2019, "PyTorch-BigGraph"). Steps are divided by the root of its mean over
    all steps, not of the sum itself: that they become smaller is the schedule's work. The step size
    is then one for Adam, too.
    """

    def __init__(self, tables: list[Table], lr: float) -> None:
        super().__init__(tables, {"lr": lr})
        for table in tables:
            self.state[table] = {
                "step": torch.tensor(0.0),
                "sum": torch.zeros(len(table), device=table.device),
            }  # (n,)

    @torch.no_grad()
    def step(self) -> None:
        """Move the rows that were met."""
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._move(table, *_rows(table.grad), group["lr"])

    def _move(self, table: Table, rows: Tensor, slopes: Tensor, lr: float) -> None:
        """Move rows (r,), each there once, against their gradients (r, d)."""
        step, sums = self.state[table]["step"], self.state[table]["sum"]  # (), (n,)
        step += 1
        sums[rows] += slopes.square().mean(1)
        table[rows] -= slopes * (lr / ((sums[rows] / step).sqrt() + EPSILON))[:, None]


def _rows(grad: Tensor) -> tuple[Tensor, Tensor]:
    """The rows (r,) of a sparse gradient, each once, and their gradients (r, d)."""
    once = grad.coalesce()
    return once.indices()[0], once.values()


def optimizers(parameters: Iterable[nn.Parameter], lr: float) -> dict[str, torch.optim.Optimizer]:
    """By name: Adam for most, row-wise Adagrad for large tables.

    None that would have nothing to do.
    """
    every = list(parameters)
    tables = [value for value in every if isinstance(value, Table) and value.large]
    others = [value for value in every if not (isinstance(value, Table) and value.large)]
    adam = {"adam": torch.optim.Adam(others, lr=lr, fused=True)} if others else {}
    return adam | ({"adagrad": RowAdagrad(tables, lr)} if tables else {})


@torch.no_grad()
def clip(parameters: Iterable[nn.Parameter], most: float) -> None:
    """Cut the gradient, of all at once, to a length.

    Rows that a sparse one has several times are summed first.
    """
    pieces = []
    for value in parameters:
        if value.grad is not None and value.grad.is_sparse:
            value.grad = value.grad.coalesce()
            pieces.append(value.grad.values())
        elif value.grad is not None:
            pieces.append(value.grad)
    share = (most / (nn.utils.get_total_norm(pieces) + 1e-6)).clamp(max=1)  # ()
    for piece in pieces:
        piece.mul_(share)
