"""How good defaults are on data of many shapes, compared with a search and closed forms.

All is asked about validation pairs; only --test asks about pairs that nothing was chosen by. A
search draws options at random until its CPU time is used up, and may end with the defaults. All
items are ranked but those a user has, by an evaluator that shares no code with embsql's own.
References are closed forms: popular items, item-kNN, and EASE where the catalog is small.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

from benchmarks._closed_forms import references
from benchmarks._lines import line
from benchmarks._shapes import SHAPES
from benchmarks._suite_exam import Exam, Marks, Options
from benchmarks._suite_spaces import SPACES

METRICS = ("Recall@20", "NDCG@20")
SEED = 1  # of a search, and of the trainings in it


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shapes", nargs="+", choices=[*SHAPES], default=[*SHAPES])
    parser.add_argument(
        "--algorithms", nargs="+", choices=[*SPACES], default=["als", "svd", "item2vec"]
    )
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument(
        "--minutes", type=float, default=1.0, help="CPU time of each search; 0: none"
    )
    parser.add_argument(
        "--test",
        action="store_true",
        help="ask defaults and references about the test too",
    )


def measure(options: argparse.Namespace) -> None:
    for name in options.shapes:
        shape = SHAPES[name]()
        exam = Exam(shape.train, shape.validation, options.threads)
        _part(f"{name}, validation", exam, options, options.minutes)
        if options.test:
            _part(
                f"{name}, test", Exam(shape.whole, shape.test, options.threads), options
            )


def _part(
    data: str, exam: Exam, options: argparse.Namespace, minutes: float = 0.0
) -> None:
    """The lines of one part of a shape."""
    for system, marks in references(exam).items():
        _print(data, system, marks, pairs=len(exam.data.user))
    for algorithm in options.algorithms:
        start = {"dim": options.dim}
        begun = time.process_time()
        every = [exam.trained(algorithm, start, seed) for seed in options.seeds]
        cost = (time.process_time() - begun) / len(every)
        means = tuple(statistics.mean(column) for column in zip(*every, strict=True))
        spread = np.ptp([marks[1] for marks in every])
        found = _searched(algorithm, start, exam, minutes) if minutes else None
        _print(
            data,
            f"{algorithm}, default",
            means,
            found,
            seeds=options.seeds,
            spread=float(spread),
            cpu_seconds=round(cost, 2),
        )


def _searched(
    algorithm: str, start: Options, exam: Exam, minutes: float
) -> tuple[Marks, dict[str, Any]]:
    """The best marks by NDCG of what was tried, the start first, and how they came about."""
    chance = np.random.default_rng(SEED)
    end = time.process_time() + 60 * minutes
    best = (exam.trained(algorithm, start, SEED), start)
    trials = 1
    while time.process_time() < end:
        drawn = start | SPACES[algorithm](chance, exam.data)
        tried = (exam.trained(algorithm, drawn, SEED), drawn)
        best = max(best, tried, key=lambda one: one[0][1])
        trials += 1
    return best[0], {"searched": best[1], "trials": trials, "minutes": minutes}


def _print(
    data: str,
    system: str,
    marks: Any,
    found: tuple[Marks, dict[str, Any]] | None = None,
    **settings: Any,
) -> None:
    """A line for each metric, compared with the best that was found."""
    peers, how = found or ((None, None), {})
    for metric, value, peer in zip(METRICS, marks, peers, strict=True):
        line(
            "quality_suite",
            data,
            system,
            metric,
            value,
            "share",
            peer="searched" if found else None,
            peer_value=peer,
            **settings,
            **how,
        )
