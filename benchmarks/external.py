"""What vectors from elsewhere are worth: users made of given item vectors, beside what learns from behaviour alone.

ML-1M as its authors split it (DiffRec, clean): item vectors of 64 numbers that LightGCN learned from the training
part. Every system learns from that part alone; options are chosen on `valid`, of which no system learns, and the test
part is then measured once. A user's known items (training and, at the test, `valid`) are not ranked. The interval is
twice the standard error over users.

Part `speed`: users solved for given vectors (`dual`), generated.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks._lines import line, real
from benchmarks._made import ordered
from benchmarks._rank import Model, popular
from embsql import algorithms, baselines
from embsql.data import Interactions
from embsql.model import Run

K = 20
GRIDS: dict[str, dict[str, list[Any]]] = {
    "content": {"weighting": ["equal"]},
    "dual": {"reg": [0.003, 0.01, 0.03, 0.1, 0.3], "alpha0": [None, 0.3, 1.0, 3.0, 10.0]},
    "fusion": {"reg": [0.005, 0.01]},
    "als": {"dim": [64], "reg": [0.003, 0.005, 0.01, 0.02], "epochs": [8]},
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=["quality", "speed"], default=["quality", "speed"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--users", type=int, default=100_000, help="of the part speed")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=5_000_000)


def measure(options: argparse.Namespace) -> None:
    if "quality" in options.part:
        _quality(options)
    if "speed" in options.part:
        _speed(options)


class World(NamedTuple):
    """The three parts as scipy matrices by rows (users, items), and the training part with its vectors."""

    train: Any
    valid: Any
    test: Any
    data: Interactions


def _world() -> World:
    tables = [pq.read_table(real("ml1m_external", f"{part}.parquet")) for part in ("train", "valid", "test")]
    given = pq.read_table(real("ml1m_external", "item_embedding.parquet"))
    users, items = (
        np.unique(np.concatenate([table[name].to_numpy() for table in tables])) for name in ("user_id", "movie_id")
    )
    codes = [
        (np.searchsorted(users, table["user_id"].to_numpy()), np.searchsorted(items, table["movie_id"].to_numpy()))
        for table in tables
    ]
    parts = [ordered(user.astype(np.int32), item.astype(np.int32), (len(users), len(items))) for user, item in codes]
    vectors = dict(zip(given["movie_id"].to_pylist(), given["embedding"].to_pylist(), strict=True))
    column = pa.array([vectors.get(item) for item in items.tolist()], pa.list_(pa.float32()))
    data = dataclasses.replace(parts[0].interactions(), item_features=pa.table({"lightgcn": column}))
    return World(*(part.matrix() for part in parts), data)


# --- quality -------------------------------------------------------------------------------------


def _quality(options: argparse.Namespace) -> None:
    world = _world()
    known = world.train + world.valid
    ranks = {"popular": _best(popular(world.train), known), "item-kNN": _item_knn(world, known, options)}
    for system, codes in ranks.items():
        _tell(system, codes, world.test, options)
    for system, grid in GRIDS.items():
        best = _chosen(system, grid, world, options)
        _tell(system, _best(_model(system, best, world, options), known), world.test, options, **best)


def _item_knn(world: World, known: Any, options: argparse.Namespace) -> np.ndarray:
    """Learned from the training part, for histories of it; what else is known is then passed over."""
    most = K + int(np.diff(world.valid.indptr).max())
    codes = baselines.item_knn(world.data, world.data.by_user(), most, Run(options.seed, options.threads))  # (u, most)
    rows = np.arange(len(codes))[:, None]
    fresh = (codes >= 0) & ~(known[rows.repeat(most, 1).ravel(), codes.ravel()].A1 > 0).reshape(codes.shape)
    first = np.argsort(~fresh, axis=1, kind="stable")[:, :K]  # (u, K)
    return np.where(np.take_along_axis(fresh, first, 1), np.take_along_axis(codes, first, 1), -1)


def _chosen(system: str, grid: dict[str, list[Any]], world: World, options: argparse.Namespace) -> dict[str, Any]:
    """The options with the best NDCG on `valid`."""
    tries = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]

    def good(one: dict[str, Any]) -> float:
        codes = _best(_model(system, one, world, options), world.train)
        return float(_figures(codes, world.valid)[:, 1].mean())

    return max(tries, key=good) if len(tries) > 1 else tries[0]


def _model(system: str, chosen: dict[str, Any], world: World, options: argparse.Namespace) -> Model:
    found = algorithms.make(system, chosen).fit(world.data, Run(options.seed, options.threads))
    return Model(found.users, found.items)  # cosines too: the items are of length 1, and a user's length orders nothing


def _best(model: Model, known: Any) -> np.ndarray:
    """The codes (u, K) of the best items of every user that are not known."""
    scores = model.scores(np.arange(known.shape[0]))  # (u, items)
    scores[known.nonzero()] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]


def _figures(codes: np.ndarray, relevant: Any) -> np.ndarray:
    """Recall and NDCG of lists (u, K) for the users with relevant items: (asked, 2)."""
    asked = np.flatnonzero(np.diff(relevant.indptr))
    dense = relevant[asked].toarray() > 0  # (asked, items)
    hit = np.take_along_axis(dense, np.maximum(codes[asked], 0), 1) & (codes[asked] >= 0)  # (asked, K)
    gain = 1 / np.log2(np.arange(2, K + 2))  # (K,)
    count = dense.sum(1)  # (asked,)
    best = np.cumsum(gain)[np.minimum(count, K) - 1]  # (asked,)
    return np.stack([hit.sum(1) / count, hit @ gain / best], 1)


def _tell(system: str, codes: np.ndarray, relevant: Any, options: argparse.Namespace, **chosen: Any) -> None:
    figures = _figures(codes, relevant)  # (asked, 2)
    for name, values in zip((f"Recall@{K}", f"NDCG@{K}"), figures.T, strict=True):
        spread = float(2 * values.std() / np.sqrt(len(values)))
        line("external", "ml1m_external", system, name, float(values.mean()), "share", interval=round(spread, 4),
             seed=options.seed, **chosen)  # fmt: skip


# --- speed ---------------------------------------------------------------------------------------


def _speed(options: argparse.Namespace) -> None:
    rng = np.random.default_rng(options.seed)
    codes = rng.integers(0, options.users, options.pairs), rng.integers(0, options.items, options.pairs)
    pairs = ordered(codes[0].astype(np.int32), codes[1].astype(np.int32), (options.users, options.items))
    vectors = rng.standard_normal((options.items, 64), np.float32)
    data = dataclasses.replace(pairs.interactions(), item_features=pa.table({"v": list(vectors)}))
    took = []
    for _ in range(4):  # the first compiles
        start = time.perf_counter()
        algorithms.make("dual", {}).fit(data, Run(options.seed, options.threads))
        took.append(time.perf_counter() - start)
    line("external", f"generated {options.users} x {options.items}, {len(data)} pairs", "dual", "users solved",
         float(np.median(took[1:])), "s", dim=64, threads=options.threads)  # fmt: skip
