"""What a question costs over the bare inner product of the same vectors, in SQL.

A run of many items is written by embsql into a DuckDB file; similar_items and recommend are asked
in turn with SELECT item_id, list_inner_product(embedding, v) AS s FROM embsql.item_embeddings ORDER
BY s DESC LIMIT 10.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

import embsql
from benchmarks._apart import apart
from benchmarks._lines import in_turn, line
from benchmarks._made_run import made_run
from embsql.lifecycle.pair_versions import write_pairs

BARE = """
SELECT item_id, list_inner_product(embedding, CAST($vector AS FLOAT[])) AS s
FROM embsql.item_embeddings ORDER BY s DESC LIMIT 10
"""
SIMILAR = "SELECT * FROM embsql.similar_items('m', $id, k => 10)"
RECOMMEND = "SELECT * FROM embsql.recommend('m', $id, k => 10)"
SEEN = 100  # items of every user
CHUNK = 250_000  # vectors made and written at once
WARM = 3  # rounds that are not counted


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument(
        "--users", type=int, default=100_000, help=f"each has seen {SEEN} items"
    )
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument(
        "--repeat",
        type=int,
        default=51,
        help="of every question, of which the median is taken",
    )


def measure(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/m.duckdb"
        write(file, options.items, options.users, options.dim)
        sizes = {"items": options.items, "users": options.users}
        done = apart(
            ask,
            file=file,
            dim=options.dim,
            threads=options.threads,
            repeat=options.repeat,
            **sizes,
        )
    data = f"generated {options.items} x {options.dim}"
    for question in ("similar_items", "recommend"):
        line(
            "query",
            data,
            question,
            "median answer",
            1000 * done[question],
            "ms",
            peer="bare inner product",
            peer_value=1000 * done["bare"],
            peak_rss_mb=done["peak_rss_mb"],
            threads=options.threads,
            repeat=options.repeat,
            users=options.users,
            seen=SEEN,
        )


def write(file: str, items: int, users: int, dim: int) -> None:
    """A live run of model `m` as training writes it: vectors in groups, every user's items at
    random.
    """
    sizes = {"dim": dim, "users": users, "items": items, "pairs": users * SEEN}
    with embsql.connect(file) as database, made_run(database, **sizes):
        _embeddings(database, "item", items, dim)
        _embeddings(database, "user", users, dim)
        _interactions(database, items, users)


def _embeddings(database: embsql.Database, entity: str, n: int, dim: int) -> None:
    centers = np.random.default_rng(1).standard_normal((100, dim), np.float32)
    for start in range(0, n, CHUNK):
        vectors = _vectors(centers, start, min(CHUNK, n - start))
        database.engine.write(
            f"{entity}_embeddings",
            {
                "run_id": np.ones(len(vectors), np.int64),
                f"{entity}_id": _ids(entity, start, len(vectors)),
                "embedding": vectors,
                "norm": np.linalg.norm(vectors, axis=1),
                "bias": np.zeros(len(vectors), np.float32),
                "interactions": np.full(len(vectors), SEEN, np.int32),
            },
        )


def _vectors(centers: np.ndarray, start: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(start)
    return centers[rng.integers(0, len(centers), n)] + rng.standard_normal(
        (n, centers.shape[1]), np.float32
    )  # (n, dim)


def _ids(entity: str, start: int, n: int) -> list[str]:
    """Ids whose order by text is their order by number, as in a run."""
    return [f"{entity}-{number:08d}" for number in range(start, start + n)]


def _interactions(database: embsql.Database, items: int, users: int) -> None:
    user = np.repeat(np.arange(users, dtype=np.int32), SEEN)  # (users * SEEN,)
    item = np.random.default_rng(2).integers(
        0, items, len(user), dtype=np.int32
    )  # (users * SEEN,)
    rows = {
        "run_id": np.ones(len(user), np.int64),
        "user_id": pa.DictionaryArray.from_arrays(user, _ids("user", 0, users)),
        "item_id": pa.DictionaryArray.from_arrays(item, _ids("item", 0, items)),
        "weight": np.ones(len(user), np.float32),
        "last_time": pa.nulls(len(user), pa.int64()),
    }
    write_pairs(database.engine, 1, [rows])


def ask(
    file: str, items: int, users: int, dim: int, threads: int, repeat: int
) -> dict[str, Any]:
    """Seconds of each question and of the bare product, a new subject every time."""
    rng = np.random.default_rng(3)
    with embsql.connect(file, read_only=True) as database:
        database.engine.run("SET threads = $threads", threads=threads)
        works: dict[str, Callable[[], Any]] = {
            "bare": lambda: database.ask(
                BARE, vector=rng.standard_normal(dim).tolist()
            ),
            "similar_items": lambda: database.ask(
                SIMILAR, id=_ids("item", int(rng.integers(items)), 1)[0]
            ),
            "recommend": lambda: database.ask(
                RECOMMEND, id=_ids("user", int(rng.integers(users)), 1)[0]
            ),
        }
        in_turn(works, WARM)
        timed = in_turn(works, repeat)
    assert all(len(done.result) == 10 for done in timed.values())
    return {name: done.seconds for name, done in timed.items()}
