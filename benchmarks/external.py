"""What vectors from elsewhere are worth, beside what learns from behavior alone.

quality: ML-1M as its authors split it (DiffRec, clean), with item vectors of 64 numbers that
LightGCN learned from the training part. Every system learns from that part alone; options are
chosen on `valid`, of which no system learns, and the test part is then measured once. A user's
known items (training and, at the test, `valid`) are not ranked. Weights are the ratings and times
those of ML-1M as published; `like_threshold` also learns from ratings below 4, which the split
leaves out, up to a user's last event in the training part. Intervals are 95%, by the bootstrap over
users.

rare: items with fewer than five interactions, by titles and genres: see benchmarks/_rare.py.

speed: users solved for given vectors (`half_als`), generated.
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

from benchmarks import _rare
from benchmarks._cold import interval
from benchmarks._lines import line, real
from benchmarks._made import Pairs, ordered
from benchmarks._rank import Model, popular
from embsql import algorithms
from embsql.data import Interactions
from embsql.evaluation import baselines
from embsql.run import Run

K = 20
PARTS = ["quality", "rare", "speed"]
NEURAL = {"item_id_embedding": [False, True], "epochs": [5], "lr": [0.003]}
GRIDS: dict[
    str, tuple[str, dict[str, list[Any]]]
] = {  # system: algorithm, options to choose from
    "content, mean": ("content", {"weighting": ["equal"]}),
    "content, by rating": ("content", {"weighting": ["weight"]}),
    "content, by recency": (
        "content",
        {"weighting": ["equal"], "half_life": [0.01, 0.1, 1.0, 10.0, 100.0]},
    ),
    "content, liked": (
        "content",
        {
            "weighting": ["equal"],
            "like_threshold": [4.0],
            "dislike_weight": [0.0, 0.25, 0.5, 0.75, 1.0],
        },
    ),
    "half_als": (
        "half_als",
        {
            "reg": [0.003, 0.01, 0.03, 0.1, 0.3],
            "unobserved_weight": [None, 1.0, 3.0, 10.0],
        },
    ),
    "neural_content, mean": ("neural_content", {"encoder": ["mean"], **NEURAL}),
    "neural_content, attention": (
        "neural_content",
        {"encoder": ["attention"], **NEURAL},
    ),
    "neural_content, gru": ("neural_content", {"encoder": ["gru"], **NEURAL}),
    "als": ("als", {"dim": [64], "reg": [0.003, 0.005, 0.01, 0.02], "epochs": [8]}),
    "fusion": ("fusion", {"reg": [0.005, 0.01]}),
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--system",
        nargs="+",
        choices=GRIDS,
        default=list(GRIDS),
        help="of the part quality",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--users", type=int, default=100_000, help="of the part speed")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=5_000_000)


def measure(options: argparse.Namespace) -> None:
    if "quality" in options.part:
        _quality(options)
    if "rare" in options.part:
        _rare.measure(options.seed, options.threads)
    if "speed" in options.part:
        _speed(options)


class World(NamedTuple):
    """The three parts as scipy matrices by rows (users, items), and the training part with its
    vectors.
    """

    train: Any
    valid: Any
    test: Any
    data: Interactions  # with what was liked alone
    rated: Interactions  # and what was not


def _world() -> World:
    tables = [
        pq.read_table(real("ml1m_external", f"{part}.parquet"))
        for part in ("train", "valid", "test")
    ]
    given = pq.read_table(real("ml1m_external", "item_embedding.parquet"))
    users, items = (
        np.unique(np.concatenate([table[name].to_numpy() for table in tables]))
        for name in ("user_id", "movie_id")
    )
    parts = [_pairs(table, users, items) for table in tables]
    vectors = dict(
        zip(given["movie_id"].to_pylist(), given["embedding"].to_pylist(), strict=True)
    )
    column = pa.array(
        [vectors.get(item) for item in items.tolist()], pa.list_(pa.float32())
    )
    data, rated = _rated(parts[0], users, items)
    features = {"item_features": pa.table({"lightgcn": column})}
    return World(
        *(part.matrix() for part in parts),
        dataclasses.replace(data, **features),
        dataclasses.replace(rated, **features),
    )


def _pairs(table: pa.Table, users: np.ndarray, items: np.ndarray) -> Pairs:
    """The pairs of a table whose user and item are known."""
    user, item = table["user_id"].to_numpy(), table["movie_id"].to_numpy()
    there = np.isin(user, users) & np.isin(item, items)
    codes = np.searchsorted(users, user[there]), np.searchsorted(items, item[there])
    return ordered(
        codes[0].astype(np.int32), codes[1].astype(np.int32), (len(users), len(items))
    )


def _rated(
    train: Pairs, users: np.ndarray, items: np.ndarray
) -> tuple[Interactions, Interactions]:
    """The training part with ratings and times, and the same with what was rated lower before its
    end.
    """
    table = pq.read_table(real("ml1m", "interactions.parquet"))
    table = table.filter(table["rated_at"].is_valid())
    every = _pairs(table, users, items).interactions()
    order = np.lexsort((table["movie_id"].to_numpy(), table["user_id"].to_numpy()))
    there = np.isin(table["user_id"].to_numpy(), users) & np.isin(
        table["movie_id"].to_numpy(), items
    )
    order = order[there[order]]  # as in `every`
    rating = table["rating"].to_numpy()[order].astype(np.float32)
    times = (
        table["rated_at"].cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()[order]
    )
    every = dataclasses.replace(every, weight=rating, time=times)
    keys = every.user * np.int64(len(items)) + every.item
    known = np.isin(keys, train.user * np.int64(len(items)) + train.item)
    last = np.full(len(users), np.iinfo(np.int64).min)
    np.maximum.at(last, every.user[known], times[known])
    return every.where(known), every.where(
        known | ((rating < 4) & (times <= last[every.user]))
    )


# --- quality -------------------------------------------------------------------------------------


def _quality(options: argparse.Namespace) -> None:
    world = _world()
    known = world.train + world.valid
    ranks = {
        "popular": _best(popular(world.train), known),
        "item-kNN": _item_knn(world, known, options),
    }
    for system, codes in ranks.items():
        _tell(system, codes, world.test, options)
    for system in options.system:
        chosen, model = _chosen(system, world, options)
        _tell(system, _best(model, known), world.test, options, **chosen)


def _item_knn(world: World, known: Any, options: argparse.Namespace) -> np.ndarray:
    """Learned from the training part, for histories of it; what else is known is then passed
    over.
    """
    most = K + int(np.diff(world.valid.indptr).max())
    codes = baselines.item_knn(
        world.data, world.data.by_user(), most, Run(options.seed, options.threads)
    )  # (u, most)
    rows = np.arange(len(codes))[:, None]
    fresh = (codes >= 0) & ~(
        known[rows.repeat(most, 1).ravel(), codes.ravel()].A1 > 0
    ).reshape(codes.shape)
    first = np.argsort(~fresh, axis=1, kind="stable")[:, :K]  # (u, K)
    return np.where(
        np.take_along_axis(fresh, first, 1), np.take_along_axis(codes, first, 1), -1
    )


def _chosen(
    system: str, world: World, options: argparse.Namespace
) -> tuple[dict[str, Any], Model]:
    """The options with the best NDCG on `valid`, and what they learned."""
    name, grid = GRIDS[system]
    best: tuple[float, dict[str, Any], Model | None] = (-1.0, {}, None)
    for values in itertools.product(*grid.values()):
        one = dict(zip(grid, values, strict=True))
        model = _model(name, one, world, options)
        good = float(_figures(_best(model, world.train), world.valid)[:, 1].mean())
        best = max(best, (good, one, model), key=lambda tried: tried[0])
    assert best[2] is not None
    return best[1], best[2]


def _model(
    name: str, chosen: dict[str, Any], world: World, options: argparse.Namespace
) -> Model:
    data = world.rated if "like_threshold" in chosen else world.data
    if name not in (
        "content",
        "neural_content",
    ):  # whose weights would otherwise be ratings
        data = dataclasses.replace(data, weight=np.ones(len(data), np.float32))
    found = algorithms.make(name, chosen).fit(data, Run(options.seed, options.threads))
    return Model(
        found.users, found.items
    )  # cosines too: the items are of length 1, and a user's length orders nothing


def _best(model: Model, known: Any) -> np.ndarray:
    """The codes (u, K) of the best items of every user that are not known."""
    scores = model.scores(np.arange(known.shape[0]))  # (u, items)
    scores[known.nonzero()] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :K]


def _figures(codes: np.ndarray, relevant: Any) -> np.ndarray:
    """Recall and NDCG of lists (u, K) for the users with relevant items: (asked, 2)."""
    asked = np.flatnonzero(np.diff(relevant.indptr))
    dense = relevant[asked].toarray() > 0  # (asked, items)
    hit = np.take_along_axis(dense, np.maximum(codes[asked], 0), 1) & (
        codes[asked] >= 0
    )  # (asked, K)
    gain = 1 / np.log2(np.arange(2, K + 2))  # (K,)
    count = dense.sum(1)  # (asked,)
    best = np.cumsum(gain)[np.minimum(count, K) - 1]  # (asked,)
    return np.stack([hit.sum(1) / count, hit @ gain / best], 1)


def _tell(
    system: str,
    codes: np.ndarray,
    relevant: Any,
    options: argparse.Namespace,
    **chosen: Any,
) -> None:
    figures = _figures(codes, relevant)  # (asked, 2)
    for name, values in zip((f"Recall@{K}", f"NDCG@{K}"), figures.T, strict=True):
        low, high = (round(end, 4) for end in interval(values))
        line(
            "external",
            "ml1m_external",
            system,
            name,
            float(values.mean()),
            "share",
            low=low,
            high=high,
            seed=options.seed,
            **chosen,
        )


# --- speed ---------------------------------------------------------------------------------------


def _speed(options: argparse.Namespace) -> None:
    rng = np.random.default_rng(options.seed)
    codes = (
        rng.integers(0, options.users, options.pairs),
        rng.integers(0, options.items, options.pairs),
    )
    pairs = ordered(
        codes[0].astype(np.int32),
        codes[1].astype(np.int32),
        (options.users, options.items),
    )
    vectors = rng.standard_normal((options.items, 64), np.float32)
    data = dataclasses.replace(
        pairs.interactions(), item_features=pa.table({"v": list(vectors)})
    )
    took = []
    for _ in range(4):  # the first compiles
        start = time.perf_counter()
        algorithms.make("half_als", {}).fit(data, Run(options.seed, options.threads))
        took.append(time.perf_counter() - start)
    line(
        "external",
        f"generated {options.users} x {options.items}, {len(data)} pairs",
        "half_als",
        "users solved",
        float(np.median(took[1:])),
        "s",
        dim=64,
        threads=options.threads,
    )
