"""How fast als is at equal quality, beside implicit: time, memory, compiling, growth, and the whole
line.

Parts: curve (time and NDCG@20 by number of epochs, and the time to reach what implicit reaches),
memory (of a training, over its data and its result), jit (a first training in a fresh process),
epochs (cost of one as the data grow), line (from a table in a file to a live run, over the bare
training, and beside implicit from the table to tables of vectors), large (one training of 120
million rows).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import permutations
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from benchmarks._als_cost import epochs, jit, large, memory, whole_line
from benchmarks._als_systems import (
    GIVEN,
    default_epochs,
    fit_embsql,
    fit_implicit,
    generated,
    warm,
)
from benchmarks._lines import in_turn, line, real
from benchmarks._made import HELD_OUT, Pairs, ordered
from benchmarks._rank import Model, recall_ndcg

EPOCHS, ITERATIONS = (1, 2, 3, 4, 6, 8, 12), (1, 2, 3, 5, 8, 15)
SEARCH_EPOCHS = 8

Point = tuple[float, float]
Figures = dict[tuple[str, int | None], float]  # by system and epochs


class Task(NamedTuple):
    """Pairs to learn from, and pairs to find."""

    data: str
    train: Pairs
    test: Pairs


class System(NamedTuple):
    """One way of training, by number of epochs."""

    fit: Callable[[int], Model]
    epochs: tuple[int, ...]  # to be tried
    settings: dict[str, float]


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--part",
        nargs="+",
        choices=[*PARTS],
        default=["curve", "memory", "jit", "epochs"],
    )
    parser.add_argument(
        "--line",
        dest="part",
        action="store_const",
        const=["line"],
        help="short for --part line",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        choices=["gowalla", "generated"],
        default=["gowalla", "generated"],
    )
    parser.add_argument("--dim", nargs="+", type=int, default=[64, 128])
    parser.add_argument(
        "--repeat",
        type=int,
        default=3,
        help="of every timing, of which the median is taken",
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=8_000_000,
        help="of the generated data (default 8 million)",
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=int,
        default=[1_000_000, 8_000_000],
        help="pairs, for the part epochs",
    )
    for name, default in (
        ("rows", 120_000_000),
        ("users", 2_000_000),
        ("items", 500_000),
    ):
        parser.add_argument(
            f"--{name}", type=int, default=default, help="for the part large"
        )
    parser.add_argument(
        "--epochs",
        type=int,
        default=default_epochs(),
        help="of embsql, for the parts line and large (default its own)",
    )
    parser.add_argument(
        "--iterations",
        type=int,
        default=ITERATIONS[-1],
        help="of implicit, for the part line (default its own)",
    )
    parser.add_argument(
        "--judged", type=int, default=10_000, help="users whose lists are marked"
    )


def measure(options: argparse.Namespace) -> None:
    for part in options.part:
        PARTS[part](options)


# --- curve: time and quality by epochs -----------------------------------------------------------


def curve(options: argparse.Namespace) -> None:
    warm(options.threads)
    for data in options.data:
        task = _task(data, options)
        for dim in options.dim:
            _curve(task, dim, options)


def _task(data: str, options: argparse.Namespace) -> Task:
    if data == "generated":
        return Task(
            f"generated {options.pairs}",
            *generated(round(options.pairs / (1 - HELD_OUT))).held_out(HELD_OUT, 2),
        )
    parts = [
        pq.read_table(real("gowalla", f"{part}.parquet")) for part in ("train", "test")
    ]
    codes = [(table["user"].to_numpy(), table["item"].to_numpy()) for table in parts]
    shape = tuple(int(max(a.max(), b.max())) + 1 for a, b in zip(*codes, strict=True))
    return Task("gowalla", *(ordered(*pair, shape) for pair in codes))


def _curve(task: Task, dim: int, options: argparse.Namespace) -> None:
    systems = {**_embsql(task, dim, options), **_implicit(task, dim, options)}
    works = {
        (name, n): partial(one.fit, n)
        for name, one in systems.items()
        for n in one.epochs
    }
    timed = in_turn(works, options.repeat)
    ndcg = {
        key: _ndcg(done.result, task.train, task.test, options)
        for key, done in timed.items()
    }
    for (name, n), done in timed.items():
        settings = {
            "dim": dim,
            "epochs": n,
            "threads": options.threads,
            **systems[name].settings,
        }
        line(
            "als",
            task.data,
            name,
            "fit time",
            done.seconds,
            "s",
            seconds=done.seconds,
            **settings,
        )
        line(
            "als",
            task.data,
            name,
            "NDCG@20",
            ndcg[name, n],
            "share",
            seconds=done.seconds,
            **settings,
        )
    seconds = {key: done.seconds for key, done in timed.items()}
    for ours, peer in permutations(systems, 2):
        if ours.startswith("embsql") and peer.startswith("implicit"):
            _compared(
                task.data, ours, peer, seconds, ndcg, dim=dim, threads=options.threads
            )


def _compared(
    data: str, ours: str, peer: str, seconds: Figures, ndcg: Figures, **settings: Any
) -> None:
    """The ratios: with as many epochs as either does by default, to the peer's quality then, and to
    nearly that.
    """
    default, last = default_epochs(), ITERATIONS[-1]
    n, goal = _first(ndcg, ours, ndcg[peer, last]), 0.99 * ndcg[peer, last]
    pairs = {
        "fit time, default epochs": (default, last),
        "time to the peer's NDCG@20 after 15 iterations": (n, last),
        "time to 99% of the peer's NDCG@20": (
            _first(ndcg, ours, goal),
            _first(ndcg, peer, goal),
        ),
    }
    for metric, (mine, theirs) in pairs.items():
        value = seconds.get((ours, mine))
        line(
            "als",
            data,
            ours,
            metric,
            value,
            "s",
            peer=peer,
            peer_value=seconds[peer, theirs],
            seconds=value,
            epochs=mine,
            ndcg=ndcg.get((ours, mine)),
            peer_epochs=theirs,
            peer_ndcg=ndcg[peer, theirs],
            **settings,
        )


def _first(ndcg: Figures, system: str, target: float) -> int | None:
    """The smallest number of epochs that reaches a quality; None when none does."""
    return min(
        (
            n
            for (name, n), value in ndcg.items()
            if name == system and n and value >= target
        ),
        default=None,
    )


def _ndcg(
    model: Model, known: Pairs, relevant: Pairs, options: argparse.Namespace
) -> float:
    return recall_ndcg(
        model,
        known.matrix(),
        relevant.matrix(),
        threads=options.threads,
        most=options.judged,
    )[1]


# --- options for the curve: as they come, and searched on pairs held out from training -----------


def _embsql(task: Task, dim: int, options: argparse.Namespace) -> dict[str, System]:
    """embsql with its defaults, and with the best options on a validation part."""
    known, held = task.train.held_out(HELD_OUT, 3)
    data, part, epochs = (
        task.train.interactions(),
        known.interactions(),
        tuple(sorted({*EPOCHS, default_epochs()})),
    )

    def mark(reg: float, unobserved_weight: float) -> float:
        return _ndcg(
            fit_embsql(
                part,
                dim,
                options.threads,
                SEARCH_EPOCHS,
                reg=reg,
                unobserved_weight=unobserved_weight,
            ),
            known,
            held,
            options,
        )

    density = len(data) / (data.n_users * data.n_items)
    reg, unobserved_weight = _searched((0.005, 15 * density), mark)
    fit = partial(fit_embsql, data, dim, options.threads)
    return {
        "embsql": System(fit, epochs, {}),
        "embsql searched": System(
            partial(fit, reg=reg, unobserved_weight=unobserved_weight),
            epochs,
            {"reg": reg, "unobserved_weight": unobserved_weight},
        ),
    }


def _implicit(task: Task, dim: int, options: argparse.Namespace) -> dict[str, System]:
    """implicit with the best options on a validation part; on gowalla also with options known to be
    good there.
    """
    known, held = task.train.held_out(HELD_OUT, 3)

    def mark(alpha: float, regularization: float) -> float:
        model = fit_implicit(
            known.matrix(alpha), dim, options.threads, SEARCH_EPOCHS, regularization
        )
        return _ndcg(model, known, held, options)

    def system(alpha: float, regularization: float) -> System:
        matrix = task.train.matrix(alpha)
        fit = partial(
            fit_implicit, matrix, dim, options.threads, regularization=regularization
        )
        return System(
            fit, ITERATIONS, {"alpha": alpha, "regularization": regularization}
        )

    systems = {"implicit searched": system(*_searched(GIVEN, mark))}
    return (
        {**systems, "implicit": system(*GIVEN)} if task.data == "gowalla" else systems
    )


def _searched(start: Point, mark: Callable[[float, float], float]) -> Point:
    """The best point reached from a start by steps of a factor of 4 in either coordinate, then of
    2.
    """
    marked = cache(mark)
    best = start
    for factor in (4, 2):
        while (
            better := max(_around(best, factor), key=lambda point: marked(*point))
        ) != best:
            best = better
    return best


def _around(point: Point, factor: float) -> Iterator[Point]:
    """A point and its four neighbors."""
    for a, b in ((1, 1), (factor, 1), (1 / factor, 1), (1, factor), (1, 1 / factor)):
        yield point[0] * a, point[1] * b


PARTS = {
    "curve": curve,
    "memory": memory,
    "jit": jit,
    "epochs": epochs,
    "line": whole_line,
    "large": large,
}
