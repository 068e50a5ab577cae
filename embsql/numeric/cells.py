"""Cells of vectors, so that a search reads a few of them instead of all: an inverted file (IVF).

A cell is what points in one direction and is about as long; long ones lie together. What the best
of a cell may score is guessed from its mean and how far its vectors lie from it. How many vectors
are to be read in this order is measured, per run, on questions whose exact answers are known. See
docs/decisions/0046.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embsql.data import Float32, Float64, Int32, Int64
from embsql.numeric.kmeans import kmeans, nearest_centroids
from embsql.numeric.topk import top_k
from embsql.options import Similarity
from embsql.run import Run

# where a direction's vectors are cut by length, the longest first: a dot product wants those apart
CUTS = (1 / 64, 1 / 16, 1 / 4)
NONE = 0  # the cell of vectors of length 0, which every question reads
ROWS_PER_CENTROID = 64  # of the sample that directions are learned of
ITERATIONS = 10
# deviations above its mean at which the best of a cell is guessed
DEVIATIONS = 3
QUESTIONS = 400  # on which a guide is measured
RANKS = (10, 100)  # answers for which that is measured; of others it is their power
RECALL = 0.99  # of the true best, how many shall be in the cells that are read
MOST = 0.5  # the share of all vectors beyond which all are read


@dataclass(frozen=True, slots=True)
class Guide:
    """What the best of each of c cells may score: `products + bias + |question| * reach`."""

    similarity: Similarity
    sizes: Int64  # (c,)
    centers: Float32  # (c, d) means; of directions, where the similarity is cosine
    bias: Float32  # (c,)
    reach: Float32  # (c,)
    # vectors in better cells, up to which a cell is read for as many answers as RANKS has
    budgets: tuple[int, int]
    recall: float  # of the true ten, measured


def divide(vectors: Float32, bias: Float32, run: Run) -> Int32:
    """The cell of each vector (n, d) with a bias (n,), from 1; NONE has no direction.

    As many directions as the root of n, each cut by length. Near cells have near numbers.
    """
    n = len(vectors)
    groups = max(round(np.sqrt(n)), 1)
    length = np.linalg.norm(vectors, axis=1)  # (n,)
    directions = _directions(vectors, length)  # (n, d)
    rng = np.random.default_rng(run.seed)
    size = min(n, ROWS_PER_CENTROID * groups)
    rows = rng.choice(n, size, replace=False)  # (s,)
    sample = directions[np.sort(rows)]  # (s, d)
    centroids = kmeans(sample, groups, run, iterations=ITERATIONS).centroids  # (g, d)
    centroids = centroids[_side_by_side(centroids, run)]  # (g, d)
    group = nearest_centroids(directions, centroids, run)  # (n,)
    band = _bands(group, length + bias, groups)  # (n,)
    cell = np.where(length > 0, 1 + band * groups + group, NONE)  # (n,)
    return cell.astype(np.int32)


def _directions(vectors: Float32, length: Float32) -> Float32:
    """The vectors (n, d) at length 1; one of length 0 stays what it is."""
    divisor = np.where(length > 0, length, 1)[:, None]  # (n, 1)
    return (vectors / divisor).astype(np.float32, copy=False)


def _side_by_side(centroids: Float32, run: Run) -> Int64:
    """An order of centroids (g, d) in which those of one neighborhood follow one another."""
    neighborhoods = max(round(np.sqrt(len(centroids))), 1)
    labels = kmeans(centroids, neighborhoods, run).labels  # (g,)
    return np.argsort(labels, kind="stable")


def _bands(group: Int32, size: Float32, groups: int) -> Int64:
    """The band (n,) of each size (n,) within its group (n,), from 0, the largest's."""
    order = np.lexsort((-size, group))  # (n,)
    counts = np.bincount(group, minlength=groups)  # (g,)
    first = np.cumsum(counts) - counts  # (g,)
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group))
    within = (rank - first[group]) / counts[group]  # (n,) from 0 to 1
    return np.searchsorted(CUTS, within, side="right")  # (n,)


