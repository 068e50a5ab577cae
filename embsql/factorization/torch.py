"""Least squares with torch, for a GPU: the same steps as on the CPU, for all rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
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

    def scores(self, left: Tensor, right: Tensor) -> Tensor:
        """Row times column vector of every pair: (n, f), (m, f) -> (pairs,)."""
        size = max(1, CHUNK // left.shape[1])
        chunks = zip(self.row.split(size), self.indices.split(size), strict=True)
        return torch.cat([(left[row] * right[column]).sum(1) for row, column in chunks])

    def weighted_sum(self, weight: Tensor, table: Tensor) -> Tensor:
        """Sum of each row's columns' vectors by weight: (pairs,), (m, f) -> (n, f)."""
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
class TorchSolver:
    """Tensors on the run's device."""

    run: Run

    def put_matrix(self, matrix: CsrMatrix) -> TorchCsr:
        """A sparse matrix on the device."""
        indptr = self.put(matrix.indptr)
        indices = self.put(matrix.indices)
        row = torch.repeat_interleave(indptr.diff()).to(indices.dtype)  # (pairs,)
        return TorchCsr(indptr.to(indices.dtype), row, indices, self.put(matrix.data))

    def put(self, factors: NDArray[np.generic]) -> Tensor:
        """An array on the device."""
        return torch.from_numpy(factors).to(self.run.device)

    def get(self, factors: Tensor) -> Float32:
        """A table as an array."""
        array: Float32 = factors.cpu().numpy()
        return array

    @torch.inference_mode()
    def solve_side(
        self,
        matrix: TorchCsr,
        fixed_factors: Tensor,
        solved_factors: Tensor,
        objective: Objective,
    ) -> tuple[Tensor, Tensor, float, float]:
        """See `objective.Solver`; names and loss are those of `numeric.kernels.solve`."""
        gramian = (fixed_factors.T @ fixed_factors).double()  # (f, f)
        eigenvalues, eigenvectors = torch.linalg.eigh(
            gramian
        )  # (f,), (f, f) smallest first
        eigenvectors = eigenvectors.flip(1).float()  # (f, f)
        eigenvalues = eigenvalues.flip(0).clamp(min=0).float()  # (f,)
        fixed = fixed_factors @ eigenvectors  # (m, f)
        x = solved_factors @ eigenvectors  # (n, f)
        confidence = (
            objective.confidence_offset + objective.confidence_scale * matrix.data
        )
        target = objective.target_offset + matrix.data  # (pairs,), as confidence

        ones = torch.ones_like(fixed[:, :1])  # (m, 1)
        evidence = matrix.weighted_sum(confidence, ones)  # (n, 1)
        evidence = evidence + objective.unobserved_weight * len(fixed)
        penalty = objective.reg * evidence**objective.reg_exponent  # (n, 1)
        d = objective.unobserved_weight * eigenvalues + penalty  # (n, f)
        m = d + matrix.weighted_sum(confidence, fixed.square()) + TINY  # (n, f)

        score = matrix.scores(x, fixed)  # (pairs,)
        of_pairs = score * (confidence * score - 2 * target)  # (pairs,)
        of_rows = d * x * x  # (n, f)
        loss = _sum(of_pairs) + _sum(of_rows)
        r = matrix.weighted_sum(target - confidence * score, fixed) - d * x  # (n, f)
        p = r / m  # (n, f)
        rho = _dot(r, p)  # (n, 1)
        for _ in range(objective.cg_steps):
            self.run.check()
            q = d * p + matrix.weighted_sum(
                confidence * matrix.scores(p, fixed), fixed
            )  # (n, f)
            alpha = torch.where(rho > TINY, rho / _dot(p, q), 0)  # (n, 1)
            loss -= _sum(alpha * rho)
            x = x + alpha * p  # (n, f)
            r = r - alpha * q  # (n, f)
            previous_rho = rho
            rho = (r * r / m).sum(1, keepdim=True)  # (n, 1)
            beta = torch.where(previous_rho > TINY, rho / previous_rho, 0)  # (n, 1)
            p = r / m + beta * p  # (n, f)
        return x, fixed, loss, _sum(penalty * x * x)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of the rows of two tables (n, f): (n, 1)."""
    return (a * b).sum(1, keepdim=True)


def _sum(table: Tensor) -> float:
    return float(table.sum(dtype=torch.float64))
