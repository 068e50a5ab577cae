"""What measuring a model takes over the products that rank its items.

Pairs and vectors are made. `products` is numpy's matmul of all users and items and nothing else,
`measuring` the rankings of a model and every figure of them. What an evaluation adds has rows of
its own: `baselines` (popular items and item-kNN), `their figures`, and `intervals`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks._lines import in_turn, line
from benchmarks._made import WARM_ROWS, clustered
from embsql.data import Embeddings
from embsql.evaluation import metrics
from embsql.evaluation.evaluator import Evaluator
from embsql.evaluation.splits import Split
from embsql.run import Run

BLOCK = 1000  # users of a block of products


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--pairs", type=int, default=6_000_000)
    parser.add_argument(
        "--held-out", type=float, default=1 / 3, help="share of the pairs"
    )
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)


def measure(options: argparse.Namespace) -> None:
    from threadpoolctl import threadpool_limits

    run = Run(threads=options.threads)
    small = clustered(10_000, 5000, WARM_ROWS)
    _whole(_split(small, options), _vectors(*small.shape, options.dim), run)
    made = clustered(options.users, options.items, options.pairs)
    parts = _split(made, options)
    embeddings = _vectors(*made.shape, options.dim)
    with threadpool_limits(options.threads):
        timed = in_turn(_works(parts, embeddings, run), options.repeat)
    seconds = {name: done.seconds for name, done in timed.items()}
    _print(seconds, len(parts.held_out), options)


def _split(made: Any, options: argparse.Namespace) -> Split:
    known, wanted = made.held_out(options.held_out, seed=1)
    return Split("random", known.interactions(), wanted.interactions())


def _vectors(users: int, items: int, dim: int) -> Embeddings:
    rng = np.random.default_rng(1)
    return Embeddings(
        users=rng.standard_normal((users, dim), np.float32),
        items=rng.standard_normal((items, dim), np.float32),
    )


def _whole(parts: Split, embeddings: Embeddings, run: Run) -> None:
    """Everything once, so that it is compiled."""
    Evaluator.prepare(parts, run).measure(embeddings)


def _works(
    parts: Split, embeddings: Embeddings, run: Run
) -> dict[str, Callable[[], Any]]:
    evaluator = Evaluator.prepare(parts, run)
    ranking = evaluator.questions.rank(embeddings, max(evaluator.k))  # (m, k)
    figures = evaluator.figures(ranking, embeddings)
    table = np.column_stack(list(figures.values()))  # (m, c)

    def measuring() -> None:
        found = evaluator.questions.rank(embeddings, max(evaluator.k))  # (m, k)
        metrics.means(
            np.column_stack(list(evaluator.figures(found, embeddings).values()))
        )

    return {
        "products": lambda: _products(embeddings),
        "measuring": measuring,
        "baselines": lambda: Evaluator.prepare(parts, run),
        "their figures": lambda: [
            evaluator.figures(ranking, embeddings) for ranking in evaluator.baselines
        ],
        "intervals": lambda: metrics.intervals(table, run.seed),
    }


def _products(embeddings: Embeddings) -> None:
    """The scores of all pairs, in blocks large enough for BLAS and small enough for memory."""
    block = np.empty((BLOCK, len(embeddings.items)), np.float32)
    for first in range(0, len(embeddings.users), BLOCK):
        users = embeddings.users[first : first + BLOCK]  # (b, dim)
        np.matmul(users, embeddings.items.T, out=block[: len(users)])


def _print(
    seconds: Mapping[str, float], held_out: int, options: argparse.Namespace
) -> None:
    data = f"generated {options.users} x {options.items} x {options.dim}"
    for name, took in seconds.items():
        line(
            "evaluate",
            data,
            "embsql",
            name,
            took,
            "s",
            peer="products",
            peer_value=seconds["products"],
            held_out=held_out,
            threads=options.threads,
            repeat=options.repeat,
        )
