"""k-means clusters of vectors, and how many there are.

Threads share out rows, each row is computed by one of them in a fixed order, and the ranges do not
depend on their number: neither do the clusters. The products are made here rather than by BLAS,
whose threads spin beside ours, and consumed while they are in the first cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embsql.data import CsrMatrix, Float32, Int32
from embsql.errors import BadArgument
from embsql.numeric.kernels import compiled, inlined
from embsql.numeric.linalg import parallel_map, multiply, balanced_ranges, transpose
from embsql.run import Run

# centroids compared at once: their scores and a part of their columns fill the first cache
WIDTH = 128
STRIDE = 64  # scores that are looked at together before any is looked at by itself
# rows per centroid in the largest sample: more move the centroids by less than they cost
TRAINING = 256
SEEDING = 16  # rows per centroid among which the first centroids are chosen
LEAST_SEEDING = 4096  # so that few clusters are seeded well, too
# candidates for each first centroid: they avoid most bad optima, and share the time of reading the
# rows
TRIALS = 4
PASSES = 1  # over all rows, after those over some: it removes what the centroids owe to the sample
CHAIN = 1024  # rows added up in float32 before float64 takes over
JUDGED = 20_000  # rows on which numbers of clusters are compared
GRID = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


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
        raise BadArgument(name="vectors", allowed="one or more", value="none")
    if not 1 <= k <= len(vectors):
        raise BadArgument(name="k", allowed=f"1 to {len(vectors)}, the number of vectors", value=k)
    vectors, rng = np.ascontiguousarray(vectors, np.float32), np.random.default_rng(run.seed)
    centroids = _seeds(
        _sample(vectors, max(SEEDING * k, LEAST_SEEDING), rng), k, rng, run
    )  # (k, d)
    for size in (TRAINING * k // 8, TRAINING * k // 4, TRAINING * k // 2, TRAINING * k):
        if size < len(vectors):
            centroids = _lloyd(_sample(vectors, size, rng), centroids, -(-iterations // 5), run)
    centroids = _lloyd(
        vectors, centroids, PASSES if len(vectors) > TRAINING * k else iterations, run
    )
    return _clustering(vectors, centroids, run)


def choose(vectors: Float32, run: Run) -> int:
    """The number of clusters that gives the best mean silhouette on a sample of vectors (n, d).

    The smaller of equals.

    It is sought among a few numbers up to the root of the sample's size.
    """
    sample = _sample(vectors, JUDGED, np.random.default_rng(run.seed))  # (s, d)
    grid = [k for k in GRID if k * k <= len(sample)] or [1]
    return max(grid, key=lambda k: float(kmeans(sample, k, run).silhouettes.mean(dtype=np.float64)))


def _sample(vectors: Float32, size: int, rng: np.random.Generator) -> Float32:
    """Some of the vectors (n, d), in their order: (min(n, size), d)."""
    if len(vectors) <= size:
        return vectors
    return vectors[
        np.sort(rng.choice(len(vectors), size, replace=False, shuffle=False))
    ]  # (size, d)


def _seeds(vectors: Float32, k: int, rng: np.random.Generator, run: Run) -> Float32:
    """First centroids (k, d): each the best of some vectors drawn with probability as the squared
    distance.

    Greedy k-means++ (Arthur and Vassilvitskii, 2007, section 7).
    """
    chosen = np.empty((k, vectors.shape[1]), np.float32)  # (k, d)
    closest = np.full(len(vectors), np.inf, np.float32)  # (n,) squared distance to the nearest seed
    nearer = np.empty(
        (TRIALS, len(vectors)), np.float32
    )  # (trials, n) the same, had the candidate been taken
    for place in range(k):
        run.check()
        candidates = vectors[_draw(closest if place else np.ones_like(closest), rng)]  # (trials, d)
        _nearer(vectors, candidates, closest, nearer)
        best = nearer.sum(1, dtype=np.float64).argmin()
        chosen[place], closest = candidates[best], nearer[best].copy()
    return chosen


def _draw(weights: Float32, rng: np.random.Generator) -> NDArray[np.intp]:
    """Places (trials,) drawn with probability as the weights (n,), never one of weight 0 unless all
    are.
    """
    total = np.cumsum(weights, dtype=np.float64)  # (n,)
    places: NDArray[np.intp] = np.searchsorted(
        total, rng.random(TRIALS) * total[-1], side="right"
    )  # (trials,)
    return places.clip(max=len(weights) - 1)


def _lloyd(vectors: Float32, centroids: Float32, iterations: int, run: Run) -> Float32:
    """The centroids (k, d) after some iterations on vectors (n, d).

    Fewer when no label changes any more.
    """
    before = np.full(len(vectors), -1, np.int32)  # (n,)
    for _ in range(iterations):
        labels = _nearest(vectors, centroids, 1, run)[:, 0]  # (n, 1) -> (n,)
        if (labels == before).all():
            break
        centroids, before = _update(vectors, labels, centroids, run)
    return centroids


def _nearest(vectors: Float32, centroids: Float32, m: int, run: Run) -> Int32:
    """Labels of the m nearest centroids (k, d) of vectors (n, d), nearest first: (n, m).

    The smaller of equals.

    Where there are fewer than m centroids the label is -1, which counts from the end: one centroid
    is its own second.
    """
    tiles, bias = _tiles(centroids)  # (t, d, w), (t, w)
    labels = np.full((len(vectors), m), -1, np.int32)  # (n, m)
    scores = np.full(labels.shape, -np.inf, np.float32)  # (n, m)

    def part(low: int, high: int) -> None:
        scratch = np.empty((4, bias.shape[1]), np.float32)  # (4, w)
        _best(low, high, vectors, tiles, bias, scratch, scores, labels)

    parallel_map(part, _ranges(len(vectors), centroids.size // 8), run)
    return labels


def _tiles(centroids: Float32) -> tuple[Float32, Float32]:
    """Centroids (k, d) cut into t tiles of w, transposed, (t, d, w), and what is subtracted of
    their products (t, w).

    The nearest c to x has the greatest x.c - |c|^2 / 2. Both are taken from the mean of the
    centroids, which adds the same to all scores and keeps them small, so that vectors far from the
    origin lose no digits.
    """
    k, d = centroids.shape
    count = -(-k // WIDTH)  # t
    width = -(-k // (16 * count)) * 16  # w, whole vector registers
    rows = count * width
    mean = centroids.mean(0, dtype=np.float64)  # (d,)
    tiles, bias = (
        np.zeros((rows, d), np.float32),
        np.full(rows, np.inf, np.float32),
    )  # (t * w, d), (t * w,)
    tiles[:k] = centroids - mean
    bias[:k] = np.einsum("kd,kd->k", centroids - mean, centroids + mean) / 2
    return np.ascontiguousarray(tiles.reshape(-1, width, d).transpose(0, 2, 1)), bias.reshape(
        -1, width
    )


def _update(vectors: Float32, labels: Int32, centroids: Float32, run: Run) -> tuple[Float32, Int32]:
    """Means (k, d) of the vectors (n, d) of each label, and the labels (n,), some of them changed
    to fill a cluster.

    A cluster without vectors keeps its centroid where no other can be split.
    """
    n, k = len(vectors), len(centroids)
    members = transpose(
        CsrMatrix(np.arange(n + 1), labels, np.ones(n, np.float32)), k
    )  # k rows: who is in each cluster
    means = np.where(
        members.counts[:, None] > 0, _means(vectors, members, run), centroids
    )  # (k, d)
    empty = np.flatnonzero(members.counts == 0)
    if len(empty):
        error = np.bincount(
            labels, np.square(_distances(vectors, means, labels, run), dtype=np.float64), k
        )  # (k,)
        for new, old in zip(empty, np.argsort(-error, kind="stable"), strict=False):
            _split(
                vectors,
                members.indices[members.indptr[old] : members.indptr[old + 1]],
                int(old),
                int(new),
                means,
                labels,
            )
    return means, labels


def _means(vectors: Float32, members: CsrMatrix, run: Run) -> Float32:
    """Mean of the vectors (n, d) of each of k clusters: (k, d), 0 for none.

    Long sums are cut to stay exact.
    """
    cuts = np.union1d(members.indptr, np.arange(0, len(vectors), CHAIN))  # (p + 1,)
    sums = multiply(CsrMatrix(cuts, members.indices, members.data), vectors, run)  # (p, d)
    total = np.zeros((len(members.counts), vectors.shape[1]))  # (k, d)
    np.add.at(total, np.searchsorted(members.indptr, cuts[:-1], side="right") - 1, sums)
    return (total / np.maximum(members.counts, 1)[:, None]).astype(np.float32)


def _split(
    vectors: Float32, rows: Int32, old: int, new: int, means: Float32, labels: Int32
) -> None:
    """Give a half of the rows of cluster `old` to `new`: those on the same side of its mean as the
    farthest of them.
    """
    away = vectors[rows] - means[old]  # (r, d)
    side = (
        away @ away[np.square(away).sum(1).argmax()] > 0 if len(rows) else np.zeros(0, bool)
    )  # (r,)
    if side.any() and not side.all():
        labels[rows[side]] = new
        means[new], means[old] = vectors[rows[side]].mean(0), vectors[rows[~side]].mean(0)


def _clustering(vectors: Float32, centroids: Float32, run: Run) -> Clustering:
    """What the centroids (k, d) make of the vectors (n, d)."""
    labels = _nearest(vectors, centroids, 2, run)  # (n, 2)
    own, other = (
        _distances(vectors, centroids, labels[:, place], run) for place in (0, 1)
    )  # (n,); alike for k = 1
    farther = np.maximum(own, other)  # (n,)
    silhouettes = np.divide(other - own, farther, out=np.zeros_like(own), where=farther > 0)
    inertia = float(np.square(own, dtype=np.float64).sum())
    return Clustering(centroids, np.ascontiguousarray(labels[:, 0]), own, silhouettes, inertia)


def _distances(vectors: Float32, centroids: Float32, labels: Int32, run: Run) -> Float32:
    """Euclidean distance of each vector (n, d) to the centroid of its label (n,): (n,)."""
    out = np.empty(len(vectors), np.float32)  # (n,)
    parallel_map(
        lambda low, high: _apart(low, high, vectors, centroids, labels, out),
        _ranges(*vectors.shape),
        run,
    )
    return out


def _ranges(n: int, work: int) -> list[tuple[int, int]]:
    """Ranges of n rows that cost so much each."""
    return balanced_ranges(np.arange(n + 1), max(work, 1))


# --- compiled loops ------------------------------------------------------------------------------


@inlined
def _gap(a: Float32, i: int, b: Float32, j: int) -> np.float32:
    """Squared distance of row i of a (n, d) and row j of b (m, d)."""
    total = np.float32(0)
    for c in range(a.shape[1]):
        total += (a[i, c] - b[j, c]) ** 2
    return total


@compiled
def _apart(
    low: int, high: int, vectors: Float32, centroids: Float32, labels: Int32, out: Float32
) -> None:
    """Write the distances of rows low..high to the centroid of their labels."""
    for row in range(low, high):
        out[row] = np.sqrt(_gap(vectors, row, centroids, labels[row]))


@compiled
def _nearer(vectors: Float32, candidates: Float32, closest: Float32, out: Float32) -> None:
    """Write the squared distance of each vector (n, d) to a candidate (c, d), or `closest` (n,) if
    less: (c, n).
    """
    for row in range(len(vectors)):
        for c in range(len(candidates)):
            out[c, row] = min(closest[row], _gap(vectors, row, candidates, c))


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
    dim, width = tiles.shape[1], tiles.shape[2]
    fours = dim - dim % 4
    for j in range(width):
        out[0, j] = out[1, j] = out[2, j] = out[3, j] = -bias[tile, j]
    for i in range(0, fours, 4):
        a0, a1, a2, a3 = vectors[a, i], vectors[a, i + 1], vectors[a, i + 2], vectors[a, i + 3]
        b0, b1, b2, b3 = vectors[b, i], vectors[b, i + 1], vectors[b, i + 2], vectors[b, i + 3]
        c0, c1, c2, c3 = vectors[c, i], vectors[c, i + 1], vectors[c, i + 2], vectors[c, i + 3]
        d0, d1, d2, d3 = vectors[d, i], vectors[d, i + 1], vectors[d, i + 2], vectors[d, i + 3]
        for j in range(width):
            w, x, y, z = (
                tiles[tile, i, j],
                tiles[tile, i + 1, j],
                tiles[tile, i + 2, j],
                tiles[tile, i + 3, j],
            )
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
    place = scores.shape[1] - 1
    while place > 0 and score > scores[row, place - 1]:
        scores[row, place], labels[row, place] = scores[row, place - 1], labels[row, place - 1]
        place -= 1
    scores[row, place], labels[row, place] = score, label


@inlined
def _keep(found: Float32, r: int, first: int, row: int, scores: Float32, labels: Int32) -> None:
    """Take what is better than the best so far from row r of the scores found (4, w) for the labels
    from `first` on.
    """
    last, width = scores.shape[1] - 1, found.shape[1]
    for begin in range(0, width, STRIDE):
        end = min(begin + STRIDE, width)
        if _any_above(found, r, begin, end, scores[row, last]):
            for j in range(begin, end):
                if found[r, j] > scores[row, last]:
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

    Found (4, w) is scratch.
    """
    for tile in range(len(tiles)):
        for a in range(low, high, 4):
            b, c, d = (
                min(a + 1, high - 1),
                min(a + 2, high - 1),
                min(a + 3, high - 1),
            )  # the last row may come again
            _scores(a, b, c, d, vectors, tile, tiles, bias, found)
            for r in range(min(4, high - a)):
                _keep(found, r, tile * found.shape[1], a + r, scores, labels)
