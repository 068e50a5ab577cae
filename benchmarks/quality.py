"""How good the stored vectors are on published splits, beside recommending what is popular.

Trained through `db.train` from parquet into a DuckDB file, each in a process of its own; the
vectors are read back through SQL and ranked by numpy. gowalla: all items ranked but those known,
Recall@20 and NDCG@20. ncf_ml1m: one held-out item among 99 others, HR@10 and NDCG@10, ties count
against the model.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import embsql
from benchmarks._apart import apart
from benchmarks._lines import line, real
from benchmarks._made import ordered
from benchmarks._rank import Model, hit_ndcg, popular, recall_ndcg, stored

DIMS = {"gowalla": (64, 128, 256), "ncf_ml1m": (192,)}
# options beyond the defaults: best on training pairs held out (docs/decisions/0004), or published
CHOSEN = {
    ("gowalla", "als", 64): {"epochs": 4},
    ("gowalla", "als", 128): {"epochs": 4},
    ("gowalla", "als", 256): {"epochs": 4},
    ("ncf_ml1m", "als", 192): {"reg": 0.007, "unobserved_weight": 0.3, "epochs": 12},
}


@dataclass(frozen=True, slots=True)
class Exam:
    """A published split: what to train on, and how to mark an answer."""

    train: Path
    shape: tuple[int, int]
    popular: Model
    metrics: tuple[str, str]
    mark: Callable[[Model], tuple[float, float]]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", nargs="+", choices=[*DIMS], default=[*DIMS])
    parser.add_argument("--algorithm", nargs="+", default=["als", "svd"])
    parser.add_argument(
        "--dim",
        nargs="+",
        type=int,
        help="default: 64 128 256 on gowalla, 192 on ncf_ml1m",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])


def measure(options: argparse.Namespace) -> None:
    for data in options.data:
        exam = EXAMS[data](options.threads)
        floor = exam.mark(exam.popular)
        for metric, value in zip(exam.metrics, floor, strict=True):
            line("quality", data, "popular", metric, value, "share")
        for algorithm in options.algorithm:
            for dim in options.dim or DIMS[data]:
                for setting, chosen in _settings(data, algorithm, dim):
                    _system(
                        data,
                        exam,
                        floor,
                        algorithm,
                        options,
                        setting=setting,
                        dim=dim,
                        **chosen,
                    )


def _settings(data: str, algorithm: str, dim: int) -> list[tuple[str, dict[str, Any]]]:
    chosen = CHOSEN.get((data, algorithm, dim))
    return [("default", {}), *([("chosen", chosen)] if chosen else [])]


def _system(
    data: str,
    exam: Exam,
    floor: tuple[float, float],
    algorithm: str,
    options: argparse.Namespace,
    **settings: Any,
) -> None:
    """A line for every seed, then the means."""
    asked = {name: value for name, value in settings.items() if name != "setting"}
    marks, costs = [], []
    for seed in options.seeds:
        mark, cost = _seed(exam, algorithm, threads=options.threads, seed=seed, **asked)
        _print(
            data,
            exam,
            floor,
            algorithm,
            mark,
            cost,
            **settings,
            threads=options.threads,
            seed=seed,
        )
        marks.append(mark)
        costs.append(cost)
    means = [statistics.mean(column) for column in zip(*marks, strict=True)]
    cost = {key: statistics.median(one[key] for one in costs) for key in costs[0]}
    _print(
        data,
        exam,
        floor,
        algorithm,
        means,
        cost,
        **settings,
        threads=options.threads,
        mean_of_seeds=options.seeds,
    )


def _print(
    data: str,
    exam: Exam,
    floor: Any,
    algorithm: str,
    mark: Any,
    cost: dict[str, float],
    **settings: Any,
) -> None:
    for metric, value, popular_value in zip(exam.metrics, mark, floor, strict=True):
        line(
            "quality",
            data,
            algorithm,
            metric,
            value,
            "share",
            peer="popular",
            peer_value=popular_value,
            **cost,
            **settings,
        )


def _seed(
    exam: Exam, algorithm: str, **settings: Any
) -> tuple[tuple[float, float], dict[str, float]]:
    """The marks of one training, and what it cost."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/model.duckdb"
        cost = apart(
            train, file=file, source=exam.train, algorithm=algorithm, settings=settings
        )
        with embsql.connect(file, read_only=True) as database:
            model = stored(database, "exam", exam.shape)
    return exam.mark(model), cost


def train(
    file: str, source: str, algorithm: str, settings: dict[str, Any]
) -> dict[str, Any]:
    """From parquet to a live run in a DuckDB file."""
    start = time.perf_counter()
    with embsql.connect(file) as database:
        database.train(
            "exam",
            source,
            algorithm=algorithm,
            user_col="user",
            item_col="item",
            progress=False,
            **settings,
        )
    return {"seconds": time.perf_counter() - start}


# --- the published splits ------------------------------------------------------------------------


def _gowalla(threads: int) -> Exam:
    train, test = (
        _codes(real("gowalla", f"{part}.parquet"), "user", "item")
        for part in ("train", "test")
    )
    shape = tuple(
        int(max(a.max(), b.max())) + 1 for a, b in zip(train, test, strict=True)
    )
    known, relevant = (ordered(*pairs, shape).matrix() for pairs in (train, test))
    return Exam(
        real("gowalla", "train.parquet"),
        shape,
        popular(known),
        ("Recall@20", "NDCG@20"),
        lambda model: recall_ndcg(model, known, relevant, threads=threads),
    )


def _ncf_ml1m(_threads: int) -> Exam:
    train = _codes(real("ncf_ml1m", "train.parquet"), "user", "item")
    users, target = _codes(real("ncf_ml1m", "test.parquet"), "user", "target")
    others = np.array(
        pq.read_table(real("ncf_ml1m", "test.parquet"))["negatives"].to_pylist(),
        np.int64,
    )  # (n, 99)
    shape = (
        int(max(train[0].max(), users.max())) + 1,
        int(max(train[1].max(), target.max(), others.max())) + 1,
    )
    known = ordered(*train, shape).matrix()
    return Exam(
        real("ncf_ml1m", "train.parquet"),
        shape,
        popular(known),
        ("HR@10", "NDCG@10"),
        lambda model: hit_ndcg(model, users, target, others),
    )


def _codes(file: Path, *columns: str) -> list[np.ndarray]:
    table = pq.read_table(file, columns=list(columns))
    return [table[column].to_numpy().astype(np.int64) for column in columns]


EXAMS: dict[str, Callable[[int], Exam]] = {"gowalla": _gowalla, "ncf_ml1m": _ncf_ml1m}
