"""Cells of vectors, so that a search reads a few of them in place of all: an inverted file (IVF).

A cell is what points in one direction and is about as long. What the best of a cell may score is
guessed from its mean and how far its vectors lie from it. How many vectors are to be read in this
order is measured, per run, on questions whose exact answers are known. See docs/decisions/0042.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embsql.data import Float32, Float64, Int32, Int64
from embsql.numeric.kmeans import kmeans, nearest_centroids
from embsql.numeric.topk import top_k
from embsql.options import Similarity
from embsql.run import Run

# parts of a direction by length: a dot product wants long vectors apart from short ones
BANDS = 2
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
    # vectors in better cells, up to which a cell is read for as many answers as RANKS says
    budgets: tuple[int, int]
    recall: float  # of the true ten, measured


def divide(vectors: Float32, bias: Float32, run: Run) -> Int32:
    """The cell of each vector (n, d), from 0: near cells have near numbers.

    As many directions as the root of n, each in bands.
    """
    n = len(vectors)
    groups = max(round(np.sqrt(n)), 1)
    length = np.linalg.norm(vectors, axis=1)  # (n,)
    directions = _directions(vectors, length)  # (n, d)
    rng = np.random.default_rng(run.seed)
    rows = rng.choice(n, min(n, ROWS_PER_CENTROID * groups), replace=False)  # (s,)
    sample = directions[np.sort(rows)]  # (s, d)
    centroids = kmeans(sample, groups, run, iterations=ITERATIONS).centroids  # (g, d)
    centroids = centroids[_side_by_side(centroids, run)]  # (g, d)
    group = nearest_centroids(directions, centroids, run)  # (n,)
    return _bands(group, length + bias, groups)


def _directions(vectors: Float32, length: Float32) -> Float32:
    """The vectors (n, d) at length 1; one of length 0 stays what it is."""
    divisor = np.where(length > 0, length, 1)[:, None]  # (n, 1)
    return (vectors / divisor).astype(np.float32, copy=False)


def _side_by_side(centroids: Float32, run: Run) -> Int64:
    """An order of centroids (g, d) in which those of one neighborhood follow one another."""
    neighborhoods = max(round(np.sqrt(len(centroids))), 1)
    labels = kmeans(centroids, neighborhoods, run).labels  # (g,)
    return np.argsort(labels, kind="stable")


def _bands(group: Int32, size: Float32, groups: int) -> Int32:
    """Cells (n,) of groups (n,) that are cut by size (n,): the first quarter is the longest."""
    order = np.lexsort((-size, group))  # (n,)
    counts = np.bincount(group, minlength=groups)  # (g,)
    first = np.cumsum(counts) - counts  # (g,)
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group))
    within = (rank - first[group]) / counts[group]  # (n,) from 0 to 1
    band = np.floor(np.sqrt(within) * BANDS)  # (n,)
    cell: Int32 = (group * BANDS + band).astype(np.int32)
    return cell


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
    wanted = np.take_along_axis(_before(guess, sizes), cell[codes], 1)  # (m, 100)
    wanted = np.where(codes >= 0, wanted, 0)  # (m, 100)
    few, many = (_budget(wanted[:, :ranks], len(cell)) for ranks in RANKS)
    recall = float((wanted[:, : min(RANKS)] <= few).mean()) if len(wanted) else 1.0
    return Guide(
        similarity, sizes, centers, offsets, reach, (few, max(few, many)), recall
    )


def _before(guess: Float32, sizes: Int64) -> Int64:
    """How many vectors are in cells of a better guess (m, c): (m, c)."""
    order = np.argsort(-guess, axis=1, kind="stable")  # (m, c)
    ordered = sizes[order]  # (m, c)
    before = np.empty_like(ordered)
    np.put_along_axis(before, order, np.cumsum(ordered, axis=1) - ordered, 1)
    return before


def _budget(wanted: Int64, n: int) -> int:
    """So many of n vectors that the share RECALL of what is wanted (m, k) lies within."""
    if not len(wanted):
        return n
    enough = int(np.quantile(wanted, RECALL, method="higher"))
    return max(enough, 1) if enough <= MOST * n else n


def _shape(
    vectors: Float32, bias: Float32, sizes: Int64
) -> tuple[Float32, Float32, Float32]:
    """Of vectors (n, d) and biases (n,), ordered by cell: means (c, d) and (c,), spread (c,).

    The spread is the deviation in one dimension, as it is on average over all.
    """
    there = np.flatnonzero(sizes)  # (c',) a cell without a vector has no part to add up
    first = (np.cumsum(sizes) - sizes)[there]  # (c',)
    exact = sizes[there].astype(np.float64)  # (c',)
    centers = np.zeros((len(sizes), vectors.shape[1]), np.float32)  # (c, d)
    offsets, spread = np.zeros((2, len(sizes)), np.float32)  # (c,), (c,)
    centers[there] = np.add.reduceat(vectors, first) / exact[:, None]
    offsets[there] = np.add.reduceat(bias, first) / exact
    square = np.einsum("nd,nd->n", vectors, vectors) + bias**2  # (n,)
    mean: Float64 = np.add.reduceat(square.astype(np.float64), first) / exact  # (c',)
    own = np.einsum("cd,cd->c", centers, centers)[there] + offsets[there] ** 2  # (c',)
    spread[there] = np.sqrt(np.maximum(mean - own, 0) / vectors.shape[1])
    return centers, offsets, spread
