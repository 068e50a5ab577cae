"""What a question about many vectors costs by cells, over reading all, and over other indexes.

Vectors are written twice by embsql into DuckDB files, with cells and without. similar_items and
recommend are asked of both in turn; what they answer without cells is exact.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import embsql
from benchmarks._apart import apart
from benchmarks._lines import line, real
from benchmarks._made_run import made_run
from embsql.lifecycle import cells
from embsql.lifecycle.installation import install_readers
from embsql.lifecycle.pair_versions import write_table
from embsql.lifecycle.run_rows import Table, side_rows
from embsql.run import Run

BARE = """
SELECT item_id, list_inner_product(embedding, CAST($vector AS FLOAT[])) AS s
FROM embsql.item_embeddings ORDER BY s DESC LIMIT 10
"""
SIMILAR = "SELECT * FROM embsql.similar_items('m', $id, k => 10)"
RECOMMEND = "SELECT * FROM embsql.recommend('m', $id, k => 10)"
SEEN = 100  # items of every user
SEARCHES = """
SELECT DISTINCT c.entity, c.similarity, c.budget, c.recall FROM embsql.cells AS c
"""
WARM = 3  # rounds that are not counted
K = 10
DIM = 64
FIRST_ID = 10_000_000
ID_BYTES = 8
ITEMS_PER_TOPIC = 500
# added to a topic's direction
NOISE = 0.6
USER_NOISE = 0.8
EFFORTS = (8, 16, 32, 64, 128, 256, 512)  # of a peer: cells that it reads


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--items", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--real", action="store_true", help="Gowalla's vectors instead")
    parser.add_argument("--algorithm", default="als", help="that makes them")
    parser.add_argument("--dim", type=int, default=DIM, help="of Gowalla's vectors")
    parser.add_argument("--users", type=int, default=100_000, help="of made vectors")
    parser.add_argument("--repeat", type=int, default=51)
    parser.add_argument("--no-peers", action="store_true", help="leave them out")


def measure(options: argparse.Namespace) -> None:
    for n in [0] if options.real else options.items:
        with tempfile.TemporaryDirectory() as folder:
            data = _data(options, n)
            vectors = (
                _saved(options, folder)
                if options.real
                else made_vectors(folder, n, options.users)
            )
            _measured(options, folder, data, vectors)


def _data(options: argparse.Namespace, n: int) -> str:
    if options.real:
        return f"gowalla {options.algorithm} {options.dim}"
    return f"made {n} x {DIM}"


def _measured(
    options: argparse.Namespace, folder: str, data: str, vectors: tuple[int, int, int]
) -> None:
    """Every figure of some vectors."""
    items, users, dim = vectors
    built = {
        name: apart(write, folder=folder, in_cells=name == "cells")
        for name in ("all", "cells")
    }
    size, plain = (
        Path(folder, f"{name}.duckdb").stat().st_size for name in ("cells", "all")
    )
    held = (4 * dim + ID_BYTES) * (items + users)
    line(
        "search",
        data,
        "cells",
        "added to the file, over vectors and ids",
        (size - plain) / held,
        "times",
    )
    line(
        "search",
        data,
        "cells",
        "building",
        built["cells"]["cpu"],
        "CPU s",
        seconds=built["cells"]["seconds"],
    )
    for row in built["cells"]["searches"]:
        line(
            "search",
            data,
            "cells",
            f"{row['entity']} {row['similarity']}",
            **_recall(row),
        )
    done = apart(ask, folder=folder, threads=options.threads, repeat=options.repeat)
    for question in ("similar_items", "recommend"):
        for metric, unit in (("wall", "ms"), ("cpu", "CPU ms"), ("recall", "")):
            line(
                "search",
                data,
                question,
                metric,
                done[f"cells {question}"][metric],
                unit,
                peer="all vectors",
                peer_value=done[f"all {question}"][metric],
                items=items,
            )
    line("search", data, "bare", "cpu", done["bare"]["cpu"], "CPU ms")
    line("search", data, "bare", "wall", done["bare"]["wall"], "ms")
    for name in () if options.no_peers else PEERS:
        _peer(name, folder, data, options)


def _recall(row: dict[str, Any]) -> dict[str, Any]:
    return {"value": row["recall"], "unit": "recall", "budget": row["budget"]}


def _peer(name: str, folder: str, data: str, options: argparse.Namespace) -> None:
    """The figures of a peer, or why there are none."""
    module = PEERS[name][0]
    if not find_spec(module):
        line("search", data, name, "skipped", None, "", reason=f"{module} is not there")
        return
    done = apart(ask_peer, folder=folder, name=name, threads=options.threads)
    for metric, unit in (("build", "CPU s"), ("cpu", "CPU ms"), ("recall", "")):
        line("search", data, name, metric, done[metric], unit, effort=done["effort"])


# --- vectors -------------------------------------------------------------------------------------


def made_vectors(folder: str, n: int, users: int) -> tuple[int, int, int]:
    """Items in topics, long where popular, and users near topics."""
    rng = np.random.default_rng(1)
    topics = rng.standard_normal((max(100, n // ITEMS_PER_TOPIC), DIM), np.float32)
    for name, size, noise, deviation in (
        ("item", n, NOISE, 0.5),
        ("user", users, USER_NOISE, 0.3),
    ):
        vectors = topics[rng.integers(0, len(topics), size)]  # (size, dim)
        vectors += noise * rng.standard_normal(vectors.shape, np.float32)
        vectors *= rng.lognormal(0, deviation, (size, 1)).astype(np.float32)
        np.save(f"{folder}/{name}.npy", vectors)
        np.save(f"{folder}/{name}_bias.npy", np.zeros(size, np.float32))
    return n, users, DIM


def _saved(options: argparse.Namespace, folder: str) -> tuple[int, int, int]:
    """Vectors of Gowalla, trained here."""
    with embsql.connect(":memory:") as database:
        train = str(real("gowalla", "train.parquet"))
        source = f"SELECT \"user\" AS user_id, item AS item_id FROM '{train}'"
        database.train("m", source, algorithm=options.algorithm, dim=options.dim)
        for name in ("item", "user"):
            rows = database.ask(
                f"SELECT v.embedding, v.bias FROM embsql.{name}_embeddings AS v"
            )
            vectors = np.array(rows["embedding"].to_pylist(), np.float32)
            np.save(f"{folder}/{name}.npy", vectors)
            np.save(f"{folder}/{name}_bias.npy", np.array(rows["bias"].to_pylist()))
    sizes = [len(np.load(f"{folder}/{name}.npy")) for name in ("item", "user")]
    return sizes[0], sizes[1], options.dim


# --- files ---------------------------------------------------------------------------------------


def write(folder: str, in_cells: bool) -> dict[str, Any]:
    """A live run of model `m`; the seconds, of the wall and of CPU, that its cells took."""
    cells.MIN_ROWS = 0 if in_cells else 10**12
    name = "cells" if in_cells else "all"
    run = Run(run_id=1)
    sides = [
        (
            entity,
            np.load(f"{folder}/{entity}.npy"),
            np.load(f"{folder}/{entity}_bias.npy"),
        )
        for entity in ("user", "item")
    ]
    users, items = (len(vectors) for _, vectors, _ in sides)
    rows = [
        side_rows(
            run,
            entity,
            _ids(len(vectors)),
            vectors,
            bias.astype(np.float32),
            np.full(len(vectors), SEEN),
        )
        for entity, vectors, bias in sides
    ]
    dim = sides[0][1].shape[1]
    sizes = {"dim": dim, "users": users, "items": items, "pairs": users * SEEN}
    with embsql.connect(f"{folder}/{name}.duckdb") as database:
        engine = database.engine
        with made_run(database, **sizes):
            cells_of = partial(cells.in_cells, engine, run, "dot")
            list(cells_of(_warming(run)))
            start, began = time.process_time(), time.perf_counter()
            made = list(cells_of(rows))
            cpu, seconds = time.process_time() - start, time.perf_counter() - began
            for table, columns in [*made, _interactions(users, items)]:
                write_table(engine, 1, table, columns)
            install_readers(engine)
        searches = database.ask(SEARCHES).to_pylist()
    return {"cpu": cpu, "seconds": seconds, "searches": searches}


def _warming(run: Run) -> list[Table]:
    """Enough rows for all loops to be compiled."""
    vectors = np.random.default_rng(0).standard_normal((30_000, DIM), np.float32)
    counts, ids = np.ones(len(vectors)), _ids(len(vectors))
    return [side_rows(run, "user", ids, vectors, None, counts)]


def _ids(n: int) -> pa.Array:
    """Numbers as text, in order. DuckDB knows the first 8 bytes of a row group's least and greatest
    text: longer ones with one beginning are looked for in all of them.
    """
    return pa.array(FIRST_ID + np.arange(n)).cast(pa.string())


def _interactions(users: int, items: int) -> Table:
    user = np.repeat(np.arange(users, dtype=np.int32), SEEN)  # (users * SEEN,)
    item = np.random.default_rng(2).integers(0, items, len(user), dtype=np.int32)
    return "interactions", {
        "run_id": pa.scalar(1, pa.int64()),
        "user_id": pa.DictionaryArray.from_arrays(user, _ids(users)),
        "item_id": pa.DictionaryArray.from_arrays(item, _ids(items)),
        "weight": np.ones(len(user), np.float32),
        "last_time": pa.scalar(None, pa.int64()),
    }


# --- asking --------------------------------------------------------------------------------------


def ask(folder: str, threads: int, repeat: int) -> dict[str, Any]:
    """Milliseconds of each question, a new subject every time, and how much of it is right."""
    rng = np.random.default_rng(3)
    sizes = {
        name: len(np.load(f"{folder}/{name}.npy", mmap_mode="r"))
        for name in ("item", "user")
    }
    dim = np.load(f"{folder}/item.npy", mmap_mode="r").shape[1]
    files = {
        name: embsql.connect(f"{folder}/{name}.duckdb", read_only=True)
        for name in ("all", "cells")
    }
    for database in files.values():
        database.engine.run("SET threads = $threads", threads=threads)
    taken: dict[str, list[tuple[float, float, float]]] = {}
    for turn in range(WARM + repeat):
        ids = {name: str(FIRST_ID + int(rng.integers(n))) for name, n in sizes.items()}
        found = {
            f"{file} {question}": _timed(partial(database.ask, sql, id=ids[kind]))
            for file, database in list(files.items())[:: -1 if turn % 2 else 1]
            for question, sql, kind in (
                ("similar_items", SIMILAR, "item"),
                ("recommend", RECOMMEND, "user"),
            )
        }
        vector = rng.standard_normal(dim).tolist()
        found["bare"] = _timed(partial(files["all"].ask, BARE, vector=vector))
        for name, (wall, cpu, answer) in found.items() if turn >= WARM else ():
            exact = found[f"all {name.split()[-1]}"][2] if " " in name else answer
            right = len(_items(answer) & _items(exact)) / K
            taken.setdefault(name, []).append((wall, cpu, right))
    return {name: _summary(rows) for name, rows in taken.items()}


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Milliseconds of the wall and of CPU, and the answer."""
    cpu, wall = time.process_time(), time.perf_counter()
    answer = work()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu), answer


