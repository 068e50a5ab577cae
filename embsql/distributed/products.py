"""The matrix of pairs that lie in blocks, divided by powers of its sums, times tables.

What comes to this process are Gramians and figures of blocks, the divisors of items, and the rows
where they are few; see `sweeps`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embsql.data import Float32
from embsql.distributed import product_tasks as tasks
from embsql.distributed.sweeps import Factors, Sweeper, unturned
from embsql.factorization.blocks import FinishedItems, Sides, UsersOfItems
from embsql.factorization.penalty import Noise, level_of, share_of, structure_of

NO_GRAMIAN = np.empty((0, 0))


@dataclass(frozen=True, slots=True)
class BlockProducts:
    """See `factorization.blocks.Products`."""

    sweeper: Sweeper
    matrices: Sides
    exponents: Sides
    start: Factors
    squares: float
    item_divisors: Float32

    @classmethod
    def of(
        cls, sweeper: Sweeper, matrices: Sides, exponents: Sides, drawn: Factors
    ) -> BlockProducts:
        """Those of matrices by user and by item, from items (n_items, w) that were drawn."""
        width = len(drawn.axes)
        divide = tasks.Divide(width=0, own_width=width, exponent=exponents.item)
        swept = sweeper.sweep(matrices.item, divide, own=drawn)
        sweeper.drop(drawn)
        axes = unturned(width + 1)  # (w + 1, w + 1)
        first = swept.factors(axes, NO_GRAMIAN)
        last = axes[:, -1:]  # (w + 1, 1)
        squares = tasks.Squares(
            width=width + 1, own_width=0, exponent=exponents.user, axes=last
        )
        total = sweeper.sweep(matrices.user, squares, first).total
        divisors = np.concatenate(swept.figures)  # (n_items,)
        return cls(
            sweeper,
            matrices,
            exponents,
            start=first.turned(axes[:, :-1]),
            squares=float(total[0]),
            item_divisors=divisors.astype(np.float32),
        )

    def back_and_forth(self, items: Factors) -> Factors:
        """See `Products`; the table that items were in is dropped."""
        users = self._multiplied("user", items)
        self.sweeper.drop(items)
        made = self._multiplied("item", users)
        self.sweeper.drop(users)
        return made

    def _multiplied(self, side: str, fixed: Factors) -> Factors:
        """The rows of a side, of those of the other."""
        matrix = getattr(self.matrices, side)
        exponent = getattr(self.exponents, side)
        lying, width = fixed.axes.shape
        multiply = tasks.Multiply(
            width=lying, own_width=0, exponent=exponent, axes=fixed.axes
        )
        swept = self.sweeper.sweep(matrix, multiply, fixed)
        gramian = swept.total.reshape(width, width)  # (w, w)
        return swept.factors(unturned(width), gramian)

    def project(self, items: Factors) -> UsersOfItems:
        """See `Products`."""
        lying, width = items.axes.shape
        exponent = self.exponents.user
        project = tasks.ProjectUsers(
            width=lying, own_width=0, exponent=exponent, axes=items.axes
        )
        swept = self.sweeper.sweep(self.matrices.user, project, items)
        captured, seen = swept.total.reshape(2, width, width)  # (w, w) each
        users = swept.factors(unturned(width), captured)
        return UsersOfItems(users, captured, seen)

    def finish(self, items: Factors) -> FinishedItems:
        """See `Products`; the table that items were in is dropped."""
        lying, dim = items.axes.shape
        exponent = self.exponents.item
        finish = tasks.FinishItems(
            width=0, own_width=lying, exponent=exponent, axes=items.axes
        )
        swept = self.sweeper.sweep(self.matrices.item, finish, own=items)
        self.sweeper.drop(items)
        figures = np.stack(swept.figures)  # (blocks, 2 d)
        entries = figures[:, dim:]  # (blocks, d)
        largest = abs(entries).argmax(0)[None]  # (1, d)
        entry = np.take_along_axis(entries, largest, 0)  # (1, d)
        lengths = np.sqrt(swept.total[:dim])  # (d,)
        made = swept.factors(unturned(dim), NO_GRAMIAN)
        return FinishedItems(made, lengths, entry[0])


def noise_of(sweeper: Sweeper, matrices: Sides, drawn: Factors, n_pairs: int) -> Noise:
    """What `penalty.noise` finds, of items (n_items, p) that were drawn as probes."""
    width = len(drawn.axes)
    both = width + 1
    axes = unturned(both)  # (p + 1, p + 1)
    probe = tasks.Probe(width=0, own_width=width, exponent=0.0)
    probed = sweeper.sweep(matrices.item, probe, own=drawn)
    sweeper.drop(drawn)
    items, *along = probed.total
    probes = probed.factors(axes, NO_GRAMIAN)
    walk = tasks.WalkOut(width=both, own_width=0, exponent=0.0)
    out = sweeper.sweep(matrices.user, walk, probes)
    users, squares, fourth = out.total
    walked = out.factors(axes, NO_GRAMIAN)
    share = np.array(along) / np.sqrt(n_pairs)  # (p,)
    back = tasks.WalkBack(
        width=both, own_width=both, exponent=0.0, along=share, n_pairs=n_pairs
    )
    found = sweeper.sweep(matrices.item, back, walked, probes)
    sweeper.drop(probes, walked)
    level = level_of(int(users), int(items), n_pairs)
    by_one_user = float(squares - fourth)
    structure = structure_of(found.total.tolist(), by_one_user)
    return Noise(level, share_of(structure, level))
