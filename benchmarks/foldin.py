"""What folding a history in costs in SQL, and how near it comes to the exact solution and to the
trainer's own.

als is trained on Gowalla's training pairs without those of some users; then each of these is folded
in from their training pairs, in SQL on DuckDB and PostgreSQL, by numpy's exact solution of the same
equations, and by the trainer's own half sweeps, as many as it has epochs. Recall@20 is on the
published test pairs. Times are of histories of one length.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

import embsql
from benchmarks._lines import in_turn, line, real
from benchmarks._made import ordered
from benchmarks._rank import Model, recall_ndcg, stored
from benchmarks._server import databases, running
from benchmarks.query import WARM
from embsql.data import CsrMatrix
from embsql.factorization.cpu import CpuSolver
from embsql.factorization.objective import (
    IMPLICIT_REG,
    UNOBSERVED_TO_OBSERVED,
    Objective,
)
from embsql.run import Run

QUESTIONS = {
    "fold_in": "SELECT embsql.fold_in('m', $items) AS x",
    "recommend_from": "SELECT * FROM embsql.recommend_from('m', $items, k => 10)",
}
MANY = "SELECT embsql.fold_in('m', past.items) AS x FROM histories AS past"
EPOCHS = 4
MANY_ROUNDS = 5


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server",
        help="postgresql://... with the right to create databases, and pgvector",
    )
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument(
        "--held", type=int, default=500, help="users the training does not see"
    )
    parser.add_argument(
        "--length", type=int, default=50, help="items of the histories that are timed"
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=51,
        help="of every question, of which the median is taken",
    )
    parser.add_argument(
        "--many", type=int, default=1000, help="histories that one statement folds in"
    )


def measure(options: argparse.Namespace) -> None:
    known, relevant = _pairs()
    world = World(known, relevant, _drawn(relevant, options.held))
    with ExitStack() as stack:
        address = stack.enter_context(
            databases(stack.enter_context(running(options.server)))
        )()
        file = f"{stack.enter_context(tempfile.TemporaryDirectory())}/m.duckdb"
        duck, server = (
            stack.enter_context(embsql.connect(file)),
            stack.enter_context(embsql.connect(address)),
        )
        duck.engine.run("SET threads = $threads", threads=options.threads)
        _train(duck, world, options)
        duck.publish(address, "m")
        peers = _peers(stored(duck, "m", known.shape), world, options.threads)
        for engine, database in {"duckdb": duck, "postgres": server}.items():
            _quality(engine, database, world, peers, options)
        _time({"duckdb": duck, "postgres": server}, known.shape[1], options)
        _time_many({"duckdb": duck, "postgres": server}, known.shape[1], options)


class World(NamedTuple):
    """What is known and relevant of every user, and the users that training does not see."""

    known: Any  # scipy matrix by rows, (n_users, n_items)
    relevant: Any  # the same
    held: np.ndarray  # (h,) codes


def _pairs() -> tuple[Any, Any]:
    parts = [
        pq.read_table(real("gowalla", f"{part}.parquet")) for part in ("train", "test")
    ]
    codes = [
        [table[column].to_numpy().astype(np.int64) for column in ("user", "item")]
        for table in parts
    ]
    users, items = (
        int(max(map(np.max, both))) + 1 for both in zip(*codes, strict=True)
    )
    known, relevant = (
        ordered(user, item, (users, items)).matrix() for user, item in codes
    )
    return known, relevant


def _drawn(relevant: Any, n: int) -> np.ndarray:
    """Some of the users who have relevant items."""
    return np.sort(
        np.random.default_rng(1).choice(
            np.flatnonzero(np.diff(relevant.indptr)), n, replace=False
        )
    )


def _train(
    database: embsql.Database, world: World, options: argparse.Namespace
) -> None:
    """A live run `m` of everybody but the held users."""
    pairs = world.known.tocoo()
    kept = ~np.isin(pairs.row, world.held)
    database.engine.run("CREATE TABLE embsql.pairs (user_id INTEGER, item_id INTEGER)")
    database.engine.write(
        "pairs", {"user_id": pairs.row[kept], "item_id": pairs.col[kept]}
    )
    source = "SELECT user_id, item_id FROM embsql.pairs"
    database.train(
        "m",
        source,
        dim=options.dim,
        epochs=EPOCHS,
        threads=options.threads,
        progress=False,
    )


# --- the same by other means ---------------------------------------------------------------------


def _peers(model: Model, world: World, threads: int) -> dict[str, Model]:
    """The held users' vectors by numpy and by the trainer, each with the items in the same axes."""
    there = np.isfinite(model.bias)  # (n_items,) whether training has met them
    items, known = (
        model.items[there],
        world.known[world.held][:, there],
    )  # (i, d), (h, i)
    others = np.setdiff1d(np.arange(world.known.shape[0]), world.held)
    rest = world.known[others]
    unseen = (
        UNOBSERVED_TO_OBSERVED
        * rest.nnz
        / (np.count_nonzero(np.diff(rest.indptr)) * len(items))
    )
    # a copy, as the trainer turns what it is given
    users, turned = _trained(items.copy(), known, unseen, threads)
    spread = np.zeros_like(model.items)  # (n_items, d)
    spread[there] = turned
    return {
        "numpy": Model(_exact(items, known, unseen), model.items, model.bias),
        "trainer": Model(users, spread, model.bias),
    }


