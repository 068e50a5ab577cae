"""Skip-gram and CBOW with negative sampling over sequences of tokens.

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
from embsql.skipgram.base import Corpus, LrSchedule, Settings, Trainer, initial_squares

# squared gradient of vectors from before: they step a fifth as far, so that axes stay
WARM_START_SQUARE = 25.0


def train_skipgram(
    corpus: Corpus,
    counts: Int64,
    settings: Settings,
    run: Run,
    initial: Float32 | None = None,
) -> tuple[Float32, Float32]:
    """Input and output vectors (n, dim) of n tokens, which come counts (n,) times in an epoch.

    Input vectors start from initial (n, dim) where that is given and not NaN. Reports every epoch
    with the mean loss of a pair, raises what `run.check` raises. The same seed and threads give the
    same bytes. A token that never shared a window with another has zeros, or what it had before.
    """
    is_new = np.ones(len(counts), bool)  # (n,)
    if initial is not None:
        is_new = np.isnan(initial[:, 0])
    vectors = _initial_vectors(counts, settings, run, initial)  # (n, d)
    squares = initial_squares(settings.dim, len(counts))  # (n,)
    squares[~is_new] = WARM_START_SQUARE * settings.dim
    trainer = _trainer(vectors, squares, counts, settings, run)
    tokens = int(counts.sum()) * settings.epochs
    schedule = LrSchedule(settings.lr, max(tokens, 1))
    for epoch in range(1, settings.epochs + 1):
        sums = np.zeros(2)
        for block in corpus.blocks(epoch):
            run.check()
            sums += trainer.learn(block, schedule)
            schedule.done += len(block.token)
        loss, pairs = sums
        run.report(epoch=epoch, loss=float(loss / max(pairs, 1)))
    inputs, outputs = trainer.vectors()  # (n, d), (n, d)
    untrained = (inputs == vectors).all(1) & is_new  # (n,)
    inputs[untrained] = 0
    outputs[untrained] = 0
    return inputs, outputs


def _trainer(
    vectors: Float32, squares: Float32, counts: Int64, settings: Settings, run: Run
) -> Trainer:
    """The trainer for the run's device."""
    negatives = negative_probabilities(counts, settings.ns_exponent)  # (n,)
    keep = keep_probabilities(counts, settings.sample)  # (n,) or none
    arguments = (vectors, squares, negatives, keep, settings, run)
    # imported here: the compiler takes long, torch longer, and listing algorithms needs neither
    if run.device == "cpu":
        from embsql.skipgram.cpu import CpuTrainer

        return CpuTrainer(*arguments)
    try:
        from embsql.factorization.torch import has_gpu
        from embsql.skipgram.torch import TorchTrainer
    except ImportError:
        raise MissingExtra(
            what="training on a GPU", package="torch", extra="torch"
        ) from None
    if not has_gpu():
        raise NoGpu
    return TorchTrainer(*arguments)


def _initial_vectors(
    counts: Int64, settings: Settings, run: Run, initial: Float32 | None
) -> Float32:
    """What input vectors start from, (n, dim): small random numbers, or the vectors there were."""
    shape = (len(counts), settings.dim)
    uniform = np.random.default_rng(run.seed).random(shape, np.float32)  # (n, d)
    random = (uniform - np.float32(0.5)) / np.float32(settings.dim)  # (n, d)
    if initial is None:
        return random
    return np.where(np.isnan(initial), random, initial).astype(np.float32)


def negative_probabilities(counts: Int64, exponent: float) -> NDArray[np.float64]:
    """How often each token (n,) is drawn as a negative, not scaled; never where it never comes."""
    seen = counts > 0  # (n,)
    if not seen.any():
        return np.ones(len(counts))
    powers = np.where(seen, counts, 1).astype(np.float64) ** exponent  # (n,)
    return np.where(seen, powers, 0)


def keep_probabilities(counts: Int64, sample: float) -> Float32:
    """How often each token (n,) survives subsampling, as in word2vec; empty when all do."""
    if not sample:
        return np.empty(0, np.float32)
    ratio = sample * counts.sum() / np.maximum(counts, 1)  # (n,)
    probabilities: Float32 = np.minimum(np.sqrt(ratio) + ratio, 1).astype(
        np.float32
    )  # (n,)
    return probabilities
