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
from embsql.numeric.linalg import MIN_WORK, Ranges, equal_ranges, parallel_map
from embsql.numeric.vectors import LANES
from embsql.run import Run
from embsql.skipgram import kernels
from embsql.skipgram.base import Block, LrSchedule, Settings, initial_squares
from embsql.skipgram.kernels import MAX_SCORE, STEPS_PER_UNIT, Curves, Table, Workspace
from embsql.skipgram.sampling import alias_table, windows

# tokens between two exchanges, of all threads together: some ten milliseconds
ROUND = 1 << 15
DRAWN = 1 << 13  # tokens for which windows and negatives are drawn at once


class CpuTrainer:
    """Tables padded to whole registers, a copy of them for each thread."""

    def __init__(
        self,
        inputs: Float32,
        squares: Float32,
        negatives: NDArray[np.float64],
        keep: Float32,
        settings: Settings,
        run: Run,
    ) -> None:
        self.settings = settings
        self.run = run
        self.keep = keep
        output_squares = initial_squares(settings.dim, len(inputs))  # (n,)
        outputs = _padded(np.zeros_like(inputs), output_squares)
        self.tables = (_padded(inputs, squares), outputs)  # (n, f) each
        if run.threads == 1:
            self.copies = [self.tables]
            self.share = ROUND  # tokens of a thread in a round
        else:
            self.copies = [
                (_copy(self.tables[0]), _copy(outputs)) for _ in range(run.threads)
            ]
            # as much as an exchange costs
            self.share = max(ROUND // run.threads, len(inputs))
        self.negatives = alias_table(negatives)
        self.curves = _curves()
        self.seeds = np.random.default_rng(run.seed)

    def learn(self, block: Block, schedule: LrSchedule) -> NDArray[np.float64]:
        """Train on a block, in rounds; the sum of losses and the number of pairs (2,)."""
        sums = np.zeros(2)
        ranges = _sequence_ranges(block, 0, len(block.indptr) - 1, self.share)
        threads = len(self.copies)
        for first in range(0, len(ranges), threads):
            round_ranges = ranges[first : first + threads]
            done = int(block.indptr[round_ranges[0][0]])
            sums += self._round(block, round_ranges, schedule.at(done))
        return sums

    def _round(self, block: Block, ranges: Ranges, lr: float) -> NDArray[np.float64]:
        """Let every thread train its copy on a range of the sequences, and average the copies."""
        seeds = self.seeds.integers(0, 2**64, len(ranges), np.uint64)  # (ranges,)

        def train_copy(k: int, _: int) -> NDArray[np.float64]:
            return self._train(block, ranges[k], int(seeds[k]), self.copies[k], lr)

        copies = [(k, k + 1) for k in range(len(ranges))]
        sums = parallel_map(train_copy, copies, self.run)
        if self.run.threads > 1:
            self._average()
        total: NDArray[np.float64] = np.sum(sums, axis=0)  # (2,)
        return total

    def _train(
        self,
        block: Block,
        sequences: tuple[int, int],
        state: int,
        tables: tuple[Table, Table],
        lr: float,
    ) -> NDArray[np.float64]:
        """Train tables on a range of sequences; the sum of losses and the number of pairs (2,)."""
        scaled_lr = np.float32(lr * np.sqrt(self.settings.dim))
        learn = kernels.cbow if self.settings.cbow else kernels.skipgram
        work = self._work()
        for low, high in _sequence_ranges(block, *sequences, DRAWN):
            drawn, state = windows(block, low, high, self.keep, self.settings, state)
            learn(drawn, self.negatives, *tables, self.curves, scaled_lr, work)
        return work.sums

    def _average(self) -> None:
        """Average the copies of each table."""
        for side, table in enumerate(self.tables):
            self._average_table(table, tuple(copy[side] for copy in self.copies))

    def _average_table(self, table: Table, copies: tuple[Table, ...]) -> None:
        def average_rows(low: int, high: int) -> None:
            average_copies(low, high, table, copies)

        parallel_map(average_rows, self._row_ranges(table), self.run)

    def _row_ranges(self, table: Table) -> Ranges:
        """Ranges of rows for the threads; small tables are sooner done by one."""
        n, f = table.vectors.shape
        count = min(self.run.threads, 1 + n * f // MIN_WORK)
        return equal_ranges(n, count)

    def _work(self) -> Workspace:
        """Room for a thread to compute in."""
        contexts = 2 * self.settings.window
        targets = 1 + self.settings.negatives
        width = self.tables[0].vectors.shape[1]
        return Workspace(
            target=np.empty((1, targets), np.int32),
            context=np.empty((1, contexts), np.int32),
            weight=np.empty((1, contexts), np.float32),
            errors=np.empty((contexts, targets), np.float32),
            errors_by_target=np.empty((targets, contexts), np.float32),
            gradients=np.empty((targets + 2, width), np.float32),
            sums=np.zeros(2),
        )

    def vectors(self) -> tuple[Float32, Float32]:
        """Input and output vectors (n, dim)."""
        inputs, outputs = self.tables
        return self._unpadded(inputs), self._unpadded(outputs)

    def _unpadded(self, table: Table) -> Float32:
        return np.ascontiguousarray(table.vectors[:, : self.settings.dim])


def _sequence_ranges(block: Block, low: int, high: int, tokens: int) -> Ranges:
    """Ranges that make up sequences low to high, of about so many tokens each."""
    indptr = block.indptr[low : high + 1]  # (s + 1,)
    starts = np.arange(indptr[0], indptr[-1] + tokens, tokens)
    edges = low + np.unique(np.searchsorted(indptr, starts))
    return list(pairwise(np.minimum(edges, high).tolist()))


def average_copies(
    low: int, high: int, table: Table, copies: tuple[Table, ...]
) -> None:
    """Set rows low..high of the table to the mean of its k copies, and the copies to it.

    A copy counts by the squares of its new gradients: a row that one copy trained becomes that
    copy's.
    """
    squares = np.stack([copy.squares[low:high] for copy in copies])  # (k, rows)
    gained = squares - table.squares[low:high]  # (k, rows)
    learned = np.flatnonzero(gained.any(0))  # (l,) rows that some copy trained
    gained = gained[:, learned]  # (k, l)
    share = gained / gained.sum(0)  # (k, l)
    rows = low + learned  # (l,)
    table.squares[rows] += (share * gained).sum(0)
    mean = np.zeros((len(rows), table.vectors.shape[1]), np.float32)  # (l, f)
    for part, copy in zip(share, copies, strict=True):
        mean += part[:, None] * copy.vectors[rows]
    table.vectors[rows] = mean
    for copy in copies:
        copy.vectors[rows] = mean
        copy.squares[rows] = table.squares[rows]


def _padded(vectors: Float32, squares: Float32) -> Table:
    """Vectors (n, dim) with columns of zeros up to whole registers, and squares (n,)."""
    missing = -vectors.shape[1] % LANES
    return Table(np.pad(vectors, ((0, 0), (0, missing))), squares)


def _copy(table: Table) -> Table:
    return Table(table.vectors.copy(), table.squares.copy())


def _curves() -> Curves:
    score = np.arange(2 * MAX_SCORE * STEPS_PER_UNIT + 1) / STEPS_PER_UNIT - MAX_SCORE
    logistic = 1 / (1 + np.exp(-score))
    softplus = np.log1p(np.exp(score))
    return Curves(logistic.astype(np.float32), softplus.astype(np.float32))