def _exact(items: np.ndarray, known: Any, unseen: float) -> np.ndarray:
    """The solutions (h, d) of the users' equations."""
    items = items.astype(np.float64)
    gram, identity = items.T @ items, np.eye(items.shape[1])  # (d, d)
    rows = (
        items[known.indices[low:high]] for low, high in pairwise(known.indptr)
    )  # (n, d) each
    return np.array(
        [
            np.linalg.solve(
                unseen * (gram + IMPLICIT_REG * len(items) * identity)
                + IMPLICIT_REG * len(mine) * identity
                + mine.T @ mine,
                mine.sum(0),
            )
            for mine in rows
        ]
    )


def _trained(
    items: np.ndarray, known: Any, unseen: float, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """What as many sweeps as training has make of the users from zero: (h, d), and the items
    (i, d) turned.
    """
    rows = CsrMatrix(
        known.indptr.astype(np.int64), known.indices.astype(np.int32), known.data
    )
    objective = Objective(0, 1, 0, unseen, IMPLICIT_REG, 1.0, 2, 1.0)
    users = np.zeros((known.shape[0], items.shape[1]), np.float32)
    for _ in range(EPOCHS):
        users, items, _, _ = CpuSolver(Run(1, threads)).solve_side(
            rows, items, users, objective
        )
    return users, items


# --- what is printed -----------------------------------------------------------------------------


def _quality(
    engine: str,
    database: embsql.Database,
    world: World,
    peers: dict[str, Model],
    options: argparse.Namespace,
) -> None:
    """Error against numpy, and recall beside each peer."""
    found = np.array(
        [_asked(database, world.known[user].indices) for user in world.held]
    )  # (h, d)
    exact = peers["numpy"]
    error = np.linalg.norm(found - exact.users, axis=1) / np.linalg.norm(
        exact.users, axis=1
    )  # (h,)
    settings = {"dim": options.dim, "held": options.held, "threads": options.threads}
    line(
        "foldin",
        "gowalla",
        engine,
        "largest relative error",
        float(np.max(error)),
        "share",
        peer="numpy",
        **settings,
    )
    known, relevant = world.known[world.held], world.relevant[world.held]
    recall = recall_ndcg(Model(found, exact.items, exact.bias), known, relevant)[0]
    for peer, model in peers.items():
        line(
            "foldin",
            "gowalla",
            engine,
            "Recall@20 of users not trained on",
            recall,
            "share",
            peer=peer,
            peer_value=recall_ndcg(model, known, relevant)[0],
            **settings,
        )


def _asked(database: embsql.Database, items: np.ndarray) -> list[float]:
    """The vector of a history."""
    vector: list[float] = database.ask(
        QUESTIONS["fold_in"], items=[str(item) for item in items]
    )["x"][0].as_py()
    return vector


def _time(
    databases: dict[str, embsql.Database], n_items: int, options: argparse.Namespace
) -> None:
    """Both questions on both engines in turn, a new history every time."""
    rng = np.random.default_rng(2)

    def ask(database: embsql.Database, question: str) -> None:
        database.ask(
            question,
            items=[
                str(item) for item in rng.choice(n_items, options.length, replace=False)
            ],
        )

    works = {
        (engine, name): partial(ask, database, question)
        for engine, database in databases.items()
        for name, question in QUESTIONS.items()
    }
    in_turn(works, WARM)
    for (engine, name), timed in in_turn(works, options.repeat).items():
        line(
            "foldin",
            "gowalla",
            engine,
            f"{name}, median answer",
            1000 * timed.seconds,
            "ms",
            dim=options.dim,
            length=options.length,
            repeat=options.repeat,
            threads=options.threads,
        )


def _time_many(
    databases: dict[str, embsql.Database], n_items: int, options: argparse.Namespace
) -> None:
    """One statement that folds in many histories, on both engines in turn."""
    rng = np.random.default_rng(3)
    histories = [
        [str(item) for item in rng.choice(n_items, options.length, replace=False)]
        for _ in range(options.many)
    ]
    for database in databases.values():
        database.engine.run("CREATE TABLE histories (items text[])")
        for history in histories:
            insert = "INSERT INTO histories SELECT CAST($items AS text[])"
            database.engine.run(insert, items=history)
    works = {
        engine: partial(database.ask, MANY) for engine, database in databases.items()
    }
    for engine, timed in in_turn(works, MANY_ROUNDS).items():
        line(
            "foldin",
            "gowalla",
            engine,
            "fold_in of many, median answer",
            1000 * timed.seconds,
            "ms",
            dim=options.dim,
            length=options.length,
            histories=options.many,
            repeat=MANY_ROUNDS,
            threads=options.threads,
        )
