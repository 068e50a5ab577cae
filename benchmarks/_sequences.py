"""Sequence models on published splits."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix

import embsql
from benchmarks._apart import apart
from benchmarks._lines import line, real
from benchmarks._rank import Model, stored
from benchmarks.quality import train

LAST = (("HR@10", "NDCG@10"), 10)
METRICS = {  # and how many items are looked at
    "ml1m": LAST,
    "sports": LAST,
    "sports_validation": LAST,
    "diginetica": (("P@20", "MRR@20"), 20),
}
# of METRICS; sports: SASRec with sampled softmax, chosen by a search
PUBLISHED: dict[str, dict[str, tuple[float, float]]] = {
    "ml1m": {
        "gru4rec": (0.2811, 0.1648),
        "sasrec": (0.3152, 0.1821),
        "bert4rec": (0.2843, 0.1537),
    },
    "sports": {"sasrec": (0.0569, 0.0314)},
    "sports_validation": {},
    "diginetica": {"gru4rec": (0.4970, 0.1617), "sasrec": (0.4970, 0.1617)},  # NARM's
}
CHOSEN: dict[
    str, dict[str, dict[str, Any]]
] = {  # see docs/benchmarks.md for what was validated
    "ml1m": {"gru4rec": {}, "sasrec": {}, "bert4rec": {}},
    "sports": {"als": {}, "sasrec": {}},
    "sports_validation": {"als": {}, "sasrec": {}},
    "diginetica": {
        "gru4rec": {
            "dim": 128,
            "epochs": 8,
            "lr": 0.003,
            "dropout": 0.3,
            "batch_size": 512,
            "max_length": 20,
            "weighted_loss": True,
        }
    },
}
FAINT = 1e-9  # weight of events that are read but not learned from


class Exam(NamedTuple):
    """What to train on, and one item to be found for each of some users."""

    source: str
    user: np.ndarray  # (n,) codes
    target: np.ndarray  # (n,)
    seen: list[np.ndarray] | None  # items of each that are not ranked
    shape: tuple[int, int]
    test: str | None = None  # the same questions for `evaluate`: prefix and target


def measure(data: str, options: argparse.Namespace) -> None:
    """Lines for every algorithm and seed, and their means."""
    metrics, k = METRICS[data]
    with tempfile.TemporaryDirectory() as folder:
        exam = EXAMS[data](folder)
        if exam.seen:
            _print(
                data,
                "first-order Markov counts",
                metrics,
                _marks(_Followers(exam), exam, k),
            )
        for algorithm in (
            CHOSEN[data] if options.algorithm is None else options.algorithm
        ):
            chosen = CHOSEN[data].get(algorithm, {}) | options.options
            if options.epochs:
                chosen = chosen | {"epochs": options.epochs}
            marks = []
            for seed in options.seeds:
                mark, own, cost = _seed(
                    exam, algorithm, k, threads=options.threads, seed=seed, **chosen
                )
                marks.append(mark)
                _print(data, algorithm, metrics, mark, **cost, **chosen, seed=seed)
                if own:
                    _print(data, f"{algorithm} by evaluate", metrics, own, seed=seed)
            means = [statistics.mean(values) for values in zip(*marks, strict=True)]
            _print(
                data, algorithm, metrics, means, **chosen, mean_of_seeds=options.seeds
            )


def _print(
    data: str, algorithm: str, metrics: tuple[str, str], marks: Any, **settings: Any
) -> None:
    peers = PUBLISHED[data].get(algorithm, (None, None))
    for metric, value, peer in zip(metrics, marks, peers, strict=True):
        line(
            "neural",
            data,
            algorithm,
            metric,
            value,
            "share",
            peer="published",
            peer_value=peer,
            **settings,
        )


def _seed(
    exam: Exam, algorithm: str, k: int, **settings: Any
) -> tuple[tuple[float, float], tuple[float, float] | None, dict[str, float]]:
    """The marks of one training, in a process of its own, those by evaluate, and what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/model.duckdb"
        cost = apart(
            train, file=file, source=exam.source, algorithm=algorithm, settings=settings
        )
        with embsql.connect(file) as database:
            model = stored(database, "exam", exam.shape)
            own = _by_evaluate(database, exam.test, k) if exam.test else None
    return _marks(model, exam, k), own, cost


def _by_evaluate(database: embsql.Database, test: str, k: int) -> tuple[float, float]:
    """What embsql measures of itself."""
    figures = database.evaluate("exam", test=test, k=k)
    return figures[f"hit_rate@{k}"], figures[f"mrr@{k}"]


