"""What algorithm auto chooses on real data, and what that is worth compared with als.

Both are asked about the same test pairs, which no candidate was chosen by. Lines say what each
candidate came to on the validation pairs, and what the training took of its budget.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import embsql
from benchmarks._lines import line, real

SOURCES = {
    "electronics": """
        SELECT t."user" AS user_id, t.item AS item_id FROM '{electronics/train.parquet}' AS t
    """,
    "online_retail": """
        SELECT
            t.customer_id AS user_id, t.stock_code AS item_id, t.quantity AS weight,
            t.invoice_date AS event_time
        FROM '{online_retail/online_retail.parquet}' AS t
        WHERE t.customer_id IS NOT NULL AND t.quantity > 0
    """,
    "ml100k": """
        SELECT t.user_id, t.item_id, to_timestamp(t.at) AS event_time
        FROM read_csv(
            '{ml100k/u.data}', delim = '\t', header = FALSE,
            names = ['user_id', 'item_id', 'rating', 'at']
        ) AS t
    """,
}
TRIALS = """
SELECT algorithm, params, value, ci_low, ci_high, seconds, status, best, reason
FROM embsql.trials('auto')
"""
CHOSEN = "SELECT algorithm, params FROM embsql.runs('auto')"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--budget", default="2 minutes")
    parser.add_argument("--dim", type=int, help="of every candidate; none: several")
    parser.add_argument("--seed", type=int, default=1)


def measure(options: argparse.Namespace) -> None:
    for data in options.data:
        with embsql.connect(":memory:") as database:
            _measure(database, data, options)


def _measure(database: embsql.Database, data: str, options: argparse.Namespace) -> None:
    source = _source(data)
    common = {"evaluate": True, "seed": options.seed, "threads": options.threads}
    own = {"dim": options.dim} if options.dim else {}
    usual = database.train("usual", source, gate=False, **common, **own)
    begun = time.perf_counter()
    run = database.train(
        "auto",
        source,
        algorithm="auto",
        budget=options.budget,
        gate=False,
        **common,
        **own,
    )
    seconds = time.perf_counter() - begun
    _candidates(database, data)
    (chosen,) = database.ask(CHOSEN).to_pylist()
    found: dict[str, Any] = json.loads(chosen["params"])
    settings = {"budget": options.budget, "chosen": chosen["algorithm"]}
    allowed = found.pop("search")["budget_seconds"]
    line("auto", data, "auto", "share of the budget", seconds / allowed, "")
    line(
        "auto",
        data,
        "auto",
        "ndcg@10 of the test",
        run.metrics["ndcg@10"],
        "",
        peer="als, its defaults",
        peer_value=usual.metrics["ndcg@10"],
        seconds=seconds,
        warning=run.warning,
        params=found,
        **settings,
    )


def _source(data: str) -> str:
    """The SELECT of a data set, with its file."""
    before, name, after = SOURCES[data].replace("{", "}").split("}")
    return f"{before}{real(*name.split('/'))}{after}"


def _candidates(database: embsql.Database, data: str) -> None:
    for row in database.ask(TRIALS).to_pylist():
        name = f"{row['algorithm']} {row['params']}"
        others = {key: row[key] for key in ("ci_low", "ci_high", "best", "reason")}
        line(
            "auto",
            data,
            name,
            "ndcg@10 of the validation",
            row["value"],
            "",
            seconds=row["seconds"],
            status=row["status"],
            **others,
        )
