"""Maps: vectors as points in the plane, and how a table is rotated onto an earlier one."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from embsql.data import Float32
from embsql.errors import InvalidArgument, MissingExtra
from embsql.run import Run

Method = Literal["umap", "tsne"]
BLOCK = 1 << 16  # rows turned into float64 at once
N_NEIGHBORS = 15  # of a point, that umap keeps near it
PERPLEXITY = 30.0  # about how many t-SNE does
MIN_POINTS = 4  # that have neighbors to speak of


def pca(vectors: Float32) -> Float32:
    """The two coordinates in which vectors (n, d) differ most: (n, 2), centered.

    The largest loading of either axis is positive. What one dimension cannot give is zero.
    """
    mean = vectors.mean(0, dtype=np.float64)  # (d,)
    _, eigenvectors = np.linalg.eigh(
        _scatter_matrix(vectors, mean)
    )  # (d, d) smallest first
    axes = eigenvectors[:, :-3:-1]  # (d, min(d, 2)) the last two, largest first
    largest = abs(axes).argmax(0)[None]  # (1, min(d, 2))
    loadings = np.take_along_axis(axes, largest, 0)  # (1, min(d, 2))
    axes = axes * np.where(loadings < 0, -1, 1)
    points = vectors @ axes.astype(np.float32) - (mean @ axes).astype(
        np.float32
    )  # (n, min(d, 2))
    missing = 2 - points.shape[1]
    return np.pad(points, ((0, 0), (0, missing)))  # (n, 2)


def _scatter_matrix(vectors: Float32, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of the products of the columns of vectors (n, d), less their mean (d,): (d, d)."""
    total = np.zeros((len(mean), len(mean)))  # (d, d)
    for first in range(0, len(vectors), BLOCK):
        block = vectors[first : first + BLOCK] - mean  # (b, d)
        total += block.T @ block
    return total


def neighbor_map(vectors: Float32, run: Run, method: Method) -> Float32:
    """Points (n, 2) whose neighbors are those of the vectors (n, d), by UMAP or t-SNE.

    They start from `pca`.

    UMAP: McInnes, Healy and Melville, 2018; on one thread, as its result with more cannot be had
    again. t-SNE: van der Maaten and Hinton, 2008, by openTSNE. Fewer than four vectors have no
    neighbors to choose from: they stay where `pca` puts them.
    """
    methods = {"umap": _umap, "tsne": _tsne}
    if method not in methods:
        raise InvalidArgument(name="method", allowed=" or ".join(methods), value=method)
    points = pca(vectors)  # (n, 2)
    run.check()
    if len(vectors) >= MIN_POINTS:
        points = methods[method](vectors, points, run)
    run.check()
    return np.ascontiguousarray(points, np.float32)


def _umap(vectors: Float32, initial: Float32, run: Run) -> Float32:
    """UMAP's points (n, 2)."""
    try:
        from umap import UMAP
    except ImportError:
        raise MissingExtra(
            what="a UMAP map", package="umap-learn", extra="maps"
        ) from None
    n_neighbors = min(N_NEIGHBORS, len(vectors) - 1)
    model = UMAP(n_neighbors=n_neighbors, init=initial, random_state=run.seed, n_jobs=1)
    points: Float32 = model.fit_transform(vectors)
    return points


def _tsne(vectors: Float32, initial: Float32, run: Run) -> Float32:
    """t-SNE's points (n, 2); the run may be stopped at every few steps."""
    try:
        from openTSNE import TSNE, initialization
    except ImportError:
        raise MissingExtra(
            what="a t-SNE map", package="openTSNE", extra="maps"
        ) from None
    model = TSNE(
        # it looks at three times as many neighbors
        perplexity=min(PERPLEXITY, (len(vectors) - 1) / 3),
        # small, so that far groups can still pass each other
        initialization=initialization.rescale(initial),
        callbacks=lambda *_: run.check(),
        callbacks_every_iters=10,
        random_state=run.seed,
        n_jobs=run.threads,
    )
    return np.asarray(model.fit(vectors), np.float32)


def align(
    points: Float32, previous: Float32, rows: NDArray[np.integer] | slice = slice(None)
) -> Float32:
    """A map (n, 2) rotated, mirrored and moved, not scaled, to lie nearest to an earlier one.

    `rows` (m,) are the points that the earlier map (m, 2) has; the others move along.
    """
    shared = points[rows]  # (m, 2)
    center = shared.mean(0, dtype=np.float64)  # (2,)
    target = previous.mean(0, dtype=np.float64)  # (2,)
    rotation = procrustes(shared - center, previous - target)  # (2, 2)
    return np.asarray((points - center) @ rotation + target, np.float32)


def procrustes(a: NDArray[np.floating], b: NDArray[np.floating]) -> Float32:
    """The orthogonal R (d, d) that minimizes |a R - b| for tables (n, d) (Schönemann, 1966)."""
    products = a.T.astype(np.float64) @ b.astype(np.float64)  # (d, d)
    left, _, right = np.linalg.svd(products)  # (d, d), (d,), (d, d)
    return np.asarray(left @ right, np.float32)
