"""k-means clusters of vectors, and how many there are.

Threads share out rows, each row is computed by one of them in a fixed order, and the ranges do not
depend on their number: neither do the clusters. The products are made here rather than by BLAS,
whose threads spin next to ours, and consumed while they are in the first cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Int32
from embsql.errors import InvalidArgument
from embsql.numeric.compiler import compiled, inlined
from embsql.numeric.linalg import (
    Ranges,
    balanced_ranges,
    multiply,
    parallel_map,
    transpose,
)
from embsql.numeric.plain import (
    is_small,
    plain_closest_with,
    plain_distances,
    plain_nearest,
)
from embsql.run import Run

# centroids compared at once: their scores and a part of their columns fill the first cache
TILE_WIDTH = 128
REGISTER = 16  # floats in a vector register
STRIDE = 64  # scores that are looked at together before any is looked at by itself
# rows per centroid in the largest sample: more move the centroids by less than they cost
ROWS_PER_CENTROID = 256
# the largest sample over those that the iterations run on, in turn
SAMPLE_SHARES = (8, 4, 2, 1)
SEEDING_ROWS_PER_CENTROID = 16  # among which the first centroids are chosen
MIN_SEEDING_ROWS = 4096  # so that few clusters are seeded well, too
# candidates for each first centroid: they avoid most bad optima, and share the time of reading the
# rows
CANDIDATES = 4
# over all rows, after the samples: removes what the centroids owe to the sample
FULL_PASSES = 1
MAX_FLOAT32_SUM = 1024  # rows added up in float32 before float64 takes over
SILHOUETTE_SAMPLE = 20_000  # rows on which numbers of clusters are compared
# compared in numpy as long as so many times as many scores are small: once compiled, loops are
# twice as fast
PLAIN_COST = 8
K_GRID = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


@dataclass(frozen=True, slots=True)
class Clustering:
    """Clusters of n vectors: every label is that of the nearest centroid."""

    centroids: Float32  # (k, d)
    labels: Int32  # (n,)
    distances: Float32  # (n,) Euclidean, to the own centroid
    # (n,) simplified: 1 amid its own cluster, 0 halfway to the next; all 0 for one cluster
    silhouettes: Float32
    inertia: float  # sum of the squared distances


def kmeans(vectors: Float32, k: int, run: Run, *, iterations: int = 25) -> Clustering:
    """Cluster vectors (n, d) by Euclidean distance: Lloyd's algorithm (1982) from k-means++ seeds.

    Where there are many rows, the iterations are shared out to samples that double in size, and one
    pass over all rows follows: early steps, whose centroids are far off, need few rows. A cluster
    is empty in the end only where fewer than k vectors differ, or where the very last step emptied
    it.
    """
    if not len(vectors):
        raise InvalidArgument(name="vectors", allowed="one or more", value="none")
    if not 1 <= k <= len(vectors):
        raise InvalidArgument(
            name="k", allowed=f"1 to {len(vectors)}, the number of vectors", value=k
        )
    vectors = np.ascontiguousarray(vectors, np.float32)
    rng = np.random.default_rng(run.seed)
    seeding_rows = max(SEEDING_ROWS_PER_CENTROID * k, MIN_SEEDING_ROWS)
    centroids = _seed(_sample(vectors, seeding_rows, rng), k, rng, run)  # (k, d)
    largest = ROWS_PER_CENTROID * k
    for share in SAMPLE_SHARES:
        size = largest // share
        if size < len(vectors):
            sample = _sample(vectors, size, rng)  # (size, d)
            centroids = _lloyd(sample, centroids, -(-iterations // 5), run)
    passes = FULL_PASSES if len(vectors) > largest else iterations
    centroids = _lloyd(vectors, centroids, passes, run)
    return _clustering(vectors, centroids, run)


def nearest_centroids(vectors: Float32, centroids: Float32, run: Run) -> Int32:
    """Labels (n,) of the centroids (k, d) that vectors (n, d) are nearest to."""
    return np.ascontiguousarray(_nearest(vectors, centroids, 1, run)[:, 0])


def choose_k(vectors: Float32, run: Run) -> int:
    """The number of clusters with the best mean silhouette on a sample of vectors (n, d).

    The smaller of equals. It is sought among a few numbers up to the root of the sample's size.
    """
    sample = _sample(
        vectors, SILHOUETTE_SAMPLE, np.random.default_rng(run.seed)
    )  # (s, d)
    grid = [k for k in K_GRID if k * k <= len(sample)] or [1]

    def mean_silhouette(k: int) -> float:
        return float(kmeans(sample, k, run).silhouettes.mean(dtype=np.float64))

    return max(grid, key=mean_silhouette)


def _sample(vectors: Float32, size: int, rng: np.random.Generator) -> Float32:
    """Some of the vectors (n, d), in their order: (min(n, size), d)."""
    if len(vectors) <= size:
        return vectors
    rows = rng.choice(len(vectors), size, replace=False, shuffle=False)  # (size,)
    return vectors[np.sort(rows)]


def _seed(vectors: Float32, k: int, rng: np.random.Generator, run: Run) -> Float32:
    """First centroids (k, d) by greedy k-means++ (Arthur and Vassilvitskii, 2007, section 7).

    Each is the best of some vectors drawn with probability as the squared distance.
    """
    n = len(vectors)
    seeds = np.empty((k, vectors.shape[1]), np.float32)  # (k, d)
    closest = np.ones(n, np.float32)  # (n,) squared distance to the nearest seed
    for number in range(k):
        run.check()
        candidates = vectors[_draw(closest, rng)]  # (c, d)
        if number == 0:
            closest[:] = np.inf
        with_candidate = _closest_with(vectors, candidates, closest)  # (c, n)
        best = with_candidate.sum(1, dtype=np.float64).argmin()
        seeds[number] = candidates[best]
        closest = with_candidate[best].copy()
    return seeds


def _closest_with(vectors: Float32, candidates: Float32, closest: Float32) -> Float32:
    """The squared distance of each vector (n, d) to each candidate (c, d): (c, n).

    Or its `closest` (n,) if that is less.
    """
    if is_small(*vectors.shape):
        return plain_closest_with(vectors, candidates, closest)
    out = np.empty((len(candidates), len(vectors)), np.float32)
    _write_closest(vectors, candidates, closest, out)
    return out


def _draw(weights: Float32, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows (c,) drawn with probability as the weights (n,), none of weight 0 unless all are."""
    cumulative = np.cumsum(weights, dtype=np.float64)  # (n,)
    drawn = rng.random(CANDIDATES) * cumulative[-1]  # (c,)
    rows: NDArray[np.intp] = np.searchsorted(cumulative, drawn, side="right")  # (c,)
    return rows.clip(max=len(weights) - 1)


