"""How fast the ten best items of every user are found, beside the machine's matrix products, faiss
and implicit.

The vectors are made. Everybody finds the same top-k of inner products without seen items, exactly,
by the same threads: embsql's kernel, faiss's flat index, implicit.recommend. `product` is numpy's
matmul of all pairs and nothing else: the machine's rate. `materialize` is the whole command in a
DuckDB file: it reads the vectors and what was seen, searches twice (items for users, items for
items) and writes the rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import embsql
from benchmarks import query
from benchmarks._lines import in_turn, line
from benchmarks._made import WARM_SCORES
from embsql.numeric.topk import top_k
from embsql.run import Run

BLOCK = 1000  # users of a block of products
PEERS = ("product", "faiss", "implicit")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument(
        "--items", type=int, default=20_000, help="the full size is 100000 x 100000"
    )
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)


def measure(options: argparse.Namespace) -> None:
    from threadpoolctl import threadpool_limits

    rng = np.random.default_rng(1)
    users, items = (
        rng.standard_normal((n, options.dim), np.float32)
        for n in (options.users, options.items)
    )
    with threadpool_limits(options.threads):
        _kernel(
            users[: WARM_SCORES // len(items)], items, options
        )  # compiled before it is timed
        works: dict[str, Callable[[], Any]] = {
            "embsql": lambda: _kernel(users, items, options),
            "product": lambda: _product(users, items),
            "faiss": lambda: _faiss(users, items, options),
            "implicit": lambda: _implicit(users, items, options),
        }
        timed = in_turn(works, options.repeat)
        whole = _materialize(options)
    data = f"generated {options.users} x {options.items} x {options.dim}"
    settings = {"k": options.k, "threads": options.threads, "repeat": options.repeat}
    pairs = (
        2 * options.users * options.items * options.dim / 1e9
    )  # additions and multiplications
    rate = {name: pairs / done.seconds for name, done in timed.items()}
    for peer in PEERS:
        line(
            "topk",
            data,
            "embsql",
            "rate",
            rate["embsql"],
            "GFLOP/s",
            peer=peer,
            peer_value=rate[peer],
            seconds=timed["embsql"].seconds,
            **settings,
        )
    for peer in PEERS[1:]:
        same = float((timed["embsql"].result == timed[peer].result).mean())
        line(
            "topk",
            data,
            "embsql",
            "places with the same item",
            same,
            "share",
            peer=peer,
            peer_value=1.0,
            **settings,
        )
    searches = pairs * (1 + options.items / options.users)
    line(
        "topk",
        data,
        "materialize",
        "rate",
        searches / whole,
        "GFLOP/s",
        peer="product",
        peer_value=rate["product"],
        seconds=whole,
        **settings,
    )


def _kernel(
    users: np.ndarray, items: np.ndarray, options: argparse.Namespace
) -> np.ndarray:
    return top_k(users, items, options.k, run=Run(threads=options.threads))[0]


def _product(users: np.ndarray, items: np.ndarray) -> None:
    """The products of all pairs by BLAS with all threads, in blocks large enough for it and small
    enough for memory.
    """
    block = np.empty((BLOCK, len(items)), np.float32)
    for first in range(0, len(users), BLOCK):
        here = users[first : first + BLOCK]
        np.matmul(here, items.T, out=block[: len(here)])  # (b, items)


def _faiss(
    users: np.ndarray, items: np.ndarray, options: argparse.Namespace
) -> np.ndarray:
    import faiss

    faiss.omp_set_num_threads(options.threads)
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    found: np.ndarray = index.search(users, options.k)[1]
    return found


def _implicit(
    users: np.ndarray, items: np.ndarray, options: argparse.Namespace
) -> np.ndarray:
    from implicit.cpu.matrix_factorization_base import MatrixFactorizationBase
    from scipy.sparse import csr_matrix

    class Given(MatrixFactorizationBase):
        """Vectors as they are."""

        def fit(self, *_: Any, **__: Any) -> None: ...

        def save(self, *_: Any) -> None: ...

    model = Given(num_threads=options.threads)
    model.user_factors, model.item_factors = users, items
    seen = csr_matrix((len(users), len(items)), dtype=np.float32)
    found: np.ndarray = model.recommend(
        np.arange(len(users)), seen, N=options.k, filter_already_liked_items=False
    )[0]
    return found


def _materialize(options: argparse.Namespace) -> float:
    """Seconds of the command, in a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/m.duckdb"
        query.write(file, options.items, options.users, options.dim)
        with embsql.connect(file) as database:
            database.engine.run("SET threads = $threads", threads=options.threads)
            start = time.perf_counter()
            database.materialize("m", k=options.k, threads=options.threads)
            return time.perf_counter() - start
