"""What PostgreSQL adds and costs: loading vectors, indexing them, asking under load, waking a
worker.

Parts: load (a run's vectors, beside the same by hand and psycopg's COPY row by row), hnsw (their
index by cosine, beside the same by hand), orders (three ways to index a dot product), exact (a run
read whole and under its index, by size), similar (questions under the index, beside bare pgvector,
and what they find of the true answer), clients (many of them, while runs are promoted and trained),
pickup (from SQL to the worker).

Without --server it starts a server of its own, with pgvector, in a temporary folder.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

import embsql
from benchmarks._als_systems import default_epochs, fit_embsql
from benchmarks._lines import in_turn, line, real
from benchmarks._made import ordered
from benchmarks._postgres_clients import clients, pickup
from benchmarks._postgres_load import hnsw, load
from benchmarks._server import New, databases, running
from benchmarks.query import WARM, write

K = 10
EF_SEARCH = (40, 100, 400)
ORDERS = {
    "dot product": ("vector_ip_ops", "<#>"),
    "to Euclid": ("vector_l2_ops", "<->"),
    "to cosine": ("vector_cosine_ops", "<=>"),
}
NEAREST = "(SELECT embedding FROM embsql.user_embedding('m', users => ARRAY[$id]))"
QUESTIONS = {  # what is asked, and of whom
    "similar_items": (
        "SELECT item_id AS id FROM embsql.similar_items('m', $id, k => 10)",
        "item",
    ),
    "recommend": (
        "SELECT item_id AS id FROM embsql.recommend('m', $id, k => 10)",
        "user",
    ),
    "recommend_users": (
        "SELECT user_id AS id FROM embsql.recommend_users('m', $id, k => 10)",
        "item",
    ),
    "nearest_items": (
        f"SELECT item_id AS id FROM embsql.nearest_items('m', {NEAREST}, k => 10)",
        "user",
    ),
}
BARE = """
SELECT item_id AS id FROM embsql_runs.item_embeddings_{run}
ORDER BY (embedding::vector({dim})) <=> (
    SELECT embedding::vector({dim}) FROM embsql_runs.item_embeddings_{run}
    WHERE run_id = {run} AND item_id = $id
)
LIMIT 10
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--part", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument(
        "--server",
        help="postgresql://... with the right to create databases, and pgvector",
    )
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="vectors, for the part load"
    )
    parser.add_argument(
        "--loads",
        type=int,
        default=3,
        help="of which the median is taken, for the parts load and hnsw",
    )
    parser.add_argument(
        "--memory",
        nargs="+",
        default=["256MB"],
        help="maintenance_work_mem, for the part hnsw",
    )
    parser.add_argument(
        "--items",
        type=int,
        default=100_000,
        help="made ones, for the parts hnsw, orders and similar",
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=int,
        default=[10_000, 20_000, 50_000, 100_000],
        help="items, for the part exact",
    )
    parser.add_argument(
        "--asked",
        type=int,
        default=100,
        help="subjects of every question, for the parts hnsw, orders, exact and similar",
    )
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument(
        "--rate",
        type=int,
        help="questions a second of all clients (default: as many as they can)",
    )
    parser.add_argument(
        "--seconds", type=int, default=20, help="that clients ask in each state"
    )
    parser.add_argument(
        "--every",
        type=float,
        default=2.0,
        help="seconds between two runs, for the part clients",
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="of all states, for the part clients"
    )
    parser.add_argument(
        "--world",
        type=int,
        default=20_000,
        help="users, and items, for the part clients",
    )
    parser.add_argument("--jobs", type=int, default=10, help="for the part pickup")


def measure(options: argparse.Namespace) -> None:
    with running(options.server) as server:
        for part in options.part:
            with databases(server) as new:
                PARTS[part](options, new)


# --- orders: which index finds the largest dot products ------------------------------------------


class World(NamedTuple):
    """Vectors, and vectors that ask for the largest dot products with them."""

    name: str
    rows: np.ndarray  # (n, dim)
    asking: np.ndarray  # (asked, dim)

    def best(self) -> list[set[int]]:
        """The true K of every question."""
        return [
            set(row)
            for row in np.argsort(-(self.asking @ self.rows.T), axis=1)[:, :K].tolist()
        ]

    def of_one_length(self) -> World:
        """With the dimension that makes all vectors equally long and changes no dot product
        (Bachrach et al., 2014).
        """
        squared = (self.rows**2).sum(axis=1)  # (n,)
        more = np.sqrt(squared.max() - squared)  # (n,)
        return World(
            self.name,
            np.c_[self.rows, more],
            np.c_[self.asking, np.zeros(len(self.asking), np.float32)],
        )


