"""Skip-gram and CBOW with negative sampling over sequences of tokens: what item2vec and node2vec
train with.

Mikolov et al., 2013, "Distributed representations of words and phrases and their compositionality",
with row-wise Adagrad (as in PyTorch-BigGraph, Lerer et al., 2019) instead of one rate for all: rare
tokens learn as much from their few pairs as frequent ones from many, one rate suits small and large
data, and more epochs do no harm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32, Int64
from embsql.errors import MissingExtra, NoGpu
from embsql.run import Run
from embsql.skipgram.base import Corpus, Settings, Trainer, first_squares

# that of vectors given from before: they step a fifth as far, so that axes stay
KNOWN_SQUARE = 25.0
LEAST_RATE = 0.01  # share of lr that the last step still has


def train(
    corpus: Corpus, counts: Int64, settings: Settings, run: Run, before: Float32 | None = None
) -> tuple[Float32, Float32]:
    """Input and output vectors (n, dim) of n tokens, of which counts (n,) says how often each comes
    in an epoch.

    Input vectors start from before (n, dim) where that is given and not NaN. Reports every epoch
    with the mean loss of a pair, raises what `run.check` raises. The same seed and threads give the
    same bytes. A token that never shared a window with another has zeros, or what it had before.
    """
    first = _first(counts, settings, run, before)  # (n, d)
    squares = first_squares(settings.dim, len(counts))  # (n,)
    if before is not None:
        squares[~np.isnan(before[:, 0])] = KNOWN_SQUARE * settings.dim
    place = _trainer(first, squares, counts, settings, run)
    total, done = max(int(counts.sum()) * settings.epochs, 1), 0
    for epoch in range(1, settings.epochs + 1):
        sums = np.zeros(2)  # loss, pairs
        for block in corpus.blocks(epoch):
            run.check()
            sums += place.learn(
                block,
                lambda tokens: settings.lr * max(LEAST_RATE, 1 - (done + tokens) / total),  # noqa: B023  # called before the loop goes on
            )
            done += len(block.token)
        run.report(epoch=epoch, loss=float(sums[0] / max(sums[1], 1)))
    inputs, outputs = place.vectors()  # (n, d), (n, d)
    alone = (
        (inputs == first).all(1)
        if before is None
        else (inputs == first).all(1) & np.isnan(before[:, 0])
    )  # (n,)
    inputs[alone] = outputs[alone] = 0
    return inputs, outputs


def _trainer(
    inputs: Float32, squares: Float32, counts: Int64, settings: Settings, run: Run
) -> Trainer:
    """The trainer for the run's device."""
    arguments = (
        inputs,
        squares,
        noise(counts, settings.ns_exponent),
        keep(counts, settings.sample),
        settings,
        run,
    )
    if run.device == "cpu":
        from embsql.skipgram.cpu import (
            Cpu,
        )  # here: it brings the compiler, which listing does not need

        return Cpu(*arguments)
    try:
        from embsql.skipgram.torch import (
            Torch,
            has_gpu,
        )  # here: only this path needs torch, slow to import
    except ImportError:
        raise MissingExtra(what="training on a GPU", package="torch", extra="torch") from None
    if not has_gpu():
        raise NoGpu
    return Torch(*arguments)


def _first(counts: Int64, settings: Settings, run: Run, before: Float32 | None) -> Float32:
    """What input vectors start from, (n, dim): small random numbers, or the vectors there were."""
    shape = len(counts), settings.dim
    vectors = (
        np.random.default_rng(run.seed).random(shape, np.float32) - np.float32(0.5)
    ) / np.float32(settings.dim)
    return (
        vectors
        if before is None
        else np.where(np.isnan(before), vectors, before).astype(np.float32)
    )


def noise(counts: Int64, exponent: float) -> NDArray[np.float64]:
    """Chances (n,) of each token to be drawn as a negative; what never comes is never drawn."""
    seen = counts > 0  # (n,)
    chances = np.where(seen, np.where(seen, counts, 1).astype(np.float64) ** exponent, 0)
    return chances if seen.any() else np.ones(len(counts))


def keep(counts: Int64, sample: float) -> Float32:
    """Chances (n,) of each token to survive subsampling, as in word2vec; empty when all do."""
    if not sample:
        return np.empty(0, np.float32)
    ratio = sample * counts.sum() / np.maximum(counts, 1)  # (n,)
    chances: Float32 = np.minimum(np.sqrt(ratio) + ratio, 1).astype(np.float32)  # (n,)
    return chances
