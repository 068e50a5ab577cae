"""What new events are worth without a training, and what it costs that they count.

Quality: the first meetings of each user and item are put in order of time, and als is trained on
the first four fifths. Of the rest every user's last meeting is asked for: of that run as it is, of
the run that `refresh` makes by folding the others in, and of a training on all but what is asked.
All are asked about the same users, leave out the same items, and answer by popularity whom they do
not know.

Cost: `recommend` where nothing is watched, where nothing is new, and for somebody with new events
among many of others; CPU time of a refresh of one user in a hundred, and of a training.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

import embsql
from benchmarks._lines import in_turn, line, real
from benchmarks._server import databases, running

SOURCES = {
    "ml100k": (
        "SELECT column0 AS user_id, column1 AS item_id, column3 AS event_time "
        "FROM read_csv('{file}', delim = '\t', header = false)",
        ("ml100k", "u.data"),
    ),
    "ml1m": (
        "SELECT user_id, movie_id AS item_id, epoch_us(rated_at) AS event_time FROM '{file}'",
        ("ml1m", "interactions.parquet"),
    ),
    "online_retail": (
        "SELECT customer_id AS user_id, stock_code AS item_id, "
        "epoch_us(invoice_date) AS event_time "
        "FROM '{file}' WHERE customer_id IS NOT NULL AND quantity > 0",
        ("online_retail", "online_retail.parquet"),
    ),
}
PARTS = """
CREATE TABLE meetings AS
WITH first AS (
    SELECT CAST(user_id AS VARCHAR) AS user_id, CAST(item_id AS VARCHAR) AS item_id,
        min(event_time) AS event_time
    FROM ({source}) AS given
    WHERE event_time IS NOT NULL
    GROUP BY ALL
),
ordered AS (
    SELECT *, percent_rank() OVER (ORDER BY event_time, user_id, item_id) >= 0.8 AS is_late,
        row_number() OVER (PARTITION BY user_id ORDER BY event_time DESC, item_id) = 1 AS is_last
    FROM first
)
SELECT * EXCLUDE (is_late, is_last), CASE
    WHEN is_late AND is_last THEN 'asked' WHEN is_late THEN 'since' ELSE 'past' END AS part
FROM ordered
"""
PART = "SELECT user_id, item_id, event_time FROM meetings WHERE part IN ({parts})"
K = 20
RECOMMEND = "SELECT * FROM embsql.recommend('{model}', $id, k => 10)"
LATE = 2  # moments of what is new; training has 1


def options(parser: argparse.ArgumentParser) -> None:
    """What may be chosen."""
    parser.add_argument(
        "--data", nargs="+", choices=sorted(SOURCES), default=list(SOURCES)
    )
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument("--server", help="postgresql://... to measure in")
    parser.add_argument(
        "--events",
        type=int,
        default=1_000_000,
        help="new events when recommend is timed",
    )
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=5_000)
    parser.add_argument("--repeat", type=int, default=51)
    parser.add_argument(
        "--part", nargs="+", choices=("quality", "cost"), default=["quality", "cost"]
    )


def measure(options: argparse.Namespace) -> None:
    """Print the lines."""
    for name in options.data if "quality" in options.part else ():
        _quality(name, options)
    if "cost" in options.part:
        _cost(options)


# --- quality -------------------------------------------------------------------------------------


def _quality(name: str, options: argparse.Namespace) -> None:
    select, path = SOURCES[name]
    with embsql.connect(":memory:") as database:
        database.engine.run(PARTS.format(source=select.format(file=real(*path))))
        trained = {"algorithm": "als", "dim": options.dim, "progress": False}
        database.train("m", PART.format(parts="'past'"), **trained)
        figures = {"run as it is": _ndcg(database, "m")}
        database.watch("m", PART.format(parts="'past', 'since'"))
        database.refresh("m")
        figures["folded in"] = _ndcg(database, "m")
        database.train("m", PART.format(parts="'past', 'since'"), **trained)
        figures["trained again"] = _ndcg(database, "m")
    first, folded, again = figures.values()
    for system, value in figures.items():
        line("fresh", name, system, f"ndcg@{K}", value, "", dim=options.dim)
    gain = (folded - first) / (again - first)
    line(
        "fresh", name, "folded in", "share of the gain", gain, "share", dim=options.dim
    )


def _ndcg(database: embsql.Database, model: str) -> float:
    """ndcg of the one item that is asked for each user, over all of them."""
    users, items = _side(database, model, "user"), _side(database, model, "item")
    seen = _pairs(database, "'past', 'since'", items)
    names = list(items)
    vectors = np.array([items[name]["embedding"] for name in names])  # (m, d)
    popular = np.array([items[name]["interactions"] for name in names], float)  # (m,)
    gains = []
    for user, asked in _pairs(database, "'asked'", items).items():
        known = users.get(user)
        scores = (
            popular if known is None else vectors @ np.array(known["embedding"])
        )  # (m,)
        gains.append(_gain(scores, asked, seen.get(user, [])))
    return float(np.mean(gains))


def _gain(scores: np.ndarray, asked: list[int], seen: list[int]) -> float:
    """What one list is worth: nothing where the item is not known to the model."""
    if not asked:
        return 0.0
    scores = scores.copy()  # (m,)
    scores[seen] = -np.inf
    rank = int((scores > scores[asked[0]]).sum())
    return 1 / float(np.log2(rank + 2)) if rank < K else 0.0


def _side(database: embsql.Database, model: str, entity: str) -> dict[str, Any]:
    """Vectors and popularity of a live run, by id."""
    rows = database.engine.rows(
        f"SELECT * FROM embsql.{entity}_embeddings WHERE run_id = embsql.live_run('{model}')"
    )
    return {row[f"{entity}_id"]: row for row in rows}


def _pairs(
    database: embsql.Database, parts: str, items: dict[str, Any]
) -> dict[str, list[int]]:
    """The positions of every user's items in some parts, of those that a model knows."""
    position = {name: n for n, name in enumerate(items)}
    found: dict[str, list[int]] = {}
    for row in database.engine.rows(PART.format(parts=parts)):
        mine = found.setdefault(row["user_id"], [])
        if row["item_id"] in position:
            mine.append(position[row["item_id"]])
    return found