def orders(options: argparse.Namespace, new: New) -> None:
    for world in _worlds(options):
        with ExitStack() as open_:
            address = new()
            builder, *askers = [
                open_.enter_context(embsql.connect(address)) for _ in (0, *EF_SEARCH)
            ]
            built = {name: _built(builder, world, name) for name in ORDERS}
            for asker, ef_search in zip(askers, EF_SEARCH, strict=True):
                asker.engine.run(
                    f"SET hnsw.ef_search = {ef_search}; SET enable_seqscan = off"
                )
            _orders(world, dict(zip(EF_SEARCH, askers, strict=True)), built)


def _orders(
    world: World, askers: dict[int, embsql.Database], built: dict[str, float]
) -> None:
    found: dict[tuple[str, int], list[list[int]]] = {
        (name, ef): [] for name in built for ef in askers
    }
    works = {
        (name, ef): _ordered(world, name, askers[ef], found[name, ef])
        for name, ef in found
    }
    timed, true = in_turn(works, len(world.asking)), world.best()
    for (name, ef), answers in found.items():
        settings = {
            "ef_search": ef,
            "build_seconds": round(built[name], 2),
            "asked": len(answers),
        }
        line(
            "postgres",
            world.name,
            name,
            "recall@10",
            _recall(answers, true),
            "share",
            **settings,
        )
        line(
            "postgres",
            world.name,
            name,
            "median answer",
            1000 * timed[name, ef].seconds,
            "ms",
            **settings,
        )


def _worlds(options: argparse.Namespace) -> Iterator[World]:
    rng = np.random.default_rng(1)
    table = pq.read_table(real("gowalla", "train.parquet"))
    user, item = (table[name].to_numpy() for name in ("user", "item"))
    pairs = ordered(user, item, (int(user.max()) + 1, int(item.max()) + 1))
    model = fit_embsql(
        pairs.interactions(), options.dim, options.threads, default_epochs()
    )
    for name, rows, others in (
        ("items", model.items, model.users),
        ("users", model.users, model.items),
    ):
        yield World(
            f"gowalla {name}",
            rows,
            others[rng.permutation(len(others))[: options.asked]],
        )
    length = rng.lognormal(0, 1, (options.items, 1)).astype(
        np.float32
    )  # of a heavy tail
    rows = rng.standard_normal((options.items, options.dim), np.float32) * length
    yield World(
        f"made {options.items}",
        rows,
        rng.standard_normal((options.asked, options.dim), np.float32),
    )


def _built(database: embsql.Database, world: World, name: str) -> float:
    """Seconds that an index takes to build."""
    rows = _laid_out(world, name).rows
    table, engine = _table(name), database.engine
    engine.run(f"CREATE TABLE {table} (id integer, embedding vector({rows.shape[1]}))")
    engine.write(
        table,
        {"id": np.arange(len(rows), dtype=np.int32), "embedding": rows},
        schema="main",
    )
    engine.run("SET maintenance_work_mem = '256MB'")  # as embsql's own
    start = time.perf_counter()
    engine.run(f"CREATE INDEX ON {table} USING hnsw (embedding {ORDERS[name][0]})")
    return time.perf_counter() - start


def _ordered(
    world: World, name: str, database: embsql.Database, found: list[list[int]]
) -> Callable[[], None]:
    """Asks the next question and keeps what came."""
    vector = "CAST(CAST($vector AS float8[]) AS vector)"
    query = f"SELECT id FROM {_table(name)} ORDER BY embedding {ORDERS[name][1]} {vector} LIMIT {K}"
    asking = iter(_laid_out(world, name).asking.tolist())
    return lambda: found.append(
        database.ask(query, vector=next(asking))["id"].to_pylist()
    )


def _laid_out(world: World, name: str) -> World:
    return world if name == "dot product" else world.of_one_length()


def _table(name: str) -> str:
    return name.replace(" ", "_").lower()


def _recall(answers: Sequence[Sequence[Any]], true: Sequence[set[Any]]) -> float:
    """The share of true answers that were found."""
    return sum(
        len(best.intersection(answer))
        for answer, best in zip(answers, true, strict=True)
    ) / sum(map(len, true))


# --- exact and similar: a run without its indexes, and the same run with them --------------------


class Twins(NamedTuple):
    """Two databases with the same live run of model `m`; only one has indexes."""

    exact: embsql.Database
    indexed: embsql.Database
    address: str  # of the indexed one
    build: float  # seconds that all indexes took
    ids: dict[str, list[str]]  # of items and users


@contextmanager
def _twins(new: New, fill: Callable[[str], None], above: int) -> Iterator[Twins]:
    """Indexes are for tables of more than so many rows."""
    from psycopg import conninfo

    first, second = (
        new(),
        conninfo.make_conninfo(new(), options="-c embsql.index_above=1000000000"),
    )
    fill(first)
    with embsql.connect(first) as exact, embsql.connect(second) as indexed:
        exact.publish(second, "m")
        indexed.engine.run(f"SET embsql.index_above = '{above}'")
        start = time.perf_counter()
        indexed.engine.index(_live(indexed))
        build = time.perf_counter() - start
        yield Twins(
            exact,
            indexed,
            second,
            build,
            {of: _ids(exact, of) for of in ("item", "user")},
        )


