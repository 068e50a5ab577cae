"""svd and the noise of pairs by the tasks of blocks: what one machine finds, however pairs are cut.

The tasks are those that Spark's executors run, here one after another in this process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from embsql.algorithms.svd import SVD
from embsql.data import Embeddings, Interactions
from embsql.distributed import tasks
from embsql.distributed.blocks import BlockCut, Matrix
from embsql.distributed.products import BlockProducts, noise_of
from embsql.distributed.sweeps import Factors, Swept
from embsql.errors import Diverged
from embsql.factorization.blocks import Sides
from embsql.factorization.objective import Totals, initial_factors, totals
from embsql.factorization.penalty import PROBES, SEED, Noise, noise
from embsql.run import Run

USERS, ITEMS, GROUPS = 90, 40, 4
CUTS = {"one block": ([0, 90], [0, 40]), "five": ([0, 1, 30, 90], [0, 33, 40])}


def world(seed: int = 3, heaviest: float = 9.0) -> Interactions:
    """Users of four groups, who mostly keep to their items; nobody has the last item."""
    rng = np.random.default_rng(seed)
    user, item = np.divmod(np.arange(USERS * ITEMS), ITEMS)
    chance = np.where(user % GROUPS == item % GROUPS, 0.6, 0.05) * (item < ITEMS - 1)
    kept = (rng.random(len(user)) < chance) | (item == user % GROUPS)
    weight = rng.uniform(0.5, heaviest, kept.sum()).astype(np.float32)
    return Interactions(
        user[kept].astype(np.int32),
        item[kept].astype(np.int32),
        weight,
        None,
        pa.nulls(USERS, pa.string()),
        pa.nulls(ITEMS, pa.string()),
    )


@dataclass
class Here:
    """Blocks in this process: a sweeper, and interactions as an algorithm asks for them."""

    kept: dict[str, list[tasks.Kept]]
    matrices: Sides
    totals: Totals

    @classmethod
    def of(cls, data: Interactions, cuts: tuple[list[int], list[int]]) -> Here:
        kept, matrices = {}, []
        names = ("user", "item")
        shapes = (data.n_items, data.n_users)
        for name, edges, n_columns in zip(names, cuts, shapes, strict=True):
            kept[name] = list(blocks(data, name, edges))
            cut = BlockCut(1, [], np.array(edges, np.int64))
            matrices.append(Matrix(name, "", cut, n_columns))
        return cls(kept, Sides(*matrices), totals(data))

    def sweep(
        self,
        matrix: Matrix,
        task: tasks.Task,
        fixed: Factors | None = None,
        own: Factors | None = None,
    ) -> Swept:
        sweep = partial(tasks.sweep_kept, task, matrix.cut.edges)
        given = [one and one.rows for one in (fixed, own)]
        made = [sweep(kept, *given) for kept in self.kept[matrix.table]]
        return Swept(
            [figures for _, figures in made],
            rows=np.concatenate([rows for rows, _ in made]),
        )

    def drop(self, *factors: Factors) -> None:
        """Nothing: there are no tables."""

    def drawn(self, width: int, seed: int) -> Factors:
        rows = initial_factors(self.totals.items, width, seed)
        return Factors(np.eye(width, dtype=np.float32), np.empty((0, 0)), rows=rows)

    @property
    def noise(self) -> Noise:
        drawn = self.drawn(PROBES, SEED)
        sweeper: Any = self
        return noise_of(sweeper, self.matrices, drawn, self.totals.pairs)

    def products(self, exponents: Sides, width: int, seed: int) -> BlockProducts:
        sweeper: Any = self
        drawn = self.drawn(width, seed)
        return BlockProducts.of(sweeper, self.matrices, exponents, drawn)


def blocks(data: Interactions, side: str, edges: list[int]) -> Any:
    """The pairs of each block as executors keep them."""
    names = ("user", "item") if side == "user" else ("item", "user")
    code, column = (getattr(data, name) for name in names)
    order = np.lexsort((column, code))
    for block, (low, high) in enumerate(pairwise(edges), 1):
        mine = order[(code[order] >= low) & (code[order] < high)]
        weight = data.weight[mine]
        row = code[mine] - low
        made = tasks.matrix_columns(row, column[mine], weight, None, high - low)
        parts = (made[name] for name in ("indptr", "indices", "columns", "weights"))
        yield block, *(part.tobytes() for part in parts)


def trained(options: dict[str, Any], here: Here) -> Embeddings:
    """What svd makes of blocks, as it would be written."""
    # Here has what svd asks for, and not what als does
    made = SVD(**options).fit_blocks(here, Run(7))  # type: ignore[arg-type]  # see above
    users, items = (one.rows @ made.final_axes(one) for one in made.factors)
    return Embeddings(users, items, fold_in=made.fold_in)


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(
    "options",
    [
        {"dim": 6},
        {"dim": 5, "user_exponent": 0.25, "item_exponent": 0.4},
        {"dim": 8, "method": "plain"},
        {"dim": ITEMS + 3, "method": "plain"},
    ],
    ids=str,
)
def test_svd_is_that_of_one_machine(
    options: dict[str, Any], cuts: tuple[list[int], list[int]]
) -> None:
    data = world()
    wanted = SVD(**options).fit(data, Run(7))
    found = trained(options, Here.of(data, cuts))
    scores = wanted.users @ wanted.items.T
    error = np.linalg.norm(found.users @ found.items.T - scores)
    assert error < 1e-4 * np.linalg.norm(scores)
    assert found.dim == wanted.dim
    kept = np.abs(wanted.items).sum(axis=0) > 0
    assert (np.abs(found.items).sum(axis=0) > 0).tolist() == kept.tolist()
    signs = np.sign((wanted.items * found.items).sum(axis=0))
    assert (signs[:4][kept[:4]] == 1).all()
    here, there = (one.fold_in.item_scale for one in (wanted, found))
    assert (here is None) == (there is None)
    if here is not None:
        assert there == pytest.approx(here, rel=1e-5)


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("seed", [1, 2])
def test_noise_is_that_of_one_machine(
    seed: int, cuts: tuple[list[int], list[int]]
) -> None:
    data = world(seed)
    found, wanted = Here.of(data, cuts).noise, noise(data, Run(1))
    assert found.level == wanted.level
    assert found.share == pytest.approx(wanted.share, rel=1e-4)
    assert found.reg == wanted.reg


def test_weights_that_are_too_large_are_said_to_diverge() -> None:
    data = world(heaviest=1e38)
    with np.errstate(all="ignore"), pytest.raises(Diverged):
        trained({"dim": 3, "method": "plain"}, Here.of(data, CUTS["five"]))
