"""What least squares minimize, and where a solver computes it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from embsql.data import CsrMatrix, Float32, FoldIn

# weight of all unseen pairs together, over that of the seen: best on published data is 7 to 28
UNSEEN_TO_SEEN = 15.0
IMPLICIT_REG, EXPLICIT_REG = 0.005, 0.08
FIRST_LENGTH = 0.1  # of the random vectors that training starts from


class Objective(NamedTuple):
    """What is minimised, for scores s = user . item.

    The sum over seen pairs of curve s^2 - 2 pull s, where curve = curve0 + curve1 weight and pull =
    pull0 + weight; plus unseen s^2 over all pairs; plus for each row of either side its squared
    length times reg (sum of its curves + unseen * number of columns)^nu.
    """

    curve0: float
    curve1: float
    pull0: float
    unseen: float
    reg: float
    nu: float
    steps: int
    zero: float  # the sum of squares where every score is 0, to which losses are compared

    def fold_in(self, spread: float = 1.0, **settings: float) -> FoldIn:
        """A user's row, for a history's weights in the unit that `settings` say and items times
        root of `spread`.
        """
        own = {name: getattr(self, name) for name in ("curve0", "curve1", "pull0", "unseen", "nu")}
        return FoldIn("least_squares", {**own, "reg": self.reg * spread, **settings})


class Solver(Protocol):
    """Where half sweeps are computed: tables and rows are put there once, and vectors fetched at
    the end.
    """

    def put_rows(self, rows: CsrMatrix) -> Any:
        """A sparse matrix, as the solver keeps it."""

    def put(self, table: Float32) -> Any:
        """A table, as the solver keeps it."""

    def get(self, table: Any) -> Float32:
        """A table of the solver as an array."""

    def half_sweep(
        self, rows: Any, fixed: Any, solved: Any, objective: Objective
    ) -> tuple[Any, Any, float, float]:
        """Solve all rows (n, f) for the fixed table (m, f), starting where they are.

        Both come back turned into the axes of the fixed table's Gramian. Their products are
        unchanged, and each row's system becomes a diagonal plus its own pairs, which two
        preconditioned steps solve. Also returned: the objective without `zero` and the fixed
        table's penalty, and the rows' penalty.
        """
