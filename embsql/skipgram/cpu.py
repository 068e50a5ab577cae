"""Training with negative sampling on the CPU.

Threads that write to one table would make results depend on their timing, and wait for each other's
cache lines. So each has a copy of both tables, and after every round the copies are averaged. One
thread trains the table itself.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32
from embsql.numeric.linalg import MIN_WORK, parallel_map
from embsql.run import Run
from embsql.skipgram import kernels
from embsql.skipgram.base import Block, Rate, Settings, first_squares
from embsql.skipgram.kernels import LIMIT, STEPS, Curves, Noise, Rule, Table, Work

ROUND = 1 << 15  # tokens between two exchanges, of all threads together: some ten milliseconds


class Cpu:
    """Tables padded to whole registers, a copy of them for each thread."""

    def __init__(
        self,
        inputs: Float32,
        squares: Float32,
        chances: NDArray[np.float64],
        keep: Float32,
        settings: Settings,
        run: Run,
    ) -> None:
        self.settings, self.run, self.keep = settings, run, keep
        self.tables = (
            _table(inputs, squares),
            _table(np.zeros_like(inputs), first_squares(settings.dim, len(inputs))),
        )  # (n, f) each
        self.copies = (
            [tuple(map(_copy, self.tables)) for _ in range(run.threads)]
            if run.threads > 1
            else [self.tables]
        )
        self.noise, self.curves = alias(chances), _curves()
        self.size = (
            ROUND if run.threads == 1 else max(ROUND // run.threads, len(inputs))
        )  # exchanging costs as much
        self.seeds = np.random.default_rng(run.seed)

    def learn(self, block: Block, rate: Rate) -> NDArray[np.float64]:
        """Train on a block, in rounds; the sum of losses and the number of pairs (2,)."""
        sums = np.zeros(2)
        edges = np.unique(
            np.searchsorted(block.start, np.arange(0, block.start[-1] + self.size, self.size))
        )
        pieces = list(pairwise(np.minimum(edges, len(block.start) - 1).tolist()))
        longest = int(np.diff(block.start).max(initial=0))
        for first in range(0, len(pieces), len(self.copies)):
            group = pieces[first : first + len(self.copies)]
            sums += self._round(block, group, longest, rate(int(block.start[group[0][0]])))
        return sums

    def _round(
        self, block: Block, pieces: list[tuple[int, int]], longest: int, lr: float
    ) -> NDArray[np.float64]:
        """Let every thread train its copy on a piece of the sequences, and exchange what was
        learned.
        """
        own = self.settings
        rule = Rule(own.window, own.dynamic_window, np.float32(lr * np.sqrt(own.dim)))
        learn = kernels.cbow if own.cbow else kernels.skipgram
        time = np.empty(0, np.float32) if block.time is None else block.time
        seeds = self.seeds.integers(0, 2**64, len(pieces), np.uint64)  # (pieces,)

        def part(k: int, _: int) -> NDArray[np.float64]:
            work = self._work(longest, seeds[k : k + 1].copy())
            low, high = pieces[k]
            learn(
                low,
                high,
                block.start,
                block.token,
                time,
                self.keep,
                self.noise,
                self.curves,
                rule,
                self.copies[k][0],
                self.copies[k][1],
                work,
            )
            return work.sums

        sums = parallel_map(part, [(k, k + 1) for k in range(len(pieces))], self.run)
        if self.run.threads > 1:
            self._exchange()
        total: NDArray[np.float64] = np.sum(sums, axis=0)  # (2,)
        return total

    def _exchange(self) -> None:
        """Average the copies of each table."""
        for table, copies in zip(self.tables, zip(*self.copies, strict=True), strict=True):
            parallel_map(
                lambda low, high: kernels.merge(low, high, table, copies),  # noqa: B023  # done at once
                self._rows(table),
                self.run,
            )

    def _rows(self, table: Table) -> list[tuple[int, int]]:
        """Ranges of rows for the threads; small tables are sooner done by one."""
        n, f = table.vectors.shape
        parts = min(self.run.threads, 1 + n * f // MIN_WORK)
        return list(pairwise(np.linspace(0, n, parts + 1).astype(int).tolist()))

    def _work(self, longest: int, state: NDArray[np.uint64]) -> Work:
        """Room for a thread to compute in."""
        c, t, f = (
            2 * self.settings.window,
            1 + self.settings.negatives,
            self.tables[0].vectors.shape[1],
        )
        when, weight, push, pull, step, mean, steps = (
            np.empty(shape, np.float32)
            for shape in ((longest,), (c,), (t, c), (t,), (f,), (f,), (t, f))
        )
        kept, context, target = (np.empty(n, np.int32) for n in (longest, c, t))
        return Work(
            kept, when, context, weight, target, push, pull, step, mean, steps, state, np.zeros(2)
        )

    def vectors(self) -> tuple[Float32, Float32]:
        """Input and output vectors (n, dim)."""
        inputs, outputs = (
            np.ascontiguousarray(table.vectors[:, : self.settings.dim]) for table in self.tables
        )
        return inputs, outputs


def alias(chances: NDArray[np.float64]) -> Noise:
    """The alias table of tokens with these chances (n,), which need not sum to 1."""
    noise = Noise(np.empty(len(chances), np.float32), np.empty(len(chances), np.int32))
    kernels.alias(chances / chances.mean(), np.empty(len(chances), np.int64), noise)
    return noise


def _table(vectors: Float32, squares: Float32) -> Table:
    """Vectors (n, dim) with columns of zeros up to a whole number of registers, and squares (n,)."""
    return Table(
        np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % kernels.LANES))), squares
    )  # (n, f), (n,)


def _copy(table: Table) -> Table:
    return Table(table.vectors.copy(), table.squares.copy())


def _curves() -> Curves:
    score = np.arange(2 * LIMIT * STEPS + 1) / STEPS - LIMIT
    return Curves(
        (1 / (1 + np.exp(-score))).astype(np.float32), np.log1p(np.exp(score)).astype(np.float32)
    )