# --- cost ----------------------------------------------------------------------------------------


def _cost(options: argparse.Namespace) -> None:
    with ExitStack() as stack:
        address = stack.enter_context(
            databases(stack.enter_context(running(options.server)))
        )()
        for target in (":memory:", address):
            database = stack.enter_context(embsql.connect(target))
            _train(database, options)
            for indexed in (True, False) if target == address else (False,):
                _time(database, options, indexed=indexed)
            _refresh(database, options)


def _train(database: embsql.Database, options: argparse.Namespace) -> None:
    """Two models of the same events, of which one will be watched."""
    rng = np.random.default_rng(1)
    n = 20 * options.users
    database.engine.run(
        "CREATE TABLE events (user_id bigint, item_id bigint, event_time bigint)"
    )
    _add(
        database,
        rng.integers(0, options.users, n),
        rng.integers(0, options.items, n),
        1,
    )
    for model in ("alone", "watched"):
        database.train(model, "SELECT * FROM events", dim=options.dim, progress=False)
    database.engine.run("CREATE TABLE fresh AS SELECT * FROM events WHERE FALSE")
    database.watch("watched", "fresh")


def _add(
    database: embsql.Database, user: Any, item: Any, time_: int, to: str = "events"
) -> None:
    times = np.full(len(user), time_, np.int64)
    columns = {"user_id": user, "item_id": item, "event_time": times}
    database.engine.write(to, columns, schema="main")


def _time(
    database: embsql.Database, options: argparse.Namespace, *, indexed: bool
) -> None:
    """recommend before and after many events of others are new, and one's own."""
    engine, name = database.engine, database.engine.name
    engine.run("TRUNCATE fresh")  # a server would scan what is deleted
    _caught_up(database)
    settings = {"users": options.users, "items": options.items, "dim": options.dim}
    _line(
        _asked(database, options, (0, options.users)), name, "nothing new", **settings
    )
    rng = np.random.default_rng(2)
    half = options.users // 2  # the others have nothing new
    user = rng.integers(0, half, options.events)
    _add(database, user, rng.integers(0, options.items, len(user)), LATE, to="fresh")
    if indexed:
        engine.run("CREATE INDEX by_user ON fresh (user_id)")
    if not engine.embedded:
        engine.run("ANALYZE fresh")
    _caught_up(database)
    settings |= {"events": options.events, "indexed": indexed}
    others = _asked(database, options, (half, options.users))
    _line(others, name, "new events of others", **settings)
    if indexed or engine.embedded:
        _line(_asked(database, options, (0, half)), name, "new events", **settings)
    if indexed:
        engine.run("DROP INDEX by_user")


def _caught_up(database: embsql.Database) -> None:
    if database.engine.embedded:
        database.watch("watched")


def _asked(
    database: embsql.Database, options: argparse.Namespace, users: tuple[int, int]
) -> dict[str, Any]:
    rng = np.random.default_rng(3)

    def work(model: str) -> Callable[[], Any]:
        sql = RECOMMEND.format(model=model)
        return lambda: database.ask(sql, id=str(rng.integers(*users)))

    works = {model: work(model) for model in ("alone", "watched")}
    in_turn(works, 3)
    return in_turn(works, options.repeat)


def _line(timed: dict[str, Any], engine: str, metric: str, **settings: Any) -> None:
    alone, watched = (1000 * timed[model].seconds for model in ("alone", "watched"))
    line(
        "fresh",
        engine,
        "recommend, watched",
        metric,
        watched,
        "ms",
        peer="not watched",
        peer_value=alone,
        **settings,
    )


def _refresh(database: embsql.Database, options: argparse.Namespace) -> None:
    """CPU seconds of this process: a refresh of one user in a hundred beside a training."""
    database.engine.run("TRUNCATE fresh")
    some = np.arange(0, options.users, 100)
    _add(database, some, some % options.items, LATE + 1, to="fresh")
    works = {
        "refresh": lambda: database.refresh("watched"),
        "training": lambda: database.train(
            "alone", "SELECT * FROM events", dim=options.dim, progress=False, force=True
        ),
    }
    took = dict(_cpu(works))
    line(
        "fresh",
        database.engine.name,
        "refresh of 1% of the users",
        "CPU time",
        took["refresh"],
        "s",
        peer="training",
        peer_value=took["training"],
        users=options.users,
        items=options.items,
        dim=options.dim,
    )


def _cpu(works: dict[str, Callable[[], Any]]) -> Iterator[tuple[str, float]]:
    for name, work in works.items():
        begin = time.process_time()
        work()
        yield name, time.process_time() - begin
