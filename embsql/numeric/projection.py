"""Maps: vectors as points in the plane, and how a map or a table of vectors is turned onto an
earlier one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32
from embsql.errors import InvalidArgument, MissingExtra
from embsql.run import Run

Method = Literal["umap", "tsne"]
BLOCK = 1 << 16  # rows turned into float64 at once
NEAREST = 15  # neighbours of a point that umap keeps near it
PERPLEXITY = 30.0  # about how many t-SNE does
LEAST = 4  # points that have neighbours to speak of


def pca(vectors: Float32) -> Float32:
    """The two coordinates in which vectors (n, d) differ most: (n, 2), centred.

    The largest loading of either axis is positive. What one dimension cannot give is zero.
    """
    mean = vectors.mean(0, dtype=np.float64)  # (d,)
    _, axes = np.linalg.eigh(_scatter(vectors, mean))  # (d, d) by ascending eigenvalue
    axes = axes[:, :-3:-1]  # (d, min(d, 2)) the last two, largest first
    axes = axes * np.where(np.take_along_axis(axes, abs(axes).argmax(0)[None], 0) < 0, -1, 1)
    points = vectors @ axes.astype(np.float32) - (mean @ axes).astype(np.float32)  # (n, min(d, 2))
    return np.pad(points, ((0, 0), (0, 2 - points.shape[1])))  # (n, 2)


def _scatter(vectors: Float32, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the products of the columns of vectors (n, d), less their mean (d,): (d, d)."""
    total = np.zeros((len(mean), len(mean)))  # (d, d)
    for first in range(0, len(vectors), BLOCK):
        block = vectors[first : first + BLOCK] - mean  # (b, d)
        total += block.T @ block
    return total


def neighbours_map(vectors: Float32, run: Run, method: Method) -> Float32:
    """Points (n, 2) among whose neighbours are those of the vectors (n, d), by UMAP or t-SNE.

    They start from `pca`.

    UMAP: McInnes, Healy and Melville, 2018; on one thread, as its result with more cannot be had
    again. t-SNE: van der Maaten and Hinton, 2008, by openTSNE. Fewer than four vectors have no
    neighbours to choose from: they stay where `pca` puts them.
    """
    methods = {"umap": _umap, "tsne": _tsne}
    if method not in methods:
        raise InvalidArgument(name="method", allowed=" or ".join(methods), value=method)
    start = pca(vectors)  # (n, 2)
    run.check()
    points = start if len(vectors) < LEAST else methods[method](vectors, start, run)
    run.check()
    return np.ascontiguousarray(points, np.float32)


def _umap(vectors: Float32, start: Float32, run: Run) -> Float32:
    """UMAP's points (n, 2)."""
    try:
        from umap import UMAP
    except ImportError:
        raise MissingExtra(what="a UMAP map", package="umap-learn", extra="maps") from None
    neighbours = min(NEAREST, len(vectors) - 1)
    points: Float32 = UMAP(
        n_neighbors=neighbours, init=start, random_state=run.seed, n_jobs=1
    ).fit_transform(vectors)
    return points


def _tsne(vectors: Float32, start: Float32, run: Run) -> Float32:
    """t-SNE's points (n, 2); the run may be stopped at every few steps."""
    try:
        from openTSNE import TSNE, initialization
    except ImportError:
        raise MissingExtra(what="a t-SNE map", package="openTSNE", extra="maps") from None
    perplexity = min(
        PERPLEXITY, (len(vectors) - 1) / 3
    )  # it looks at three times as many neighbours
    options = {"random_state": run.seed, "n_jobs": run.threads, "callbacks": lambda *_: run.check()}
    first = initialization.rescale(
        start
    )  # (n, 2) small, so that far groups can still pass each other
    found = TSNE(
        perplexity=perplexity, initialization=first, callbacks_every_iters=10, **options
    ).fit(vectors)
    return np.asarray(found, np.float32)


def align(
    points: Float32, previous: Float32, rows: NDArray[np.integer] | slice = slice(None)
) -> Float32:
    """A map (n, 2) turned, mirrored and moved, not scaled, to lie as near as can be to an earlier
    one of the same.

    Of an earlier map (m, 2) that has some of the points, `rows` (m,) says which; the others move
    along.
    """
    centre, target = (
        table.mean(0, dtype=np.float64) for table in (points[rows], previous)
    )  # (2,), (2,)
    turned = (points - centre) @ procrustes(
        points[rows] - centre, previous - target
    ) + target  # (n, 2)
    return np.asarray(turned, np.float32)


def procrustes(a: NDArray[np.floating], b: NDArray[np.floating]) -> Float32:
    """The orthogonal matrix R (d, d) that minimises |a R - b| for tables (n, d), row by row
    (Schoenemann, 1966).
    """
    left, _, right = np.linalg.svd(
        a.T.astype(np.float64) @ b.astype(np.float64)
    )  # (d, d), (d,), (d, d)
    return np.asarray(left @ right, np.float32)
