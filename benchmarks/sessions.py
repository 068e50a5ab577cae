"""Whether SQL gives the states that torch does, what comes next by either, and the time it takes.

gru4rec and sasrec are trained on some of Diginetica's sessions and on prefixes of its test, which
are sessions of their own: their vectors are torch's states. SQL, on DuckDB and PostgreSQL, makes
the states of the same prefixes, and lists of what comes next, whose P@20 and MRR@20 stand beside
those by torch's states. Times are of prefixes of one length, and of one that no run knows: that is
all but the state.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import embsql
from benchmarks._lines import in_turn, line, real
from benchmarks._server import databases, running

ALGORITHMS = {"gru4rec": {"n_layers": 1}, "sasrec": {"n_layers": 2}}
K = 20  # length of the lists
EVENTS = """
    SELECT session_id AS user_id, item_id, position AS event_time FROM events
"""
BY_TORCH = (
    "SELECT item_id FROM embsql.recommend('{}', $user, {}, exclude_seen => FALSE)"
)
BY_SQL = "SELECT item_id FROM embsql.next_items('{}', $items, k => {})"
STATE = "SELECT embsql.fold_in('{}', $items) AS state"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server",
        help="postgresql://... with the right to create databases, and pgvector",
    )
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=200_000, help="to train on")
    parser.add_argument("--prefixes", type=int, default=1000, help="of the test")
    parser.add_argument("--length", type=int, default=20, help="of what is timed")
    parser.add_argument("--repeat", type=int, default=51, help="of every question")


def measure(options: argparse.Namespace) -> None:
    prefixes, targets = _test(options.prefixes)
    with ExitStack() as stack:
        address = stack.enter_context(
            databases(stack.enter_context(running(options.server)))
        )()
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        duck = stack.enter_context(embsql.connect(f"{folder}/m.duckdb"))
        server = stack.enter_context(embsql.connect(address))
        duck.engine.run("SET threads = $threads", threads=options.threads)
        _train(duck, prefixes, options)
        duck.publish(address, *ALGORITHMS)
        both = {"duckdb": duck, "postgres": server}
        for name in ALGORITHMS:
            for engine, database in both.items():
                _states(engine, database, name, prefixes, options)
                _next(engine, database, name, prefixes, targets, options)
        _times(both, options)


def _test(n: int) -> tuple[list[list[str]], list[str]]:
    """Prefixes of the test at random, and what came next."""
    table = pq.read_table(real("diginetica", "test.parquet"))
    rows = np.random.default_rng(1).choice(len(table), n, replace=False)
    found = table.take(pa.array(np.sort(rows))).to_pylist()
    prefixes = [[str(item) for item in row["prefix"]] for row in found]
    return prefixes, [str(row["target"]) for row in found]


def _train(
    database: embsql.Database, prefixes: list[list[str]], options: argparse.Namespace
) -> None:
    """A live run of each algorithm, named after it."""
    known = pq.read_table(real("diginetica", "train.parquet"))
    known = known.filter(pa.compute.less(known["session_id"], options.sessions))
    parts = [("s", known)]
    lengths = [len(prefix) for prefix in prefixes]
    parts.append(
        (
            "t",
            pa.table(
                {
                    "session_id": np.repeat(np.arange(len(prefixes)), lengths),
                    "item_id": [int(item) for prefix in prefixes for item in prefix],
                    "position": np.concatenate([np.arange(n) for n in lengths]),
                }
            ),
        )
    )
    database.engine.run(
        "CREATE TABLE events (session_id TEXT, item_id INTEGER, position INTEGER)"
    )
    for letter, rows in parts:
        ids = [f"{letter}{number}" for number in rows["session_id"].to_pylist()]
        columns = {name: rows[name] for name in ("item_id", "position")}
        database.engine.write("events", {"session_id": ids, **columns}, schema="main")
    for name, own in ALGORITHMS.items():
        shared = {"dim": options.dim, "epochs": options.epochs}
        database.train(
            name,
            EVENTS,
            algorithm=name,
            threads=options.threads,
            progress=False,
            **shared,
            **own,
        )


# --- what is printed -----------------------------------------------------------------------------


def _states(
    engine: str,
    database: embsql.Database,
    name: str,
    prefixes: list[list[str]],
    options: argparse.Namespace,
) -> None:
    """The largest error of a state, relative to its largest number."""
    errors = []
    for number, items in enumerate(prefixes):
        user = (
            f"SELECT embedding FROM embsql.user_embedding('{name}', ARRAY['t{number}'])"
        )
        wanted = np.array(database.ask(user)["embedding"][0].as_py())
        found = np.array(
            database.ask(STATE.format(name), items=items)["state"][0].as_py()
        )
        errors.append(np.abs(found - wanted).max() / np.abs(wanted).max())
    _line(engine, f"{name}, largest error of a state", max(errors), "share", options)


def _next(
    engine: str,
    database: embsql.Database,
    name: str,
    prefixes: list[list[str]],
    targets: list[str],
    options: argparse.Namespace,
) -> None:
    """P@20 and MRR@20 of lists by SQL, with those by the stored vectors, and by evaluate."""
    by_sql, by_torch = [], []
    for number, (items, target) in enumerate(zip(prefixes, targets, strict=True)):
        found = database.ask(BY_SQL.format(name, K), items=items)
        by_sql.append(_gains(found, target))
        found = database.ask(BY_TORCH.format(name, K), user=f"t{number}")
        by_torch.append(_gains(found, target))
    asked = pa.table({"prefix": prefixes, "target": targets})
    measured = database.evaluate(name, test=asked, k=K)
    peers = {
        "torch": np.mean(by_torch, axis=0).tolist(),
        "evaluate": [measured[f"hit_rate@{K}"], measured[f"mrr@{K}"]],
    }
    for peer, others in peers.items():
        figures = zip(("P@20", "MRR@20"), np.mean(by_sql, axis=0), others, strict=True)
        for metric, value, other in figures:
            _line(
                engine,
                f"{name}, {metric}",
                float(value),
                "share",
                options,
                peer=peer,
                peer_value=other,
            )


def _gains(found: Any, target: str) -> tuple[float, float]:
    """Whether a list has what came next, and one over its rank."""
    items = found["item_id"].to_pylist()
    if target not in items:
        return 0.0, 0.0
    return 1.0, 1 / (1 + items.index(target))


def _times(both: dict[str, embsql.Database], options: argparse.Namespace) -> None:
    """A state, and the same question about nothing that is known."""
    rng = np.random.default_rng(2)
    known = pq.read_table(real("diginetica", "train.parquet"))["item_id"].to_numpy()

    def ask(database: embsql.Database, name: str, *, of_known: bool) -> None:
        drawn = rng.choice(known, options.length)
        items = [str(item) if of_known else f"no {item}" for item in drawn]
        database.ask(STATE.format(name), items=items)

    works = {
        (engine, name, of_known): partial(ask, database, name, of_known=of_known)
        for engine, database in both.items()
        for name in ALGORITHMS
        for of_known in (True, False)
    }
    took = in_turn(works, options.repeat)
    for engine in both:
        for name in ALGORITHMS:
            whole, rest = (
                1000 * took[engine, name, of_known].seconds
                for of_known in (True, False)
            )
            _line(engine, f"{name}, the state alone", whole - rest, "ms", options)
            _line(engine, f"{name}, median of all else", rest, "ms", options)


def _line(
    engine: str,
    metric: str,
    value: float,
    unit: str,
    options: argparse.Namespace,
    **peer: Any,
) -> None:
    names = ("dim", "epochs", "sessions", "prefixes", "length", "repeat", "threads")
    settings = {name: getattr(options, name) for name in names}
    line("sessions", "diginetica", engine, metric, value, unit, **peer, **settings)
