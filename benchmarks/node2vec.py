"""node2vec beside PecanPy and gensim on the graph of Gowalla's items, and how good it is on the
published split.

Parts: walks (nodes met in a second), whole (walks and training, with the quality that both reach on
training pairs held out), gowalla (Recall@20 and NDCG@20 of the test part beside published rows;
defaults, or options as name=value).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import embsql
from benchmarks._apart import apart
from benchmarks._lines import in_turn, line, real
from benchmarks._made import HELD_OUT, Pairs, ordered
from benchmarks._node2vec_systems import NEGATIVES, learners, walkers
from benchmarks._rank import Model, recall_ndcg, stored
from benchmarks.quality import EXAMS, train
from embsql.data import CsrMatrix
from embsql.run import Run
from embsql.skipgram.graph import item_knn_graph

PUBLISHED = {
    "node2vec": (0.1019, 0.0709),
    "DeepWalk": (0.1034, 0.0740),
    "Item2Vec": (0.1326, 0.1057),
}
LENGTH = 0.1  # of an item's vector: its users to this power, for both systems


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument(
        "--repeat",
        type=int,
        default=3,
        help="of every timing, of which the median is taken",
    )
    parser.add_argument(
        "--neighbors", type=int, default=20, help="of every item in the graph"
    )
    parser.add_argument("--walks", type=int, default=10, help="from every node")
    parser.add_argument("--length", type=int, default=40, help="nodes of a walk")
    parser.add_argument(
        "--p-q",
        nargs="+",
        type=float,
        default=[1, 1, 0.5, 2],
        help="pairs of p and q to walk with",
    )
    parser.add_argument("--epochs", type=int, default=1, help="for the part whole")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--window", type=int, default=5)
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1, 2, 3], help="for the part gowalla"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="options for the part gowalla",
    )


def measure(options: argparse.Namespace) -> None:
    for part in options.part:
        PARTS[part](options)


# --- speed ---------------------------------------------------------------------------------------


def walks(options: argparse.Namespace) -> None:
    graph = _graph(_pairs(), options)
    for p, q in zip(options.p_q[::2], options.p_q[1::2], strict=True):
        setting = {"walks": options.walks, "length": options.length, "p": p, "q": q}
        timed = in_turn(walkers(graph, options.threads, **setting), options.repeat)
        walked = options.walks * options.length * int((graph.counts > 0).sum())
        ours, peer = (walked / done.seconds for done in timed.values())
        line(
            "node2vec",
            "gowalla items",
            "embsql",
            "nodes walked",
            ours,
            "1/s",
            peer="PecanPy",
            peer_value=peer,
            seconds=timed["embsql"].seconds,
            threads=options.threads,
            edges=len(graph.indices),
            **setting,
        )


def whole(options: argparse.Namespace) -> None:
    known, held = _pairs().held_out(HELD_OUT, 3)
    graph = _graph(known, options)
    names = ("walks", "length", "dim", "window", "epochs")
    p, q = options.p_q[-2:]
    setting = {name: getattr(options, name) for name in names} | {"p": p, "q": q}
    timed = in_turn(learners(graph, options.threads, **setting), options.repeat)
    marks = {
        name: _mark(done.result, known, held, options.threads)
        for name, done in timed.items()
    }
    ours, peer = timed
    shared: dict[str, Any] = {
        "peer": peer,
        "seconds": timed[ours].seconds,
        "threads": options.threads,
        "negatives": NEGATIVES,
        **setting,
    }
    line(
        "node2vec",
        "gowalla items",
        ours,
        "walks and training",
        timed[ours].seconds,
        "s",
        peer_value=timed[peer].seconds,
        **shared,
    )
    for column, metric in enumerate(("Recall@20", "NDCG@20")):
        line(
            "node2vec",
            "gowalla items, held out",
            ours,
            metric,
            marks[ours][column],
            "share",
            peer_value=marks[peer][column],
            **shared,
        )


def _pairs() -> Pairs:
    table = pq.read_table(real("gowalla", "train.parquet"))
    user, item = table["user"].to_numpy(), table["item"].to_numpy()
    return ordered(user, item, (int(user.max()) + 1, int(item.max()) + 1))


def _graph(pairs: Pairs, options: argparse.Namespace) -> CsrMatrix:
    run = Run(threads=options.threads)
    return item_knn_graph(
        pairs.interactions(), options.neighbors, 0.0, 0, 0, run, counts=False
    )


def _mark(
    vectors: np.ndarray, known: Pairs, held: Pairs, threads: int
) -> tuple[float, float]:
    """Of users as sums of their items' vectors (n, dim), which are as long as the option
    popularity_exponent makes them.
    """
    matrix = known.matrix()
    length = np.linalg.norm(vectors, axis=1, keepdims=True)  # (n, 1)
    users = np.maximum(np.asarray(matrix.sum(axis=0)).reshape(-1, 1), 1)  # (n, 1)
    items = (vectors * users**LENGTH / np.maximum(length, 1e-12)).astype(
        np.float32
    )  # (n, dim)
    return recall_ndcg(
        Model(matrix @ items, items),
        matrix,
        held.matrix(),
        threads=threads,
        most=10_000,
    )


# --- quality -------------------------------------------------------------------------------------


def gowalla(options: argparse.Namespace) -> None:
    exam = EXAMS["gowalla"](options.threads)
    chosen = dict(pair.split("=", 1) for pair in options.set)
    marks, costs = [], []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            settings = {
                "threads": options.threads,
                "seed": seed,
                "dim": options.dim,
                **chosen,
            }
            file = f"{folder}/model.duckdb"
            cost = apart(
                train,
                file=file,
                source=exam.train,
                algorithm="node2vec",
                settings=settings,
            )
            with embsql.connect(file, read_only=True) as database:
                marks.append(exam.mark(stored(database, "exam", exam.shape)))
        costs.append(cost)
        _published(exam.metrics, marks[-1], cost, **settings)
    means = tuple(statistics.mean(column) for column in zip(*marks, strict=True))
    cost = {key: statistics.median(one[key] for one in costs) for key in costs[0]}
    _published(
        exam.metrics,
        means,
        cost,
        threads=options.threads,
        mean_of_seeds=options.seeds,
        **chosen,
    )


def _published(
    metrics: tuple[str, str],
    mark: tuple[float, ...],
    cost: dict[str, float],
    **settings: Any,
) -> None:
    for peer, values in PUBLISHED.items():
        for metric, value, published in zip(metrics, mark, values, strict=True):
            line(
                "node2vec",
                "gowalla",
                "embsql",
                metric,
                value,
                "share",
                peer=f"{peer}, published",
                peer_value=published,
                **cost,
                **settings,
            )


PARTS = {"walks": walks, "whole": whole, "gowalla": gowalla}
