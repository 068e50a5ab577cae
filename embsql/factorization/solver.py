"""The solver for a device."""

from __future__ import annotations

from embsql.errors import MissingExtra, NoGpu
from embsql.factorization.objective import Solver
from embsql.run import Run


def solver(run: Run) -> Solver:
    """The solver for the run's device."""
    # imported here: the compiler takes long, torch longer, and listing algorithms needs neither
    if run.device == "cpu":
        from embsql.factorization.cpu import CpuSolver

        return CpuSolver(run)
    try:
        from embsql.factorization.torch import TorchSolver, has_gpu
    except ImportError:
        raise MissingExtra(
            what="training on a GPU", package="torch", extra="torch"
        ) from None
    if not has_gpu():
        raise NoGpu
    return TorchSolver(run)
