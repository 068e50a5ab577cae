"""How fast and how well vectors are clustered, beside faiss: seconds, and the sum of squared
distances (inertia).

The vectors are made: twice as many overlapping groups as clusters, of unequal sizes. Both systems
get the same iterations and threads, and end with the assignment of every vector; faiss trains as it
does by default, on 256 vectors per centroid.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks._lines import in_turn, line
from benchmarks._made import WARM_ROWS
from embsql.numeric.kmeans import kmeans
from embsql.run import Run

Found = tuple[np.ndarray, np.ndarray]  # centroids (k, d), labels (n,)
BLOCK = 100_000  # vectors made or judged at once


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--k", type=int, default=1000, help="clusters")
    parser.add_argument(
        "--iterations", type=int, default=25, help="at most, on the vectors trained on"
    )
    parser.add_argument(
        "--spread",
        type=float,
        nargs="+",
        default=[0.5, 1.0],
        help="of a group, over that of groups",
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)


def measure(options: argparse.Namespace) -> None:
    for spread in options.spread:
        vectors = made(options.rows, options.dim, 2 * options.k, spread)
        works: dict[str, Callable[[], Found]] = {
            "embsql": lambda x=vectors: ours(x, options),
            "faiss": lambda x=vectors: faiss_kmeans(x, options),
        }
        ours(
            vectors[: max(options.k, WARM_ROWS)], options
        )  # compiled before it is timed
        timed = in_turn(works, options.repeat)
        inertia = {
            name: inertia_of(vectors, *work.result) for name, work in timed.items()
        }
        figures = [
            ("seconds", "s", {name: work.seconds for name, work in timed.items()}),
            ("inertia", "squared distance", inertia),
        ]
        for metric, unit, values in figures:
            line(
                "kmeans",
                f"generated {options.rows} x {options.dim}, spread {spread:g}",
                "embsql",
                metric,
                values["embsql"],
                unit,
                peer="faiss",
                peer_value=values["faiss"],
                seconds=timed["embsql"].seconds,
                k=options.k,
                iterations=options.iterations,
                seed=options.seed,
                repeat=options.repeat,
                threads=options.threads,
            )


def made(rows: int, dim: int, groups: int, spread: float) -> np.ndarray:
    """Vectors (rows, dim) around random centers; the r-th group has a share as 1 / sqrt(r)."""
    rng = np.random.default_rng(0)
    centers = rng.standard_normal((groups, dim), np.float32)
    share = 1 / np.sqrt(np.arange(1, groups + 1))
    vectors = centers[rng.choice(groups, rows, p=share / share.sum())]  # (rows, dim)
    for first in range(0, rows, BLOCK):
        here = vectors[first : first + BLOCK]
        here += np.float32(spread) * rng.standard_normal(here.shape, np.float32)
    return vectors


def ours(vectors: np.ndarray, options: argparse.Namespace) -> Found:
    run = Run(seed=options.seed, threads=options.threads)
    found = kmeans(vectors, options.k, run, iterations=options.iterations)
    return found.centroids, found.labels


def faiss_kmeans(vectors: np.ndarray, options: argparse.Namespace) -> Found:
    import faiss

    faiss.omp_set_num_threads(options.threads)
    found = faiss.Kmeans(
        vectors.shape[1], options.k, niter=options.iterations, seed=options.seed
    )
    found.train(vectors)
    return found.centroids, found.assign(vectors)[1]


def inertia_of(vectors: np.ndarray, centroids: np.ndarray, labels: np.ndarray) -> float:
    """Sum of the squared distances of the vectors (n, d) to the centroids of their labels (n,)."""
    parts = (slice(first, first + BLOCK) for first in range(0, len(vectors), BLOCK))
    return sum(
        float(np.square(vectors[p] - centroids[labels[p]]).sum(dtype=np.float64))
        for p in parts
    )
