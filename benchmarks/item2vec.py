"""How good and how fast item2vec is: beside gensim on films, and on published protocols.

Parts: speed (skip-gram and CBOW on the ML-1M sequences, from a table to a live run, beside gensim's
Word2Vec on lists in memory: tokens per second, and how often the next item is among the ten nearest
of the last), equal (the same two, each for the fewest epochs that find as much as gensim's ten:
seconds), many (one epoch over made tokens), retail (the protocol of a study of word2vec's options
for recommenders on a shop's sequences), gowalla (all items ranked but those known).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import embsql
from benchmarks._apart import apart
from benchmarks._lines import in_turn, line, real
from benchmarks._made import ordered
from benchmarks._rank import Model, recall_ndcg, stored

NEAREST = 10
PUBLISHED = {
    "skipgram": (0.265, 0.1849),
    "cbow": (0.239, 0.1567),
}  # retail: gensim at the study's options
GOWALLA = (0.1326, 0.1057)  # the published row of item2vec
SPEED: dict[str, Any] = {"dim": 64, "window": 5, "negatives": 5}
METHODS = ["skipgram", "cbow"]
EPOCHS = (1, 2, 3, 5, 10)  # tried for the part equal; the last are gensim's
RETAIL: dict[
    str, dict[str, Any]
] = {  # best on the validation half; lengths count, as the study's neighbors do
    "skipgram": {
        "dim": 50,
        "window": 3,
        "epochs": 10,
        "negatives": 15,
        "popularity_weight": 0,
    },
    "cbow": {"dim": 50, "window": 3, "epochs": 10, "popularity_weight": 0},
}
BASKETS: dict[str, Any] = {
    "dim": 64,
    "window": 10,
    "epochs": 30,
    "shuffle": True,
}  # best on held-out training pairs


class Sequences(NamedTuple):
    """Items of every user in order, the last one held out."""

    known: list[list[str]]
    held: list[str]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1, 2, 3], help="for retail and gowalla"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=METHODS,
        help="for speed and equal",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=3,
        help="of every timing, of which the median is taken",
    )
    parser.add_argument(
        "--tokens", type=int, default=50_000_000, help="for the part many"
    )
    parser.add_argument(
        "--epochs",
        nargs="+",
        type=int,
        default=[10],
        help="for speed; 1 10 100 shows what more cost",
    )


def measure(options: argparse.Namespace) -> None:
    for part in options.part:
        PARTS[part](options)


def _read(file: Path, user: str, item: str) -> Sequences:
    """The sequences of a table that is ordered by user and position."""
    table = pq.read_table(file).sort_by(
        [(user, "ascending"), ("position", "ascending")]
    )
    users, items = (
        table[user].to_numpy(),
        np.array(table[item].cast(pa.string()).to_pylist()),
    )
    parts = np.split(items, np.flatnonzero(users[1:] != users[:-1]) + 1)
    return Sequences(
        [part[:-1].tolist() for part in parts], [str(part[-1]) for part in parts]
    )


def _save(sequences: Sequences, folder: str) -> str:
    """The known part as a table of events."""
    sizes = [len(items) for items in sequences.known]
    file = f"{folder}/known.parquet"
    pq.write_table(
        pa.table(
            {
                "user_id": np.repeat(np.arange(len(sizes)), sizes),
                "item_id": [i for items in sequences.known for i in items],
                "event_time": np.concatenate([np.arange(size) for size in sizes]),
            }
        ),
        file,
    )
    return file


def _train(source: str, **settings: Any) -> dict[str, np.ndarray]:
    """From a table of events to a live run; its item vectors by id."""
    with embsql.connect(":memory:") as database:
        database.train(
            "bench", source, algorithm="item2vec", progress=False, **settings
        )
        table = database.ask(
            "SELECT item_id, embedding FROM embsql.item_embedding('bench')"
        )
    return dict(
        zip(
            table["item_id"].to_pylist(),
            np.array(table["embedding"].to_pylist(), np.float32),
            strict=True,
        )
    )


# --- speed ---------------------------------------------------------------------------------------


def speed(options: argparse.Namespace) -> None:
    sequences = _read(real("ml1m_sequences", "sequences.parquet"), "user", "item")
    tokens = sum(map(len, sequences.known))
    with tempfile.TemporaryDirectory() as folder:
        source = _save(sequences, folder)
        for method, epochs in product(options.methods, options.epochs):
            works, settings = _systems(sequences, source, method, epochs, options)
            done = in_turn(works, options.repeat)
            rate = {name: tokens * epochs / one.seconds for name, one in done.items()}
            hits = {
                name: _next_hits(one.result, sequences) for name, one in done.items()
            }
            for metric, unit, values in (
                ("tokens per second", "1/s", rate),
                ("next-item HR@10", "share", hits),
            ):
                line(
                    "item2vec",
                    "ml1m_sequences",
                    "embsql",
                    metric,
                    values["embsql"],
                    unit,
                    peer="gensim",
                    peer_value=values["gensim"],
                    seconds=done["embsql"].seconds,
                    **settings,
                )


def equal(options: argparse.Namespace) -> None:
    """Seconds until each finds as much as gensim does after all epochs, which are set anew."""
    sequences = _read(real("ml1m_sequences", "sequences.parquet"), "user", "item")
    with tempfile.TemporaryDirectory() as folder:
        source = _save(sequences, folder)
        for method in options.methods:
            works, settings = _systems(sequences, source, method, EPOCHS[-1], options)
            goal = _next_hits(works["gensim"](), sequences)
            reached = {
                name: _until(name, goal, sequences, source, method, options)
                for name in works
            }
            line(
                "item2vec",
                "ml1m_sequences",
                "embsql",
                "seconds to gensim's HR@10",
                reached["embsql"].seconds,
                "s",
                peer="gensim",
                peer_value=reached["gensim"].seconds,
                **settings
                | {"epochs": {name: one.epochs for name, one in reached.items()}},
                goal=goal,
                hits={name: one.hits for name, one in reached.items()},
            )


class Reached(NamedTuple):
    """The fewest epochs that were enough."""

    epochs: int
    seconds: float
    hits: float


def _until(
    name: str,
    goal: float,
    sequences: Sequences,
    source: str,
    method: str,
    options: argparse.Namespace,
) -> Reached:
    """The first of EPOCHS that finds as much; the last where none does."""
    for epochs in EPOCHS:
        works, _ = _systems(sequences, source, method, epochs, options)
        done = in_turn({name: works[name]}, options.repeat)[name]
        hits = _next_hits(done.result, sequences)
        if hits >= goal:
            break
    return Reached(epochs, done.seconds, hits)


def _systems(
    sequences: Sequences,
    source: str,
    method: str,
    epochs: int,
    options: argparse.Namespace,
) -> tuple[dict[str, Callable[[], dict[str, np.ndarray]]], dict[str, Any]]:
    """What trains, by system, everything compiled; and the settings of both."""
    settings = {**SPEED, "threads": options.threads, "method": method}
    _train(source, **settings, epochs=1)
    settings["epochs"] = epochs
    works = {
        "embsql": partial(_train, source, **settings),
        "gensim": partial(_gensim, sequences, settings),
    }
    return works, settings


def _gensim(sequences: Sequences, settings: dict[str, Any]) -> dict[str, np.ndarray]:
    from gensim.models import Word2Vec

    model = Word2Vec(
        sequences.known,
        vector_size=settings["dim"],
        window=settings["window"],
        negative=settings["negatives"],
        sg=int(settings["method"] == "skipgram"),
        min_count=1,
        workers=settings["threads"],
        epochs=settings["epochs"],
        sample=0,
        seed=1,
    )
    return dict(zip(model.wv.index_to_key, model.wv.vectors, strict=True))


def _next_hits(vectors: dict[str, np.ndarray], sequences: Sequences) -> float:
    """How often the held-out item is among the nearest by cosine of the last known, those known
    left out.
    """
    row_of = {item: row for row, item in enumerate(vectors)}
    table = np.array([*vectors.values()])
    table = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    hits = 0
    for known, held in zip(sequences.known, sequences.held, strict=True):
        if held in row_of and known:
            scores = table @ table[row_of[known[-1]]]
            scores[[row_of[item] for item in known]] = -np.inf
            hits += row_of[held] in np.argpartition(-scores, NEAREST)[:NEAREST]
    return hits / len(sequences.held)


# --- retail --------------------------------------------------------------------------------------


def retail(options: argparse.Namespace) -> None:
    sequences = _read(
        real("online_retail_sequences", "sequences.parquet"), "customer", "item_id"
    )
    asked = np.random.RandomState(4).choice(
        len(sequences.held), 2000, replace=False
    )  # the study's
    with tempfile.TemporaryDirectory() as folder:
        source = _save(sequences, folder)
        for method, settings in RETAIL.items():
            for half, users in (("validation", asked[1000:]), ("test", asked[:1000])):
                mark = partial(_near_hits, sequences=sequences, users=users)
                fit = partial(
                    _train, source, method=method, threads=options.threads, **settings
                )
                peer = PUBLISHED[method] if half == "test" else (None, None)
                _seeds(
                    "online_retail_sequences",
                    fit,
                    mark,
                    ("HR@10", "NDCG@10"),
                    peer,
                    options,
                    part=half,
                    method=method,
                    **settings,
                )


def _near_hits(
    vectors: dict[str, np.ndarray], sequences: Sequences, users: np.ndarray
) -> tuple[float, float]:
    """HR@10 and NDCG@10 of the held-out item among the nearest by distance of the last known.

    As in the study, the last known item itself counts as found where it is the one held out.
    """
    row_of = {item: row for row, item in enumerate(vectors)}
    table = np.array([*vectors.values()])
    squares = np.square(table).sum(1)
    gains = [
        _gain(sequences.known[user], sequences.held[user], row_of, table, squares)
        for user in users
    ]
    return float(np.mean(np.array(gains) > 0)), float(np.mean(gains))


def _gain(
    known: list[str],
    held: str,
    row_of: dict[str, int],
    table: np.ndarray,
    squares: np.ndarray,
) -> float:
    if not known or known[-1] not in row_of:
        return 0.0
    last = row_of[known[-1]]
    distance = squares - 2 * table @ table[last]
    distance[last] = np.inf
    nearest = np.argsort(distance, kind="stable")[:NEAREST]
    found = np.flatnonzero(nearest == row_of.get(held, -1))
    return (
        1.0
        if held == known[-1]
        else float(1 / np.log2(found[0] + 2))
        if len(found)
        else 0.0
    )


# --- gowalla -------------------------------------------------------------------------------------


def gowalla(options: argparse.Namespace) -> None:
    tables = [
        pq.read_table(real("gowalla", f"{part}.parquet")) for part in ("train", "test")
    ]
    codes = [
        (
            table["user"].to_numpy().astype(np.int64),
            table["item"].to_numpy().astype(np.int64),
        )
        for table in tables
    ]
    shape = tuple(int(max(a.max(), b.max())) + 1 for a, b in zip(*codes, strict=True))
    known, relevant = (ordered(*pairs, shape).matrix() for pairs in codes)
    for name, settings in (("default", {}), ("chosen", BASKETS)):
        fit = partial(
            _fit,
            str(real("gowalla", "train.parquet")),
            shape,
            threads=options.threads,
            **settings,
        )
        mark = partial(
            recall_ndcg, known=known, relevant=relevant, threads=options.threads
        )
        _seeds(
            "gowalla",
            fit,
            mark,
            ("Recall@20", "NDCG@20"),
            GOWALLA,
            options,
            setting=name,
            **settings,
        )


def _fit(source: str, shape: tuple[int, int], **settings: Any) -> Model:
    """From pairs to a live run, read back through SQL."""
    with embsql.connect(":memory:") as database:
        database.train(
            "bench",
            source,
            algorithm="item2vec",
            user_col="user",
            item_col="item",
            progress=False,
            **settings,
        )
        return stored(database, "bench", shape)


def _seeds(
    data: str,
    fit: Callable[..., Any],
    mark: Callable[[Any], tuple[float, float]],
    metrics: tuple[str, str],
    peer: Any,
    options: argparse.Namespace,
    **settings: Any,
) -> None:
    """A line for every metric: the mean over the seeds, beside the published figure."""
    marks, seconds = [], []
    for seed in options.seeds:
        start = time.perf_counter()
        found = fit(seed=seed)
        seconds.append(time.perf_counter() - start)
        marks.append(mark(found))
    for metric, values, published in zip(
        metrics, zip(*marks, strict=True), peer, strict=True
    ):
        line(
            "item2vec",
            data,
            "item2vec",
            metric,
            statistics.mean(values),
            "share",
            peer="published",
            peer_value=published,
            seconds=statistics.median(seconds),
            threads=options.threads,
            values=np.round(values, 5).tolist(),
            seeds=options.seeds,
            **settings,
        )


# --- many ----------------------------------------------------------------------------------------


def many(options: argparse.Namespace) -> None:
    """Seconds and peak memory of one epoch over made tokens of 100,000 items, source and all."""
    settings = {"dim": SPEED["dim"], "epochs": 1, "threads": options.threads}
    done = apart(train_many, tokens=options.tokens, settings=settings)
    line(
        "item2vec",
        f"generated, {options.tokens} tokens",
        "item2vec",
        "tokens per second",
        options.tokens / done["seconds"],
        "1/s",
        seconds=done["seconds"],
        peak_rss_mb=done["peak_rss_mb"],
        **settings,
    )


def train_many(tokens: int, settings: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own: sequences of 100 tokens."""
    source = "SELECT i // 100 AS user_id, hash(i) % 100000 AS item_id, i AS event_time FROM made"
    with embsql.connect(":memory:") as database:
        database.engine.run(
            "CREATE TABLE made AS SELECT i FROM range($tokens) AS t(i)", tokens=tokens
        )
        start = time.perf_counter()
        database.train(
            "bench", source, algorithm="item2vec", progress=False, **settings
        )
        return {"seconds": time.perf_counter() - start}


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "speed": speed,
    "equal": equal,
    "retail": retail,
    "gowalla": gowalla,
    "many": many,
}
