"""Half sweeps of ALS with torch, for a GPU: the same steps as on the CPU, for all rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from embsql.data import CsrMatrix, Float32
from embsql.factorization.objective import Objective
from embsql.numeric.kernels import TINY
from embsql.run import Run

CHUNK = 1 << 27  # numbers gathered at a time: half a gigabyte


class TorchCsr(NamedTuple):
    """A sparse matrix on the device."""

    indptr: Tensor  # (n + 1,)
    row: Tensor  # (pairs,)
    indices: Tensor  # (pairs,)
    data: Tensor  # (pairs,)

    def products(self, left: Tensor, right: Tensor) -> Tensor:
        """Row times column vector of every pair: (n, f), (m, f) -> (pairs,)."""
        size = max(1, CHUNK // left.shape[1])
        parts = zip(self.row.split(size), self.indices.split(size), strict=True)
        return torch.cat([(left[row] * right[column]).sum(1) for row, column in parts])  # (pairs,)

    def gather(self, weight: Tensor, table: Tensor) -> Tensor:
        """Weighted sum of each row's columns' vectors: (pairs,), (m, f) -> (n, f)."""
        return embedding_bag(
            self.indices,
            table,
            self.indptr,
            mode="sum",
            per_sample_weights=weight,
            include_last_offset=True,
        )


def has_gpu() -> bool:
    """Whether torch finds a GPU that it can use."""
    return bool(torch.cuda.is_available())


@dataclass(frozen=True, slots=True)
class Torch:
    """Tensors on the run's device."""

    run: Run

    def put_rows(self, rows: CsrMatrix) -> TorchCsr:
        """A sparse matrix on the device."""
        start, column, weight = (
            torch.from_numpy(a).to(self.run.device) for a in (rows.indptr, rows.indices, rows.data)
        )
        row = torch.repeat_interleave(start.diff()).to(column.dtype)  # (pairs,)
        return TorchCsr(start.to(column.dtype), row, column, weight)

    def put(self, table: Float32) -> Tensor:
        """A table on the device."""
        return torch.from_numpy(table).to(self.run.device)

    def get(self, table: Tensor) -> Float32:
        """A table as an array."""
        array: Float32 = table.cpu().numpy()
        return array

    @torch.inference_mode()
    def half_sweep(
        self, rows: TorchCsr, fixed: Tensor, solved: Tensor, objective: Objective
    ) -> tuple[Tensor, Tensor, float, float]:
        """See `objective.Solver`."""
        energy, axes = torch.linalg.eigh((fixed.T @ fixed).double())  # (f,), (f, f)
        axes = axes.flip(1).float()  # (f, f) strongest axis first
        fixed, x = fixed @ axes, solved @ axes  # (m, f), (n, f)
        curve = objective.curve0 + objective.curve1 * rows.data  # (pairs,)
        pull = objective.pull0 + rows.data  # (pairs,)
        mass = rows.gather(curve, torch.ones_like(fixed[:, :1])) + objective.unseen * len(
            fixed
        )  # (n, 1)
        lam = objective.reg * mass**objective.nu  # (n, 1)
        d = objective.unseen * energy.flip(0).clamp(min=0).float() + lam  # (n, f)
        m = d + rows.gather(curve, fixed.square()) + TINY  # (n, f) preconditioner
        score = rows.products(x, fixed)  # (pairs,)
        loss = _sum(score * (curve * score - 2 * pull)) + _sum(d * x * x)
        r = rows.gather(pull - curve * score, fixed) - d * x  # (n, f) residual
        p = r / m  # (n, f) direction
        gain = (r * p).sum(1, keepdim=True)  # (n, 1)
        for _ in range(objective.steps):
            self.run.check()
            q = d * p + rows.gather(curve * rows.products(p, fixed), fixed)  # (n, f)
            length = torch.where(gain > TINY, gain / (p * q).sum(1, keepdim=True), 0)  # (n, 1)
            loss -= _sum(length * gain)
            x, r = x + length * p, r - length * q  # (n, f), (n, f)
            before, gain = gain, (r * r / m).sum(1, keepdim=True)  # (n, 1), (n, 1)
            p = r / m + torch.where(before > TINY, gain / before, 0) * p  # (n, f)
        return x, fixed, loss, _sum(lam * x * x)


def _sum(table: Tensor) -> float:
    return float(table.sum(dtype=torch.float64))
