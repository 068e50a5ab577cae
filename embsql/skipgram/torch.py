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
from embsql.skipgram.base import Block, Rate, Settings, first_squares

CHUNK = 1 << 13  # tokens in a step
SHARED = 256  # negatives that all tokens of a step share


def has_gpu() -> bool:
    """Whether torch finds a GPU that it can use."""
    return bool(torch.cuda.is_available())


class Chunk(NamedTuple):
    """Tokens that are one step."""

    token: Tensor  # (t,)
    sequence: Tensor  # (t,)
    time: Tensor | None  # (t,)
    reach: Tensor  # (t,) positions that each one's window reaches


class Torch:
    """Tensors on the run's device."""

    def __init__(
        self,
        inputs: Float32,
        squares: Float32,
        chances: NDArray[np.float64],
        keep: Float32,
        settings: Settings,
        run: Run,
    ) -> None:
        self.settings, self.run = settings, run
        self.inputs = torch.from_numpy(inputs.copy()).to(run.device)  # (n, d)
        self.outputs = torch.zeros_like(self.inputs)  # (n, d)
        self.in_squares = torch.from_numpy(squares).to(run.device)  # (n,)
        self.out_squares = torch.from_numpy(first_squares(settings.dim, len(inputs))).to(
            run.device
        )  # (n,)
        self.chances = (
            torch.from_numpy(chances / chances.sum()).to(run.device).cumsum(0).float()
        )  # (n,)
        self.keep = torch.from_numpy(keep).to(run.device)  # (n,) or none
        self.random = torch.Generator(run.device).manual_seed(run.seed)

    @torch.inference_mode()
    def learn(self, block: Block, rate: Rate) -> NDArray[np.float64]:
        """See `base.Trainer`."""
        sums = torch.zeros(2, dtype=torch.float64, device=self.run.device)  # (2,)
        for done, chunk in enumerate(self._chunks(block)):
            self.run.check()
            lr = rate(min(done * CHUNK, len(block.token))) * math.sqrt(self.settings.dim)
            sums += self._cbow(chunk, lr) if self.settings.cbow else self._skipgram(chunk, lr)
        found: NDArray[np.float64] = sums.cpu().numpy()
        return found

    def vectors(self) -> tuple[Float32, Float32]:
        """See `base.Trainer`."""
        return self.inputs.cpu().numpy(), self.outputs.cpu().numpy()

    def _uniform(self, n: int) -> Tensor:
        return torch.rand(n, generator=self.random, device=self.run.device)  # (n,)

    def _chunks(self, block: Block) -> Iterator[Chunk]:
        """The tokens that subsampling keeps, some thousands at a time."""
        token = torch.from_numpy(block.token).to(self.run.device).long()  # (t,)
        start = torch.from_numpy(block.start).to(self.run.device)  # (s + 1,)
        sequence = torch.repeat_interleave(start.diff())  # (t,)
        time = (
            None if block.time is None else torch.from_numpy(block.time).to(self.run.device)
        )  # (t,)
        if len(self.keep):
            kept = self._uniform(len(token)) < self.keep[token]  # (t,)
            token, sequence, time = (
                token[kept],
                sequence[kept],
                None if time is None else time[kept],
            )
        for part in torch.arange(len(token), device=self.run.device).split(CHUNK):
            window = torch.full_like(part, self.settings.window)  # (c,)
            if self.settings.dynamic_window:
                window = 1 + (self._uniform(len(part)) * self.settings.window).long()
            yield Chunk(token[part], sequence[part], None if time is None else time[part], window)

    def _shifts(self, chunk: Chunk) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
        """(centres, contexts, which pairs count, by how much) for every distance within the
        windows, both ways.
        """
        for far in range(1, min(self.settings.window, len(chunk.token) - 1) + 1):
            left, right = slice(None, -far), slice(far, None)
            together = chunk.sequence[left] == chunk.sequence[right]  # (p,)
            decay = (
                None
                if chunk.time is None
                else torch.exp2(-(chunk.time[left] - chunk.time[right]).abs())
            )  # (p,)
            for centre, context in ((left, right), (right, left)):
                inside = (together & (chunk.reach[centre] >= far)).float()  # (p,)
                yield centre, context, inside, inside if decay is None else inside * decay

    def _skipgram(self, chunk: Chunk, lr: float) -> Tensor:
        """One step: each context should tell its centre from the shared negatives."""
        given, wanted = self.inputs[chunk.token], self.outputs[chunk.token]  # (t, d), (t, d)
        to_given, to_wanted = torch.zeros_like(given), torch.zeros_like(wanted)  # (t, d), (t, d)
        pairs, sums = (
            torch.zeros_like(given[:, 0]),
            torch.zeros(2, dtype=torch.float64, device=given.device),
        )
        for centre, context, _, weight in self._shifts(chunk):
            score = (given[context] * wanted[centre]).sum(1)  # (p,)
            push = weight * torch.sigmoid(-score)  # (p,)
            to_given[context] += push[:, None] * wanted[centre]
            to_wanted[centre] += push[:, None] * given[context]
            pairs[context] += weight
            sums += torch.stack(((-logsigmoid(score) * weight).sum(), weight.sum()))
        return sums + self._against(chunk, given, pairs, to_given, to_wanted, lr)

    def _cbow(self, chunk: Chunk, lr: float) -> Tensor:
        """One step: the mean of the contexts should tell the centre from the shared negatives."""
        given, wanted = self.inputs[chunk.token], self.outputs[chunk.token]  # (t, d), (t, d)
        mean, total = torch.zeros_like(given), torch.zeros_like(given[:, :1])  # (t, d), (t, 1)
        met = torch.zeros_like(total)  # (t, 1)
        for centre, context, inside, weight in self._shifts(chunk):
            mean[centre] += weight[:, None] * given[context]
            total[centre] += weight[:, None]
            met[centre] += inside[:, None]
        there = total / met.clamp(
            min=1
        )  # (t, 1) how much each step counts: 1, less what time has taken
        share = (total > 0).float() / total.clamp(min=1e-30)  # (t, 1)
        mean *= share
        score = (mean * wanted).sum(1, keepdim=True)  # (t, 1)
        push = there * torch.sigmoid(-score)  # (t, 1)
        to_mean, to_given = push * wanted, torch.zeros_like(given)  # (t, d), (t, d)
        sums = torch.stack(((-logsigmoid(score) * there).sum(), there.sum())).double()
        sums += self._negatives(chunk, mean, there[:, 0], to_mean, lr)
        for centre, context, _, weight in self._shifts(chunk):
            to_given[context] += (weight[:, None] * share[centre]) * to_mean[centre]
        self._move(self.inputs, self.in_squares, chunk.token, to_given, lr)
        self._move(self.outputs, self.out_squares, chunk.token, push * mean, lr)
        return sums

    def _against(
        self,
        chunk: Chunk,
        given: Tensor,
        pairs: Tensor,
        to_given: Tensor,
        to_wanted: Tensor,
        lr: float,
    ) -> Tensor:
        """Push the contexts from the negatives, and take all the steps; the loss, as sums."""
        sums = self._negatives(chunk, given, pairs, to_given, lr)
        self._move(self.inputs, self.in_squares, chunk.token, to_given, lr)
        self._move(self.outputs, self.out_squares, chunk.token, to_wanted, lr)
        return sums

    def _negatives(
        self, chunk: Chunk, given: Tensor, pairs: Tensor, to_given: Tensor, lr: float
    ) -> Tensor:
        """Move the shared negatives away from what is given (t, d), and add what moves that to
        to_given (t, d).
        """
        draw = torch.searchsorted(self.chances, self._uniform(SHARED)).clamp(
            max=len(self.chances) - 1
        )  # (m,)
        rows = self.outputs[draw]  # (m, d)
        score = given @ rows.T  # (t, m)
        weight = (
            pairs[:, None] * (draw != chunk.token[:, None]) * (self.settings.negatives / SHARED)
        )  # (t, m)
        push = -weight * torch.sigmoid(score)  # (t, m)
        to_given += push @ rows
        self._move(self.outputs, self.out_squares, draw, push.T @ given, lr)
        loss = (-logsigmoid(-score) * weight).sum().double()
        return torch.stack((loss, torch.zeros_like(loss)))

    def _move(self, table: Tensor, squares: Tensor, row: Tensor, step: Tensor, lr: float) -> None:
        """Add the steps (k, d) of rows (k,), which may come several times, shortened by Adagrad."""
        row, order = row.sort(stable=True)  # (k,), (k,)
        row, counts = row.unique_consecutive(return_counts=True)  # (r,), (r,)
        total = embedding_bag(order, step, counts.cumsum(0) - counts, mode="sum")  # (r, d)
        squares[row] += total.square().sum(1)
        table[row] += lr * total / squares[row].sqrt()[:, None]