def _lloyd(vectors: Float32, centroids: Float32, iterations: int, run: Run) -> Float32:
    """The centroids (k, d) after some iterations on vectors (n, d).

    Fewer when no label changes any more.
    """
    previous = np.full(len(vectors), -1, np.int32)  # (n,)
    for _ in range(iterations):
        labels = _nearest(vectors, centroids, 1, run)[:, 0]  # (n,)
        if (labels == previous).all():
            break
        centroids, previous = _update(vectors, labels, centroids, run)
    return centroids


def _nearest(vectors: Float32, centroids: Float32, m: int, run: Run) -> Int32:
    """Labels (n, m) of the m nearest centroids (k, d) of vectors (n, d), nearest first.

    The smaller of equals. Where there are fewer than m centroids the label is -1, which counts from
    the end: one centroid is its own second.
    """
    if is_small(PLAIN_COST * len(vectors), len(centroids)):
        return plain_nearest(vectors, centroids, m)
    tiles, bias = _tiles(centroids)  # (t, d, w), (t, w)
    labels = np.full((len(vectors), m), -1, np.int32)  # (n, m)
    scores = np.full(labels.shape, -np.inf, np.float32)  # (n, m)

    def label_rows(low: int, high: int) -> None:
        scratch = np.empty((4, bias.shape[1]), np.float32)  # (4, w)
        _best(low, high, vectors, tiles, bias, scratch, scores, labels)

    parallel_map(label_rows, _row_ranges(len(vectors), centroids.size // 8), run)
    return labels


def _tiles(centroids: Float32) -> tuple[Float32, Float32]:
    """Centroids (k, d) in t tiles of w, transposed: (t, d, w), and the biases of scores (t, w).

    The nearest c to x has the greatest x.c - |c|^2 / 2, the latter being the bias. Both are taken
    from the mean of the centroids, which adds the same to all scores and keeps them small, so that
    vectors far from the origin lose no digits.
    """
    k, d = centroids.shape
    count = -(-k // TILE_WIDTH)  # t
    width = -(-k // (REGISTER * count)) * REGISTER  # w
    mean = centroids.mean(0, dtype=np.float64)  # (d,)
    tiles = np.zeros((count * width, d), np.float32)
    tiles[:k] = centroids - mean
    bias = np.full(count * width, np.inf, np.float32)
    squares = np.einsum("kd,kd->k", centroids - mean, centroids + mean)  # (k,)
    bias[:k] = squares / 2
    transposed = tiles.reshape(count, width, d).transpose(0, 2, 1)  # (t, d, w)
    return np.ascontiguousarray(transposed), bias.reshape(count, width)


def _update(
    vectors: Float32, labels: Int32, centroids: Float32, run: Run
) -> tuple[Float32, Int32]:
    """Means (k, d) of the vectors (n, d) of each label, and the labels (n,).

    A cluster without vectors gets a half of another, which changes labels, and keeps its centroid
    where no other can be split.
    """
    n = len(vectors)
    k = len(centroids)
    ones = np.ones(n, np.float32)
    by_vector = CsrMatrix(np.arange(n + 1), labels, ones)
    members = transpose(by_vector, k)  # k rows: who is in each cluster
    counts = members.counts  # (k,)
    is_empty = counts == 0  # (k,)
    means = np.where(
        is_empty[:, None], centroids, _means(vectors, members, run)
    )  # (k, d)
    empty = np.flatnonzero(is_empty)
    if len(empty):
        distances = _distances(vectors, means, labels, run)  # (n,)
        error = np.bincount(labels, np.square(distances, dtype=np.float64), k)  # (k,)
        largest_first = np.argsort(-error, kind="stable")
        for new, old in zip(empty, largest_first, strict=False):
            rows = members.indices[members.indptr[old] : members.indptr[old + 1]]
            _split(vectors, rows, int(old), int(new), means, labels)
    return means, labels


def _means(vectors: Float32, members: CsrMatrix, run: Run) -> Float32:
    """Mean of the vectors (n, d) of each of k clusters: (k, d), 0 for none.

    Long sums are cut into parts to stay exact.
    """
    cuts = np.union1d(
        members.indptr, np.arange(0, len(vectors), MAX_FLOAT32_SUM)
    )  # (p + 1,)
    parts = multiply(
        CsrMatrix(cuts, members.indices, members.data), vectors, run
    )  # (p, d)
    cluster = np.searchsorted(members.indptr, cuts[:-1], side="right") - 1  # (p,)
    total = np.zeros((len(members.counts), vectors.shape[1]))  # (k, d)
    np.add.at(total, cluster, parts)
    counts = np.maximum(members.counts, 1)[:, None]  # (k, 1)
    return (total / counts).astype(np.float32)


def _split(
    vectors: Float32, rows: Int32, old: int, new: int, means: Float32, labels: Int32
) -> None:
    """Give to cluster `new` the rows of `old` on the same side of its mean as the farthest."""
    if not len(rows):
        return
    offsets = vectors[rows] - means[old]  # (r, d)
    farthest = offsets[np.square(offsets).sum(1).argmax()]  # (d,)
    moved = offsets @ farthest > 0  # (r,)
    if moved.any() and not moved.all():
        labels[rows[moved]] = new
        means[new] = vectors[rows[moved]].mean(0)
        means[old] = vectors[rows[~moved]].mean(0)


def _clustering(vectors: Float32, centroids: Float32, run: Run) -> Clustering:
    """What the centroids (k, d) make of the vectors (n, d)."""
    labels = _nearest(vectors, centroids, 2, run)  # (n, 2)
    own = _distances(vectors, centroids, labels[:, 0], run)  # (n,)
    other = _distances(vectors, centroids, labels[:, 1], run)  # (n,) the same for k = 1
    farther = np.maximum(own, other)  # (n,)
    zero = np.zeros_like(own)
    silhouettes = np.divide(other - own, farther, out=zero, where=farther > 0)  # (n,)
    inertia = float(np.square(own, dtype=np.float64).sum())
    return Clustering(
        centroids, np.ascontiguousarray(labels[:, 0]), own, silhouettes, inertia
    )


def _distances(
    vectors: Float32, centroids: Float32, labels: Int32, run: Run
) -> Float32:
    """Euclidean distance of each vector (n, d) to the centroid of its label (n,): (n,)."""
    if is_small(*vectors.shape):
        return plain_distances(vectors, centroids, labels)
    out = np.empty(len(vectors), np.float32)  # (n,)

    def measure_rows(low: int, high: int) -> None:
        _write_distances(low, high, vectors, centroids, labels, out)

    parallel_map(measure_rows, _row_ranges(*vectors.shape), run)
    return out


def _row_ranges(n: int, cost: int) -> Ranges:
    """Ranges of n rows that cost so much each."""
    return balanced_ranges(np.arange(n + 1), max(cost, 1))


# --- compiled loops ------------------------------------------------------------------------------


@inlined
def _squared_distance(a: Float32, i: int, b: Float32, j: int) -> np.float32:
    """Squared distance of row i of a (n, d) and row j of b (m, d)."""
    total = np.float32(0)
    for c in range(a.shape[1]):
        total += (a[i, c] - b[j, c]) ** 2
    return total


@compiled
def _write_distances(
    low: int,
    high: int,
    vectors: Float32,
    centroids: Float32,
    labels: Int32,
    out: Float32,
) -> None:
    """Write the distances of rows low..high to the centroid of their labels."""
    for row in range(low, high):
        out[row] = np.sqrt(_squared_distance(vectors, row, centroids, labels[row]))


@compiled
def _write_closest(
    vectors: Float32, candidates: Float32, closest: Float32, out: Float32
) -> None:
    """Write what `_closest_with` returns."""
    for row in range(len(vectors)):
        for c in range(len(candidates)):
            out[c, row] = min(
                closest[row], _squared_distance(vectors, row, candidates, c)
            )


@inlined
def _scores(
    a: int,
    b: int,
    c: int,
    d: int,
    vectors: Float32,
    tile: int,
    tiles: Float32,
    bias: Float32,
    out: Float32,
) -> None:
    """The products of rows a, b, c and d with the columns of a tile, less the bias: out (4, w).

    Four rows by four dimensions at a time: sixteen multiplications for each four loads.
    """
    dim = tiles.shape[1]
    width = tiles.shape[2]
    fours = dim - dim % 4
    for j in range(width):
        for r in range(4):
            out[r, j] = -bias[tile, j]
    for i in range(0, fours, 4):
        a0 = vectors[a, i]
        a1 = vectors[a, i + 1]
        a2 = vectors[a, i + 2]
        a3 = vectors[a, i + 3]
        b0 = vectors[b, i]
        b1 = vectors[b, i + 1]
        b2 = vectors[b, i + 2]
        b3 = vectors[b, i + 3]
        c0 = vectors[c, i]
        c1 = vectors[c, i + 1]
        c2 = vectors[c, i + 2]
        c3 = vectors[c, i + 3]
        d0 = vectors[d, i]
        d1 = vectors[d, i + 1]
        d2 = vectors[d, i + 2]
        d3 = vectors[d, i + 3]
        for j in range(width):
            w = tiles[tile, i, j]
            x = tiles[tile, i + 1, j]
            y = tiles[tile, i + 2, j]
            z = tiles[tile, i + 3, j]
            out[0, j] += a0 * w + a1 * x + a2 * y + a3 * z
            out[1, j] += b0 * w + b1 * x + b2 * y + b3 * z
            out[2, j] += c0 * w + c1 * x + c2 * y + c3 * z
            out[3, j] += d0 * w + d1 * x + d2 * y + d3 * z
    for i in range(fours, dim):
        for j in range(width):
            out[0, j] += vectors[a, i] * tiles[tile, i, j]
            out[1, j] += vectors[b, i] * tiles[tile, i, j]
            out[2, j] += vectors[c, i] * tiles[tile, i, j]
            out[3, j] += vectors[d, i] * tiles[tile, i, j]


@inlined
def _any_above(found: Float32, r: int, begin: int, end: int, bar: float) -> bool:
    """Whether a score in a part of row r is above the bar.

    Without a branch, which makes it vector instructions.
    """
    above = 0
    for j in range(begin, end):
        above |= found[r, j] > bar
    return above != 0


@inlined
def _insert(score: float, label: int, row: int, scores: Float32, labels: Int32) -> None:
    """Put a score above the last of a row's m best where it belongs."""
    rank = scores.shape[1] - 1
    while rank > 0 and score > scores[row, rank - 1]:
        scores[row, rank] = scores[row, rank - 1]
        labels[row, rank] = labels[row, rank - 1]
        rank -= 1
    scores[row, rank] = score
    labels[row, rank] = label


@inlined
def _offer_all(
    found: Float32, r: int, first: int, row: int, scores: Float32, labels: Int32
) -> None:
    """Offer the scores found[r] (w,) of the labels from `first` on to the best of a row."""
    worst = scores.shape[1] - 1
    width = found.shape[1]
    for begin in range(0, width, STRIDE):
        end = min(begin + STRIDE, width)
        if _any_above(found, r, begin, end, scores[row, worst]):
            for j in range(begin, end):
                if found[r, j] > scores[row, worst]:
                    _insert(found[r, j], first + j, row, scores, labels)


@compiled
def _best(
    low: int,
    high: int,
    vectors: Float32,
    tiles: Float32,
    bias: Float32,
    found: Float32,
    scores: Float32,
    labels: Int32,
) -> None:
    """Add the tiles (t, d, w) to the m best scores and labels (n, m) of rows low..high.

    found (4, w) is scratch.
    """
    for tile in range(len(tiles)):
        for a in range(low, high, 4):
            last = high - 1
            b = min(a + 1, last)  # the last row may come again
            c = min(a + 2, last)
            d = min(a + 3, last)
            _scores(a, b, c, d, vectors, tile, tiles, bias, found)
            for r in range(min(4, high - a)):
                _offer_all(found, r, tile * found.shape[1], a + r, scores, labels)
