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
from embsql.run import Run
from embsql.skipgram import kernels
from embsql.skipgram.base import Block, LrSchedule, Settings, initial_squares
from embsql.skipgram.kernels import (
    MAX_SCORE,
    STEPS_PER_UNIT,
    AliasTable,
    Curves,
    Table,
    Workspace,
)

# tokens between two exchanges, of all threads together: some ten milliseconds
ROUND = 1 << 15
NO_TIME = np.empty(0, np.float32)


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
        ranges = self._sequence_ranges(block)
        longest = int(np.diff(block.indptr).max(initial=0))
        threads = len(self.copies)
        for first in range(0, len(ranges), threads):
            round_ranges = ranges[first : first + threads]
            done = int(block.indptr[round_ranges[0][0]])
            sums += self._round(block, round_ranges, longest, schedule.at(done))
        return sums

    def _sequence_ranges(self, block: Block) -> Ranges:
        """Ranges of sequences, each the work of a thread in a round."""
        tokens = np.arange(0, block.indptr[-1] + self.share, self.share)
        edges = np.unique(np.searchsorted(block.indptr, tokens))
        n_sequences = len(block.indptr) - 1
        return list(pairwise(np.minimum(edges, n_sequences).tolist()))

    def _round(
        self, block: Block, ranges: Ranges, longest: int, lr: float
    ) -> NDArray[np.float64]:
        """Let every thread train its copy on a range of the sequences, and average the copies."""
        own = self.settings
        scaled_lr = np.float32(lr * np.sqrt(own.dim))
        step_settings = kernels.StepSettings(own.window, own.dynamic_window, scaled_lr)
        learn = kernels.cbow if own.cbow else kernels.skipgram
        time = NO_TIME if block.time is None else block.time
        seeds = self.seeds.integers(0, 2**64, len(ranges), np.uint64)  # (ranges,)

        def train_copy(k: int, _: int) -> NDArray[np.float64]:
            work = self._work(longest, seeds[k : k + 1].copy())
            low, high = ranges[k]
            inputs, outputs = self.copies[k]
            learn(
                low,
                high,
                block.indptr,
                block.token,
                time,
                self.keep,
                self.negatives,
                self.curves,
                step_settings,
                inputs,
                outputs,
                work,
            )
            return work.sums

        copies = [(k, k + 1) for k in range(len(ranges))]
        sums = parallel_map(train_copy, copies, self.run)
        if self.run.threads > 1:
            self._average()
        total: NDArray[np.float64] = np.sum(sums, axis=0)  # (2,)
        return total

    def _average(self) -> None:
        """Average the copies of each table."""
        for side, table in enumerate(self.tables):
            self._average_table(table, tuple(copy[side] for copy in self.copies))

    def _average_table(self, table: Table, copies: tuple[Table, ...]) -> None:
        def average_rows(low: int, high: int) -> None:
            kernels.average_copies(low, high, table, copies)

        parallel_map(average_rows, self._row_ranges(table), self.run)

    def _row_ranges(self, table: Table) -> Ranges:
        """Ranges of rows for the threads; small tables are sooner done by one."""
        n, f = table.vectors.shape
        count = min(self.run.threads, 1 + n * f // MIN_WORK)
        return equal_ranges(n, count)

    def _work(self, longest: int, state: NDArray[np.uint64]) -> Workspace:
        """Room for a thread to compute in."""
        contexts = 2 * self.settings.window
        targets = 1 + self.settings.negatives
        width = self.tables[0].vectors.shape[1]
        return Workspace(
            kept=np.empty(longest, np.int32),
            kept_time=np.empty(longest, np.float32),
            context=np.empty(contexts, np.int32),
            context_weight=np.empty(contexts, np.float32),
            target=np.empty(targets, np.int32),
            errors=np.empty((targets, contexts), np.float32),
            error=np.empty(targets, np.float32),
            input_gradient=np.empty(width, np.float32),
            context_mean=np.empty(width, np.float32),
            output_gradients=np.empty((targets, width), np.float32),
            state=state,
            sums=np.zeros(2),
        )

    def vectors(self) -> tuple[Float32, Float32]:
        """Input and output vectors (n, dim)."""
        inputs, outputs = self.tables
        return self._unpadded(inputs), self._unpadded(outputs)

    def _unpadded(self, table: Table) -> Float32:
        return np.ascontiguousarray(table.vectors[:, : self.settings.dim])


def alias_table(probabilities: NDArray[np.float64]) -> AliasTable:
    """The alias table of tokens with these probabilities (n,), which need not sum to 1."""
    n = len(probabilities)
    table = AliasTable(np.empty(n, np.float32), np.empty(n, np.int32))
    scaled = probabilities / probabilities.mean()  # (n,)
    kernels.build_alias_table(scaled, np.empty(n, np.int64), table)
    return table


def _padded(vectors: Float32, squares: Float32) -> Table:
    """Vectors (n, dim) with columns of zeros up to whole registers, and squares (n,)."""
    missing = -vectors.shape[1] % kernels.LANES
    return Table(np.pad(vectors, ((0, 0), (0, missing))), squares)


def _copy(table: Table) -> Table:
    return Table(table.vectors.copy(), table.squares.copy())


def _curves() -> Curves:
    score = np.arange(2 * MAX_SCORE * STEPS_PER_UNIT + 1) / STEPS_PER_UNIT - MAX_SCORE
    logistic = 1 / (1 + np.exp(-score))
    softplus = np.log1p(np.exp(score))
    return Curves(logistic.astype(np.float32), softplus.astype(np.float32))
