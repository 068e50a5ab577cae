"""Vectors from co-occurrence counts: shifted positive pointwise mutual information, factorized."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from embsql.data import CsrMatrix, Float32, Float64, Int64, indptr_of
from embsql.numeric.linalg import multiply
from embsql.numeric.svd import truncated_svd
from embsql.run import Run
from embsql.skipgram.base import Block, Settings

CHUNK = 1 << 22  # pairs that are counted at a time


class Counts(NamedTuple):
    """How much pairs of n tokens share windows."""

    key: Int64  # (k,) row * n + column
    weight: Float64  # (k,)


def factors(
    blocks: Iterable[Block], n: int, settings: Settings, run: Run
) -> tuple[Float32, float]:
    """Vectors (n, dim) of n tokens, and the share of the matrix's squares that they leave out.

    Levy, Goldberg and Dagan (2015, "Improving distributional similarity with lessons learned from
    word embeddings"): roots of the singular values, contexts smoothed by `ns_exponent`, shifted by
    log(negatives).
    """
    counts = cooccurrences(blocks, n, settings, run)
    matrix = shifted_ppmi(counts, n, settings)  # (n, n)
    right = truncated_svd(matrix, n, settings.dim, run)  # (n, d) right singular vectors
    projected = multiply(
        matrix, right, run
    )  # (n, d) the left ones times the singular values
    values: Float64 = np.linalg.norm(
        projected.astype(np.float64), axis=0
    )  # (d,) singular values
    roots: Float32 = np.sqrt(np.where(values > 0, values, 1)).astype(np.float32)  # (d,)
    vectors: Float32 = (projected / roots).astype(np.float32)  # (n, d)
    return vectors, _share_left_out(matrix, values)


def _share_left_out(matrix: CsrMatrix, values: Float64) -> float:
    """The share of the matrix's squares that the singular values (d,) do not cover."""
    whole = float(np.square(matrix.data, dtype=np.float64).sum())
    covered = float(np.square(values).sum())
    return 1 - covered / whole if whole else 0.0


def cooccurrences(
    blocks: Iterable[Block], n: int, settings: Settings, run: Run
) -> Counts:
    """How much each two tokens share windows, by ascending key.

    A pair at a distance counts as often as a dynamic window reaches it, and less with the time
    between.
    """
    counts = Counts(np.empty(0, np.int64), np.empty(0))
    waiting: list[Counts] = []
    for block in blocks:
        for distance in range(1, min(settings.window, len(block.token) - 1) + 1):
            run.check()
            waiting.append(_add_up([_pairs_at(block, distance, n, settings)]))
            if sum(len(part.key) for part in waiting) > max(CHUNK, len(counts.key)):
                counts = _add_up([counts, *waiting])
                waiting = []
    return _add_up([counts, *waiting])


def _pairs_at(block: Block, distance: int, n: int, settings: Settings) -> Counts:
    """The pairs of tokens at a distance, both ways."""
    sequence = np.repeat(
        np.arange(len(block.indptr) - 1), np.diff(block.indptr)
    )  # (t,)
    first = np.flatnonzero(sequence[distance:] == sequence[:-distance])  # (p,)
    second = first + distance  # (p,)
    left = block.token[first].astype(np.int64)  # (p,)
    right = block.token[second].astype(np.int64)  # (p,)
    reached = 1 - (distance - 1) / settings.window if settings.dynamic_window else 1.0
    weight = np.full(len(first), reached)  # (p,)
    if block.time is not None:
        apart = np.abs(block.time[second] - block.time[first])  # (p,)
        weight *= np.exp2(-apart)
    key = np.concatenate((left * n + right, right * n + left))  # (2p,)
    return Counts(key, np.concatenate((weight, weight)))


def _add_up(parts: list[Counts]) -> Counts:
    """The weights of equal keys added up, by ascending key."""
    keys = np.concatenate([part.key for part in parts])  # (p,)
    weights = np.concatenate([part.weight for part in parts])  # (p,)
    key, position = np.unique(keys, return_inverse=True)  # (k,), (p,)
    weight = np.bincount(position, weights, len(key))  # (k,)
    return Counts(key, weight.astype(np.float64))


def shifted_ppmi(counts: Counts, n: int, settings: Settings) -> CsrMatrix:
    """The matrix (n, n) of max(0, pmi - log(negatives)).

    pmi is log(share of the pair / (share of the row * smoothed share of the column)).
    """
    row = counts.key // n  # (k,)
    column = counts.key % n  # (k,)
    total = np.bincount(row, counts.weight, n)  # (n,) rows and columns alike
    powers = np.where(total > 0, total, 1) ** settings.ns_exponent  # (n,)
    smoothed = np.where(total > 0, powers, 0)  # (n,)
    expected = total[row] * smoothed[column]  # (k,)
    pmi = np.log(counts.weight * smoothed.sum() / expected)  # (k,)
    shifted = pmi - np.log(settings.negatives)  # (k,)
    kept = shifted > 0  # (k,)
    indptr = indptr_of(row[kept].astype(np.int32), n)  # (n + 1,)
    indices = column[kept].astype(np.int32)
    return CsrMatrix(indptr, indices, shifted[kept].astype(np.float32))
