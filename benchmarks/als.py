"""How fast als is at equal quality, beside implicit: time, memory, compiling, growth, and the whole line.

Parts: curve (time and NDCG@20 by number of epochs, and the time to reach what implicit reaches), memory (of a training,
over its data and its result), jit (a first training in a fresh process), epochs (cost of one as the data grow), line
(from a table in a file to a live run, over the bare training).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import embsql
from benchmarks._apart import apart, peak_rss_mb, rss_mb
from benchmarks._lines import Timed, in_turn, line, real
from benchmarks._made import HELD_OUT, Pairs, clustered, load, ordered
from benchmarks._rank import Model, recall_ndcg
from embsql import algorithms
from embsql.data import Interactions
from embsql.model import Columns, Run
from embsql.prepare import prepare

EPOCHS, ITERATIONS = (1, 2, 3, 4, 6, 8, 12), (1, 2, 3, 5, 8, 15)
SEED = 1
PAIRS_PER_USER, ITEMS = 58, 20_000  # of generated data, like MovieLens 20M


class Peer(NamedTuple):
    """Options of implicit, for which a seen pair counts alpha and any other 1."""

    alpha: float
    regularization: float


GIVEN = Peer(40.0, 30.0)  # good on gowalla


class Task(NamedTuple):
    """Pairs to learn from, and pairs to find."""

    data: str
    train: Pairs
    test: Pairs


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=[*PARTS], default=["curve", "memory", "jit", "epochs"])
    parser.add_argument("--line", dest="part", action="store_const", const=["line"], help="short for --part line")
    parser.add_argument("--data", nargs="+", choices=["gowalla", "generated"], default=["gowalla", "generated"])
    parser.add_argument("--dim", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--repeat", type=int, default=3, help="of every timing, of which the median is taken")
    parser.add_argument("--pairs", type=int, default=8_000_000, help="of the generated data (default 8 million)")
    parser.add_argument(
        "--sizes", nargs="+", type=int, default=[1_000_000, 8_000_000], help="pairs, for the part epochs"
    )
    parser.add_argument("--judged", type=int, default=10_000, help="users whose lists are marked")


def measure(options: argparse.Namespace) -> None:
    for part in options.part:
        PARTS[part](options)


# --- the two systems -----------------------------------------------------------------------------


def fit_embsql(data: Interactions, dim: int, threads: int, **more: Any) -> Model:
    made = algorithms.make("als", {"dim": dim, **more}).fit(data, Run(SEED, threads))
    return Model(made.users, made.items)


def fit_implicit(matrix: Any, dim: int, threads: int, regularization: float, iterations: int) -> Model:
    """The matrix holds the confidences. BLAS gets one thread, as implicit asks for."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=dim, regularization=regularization, iterations=iterations, num_threads=threads, random_state=SEED
        )
        model.fit(matrix, show_progress=False)
    return Model(model.user_factors, model.item_factors)


def warm(threads: int) -> None:
    """Load what is loaded once: compiled loops, libraries."""
    small = clustered(200, 100, 2000)
    fit_embsql(small.interactions(), 8, threads, epochs=1)
    fit_implicit(small.matrix(), 8, threads, 1.0, 1)


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
            f"generated {options.pairs}", *generated(round(options.pairs / (1 - HELD_OUT))).held_out(HELD_OUT, 2)
        )
    parts = [pq.read_table(real("gowalla", f"{part}.parquet")) for part in ("train", "test")]
    codes = [(table["user"].to_numpy(), table["item"].to_numpy()) for table in parts]
    shape = tuple(int(max(a.max(), b.max())) + 1 for a, b in zip(*codes, strict=True))
    return Task("gowalla", *(ordered(*pair, shape) for pair in codes))


