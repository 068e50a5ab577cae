"""Training in Spark beside MLlib's ALS and beside one machine, in one session on this machine.

peer: seconds until als in Spark ranks as well as MLlib's ALS does after its iterations. epoch:
seconds of an epoch in Spark beside those of one machine. svd: seconds and CPU seconds of its fit
there and here, those of Spark's own processes included. memory: the most memory of the process that
asks, where the rows come to it and where they stay; Spark's own processes are left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import embsql
from benchmarks._apart import apart, forget_peak, peak_rss_mb, rss_mb
from benchmarks._lines import line
from benchmarks._made import HELD_OUT, Pairs, clustered
from benchmarks._rank import Model, recall_ndcg, stored
from embsql.algorithms.svd import SVD
from embsql.distributed import blocks

ITEMS = 20_000
PAIRS_PER_USER = 65  # as in MovieLens 20M
EPOCHS = (1, 2, 3, 4, 6, 8)  # tried until one is good enough
SOURCE = "SELECT user_id, item_id FROM parquet.`{}`"
PARTS = ("peer", "epoch", "svd", "memory")
TICKS = os.sysconf("SC_CLK_TCK")  # in a second of /proc's


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--pairs", type=int, default=8_000_000)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=10, help="of MLlib's")
    parser.add_argument("--alpha", type=float, default=10.0, help="MLlib's")
    parser.add_argument("--reg", type=float, default=0.1, help="MLlib's")
    parser.add_argument(
        "--block", type=int, default=blocks.PAIRS_PER_BLOCK, help="pairs of one"
    )
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--memory", default="4g", help="of the JVM")


def measure(args: argparse.Namespace) -> None:
    blocks.PAIRS_PER_BLOCK = args.block
    pairs = clustered(args.pairs // PAIRS_PER_USER, args.items, args.pairs)
    with tempfile.TemporaryDirectory() as folder:
        known, held = pairs.held_out(HELD_OUT, seed=1)
        file = Path(folder, "known.parquet")
        pq.write_table(pa.table({"user_id": known.user, "item_id": known.item}), file)
        if {"peer", "epoch", "svd"} & {*args.part}:
            with _session(args.cores, args.memory, folder) as session:
                if "peer" in args.part:
                    _peer(args, session, file, known, held)
                if "epoch" in args.part:
                    _epoch(args, session, file)
                if "svd" in args.part:
                    _svd(args, session, file)
        if "memory" in args.part:
            _memory(args, file)


@contextmanager
def _session(cores: int, memory: str, folder: str) -> Iterator[Any]:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": memory,
        "spark.sql.shuffle.partitions": 4 * cores,
        "spark.sql.warehouse.dir": f"{folder}/warehouse",
        "spark.local.dir": folder,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master(f"local[{cores}]").config(map=settings)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


def _line(
    args: argparse.Namespace, metric: str, value: float, unit: str, **more: Any
) -> None:
    settings = {"dim": args.dim, "cores": args.cores, "block": args.block}
    data = f"generated, {args.pairs} pairs"
    line("spark", data, "embsql", metric, value, unit, **settings, **more)


# --- beside MLlib --------------------------------------------------------------------------------


def _peer(
    args: argparse.Namespace, session: Any, file: Path, known: Pairs, held: Pairs
) -> None:
    begin = time.perf_counter()
    theirs = _mllib(args, session, file, known.shape)
    seconds = time.perf_counter() - begin
    wanted = _ndcg(theirs, known, held)
    for epochs in EPOCHS:
        begin = time.perf_counter()
        ours = _trained(args, session, file, known.shape, epochs)
        took = time.perf_counter() - begin
        found = _ndcg(ours, known, held)
        if found >= wanted:
            break
    peer = f"MLlib ALS, {args.iterations} iterations"
    settings = {"epochs": epochs, "alpha": args.alpha, "reg": args.reg}
    _line(args, "NDCG@20", found, "", peer=peer, peer_value=wanted, **settings)
    _line(args, "time to that", took, "s", peer=peer, peer_value=seconds, **settings)


def _mllib(
    args: argparse.Namespace, session: Any, file: Path, shape: tuple[int, int]
) -> Model:
    """The peer's vectors; its ids are the codes themselves, which it need not number."""
    from pyspark.ml.recommendation import ALS

    als = ALS(
        rank=args.dim,
        maxIter=args.iterations,
        implicitPrefs=True,
        alpha=args.alpha,
        regParam=args.reg,
        userCol="user_id",
        itemCol="item_id",
        ratingCol="weight",
        seed=1,
    )
    rows = session.read.parquet(str(file)).selectExpr("*", "1.0F AS weight")
    made = als.fit(rows)
    return Model(
        _factors(made.userFactors, shape[0]), _factors(made.itemFactors, shape[1])
    )


