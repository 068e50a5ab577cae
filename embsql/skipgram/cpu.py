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
from embsql.numeric.linalg import (
    MIN_WORK,
    Ranges,
    equal_ranges,
    parallel_map,
    thread_pool,
)
from embsql.numeric.tiles import COLUMNS, CONTEXTS, TARGET_LANES, TARGETS
from embsql.numeric.vectors import LANES
from embsql.run import Run
from embsql.skipgram import kernels
from embsql.skipgram.base import Block, LrSchedule, Settings, initial_squares
from embsql.skipgram.kernels import Shape, Table, Workspace
from embsql.skipgram.sampling import alias_table, kept

# tokens between two exchanges, of all threads together: some ten milliseconds
ROUND = 1 << 15
CALL = 1 << 13  # tokens of a loop's call: few enough to add their losses in float32
CACHE_LINE = 64  # bytes


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
        self.shape = Shape(
            settings.window, settings.dynamic_window, 1 + settings.negatives
        )
        self.seeds = np.random.default_rng(run.seed)

    def learn(self, block: Block, schedule: LrSchedule) -> NDArray[np.float64]:
        """Train on a block, in rounds; the sum of losses and the number of pairs (2,)."""
        sums = np.zeros(2)
        ranges = _sequence_ranges(block, 0, len(block.indptr) - 1, self.share)
        threads = len(self.copies)
        with thread_pool(self.run):
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
        loss = 0.0
        for low, high in _sequence_ranges(block, *sequences, CALL):
            draws, state = kept(block, low, high, self.keep, self.shape, state)
            learn(draws, self.negatives, self.shape, *tables, scaled_lr, work)
            loss += float(work.losses.sum(dtype=np.float64))
            work.losses[:] = 0
        return np.array([loss, work.sums[0]])

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
        contexts = CONTEXTS * (self.shape.window + 1)
        groups = -(-self.shape.targets // TARGETS)
        targets = groups * TARGETS
        width = self.tables[0].vectors.shape[1]
        return Workspace(
            target=np.zeros((1, 2 * groups * TARGET_LANES), np.int32),
            signs=self._signs(groups),
            reach=np.empty(2, np.int64),
            context=np.empty((1, contexts), np.int32),
            weight=np.empty((contexts // CONTEXTS, CONTEXTS), np.float32),
            errors=aligned_zeros(contexts * groups, LANES),
            gradients=aligned_zeros(targets + contexts, width),
            squares=aligned_zeros(groups + contexts // CONTEXTS, LANES),
            losses=aligned_zeros(1, LANES),
            sums=np.zeros(2),
        )

    def _signs(self, groups: int) -> Float32:
        """Of the targets' labels, as `to_errors` takes them."""
        signs = aligned_zeros(groups, 2 * LANES)
        signs[0, :LANES:TARGET_LANES] = -1
        for b in range(1, self.shape.targets):
            signs[b // TARGETS, LANES + b % TARGETS :: TARGET_LANES] = 1
        return signs

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
    rows = slice(low, high)
    squares = np.stack([copy.squares[rows] for copy in copies])  # (k, r)
    gained = squares - table.squares[rows]  # (k, r)
    total = gained.sum(0)  # (r,)
    share = np.zeros_like(gained)  # (k, r)
    share[0] = 1  # where no copy trained a row, all are the same
    np.divide(gained, total, out=share, where=total > 0)
    table.squares[rows] += (share * gained).sum(0)
    mean = table.vectors[rows]  # (r, f)
    np.multiply(share[0, :, None], copies[0].vectors[rows], out=mean)
    for part, copy in zip(share[1:], copies[1:], strict=True):
        copy.vectors[rows] *= part[:, None]
        mean += copy.vectors[rows]
    for copy in copies:
        copy.vectors[rows] = mean
        copy.squares[rows] = table.squares[rows]


def aligned_zeros(n: int, width: int) -> Float32:
    """A table (n, width) of zeros that begins where a cache line does: vectors are lines then."""
    spare = np.zeros(n * width + LANES, np.float32)
    first = -spare.ctypes.data % CACHE_LINE // spare.itemsize
    return spare[first : first + n * width].reshape(n, width)


def _padded(vectors: Float32, squares: Float32) -> Table:
    """Vectors (n, dim) with columns of zeros up to whole registers, and squares (n,)."""
    n, dim = vectors.shape
    padded = aligned_zeros(n, dim + (-dim) % COLUMNS)  # (n, f)
    padded[:, :dim] = vectors
    return Table(padded, squares)


def _copy(table: Table) -> Table:
    return _padded(table.vectors, table.squares.copy())