class _Followers:
    """What came how often after the item that a user had last; what is popular where that is
    level.
    """

    def __init__(self, exam: Exam) -> None:
        self.last = {
            user: seen[-1] if len(seen) else -1
            for user, seen in zip(exam.user, exam.seen or (), strict=True)
        }
        pairs = np.concatenate(
            [np.stack([seen[:-1], seen[1:]]) for seen in exam.seen or ()], axis=1
        )  # (2, n)
        # the last row: after nothing
        shape = (exam.shape[1] + 1, exam.shape[1])
        once = np.ones(pairs.shape[1], np.float32)  # (n,)
        self.count = csr_matrix((once, pairs), shape)
        popular = np.bincount(pairs[1], minlength=exam.shape[1])  # (items,)
        share = popular / (popular.max() + 1)  # (items,)
        self.popular = share.astype(np.float32)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(n,) -> (n, items)"""
        after = [self.last[user] for user in users]
        return self.count[after].toarray() + self.popular


def _marks(model: Model | _Followers, exam: Exam, k: int) -> tuple[float, float]:
    rank = np.concatenate(
        [
            _ranks(model, exam, rows)
            for rows in np.array_split(np.arange(len(exam.user)), 100)
        ]
    )
    gain = 1 / np.log2(rank + 2.0) if k == 10 else 1 / (rank + 1.0)  # NDCG or MRR
    return float((rank < k).mean()), float(np.where(rank < k, gain, 0).mean())


def _ranks(model: Model | _Followers, exam: Exam, rows: np.ndarray) -> np.ndarray:
    """How many items are above the target or level with it, (n,)."""
    scores = model.scores(exam.user[rows])  # (n, items)
    right = scores[np.arange(len(rows)), exam.target[rows]][:, None].copy()  # (n, 1)
    for n, row in enumerate(rows if exam.seen else ()):
        scores[n, exam.seen[row]] = -np.inf
    scores[
        np.arange(len(rows)), exam.target[rows]
    ] = -np.inf  # it does not stand in its own way
    return np.asarray((scores >= right).sum(1))


# --- the published splits ------------------------------------------------------------------------


def _last_events(data: str, held: int, _folder: str) -> Exam:
    """Everybody's event so many from the end is held out; what came before is known, not ranked."""
    file = real(data, "sequences.parquet")
    table = pq.read_table(file).sort_by(
        [("user", "ascending"), ("position", "ascending")]
    )
    user = table["user"].to_numpy().astype(np.int64)  # (n,)
    item = table["item"].to_numpy().astype(np.int64)  # (n,)
    last = np.flatnonzero(np.append(user[1:] != user[:-1], True))  # (u,)
    seen = [part[:-held] for part in np.split(item, last[:-1] + 1)]
    asked = last + 1 - held  # (u,)
    source = (
        f"SELECT \"user\", item, position AS event_time FROM '{file}' QUALIFY "
        f'row_number() OVER (PARTITION BY "user" ORDER BY position DESC) > {held}'
    )
    shape = (int(user.max()) + 1, int(item.max()) + 1)
    return Exam(source, user[last], item[asked], seen, shape)


def _diginetica(folder: str) -> Exam:
    """Test sessions are read without being learned from; items may come again."""
    known = pq.read_table(real("diginetica", "train.parquet"))
    test = pq.read_table(real("diginetica", "test.parquet"))
    user, item, position = (
        known[name].to_numpy().astype(np.int64)
        for name in ("session_id", "item_id", "position")
    )
    prefixes = [np.array(prefix, np.int64) for prefix in test["prefix"].to_pylist()]
    asked = user.max() + 1 + np.arange(len(prefixes))
    sizes = np.array([len(prefix) for prefix in prefixes])
    pq.write_table(
        pa.table(
            {
                "user": np.concatenate([user, asked.repeat(sizes)]),
                "item": np.concatenate([item, *prefixes]),
                "event_time": np.concatenate(
                    [position, *(np.arange(size) for size in sizes)]
                ),
                "weight": np.concatenate(
                    [np.ones(len(user)), np.full(sizes.sum(), FAINT)]
                ),
            }
        ),
        f"{folder}/sessions.parquet",
    )
    target = test["target"].to_numpy().astype(np.int64)
    shape = (
        int(asked.max()) + 1,
        int(max(item.max(), target.max(), *map(max, prefixes))) + 1,
    )
    given = f"SELECT prefix, target FROM '{real('diginetica', 'test.parquet')}'"
    return Exam(f"{folder}/sessions.parquet", asked, target, None, shape, given)


EXAMS: dict[str, Callable[[str], Exam]] = {
    "ml1m": partial(_last_events, "ml1m_sequences", 1),
    "sports": partial(_last_events, "sports", 1),
    "sports_validation": partial(_last_events, "sports", 2),
    "diginetica": _diginetica,
}
