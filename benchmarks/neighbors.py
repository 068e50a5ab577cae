"""Which neighbors are more alike, those by cosine or those by dot product: shared genres, and
popularity.

als on the ratings of 4 and 5 of MovieLens 1M; the nearest films of every film by either measure,
and random films.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import embsql
from benchmarks._lines import line, real

SOURCE = "SELECT user_id, movie_id AS item_id FROM '{}' WHERE rating >= 4"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--k", type=int, default=10, help="neighbors of each film")
    parser.add_argument(
        "--least",
        nargs="+",
        type=int,
        default=[1, 20],
        help="interactions a film must have to be asked about",
    )
    parser.add_argument("--seed", type=int, default=1)


def measure(options: argparse.Namespace) -> None:
    ids, vectors, counts = _trained(options)
    genres = _genres(real("ml1m", "movies.parquet"), ids)  # (n, genres)
    for least in options.least:
        asked = np.flatnonzero(counts >= least)
        for system, near in _neighbors(vectors, asked, options.k, options.seed).items():
            overlap = _jaccard(genres[asked][:, None], genres[near])  # (asked, k)
            figures = [
                ("mean Jaccard overlap of genres", overlap.mean(), "share"),
                ("neighbors with a genre in common", (overlap > 0).mean(), "share"),
                ("mean interactions of neighbors", counts[near].mean(), "interactions"),
            ]
            for metric, value, unit in figures:
                line(
                    "neighbors",
                    "ml1m",
                    system,
                    metric,
                    float(value),
                    unit,
                    dim=options.dim,
                    k=options.k,
                    seed=options.seed,
                    least=least,
                    films=len(asked),
                    threads=options.threads,
                )


def _trained(options: argparse.Namespace) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Ids, vectors (n, dim) and numbers of interactions (n,) of the films."""
    with embsql.connect(":memory:") as database:
        source = SOURCE.format(real("ml1m", "interactions.parquet"))
        database.train(
            "films",
            source,
            dim=options.dim,
            seed=options.seed,
            threads=options.threads,
            progress=False,
        )
        table = database.ask(
            "SELECT film.item_id, film.embedding, this.interactions "
            "FROM embsql.item_embedding('films') AS film"
            " JOIN embsql.item_embeddings AS this ON this.item_id = film.item_id "
            "ORDER BY film.item_id"
        )
    vectors = (
        table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    )
    return table["item_id"].to_pylist(), vectors, table["interactions"].to_numpy()


def _genres(file: Path, ids: list[str]) -> np.ndarray:
    """Which film has which genre: (n, genres) bool; a film of unknown genres has none."""
    table = pq.read_table(file)
    films = dict(
        zip(
            map(str, table["movie_id"].to_pylist()),
            table["genres"].to_pylist(),
            strict=True,
        )
    )
    sets = [set((films.get(film) or "").split("|")) - {""} for film in ids]
    names = sorted(set().union(*sets))
    return np.array([[name in film for name in names] for film in sets])


def _neighbors(
    vectors: np.ndarray, asked: np.ndarray, k: int, seed: int
) -> dict[str, np.ndarray]:
    """The k nearest other items of each item asked about: (len(asked), k) by measure."""
    unit = vectors / np.maximum(
        np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30
    )  # (n, dim)
    random = np.random.default_rng(seed).random(
        (len(asked), len(vectors)), np.float32
    )  # (asked, n)
    scores = {
        "cosine": unit[asked] @ unit.T,
        "dot": vectors[asked] @ vectors.T,
        "random": random,
    }
    return {name: _best(score, asked, k) for name, score in scores.items()}


def _best(scores: np.ndarray, asked: np.ndarray, k: int) -> np.ndarray:
    scores[np.arange(len(asked)), asked] = -np.inf
    return np.argpartition(scores, -k, axis=1)[:, -k:]


def _jaccard(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Shared over all genres, along the last axis; 0 where neither has any."""
    return (a & b).sum(-1) / np.maximum((a | b).sum(-1), 1)