def _items(answer: Any) -> set[str]:
    ids: set[str] = set(answer["item_id"].to_pylist())
    assert len(ids) == K
    return ids


def _summary(rows: list[tuple[float, float, float]]) -> dict[str, float]:
    wall, cpu, right = zip(*rows, strict=True)
    return {
        "wall": statistics.median(wall),
        "cpu": statistics.median(cpu),
        "recall": statistics.mean(right),
    }


# --- peers: the same vectors in memory, users asking for items by dot product ---------------------


def ask_peer(folder: str, name: str, threads: int) -> dict[str, Any]:
    """CPU time of building, and of one question at the least effort that finds .98 of the ten."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    items, users = (np.load(f"{folder}/{of}.npy") for of in ("item", "user"))
    rng = np.random.default_rng(4)
    asked = users[rng.choice(len(users), 200, replace=False)]  # (200, dim)
    exact = np.argpartition(-(asked @ items.T), K, axis=1)[:, :K]  # (200, 10)
    start = time.process_time()
    search = PEERS[name][1](items, threads)
    build = time.process_time() - start
    for effort in EFFORTS:
        timed = [_timed(partial(search, one, effort)) for one in asked]
        right = [
            len(set(ids) & set(true))
            for (_, _, ids), true in zip(timed, exact, strict=True)
        ]
        recall = sum(right) / exact.size
        if recall >= 0.98:
            break
    cpu = statistics.median(cpu for _, cpu, _ in timed)
    return {"build": build, "cpu": cpu, "recall": recall, "effort": effort}


def _faiss_ivf(items: np.ndarray, threads: int) -> Callable[..., Any]:
    import faiss

    faiss.omp_set_num_threads(threads)
    n, dim = items.shape
    quantizer = faiss.IndexFlatIP(dim)
    index = faiss.IndexIVFFlat(
        quantizer, dim, round(np.sqrt(n)), faiss.METRIC_INNER_PRODUCT
    )
    index.train(items)
    index.add(items)

    def search(one: np.ndarray, effort: int) -> list[int]:
        index.nprobe = effort
        return index.search(one[None], K)[1][0].tolist()

    return search


PEERS: dict[str, tuple[str, Callable[..., Callable[..., Any]]]] = {
    "faiss IVF": ("faiss", _faiss_ivf)
}