def generated(pairs: int) -> Pairs:
    """As many users as such data have, and 20,000 items (fewer where pairs are few)."""
    return clustered(max(10, pairs // PAIRS_PER_USER), min(ITEMS, max(200, pairs // 50)), pairs)


def _curve(task: Task, dim: int, options: argparse.Namespace) -> None:
    data, default = task.train.interactions(), algorithms.make("als", {}).epochs
    works = {
        ("embsql", n): partial(fit_embsql, data, dim, options.threads, epochs=n) for n in sorted({*EPOCHS, default})
    }
    peers = _peers(task, dim, options)
    for name, peer in peers.items():
        matrix = task.train.matrix(peer.alpha)
        works |= {
            (name, n): partial(fit_implicit, matrix, dim, options.threads, peer.regularization, n) for n in ITERATIONS
        }
    timed = in_turn(works, options.repeat)
    ndcg = {key: _ndcg(done.result, task.train, task.test, options) for key, done in timed.items()}
    for (system, n), done in timed.items():
        settings = {"dim": dim, "epochs": n, "threads": options.threads, **_said(peers, system)}
        line("als", task.data, system, "fit time", done.seconds, "s", seconds=done.seconds, **settings)
        line("als", task.data, system, "NDCG@20", ndcg[system, n], "share", seconds=done.seconds, **settings)
    for name in peers:
        common = {"dim": dim, "threads": options.threads, **_said(peers, name)}
        _compared(task.data, timed, ndcg, name, default, common)


def _said(peers: dict[str, Peer], system: str) -> dict[str, float]:
    return peers[system]._asdict() if system in peers else {}


def _ndcg(model: Model, known: Pairs, relevant: Pairs, options: argparse.Namespace) -> float:
    return recall_ndcg(model, known.matrix(), relevant.matrix(), threads=options.threads, most=options.judged)[1]


def _compared(
    data: str, timed: dict[Any, Timed], ndcg: dict[Any, float], peer: str, default: int, settings: dict[str, Any]
) -> None:
    """The ratios: with the defaults, to the peer's quality after all its iterations, and to nearly that quality."""
    last, most = timed[peer, ITERATIONS[-1]].seconds, ndcg[peer, ITERATIONS[-1]]
    ours = timed["embsql", default].seconds
    figures = {"ndcg": ndcg["embsql", default], "peer_ndcg": most}
    line("als", data, "embsql", "fit time, default epochs against 15 iterations", ours, "s", peer=peer, peer_value=last,
         seconds=ours, epochs=default, **figures, **settings)  # fmt: skip
    for share, name in (
        (1.0, "time to the peer's NDCG@20 after 15 iterations"),
        (0.99, "time to 99% of the peer's NDCG@20"),
    ):
        n, m = (_first(ndcg, system, share * most) for system in ("embsql", peer))
        m = ITERATIONS[-1] if share == 1 else m
        reached = timed["embsql", n].seconds if n else None
        line("als", data, "embsql", name, reached, "s", peer=peer, peer_value=timed[peer, m].seconds, seconds=reached,
             target=share * most, epochs=n, peer_epochs=m, **settings)  # fmt: skip


def _first(ndcg: dict[Any, float], system: str, target: float) -> int | None:
    """The smallest number of epochs that reaches a quality; None when none does."""
    return min((n for (name, n), value in ndcg.items() if name == system and value >= target), default=None)


def _peers(task: Task, dim: int, options: argparse.Namespace) -> dict[str, Peer]:
    """implicit with options searched for these data, and with those known beforehand."""
    peers = {"implicit": _search(task.train, dim, options)}
    return {**peers, "implicit given": GIVEN} if task.data == "gowalla" and peers["implicit"] != GIVEN else peers


def _search(train: Pairs, dim: int, options: argparse.Namespace) -> Peer:
    """The best options of implicit on pairs held out from training, walking from GIVEN by factors of 4, then of 2."""
    known, held = train.held_out(HELD_OUT, 3)
    marks: dict[Peer, float] = {}

    def mark(peer: Peer) -> float:
        if peer not in marks:
            model = fit_implicit(known.matrix(peer.alpha), dim, options.threads, peer.regularization, ITERATIONS[-2])
            marks[peer] = _ndcg(model, known, held, options)
        return marks[peer]

    best = GIVEN
    for factor in (4, 2):
        while (better := max(_around(best, factor), key=mark)) != best:
            best = better
    return best


def _around(peer: Peer, factor: float) -> Iterator[Peer]:
    for alpha, reg in ((1, 1), (factor, 1), (1 / factor, 1), (1, factor), (1, 1 / factor)):
        yield Peer(peer.alpha * alpha, peer.regularization * reg)


# --- memory --------------------------------------------------------------------------------------


def memory(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pairs = generated(options.pairs).save(Path(folder))
        for dim in options.dim:
            grown = {
                s: apart(grow, folder=pairs, system=s, dim=dim, threads=options.threads) for s in ("embsql", "implicit")
            }
            over = {s: (one["peak_rss_mb"] - one["before_mb"]) / one["needed_mb"] for s, one in grown.items()}
            ours, theirs = grown["embsql"], grown["implicit"]
            line("als", f"generated {options.pairs}", "embsql", "growth of memory over coded data and factors",
                 over["embsql"], "times", peer="implicit", peer_value=over["implicit"], seconds=ours["seconds"],
                 peak_rss_mb=ours["peak_rss_mb"], dim=dim, threads=options.threads, needed_mb=round(ours["needed_mb"]),
                 peer_peak_rss_mb=round(theirs["peak_rss_mb"]))  # fmt: skip


def grow(folder: str, system: str, dim: int, threads: int) -> dict[str, Any]:
    """A training in this process: what memory it held before the data, and what data and result need."""
    warm(threads)
    before, pairs = rss_mb(), load(folder)
    data = pairs.interactions() if system == "embsql" else pairs.matrix(GIVEN.alpha)
    needed = (12 * len(pairs.user) + 4 * dim * sum(pairs.shape)) / 2**20  # two codes and a weight; a float
    del pairs
    start = time.perf_counter()
    if system == "embsql":
        fit_embsql(data, dim, threads, epochs=2)
    else:
        fit_implicit(data, dim, threads, GIVEN.regularization, 2)
    return {"seconds": time.perf_counter() - start, "before_mb": before, "needed_mb": needed}


# --- jit: what compiling costs -------------------------------------------------------------------


def jit(options: argparse.Namespace) -> None:
    pairs = generated(100_000)
    with tempfile.TemporaryDirectory() as folder:
        source = f"{folder}/pairs.parquet"
        pq.write_table(pa.table({"user_id": pairs.user, "item_id": pairs.item}), source)
        cold, warmed = zip(*(_first_trainings(source, options.threads) for _ in range(options.repeat)), strict=True)
    line("als", "generated 100000", "embsql", "first training in a fresh process, nothing compiled yet",
         statistics.median(cold), "s", peer="embsql, compiled before", peer_value=statistics.median(warmed),
         seconds=statistics.median(cold), dim=64, threads=options.threads)  # fmt: skip


def _first_trainings(source: str, threads: int) -> tuple[float, float]:
    """Seconds of a process that compiles, and of one that finds everything compiled; its start and imports count."""
    with tempfile.TemporaryDirectory() as cache:
        once = partial(apart, first_training, environment={"NUMBA_CACHE_DIR": cache}, source=source, threads=threads)
        cold, warmed = (in_turn({"process": once}, 1)["process"].seconds for _ in range(2))
    return cold, warmed


def first_training(source: str, threads: int) -> dict[str, Any]:
    with embsql.connect(":memory:") as database:
        return {"status": database.train("m", source, threads=threads).status}


# --- epochs: what one costs as data grow ---------------------------------------------------------


def epochs(options: argparse.Namespace) -> None:
    warm(options.threads)
    for size in options.sizes:
        pairs = generated(size)
        for dim in options.dim:
            cost = _per_epoch(pairs, dim, options)
            line("als", f"generated {size}", "embsql", "time per epoch", cost["embsql"], "s", peer="implicit",
                 peer_value=cost["implicit"], dim=dim, threads=options.threads)  # fmt: skip


def _per_epoch(pairs: Pairs, dim: int, options: argparse.Namespace) -> dict[str, float]:
    """Seconds that an epoch adds: five epochs less one, by four."""
    data, matrix = pairs.interactions(), pairs.matrix(GIVEN.alpha)
    works: dict[tuple[str, int], Any] = {}
    for n in (1, 5):
        works["embsql", n] = partial(fit_embsql, data, dim, options.threads, epochs=n)
        works["implicit", n] = partial(fit_implicit, matrix, dim, options.threads, GIVEN.regularization, n)
    timed = in_turn(works, options.repeat)
    return {system: (timed[system, 5].seconds - timed[system, 1].seconds) / 4 for system in ("embsql", "implicit")}


# --- line: from a table in a file to a live run --------------------------------------------------


def whole_line(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _events(generated(options.pairs), f"{folder}/events.duckdb")
        for dim in options.dim:
            settings = {"dim": dim, "threads": options.threads}
            rounds = [_round(folder, **settings) for _ in range(options.repeat)]
            took = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
            for metric, key in (("from table to live run", "whole"), ("reading and coding the table", "prepare")):
                line("als", f"generated {options.pairs}", "embsql", metric, took[key], "s", peer="embsql, fit alone",
                     peer_value=took["fit"], seconds=took[key], peak_rss_mb=took[f"{key}_mb"], **settings)  # fmt: skip


def _events(pairs: Pairs, file: str) -> None:
    """A table of the pairs with text ids, in no order."""
    order = np.random.default_rng(SEED).permutation(len(pairs.user))
    with embsql.connect(file) as database:
        database.engine.run("CREATE TABLE events (user_id VARCHAR, item_id VARCHAR)")
        database.engine.write("events", {
            "user_id": _text("user", pairs.user[order]), "item_id": _text("item", pairs.item[order]),
        }, schema="main")  # fmt: skip


def _text(prefix: str, codes: np.ndarray) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(codes, [f"{prefix}-{code}" for code in range(codes.max() + 1)])


def _round(folder: str, **settings: Any) -> dict[str, float]:
    """Seconds and memory of the line and of its parts, each in a process of its own on a fresh copy of the file."""
    source, copy = f"{folder}/events.duckdb", f"{folder}/copy.duckdb"
    whole = apart(train_whole, file=shutil.copy(source, copy), **settings)
    parts = apart(train_parts, file=shutil.copy(source, copy), **settings)
    return {
        "whole": whole["seconds"], "whole_mb": whole["peak_rss_mb"],
        "prepare": parts["prepare"], "prepare_mb": parts["prepare_mb"], "fit": parts["fit"],
    }  # fmt: skip


def train_whole(file: str, dim: int, threads: int) -> dict[str, Any]:
    """From a closed file to a closed file in which the run is live."""
    _warm_line(threads)
    start = time.perf_counter()
    with embsql.connect(file) as database:
        database.engine.run(f"SET threads = {threads}")
        database.train("m", "events", dim=dim, threads=threads, seed=SEED)
    return {"seconds": time.perf_counter() - start}


def train_parts(file: str, dim: int, threads: int) -> dict[str, Any]:
    """The same reading and the same training, nothing stored."""
    _warm_line(threads)
    with embsql.connect(file) as database:
        database.engine.run(f"SET threads = {threads}")
        start = time.perf_counter()
        data = prepare(database.engine, "events", Columns(), explicit=False, model="m").interactions()
        read, most = time.perf_counter(), peak_rss_mb()
        fit_embsql(data, dim, threads)
    return {"prepare": read - start, "prepare_mb": most, "fit": time.perf_counter() - read}


def _warm_line(threads: int) -> None:
    """Load what is loaded once."""
    with embsql.connect(":memory:") as database:
        database.train(
            "m", "SELECT range % 50 AS user_id, range % 7 AS item_id FROM range(500)", dim=8, threads=threads
        )


PARTS = {"curve": curve, "memory": memory, "jit": jit, "epochs": epochs, "line": whole_line}
