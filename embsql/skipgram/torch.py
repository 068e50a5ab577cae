"""Training with negative sampling with torch, for a GPU: thousands of tokens are one step.

Windows become shifted slices of the chunk, and its tokens share their negatives, so that scores and
gradients are matrix products. Gradients of one row are added before Adagrad sees them, in a fixed
order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag, logsigmoid

from embsql.data import Float32
from embsql.run import Run
from embsql.skipgram.base import Block, LrSchedule, Settings, initial_squares

CHUNK = 1 << 13  # tokens in a step
SHARED_NEGATIVES = 256  # of all tokens of a step
TINY = 1e-30  # less than any weight that counts


class Chunk(NamedTuple):
    """Tokens that are one step."""

    token: Tensor  # (t,)
    sequence: Tensor  # (t,) which one each belongs to
    time: Tensor | None  # (t,)
    reach: Tensor  # (t,) positions that each one's window reaches


class Pairs(NamedTuple):
    """Centers of a chunk and their contexts at one distance to one side, p pairs."""

    center: slice  # of the chunk's tokens: (p,)
    context: slice  # (p,)
    inside: Tensor  # (p,) 1 where the context is in the center's window, else 0
    weight: Tensor  # (p,) the same, less by the time between the two


class TorchTrainer:
    """Tensors on the run's device."""

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
        self.inputs = self._put(inputs.copy())  # (n, d)
        self.outputs = torch.zeros_like(self.inputs)  # (n, d)
        self.input_squares = self._put(squares)  # (n,)
        self.output_squares = self._put(
            initial_squares(settings.dim, len(inputs))
        )  # (n,)
        self.cumulative = (
            self._put(negatives / negatives.sum()).cumsum(0).float()
        )  # (n,)
        self.keep = self._put(keep)  # (n,) or none
        self.generator = torch.Generator(run.device).manual_seed(run.seed)

    @torch.inference_mode()
    def learn(self, block: Block, schedule: LrSchedule) -> NDArray[np.float64]:
        """See `base.Trainer`."""
        sums = torch.zeros(2, dtype=torch.float64, device=self.run.device)
        step = self._cbow if self.settings.cbow else self._skipgram
        for number, chunk in enumerate(self._chunks(block)):
            self.run.check()
            done = min(number * CHUNK, len(block.token))
            sums += step(chunk, schedule.at(done) * math.sqrt(self.settings.dim))
        array: NDArray[np.float64] = sums.cpu().numpy()
        return array

    def vectors(self) -> tuple[Float32, Float32]:
        """See `base.Trainer`."""
        return self.inputs.cpu().numpy(), self.outputs.cpu().numpy()

    def _put(self, array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(array).to(self.run.device)

    def _uniform(self, n: int) -> Tensor:
        return torch.rand(n, generator=self.generator, device=self.run.device)  # (n,)

    # --- chunks and pairs ------------------------------------------------------------------------

    def _chunks(self, block: Block) -> Iterator[Chunk]:
        """The tokens that subsampling keeps, some thousands at a time."""
        token = self._put(block.token).long()  # (t,)
        sequence = torch.repeat_interleave(self._put(block.indptr).diff())  # (t,)
        time = None if block.time is None else self._put(block.time)  # (t,)
        if len(self.keep):
            kept = self._uniform(len(token)) < self.keep[token]  # (t,)
            token = token[kept]
            sequence = sequence[kept]
            time = None if time is None else time[kept]
        for part in torch.arange(len(token), device=self.run.device).split(CHUNK):
            chunk_time = None if time is None else time[part]
            yield Chunk(token[part], sequence[part], chunk_time, self._reach(part))

    def _reach(self, part: Tensor) -> Tensor:
        """The window of each token of a chunk, (t,)."""
        if self.settings.dynamic_window:
            return 1 + (self._uniform(len(part)) * self.settings.window).long()
        return torch.full_like(part, self.settings.window)

    def _pairs(self, chunk: Chunk) -> Iterator[Pairs]:
        """Centers and contexts at every distance within the windows, both ways."""
        for distance in range(1, min(self.settings.window, len(chunk.token) - 1) + 1):
            left = slice(None, -distance)
            right = slice(distance, None)
            together = chunk.sequence[left] == chunk.sequence[right]  # (p,)
            decay = None
            if chunk.time is not None:
                apart = (chunk.time[left] - chunk.time[right]).abs()  # (p,)
                decay = torch.exp2(-apart)
            for center, context in ((left, right), (right, left)):
                inside = (together & (chunk.reach[center] >= distance)).float()  # (p,)
                weight = inside if decay is None else inside * decay  # (p,)
                yield Pairs(center, context, inside, weight)

    # --- steps -----------------------------------------------------------------------------------

    def _skipgram(self, chunk: Chunk, lr: float) -> Tensor:
        """One step: each context should tell its center from the shared negatives."""
        inputs = self.inputs[chunk.token]  # (t, d)
        outputs = self.outputs[chunk.token]  # (t, d)
        input_gradient = torch.zeros_like(inputs)  # (t, d)
        output_gradient = torch.zeros_like(outputs)  # (t, d)
        pair_weight = torch.zeros_like(
            inputs[:, 0]
        )  # (t,) of all pairs that a token is context of
        sums = torch.zeros(2, dtype=torch.float64, device=inputs.device)
        for center, context, _, weight in self._pairs(chunk):
            score = (inputs[context] * outputs[center]).sum(1)  # (p,)
            error = weight * torch.sigmoid(-score)  # (p,)
            input_gradient[context] += error[:, None] * outputs[center]
            output_gradient[center] += error[:, None] * inputs[context]
            pair_weight[context] += weight
            sums += _loss_and_weight(score, weight)
        sums += self._learn_negatives(chunk, inputs, pair_weight, input_gradient, lr)
        self._adagrad(self.inputs, self.input_squares, chunk.token, input_gradient, lr)
        self._adagrad(
            self.outputs, self.output_squares, chunk.token, output_gradient, lr
        )
        return sums

    def _cbow(self, chunk: Chunk, lr: float) -> Tensor:
        """One step: the mean of the contexts should tell the center from the shared negatives."""
        inputs = self.inputs[chunk.token]  # (t, d)
        outputs = self.outputs[chunk.token]  # (t, d)
        mean = torch.zeros_like(inputs)  # (t, d) of the contexts of each center
        total = torch.zeros_like(inputs[:, :1])  # (t, 1) of their weights
        context_count = torch.zeros_like(total)  # (t, 1)
        for center, context, inside, weight in self._pairs(chunk):
            mean[center] += weight[:, None] * inputs[context]
            total[center] += weight[:, None]
            context_count[center] += inside[:, None]
        norm = (total > 0).float() / total.clamp(min=TINY)  # (t, 1)
        mean *= norm
        # how much each center counts: 1, less what time has taken
        decay = total / context_count.clamp(min=1)  # (t, 1)
        score = (mean * outputs).sum(1, keepdim=True)  # (t, 1)
        error = decay * torch.sigmoid(-score)  # (t, 1)
        mean_gradient = error * outputs  # (t, d)
        sums = _loss_and_weight(score, decay).double()
        sums += self._learn_negatives(chunk, mean, decay[:, 0], mean_gradient, lr)
        input_gradient = torch.zeros_like(inputs)  # (t, d)
        for center, context, _, weight in self._pairs(chunk):
            share = (
                weight[:, None] * norm[center]
            )  # (p, 1) of a context in its center's mean
            input_gradient[context] += share * mean_gradient[center]
        self._adagrad(self.inputs, self.input_squares, chunk.token, input_gradient, lr)
        self._adagrad(self.outputs, self.output_squares, chunk.token, error * mean, lr)
        return sums

    def _learn_negatives(
        self,
        chunk: Chunk,
        inputs: Tensor,
        pair_weight: Tensor,
        input_gradient: Tensor,
        lr: float,
    ) -> Tensor:
        """Move negatives away from the inputs (t, d), and add what moves these to their gradient.

        A pair ought to have `negatives` negatives of its own. Here all pairs of the chunk, of which
        each token has pair_weight (t,), share SHARED_NEGATIVES of them, and each counts for a share
        of `negatives`; a negative that is the token itself does not. Returns loss and 0.
        """
        negative = self._draw_negatives()  # (m,)
        outputs = self.outputs[negative]  # (m, d)
        score = inputs @ outputs.T  # (t, m)
        is_other = negative != chunk.token[:, None]  # (t, m)
        share = self.settings.negatives / SHARED_NEGATIVES
        weight = pair_weight[:, None] * is_other * share  # (t, m)
        error = -weight * torch.sigmoid(score)  # (t, m)
        input_gradient += error @ outputs
        self._adagrad(self.outputs, self.output_squares, negative, error.T @ inputs, lr)
        loss = (-logsigmoid(-score) * weight).sum().double()
        return torch.stack((loss, torch.zeros_like(loss)))

    def _draw_negatives(self) -> Tensor:
        """Random tokens (m,)."""
        drawn = torch.searchsorted(
            self.cumulative, self._uniform(SHARED_NEGATIVES)
        )  # (m,)
        return drawn.clamp(max=len(self.cumulative) - 1)

    def _adagrad(
        self, table: Tensor, squares: Tensor, row: Tensor, gradient: Tensor, lr: float
    ) -> None:
        """Move rows (k,), which may come several times, by the sums of their gradients (k, d)."""
        row, order = row.sort(stable=True)  # (k,), (k,)
        row, counts = row.unique_consecutive(return_counts=True)  # (r,), (r,)
        offsets = counts.cumsum(0) - counts  # (r,)
        total = embedding_bag(order, gradient, offsets, mode="sum")  # (r, d)
        squares[row] += total.square().sum(1)
        table[row] += lr * total / squares[row].sqrt()[:, None]


def _loss_and_weight(score: Tensor, weight: Tensor) -> Tensor:
    """The loss of positive pairs of these scores and weights, and their weight: (2,)."""
    return torch.stack(((-logsigmoid(score) * weight).sum(), weight.sum()))