def _factors(frame: Any, n: int) -> np.ndarray:
    rows = frame.toArrow()
    vectors = np.array(rows["features"].combine_chunks().flatten(), np.float32)
    factors = np.zeros((n, len(vectors) // len(rows)), np.float32)  # (n, dim)
    factors[rows["id"].to_numpy()] = vectors.reshape(len(rows), -1)
    return factors


def _trained(
    args: argparse.Namespace,
    session: Any,
    file: Path,
    shape: tuple[int, int],
    epochs: int,
) -> Model:
    with embsql.connect(":memory:") as database:
        _train(database, session, file, "spark", dim=args.dim, epochs=epochs)
        return stored(database, "made", shape)


def _ndcg(model: Model, known: Pairs, held: Pairs) -> float:
    return recall_ndcg(model, known.matrix(), held.matrix(), most=20_000)[1]


# --- beside one machine --------------------------------------------------------------------------


def _train(
    database: embsql.Database, session: Any, file: Path, device: str, **options: Any
) -> None:
    source = SOURCE.format(file)
    database.train(
        "made", source, source_db=session, device=device, force=True, **options
    )


def _epoch(args: argparse.Namespace, session: Any, file: Path) -> None:
    seconds = {}
    for device in ("cpu", "spark"):
        with embsql.connect(":memory:") as database:
            _train(database, session, file, device, dim=args.dim, epochs=4)
            log = database.rows(
                "SELECT t.logged_at FROM embsql.training_log AS t ORDER BY t.epoch"
            )
        ends = [row["logged_at"] for row in log]
        seconds[device] = float(
            np.median([(b - a).total_seconds() for a, b in pairwise(ends)])
        )
    _line(
        args,
        "epoch",
        seconds["spark"],
        "s",
        peer="one machine",
        peer_value=seconds["cpu"],
    )


def _svd(args: argparse.Namespace, session: Any, file: Path) -> None:
    """Its fit alone, the second of two: the first one compiles."""
    found = {}
    for device, method in (("cpu", "fit"), ("spark", "fit_blocks")):
        taken: list[tuple[float, float]] = []
        with embsql.connect(":memory:") as database, _measured(method, taken):
            for _ in range(2):
                _train(database, session, file, device, algorithm="svd", dim=args.dim)
        found[device] = taken[-1]
    names = ("svd's fit", "CPU of svd's fit")
    for metric, there, here in zip(names, found["spark"], found["cpu"], strict=True):
        _line(args, metric, there, "s", peer="one machine", peer_value=here)


@contextmanager
def _measured(method: str, taken: list[tuple[float, float]]) -> Iterator[None]:
    """Meanwhile each call of a method of svd adds its seconds and CPU seconds."""
    fit = getattr(SVD, method)

    def measured(*values: Any) -> Any:
        begin, cpu = time.perf_counter(), _cpu_seconds()
        made = fit(*values)
        taken.append((time.perf_counter() - begin, _cpu_seconds() - cpu))
        return made

    setattr(SVD, method, measured)
    yield
    setattr(SVD, method, fit)


def _cpu_seconds() -> float:
    """What this process and all that it started have used, where /proc is there."""
    ticks, parents = {}, {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended just now
            fields = status.read_text(encoding="ascii").rpartition(")")[2].split()
            process = int(status.parent.name)
            parents[process] = int(fields[1])
            ticks[process] = sum(map(int, fields[11:15]))
    ours = {os.getpid()}
    while more := {child for child, one in parents.items() if one in ours} - ours:
        ours |= more
    return sum(ticks[process] for process in ours) / TICKS


def _memory(args: argparse.Namespace, file: Path) -> None:
    peak = {
        device: apart(
            memory_of,
            file=file,
            device=device,
            dim=args.dim,
            cores=args.cores,
            memory=args.memory,
            block=args.block,
        )["bytes"]
        for device in ("cpu", "spark")
    }
    n = args.pairs * (1 - HELD_OUT)
    here, there = (peak[device] / n for device in ("cpu", "spark"))
    _line(args, "memory", there, "bytes a pair", peer="rows come here", peer_value=here)


def memory_of(
    file: str, device: str, dim: int, cores: int, memory: str, block: int
) -> dict[str, Any]:
    """The most memory that a training took above what the process held before, in bytes."""
    blocks.PAIRS_PER_BLOCK = block
    with (
        tempfile.TemporaryDirectory() as folder,
        _session(cores, memory, folder) as session,
        embsql.connect(str(Path(folder, "shop.duckdb"))) as database,
    ):
        _train(database, session, _few(folder), device, dim=dim, epochs=1)
        forget_peak()
        before = rss_mb()
        _train(database, session, Path(file), device, dim=dim, epochs=1)
        return {"bytes": (peak_rss_mb() - before) * 2**20}


def _few(folder: str) -> Path:
    """A source for which everything is loaded and compiled."""
    pairs = clustered(500, 300, 20_000)
    file = Path(folder, "few.parquet")
    pq.write_table(pa.table({"user_id": pairs.user, "item_id": pairs.item}), file)
    return file