def guide(
    similarity: Similarity,
    vectors: Float32,
    bias: Float32,
    cell: Int32,
    questions: Float32,
    run: Run,
) -> Guide:
    """How to choose among the cells (n,) of vectors (n, d) with biases (n,), ordered by cell.

    It is measured on questions (m, d), of which those of length 0 are passed over.
    """
    asked_length = np.linalg.norm(questions, axis=1)  # (m,)
    questions = questions[asked_length > 0]
    if similarity == "cosine":
        vectors = _directions(vectors, np.linalg.norm(vectors, axis=1))
        questions = _directions(questions, np.linalg.norm(questions, axis=1))
        bias = np.zeros_like(bias)
    sizes = np.bincount(cell)  # (c,)
    centers, offsets, spread = _shape(vectors, bias, sizes)
    reach = DEVIATIONS * spread  # (c,)
    codes, _ = top_k(questions, vectors, max(RANKS), item_bias=bias, run=run)
    length = np.linalg.norm(questions, axis=1)[:, None]  # (m, 1)
    guess = questions @ centers.T + offsets + length * reach  # (m, c)
    sizes[NONE] = 0  # it is read before all others
    guess[:, NONE] = np.inf
    before = _before(guess, sizes)  # (m, c)
    wanted = np.take_along_axis(before, cell[codes], 1)  # (m, 100)
    wanted = np.where(codes >= 0, wanted, 0)  # (m, 100)
    few, many = (_budget(wanted[:, :ranks], len(cell)) for ranks in RANKS)
    return Guide(
        similarity=similarity,
        sizes=sizes,
        centers=centers,
        bias=offsets,
        reach=reach,
        budgets=(few, max(few, many)),
        recall=_share_within(few, wanted[:, : min(RANKS)]),
    )


def _before(guess: Float32, sizes: Int64) -> Int64:
    """How many vectors are in cells of a better guess (m, c): (m, c)."""
    order = np.argsort(-guess, axis=1, kind="stable")  # (m, c)
    ordered = sizes[order]  # (m, c)
    before = np.empty_like(ordered)
    better = np.cumsum(ordered, axis=1) - ordered  # (m, c)
    np.put_along_axis(before, order, better, 1)
    return before


def _share_within(budget: int, wanted: Int64) -> float:
    """The share of what is wanted (m, k) that lies within a budget; 1 where nothing is."""
    if not len(wanted):
        return 1.0
    return float((wanted <= budget).mean())


def _budget(wanted: Int64, n: int) -> int:
    """So many of n vectors that the share RECALL of what is wanted (m, k) lies within."""
    if not len(wanted):
        return n
    enough = int(np.quantile(wanted, RECALL, method="higher"))
    if enough > MOST * n:
        return n
    return max(enough, 1)


def _shape(
    vectors: Float32, bias: Float32, sizes: Int64
) -> tuple[Float32, Float32, Float32]:
    """Of vectors (n, d) and biases (n,), ordered by cell: means (c, d) and (c,), spread (c,).

    The spread is the deviation in one dimension, as it is on average over all.
    """
    there = np.flatnonzero(sizes)  # (c',) a cell without a vector has no part to add up
    first = (np.cumsum(sizes) - sizes)[there]  # (c',)
    exact = sizes[there].astype(np.float64)  # (c',)
    c = len(sizes)
    d = vectors.shape[1]
    centers = np.zeros((c, d), np.float32)
    offsets = np.zeros(c, np.float32)
    spread = np.zeros(c, np.float32)
    centers[there] = np.add.reduceat(vectors, first) / exact[:, None]
    offsets[there] = np.add.reduceat(bias, first) / exact
    square = np.einsum("nd,nd->n", vectors, vectors) + bias**2  # (n,)
    mean: Float64 = np.add.reduceat(square.astype(np.float64), first) / exact  # (c',)
    own = np.einsum("cd,cd->c", centers, centers) + offsets**2  # (c,)
    variance = np.maximum(mean - own[there], 0) / d  # (c',)
    spread[there] = np.sqrt(variance)
    return centers, offsets, spread