def _live(database: embsql.Database) -> int:
    return int(database.ask("SELECT embsql.live_run('m') AS run")["run"][0].as_py())


def _ids(database: embsql.Database, of: str) -> list[str]:
    """In random order."""
    ids = database.ask(f"SELECT {of}_id AS id FROM embsql.{of}_embeddings ORDER BY id")[
        "id"
    ].to_pylist()
    return [ids[row] for row in np.random.default_rng(4).permutation(len(ids))]


def _asking(
    database: embsql.Database, query: str, ids: list[str]
) -> Callable[[], list[str]]:
    """Asks about the next id."""
    subjects = cycle(ids)
    return lambda: list(database.ask(query, id=next(subjects))["id"].to_pylist())


def exact(options: argparse.Namespace, new: New) -> None:
    for items in options.sizes:
        users = min(1000, items // 2)
        with _twins(
            new, partial(write, items=items, users=users, dim=options.dim), users
        ) as twins:
            works = {
                (question, way): _asking(
                    database, QUESTIONS[question][0], twins.ids[QUESTIONS[question][1]]
                )
                for question in ("similar_items", "recommend")
                for way, database in (("index", twins.indexed), ("whole", twins.exact))
            }
            in_turn(works, WARM)
            timed = {
                key: 1000 * done.seconds
                for key, done in in_turn(works, options.asked).items()
            }
        for question in ("similar_items", "recommend"):
            line(
                "postgres",
                f"generated {items} x {options.dim}",
                question,
                "median answer under the index",
                timed[question, "index"],
                "ms",
                peer="read whole",
                peer_value=timed[question, "whole"],
                build_seconds_of_both=round(twins.build, 2),
                asked=options.asked,
            )


def similar(options: argparse.Namespace, new: New) -> None:
    users = options.items // 2
    worlds: dict[str, Callable[[str], None]] = {
        f"generated {options.items}": partial(
            write, items=options.items, users=users, dim=options.dim
        ),
        "gowalla": partial(_trained, dim=options.dim, threads=options.threads),
    }
    for data, fill in worlds.items():
        with _twins(new, fill, min(20_000, users // 2)) as twins:
            _against_bare(data, twins, options)
            for question in QUESTIONS:
                _found(data, question, twins, options.asked)


def _trained(address: str, dim: int, threads: int) -> None:
    with embsql.connect(address) as database:
        source = (
            f'SELECT "user" AS user_id, item AS item_id '
            f"FROM '{real('gowalla', 'train.parquet')}'"
        )
        database.train(
            "m", source, source_db=":memory:", dim=dim, threads=threads, progress=False
        )


def _against_bare(data: str, twins: Twins, options: argparse.Namespace) -> None:
    ids, efs = twins.ids["item"], (40, 100)
    query = BARE.format(run=_live(twins.indexed), dim=options.dim)
    with ExitStack() as open_:
        bare = {ef: open_.enter_context(embsql.connect(twins.address)) for ef in efs}
        for ef, database in bare.items():
            database.engine.run(f"SET hnsw.ef_search = {ef}")
        works = {
            "similar_items": _asking(twins.indexed, QUESTIONS["similar_items"][0], ids)
        }
        works |= {
            f"bare pgvector, ef_search {ef}": _asking(bare[ef], query, ids)
            for ef in efs
        }
        in_turn(works, WARM)
        timed = {
            name: 1000 * done.seconds
            for name, done in in_turn(works, options.asked).items()
        }
    for peer in list(timed)[1:]:
        line(
            "postgres",
            data,
            "similar_items",
            "median answer",
            timed["similar_items"],
            "ms",
            peer=peer,
            peer_value=timed[peer],
            asked=options.asked,
            build_seconds=round(twins.build, 2),
        )


def _found(data: str, question: str, twins: Twins, asked: int) -> None:
    """What a question finds under the index of what it finds without."""
    query, of = QUESTIONS[question]
    ids = twins.ids[of][:asked]
    under, without = (
        _asking(database, query, ids) for database in (twins.indexed, twins.exact)
    )
    true = [set(without()) for _ in ids]
    start = time.perf_counter()
    answers = [under() for _ in ids]
    ms = 1000 * (time.perf_counter() - start) / len(ids)
    least = min(
        len(best.intersection(answer))
        for answer, best in zip(answers, true, strict=True)
    )
    line(
        "postgres",
        data,
        question,
        "recall@10",
        _recall(answers, true),
        "share",
        asked=len(ids),
        least_found=least,
        median_found=statistics.median(map(len, answers)),
        mean_ms=round(ms, 3),
    )


PARTS: dict[str, Callable[[argparse.Namespace, New], None]] = {
    "load": load,
    "hnsw": hnsw,
    "orders": orders,
    "exact": exact,
    "similar": similar,
    "clients": clients,
    "pickup": pickup,
}
