"""Vectors from co-occurrence counts: shifted positive pointwise mutual information, factorised."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Int64, indptr_of
from embsql.numeric.linalg import multiply
from embsql.numeric.svd import truncated_svd
from embsql.run import Run
from embsql.skipgram.base import Block, Settings

CHUNK = 1 << 22  # pairs that are counted at a time
Float64 = NDArray[np.float64]


def factors(blocks: Iterable[Block], n: int, settings: Settings, run: Run) -> tuple[Float32, float]:
    """Vectors (n, dim) of n tokens, and the share of the matrix's squares that they leave out.

    Levy, Goldberg and Dagan (2015, "Improving distributional similarity with lessons learned from
    word embeddings"): roots of the singular values, contexts smoothed by `ns_exponent`, shifted by
    log(negatives).
    """
    rows = shifted_ppmi(cooccurrences(blocks, n, settings, run), n, settings)
    axes = truncated_svd(rows, n, settings.dim, run)  # (n, d)
    projected = multiply(rows, axes, run)  # (n, d) the singular vectors times their values
    values: Float64 = np.linalg.norm(projected.astype(np.float64), axis=0)  # (d,)
    whole = float(np.square(rows.data, dtype=np.float64).sum())
    loss = 1 - float(np.square(values).sum()) / whole if whole else 0.0
    roots: Float32 = np.sqrt(np.where(values > 0, values, 1)).astype(np.float32)  # (d,)
    vectors: Float32 = (projected / roots).astype(np.float32)  # (n, d)
    return vectors, loss


def cooccurrences(
    blocks: Iterable[Block], n: int, settings: Settings, run: Run
) -> tuple[Int64, Float64]:
    """How much each two tokens share windows: keys row * n + column (k,), ascending, and weights
    (k,).

    A pair at a distance counts as often as a dynamic window reaches it, and less with the time
    between.
    """
    found = np.empty(0, np.int64), np.empty(0)
    waiting: list[tuple[Int64, Float64]] = []
    for block in blocks:
        for far in range(1, min(settings.window, len(block.token) - 1) + 1):
            run.check()
            waiting.append(_added([_at_distance(block, far, n, settings)]))
            if sum(len(keys) for keys, _ in waiting) > max(CHUNK, len(found[0])):
                found, waiting = _added([found, *waiting]), []
    return _added([found, *waiting])


def _at_distance(block: Block, far: int, n: int, settings: Settings) -> tuple[Int64, Float64]:
    """The pairs of tokens that are so far apart, both ways: keys (k,) and weights (k,)."""
    sequence = np.repeat(np.arange(len(block.start) - 1), np.diff(block.start))  # (t,)
    together = np.flatnonzero(sequence[far:] == sequence[:-far])  # (p,)
    left, right = (
        block.token[together].astype(np.int64),
        block.token[together + far].astype(np.int64),
    )  # (p,), (p,)
    weight = np.full(
        len(together), 1 - (far - 1) / settings.window if settings.dynamic_window else 1.0
    )  # (p,)
    if block.time is not None:
        weight *= np.exp2(-np.abs(block.time[together + far] - block.time[together]))
    return np.concatenate((left * n + right, right * n + left)), np.concatenate((weight, weight))


def _added(parts: list[tuple[Int64, Float64]]) -> tuple[Int64, Float64]:
    """The weights of equal keys added up."""
    keys, place = np.unique(
        np.concatenate([keys for keys, _ in parts]), return_inverse=True
    )  # (k,), (p,)
    weights = np.bincount(
        place, np.concatenate([weights for _, weights in parts]), len(keys)
    )  # (k,)
    return keys, weights.astype(np.float64)


def shifted_ppmi(pairs: tuple[Int64, Float64], n: int, settings: Settings) -> CsrMatrix:
    """max(0, log(share of the pair / (share of the row * smoothed share of the column)) -
    log(negatives)).
    """
    keys, weights = pairs
    row, column = keys // n, keys % n  # (k,), (k,)
    total = np.bincount(row, weights, n)  # (n,) rows and columns alike
    smooth = np.where(total > 0, np.where(total > 0, total, 1) ** settings.ns_exponent, 0)  # (n,)
    pmi = np.log(weights * smooth.sum() / (total[row] * smooth[column])) - np.log(
        settings.negatives
    )  # (k,)
    kept = pmi > 0  # (k,)
    return CsrMatrix(
        indptr_of(row[kept].astype(np.int32), n),
        column[kept].astype(np.int32),
        pmi[kept].astype(np.float32),
    )
