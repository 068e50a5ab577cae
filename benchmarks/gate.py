"""The gate beside figures of different days: what they make of the same options, and of worse ones.

A shop's interactions until some day are the live run's, those until some days later the new run's.
Both are als. Same options, another seed: the new run should pass. With `--worse` numbers to a
vector it should not. Lines say how the difference of ndcg@10 looks when the evaluation's own
training stands for the new run, and when it is trained once more on all but the pairs asked; and
whether figures of different days, held against each other, would have let it pass.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

import embsql
from benchmarks._lines import line, real
from embsql import algorithms
from embsql.algorithms import Algorithm
from embsql.data import Interactions
from embsql.engines import Engine
from embsql.evaluation.evaluator import Questions
from embsql.evaluation.splits import split
from embsql.lifecycle import gate
from embsql.lifecycle.measure import as_stored, present
from embsql.lifecycle.snapshot import as_wanted
from embsql.run import Columns, Run
from embsql.sources.prepare import prepare

SOURCE = """
SELECT customer_id AS user_id, stock_code AS item_id, quantity AS weight, invoice_date AS event_time
FROM '{file}'
WHERE customer_id IS NOT NULL AND quantity > 0 AND invoice_date < DATE '2011-12-10' - {days}
"""


def options(parser: argparse.ArgumentParser) -> None:
    """What may be chosen."""
    parser.add_argument("--dim", type=int, default=32)
    parser.add_argument(
        "--worse",
        type=int,
        default=2,
        help="numbers to a vector of a run that should not pass",
    )
    parser.add_argument(
        "--ends",
        nargs="+",
        type=int,
        default=[90, 60, 30, 0],
        help="days before the end: today",
    )
    parser.add_argument(
        "--later",
        nargs="+",
        type=int,
        default=[1, 7, 28],
        help="days since the live run",
    )
    parser.add_argument("--seed", type=int, default=1)


def measure(options: argparse.Namespace) -> None:
    """Print the lines."""
    with embsql.connect(":memory:") as database:
        for later in options.later:
            for end in options.ends:
                before, now = (
                    _read(database.engine, end + days) for days in (later, 0)
                )
                for method in ("last", "time"):
                    for dim in (options.dim, options.worse):
                        _judge(
                            before,
                            now,
                            method,
                            dim,
                            options,
                            {"end": end, "later": later},
                        )


def _read(engine: Engine, days: int) -> Interactions:
    """Everything until so many days before the end."""
    source = SOURCE.format(
        file=real("online_retail", "online_retail.parquet"), days=days
    )
    return prepare(
        engine, source, Columns(), Run(), explicit=False, ordered=True
    ).interactions()


def _judge(
    before: Interactions,
    now: Interactions,
    method: str,
    dim: int,
    options: argparse.Namespace,
    when: dict[str, int],
) -> None:
    run = Run(seed=options.seed, threads=options.threads)
    live_als = algorithms.make("als", {"dim": options.dim})
    new_als = algorithms.make("als", {"dim": dim})
    live = as_stored(before, live_als.fit(as_wanted(live_als, before), run))
    other = replace(run, seed=options.seed + 1)
    found = _found(
        now, method, new_als, other, tolerance=1.0
    )  # nothing is below that: no second training
    asked = gate.as_it_is(found, live)
    again = gate.as_it_is(replace(found, tolerance=-1.0), live)  # all is below that
    decided = gate.as_it_is(replace(found, tolerance=0.05), live)
    if decided is None or (decided.users or 0) < gate.MIN_USERS:
        decided = gate.anew(
            found, live_als.fit(as_wanted(live_als, found.parts.train), run)
        )
    old, new = (
        _figure(data, method, als, run)
        for data, als in ((before, live_als), (now, new_als))
    )
    settings = when | {
        "split": method,
        "dim": dim,
        "live_dim": options.dim,
        "seed": options.seed,
    }
    for system, one in (("evaluation's training", asked), ("trained once more", again)):
        if one:
            line(
                "gate",
                "online_retail",
                system,
                "difference of ndcg@10 as a share",
                one.difference / one.live_value,
                "share",
                users=one.users,
                left_out=one.left_out,
                low=round(one.ci_low / one.live_value, 4),
                high=round(one.ci_high / one.live_value, 4),
                **settings,
            )
    passes = {"same pairs": not decided.below(0.05), "other days": new >= 0.95 * old}
    for system, passed in passes.items():
        line(
            "gate",
            "online_retail",
            system,
            "passes",
            float(passed),
            "0 or 1",
            basis=decided.basis,
            **settings,
        )


def _found(
    data: Interactions, method: str, als: Algorithm, run: Run, *, tolerance: float
) -> gate.Candidate:
    """A run that wants to go live, as training makes it."""
    parts = split(data, method, seed=run.seed)

    def fit(part: Interactions) -> embsql.data.Embeddings:
        return als.fit(as_wanted(als, part), run)

    known = (
        present(parts.train.user, data.n_users),
        present(parts.train.item, data.n_items),
    )
    return gate.Candidate(
        data, parts, fit(parts.train), known, fit, False, run, 10, tolerance
    )


def _figure(data: Interactions, method: str, als: Algorithm, run: Run) -> float:
    """ndcg@10 as an evaluation has it."""
    parts = split(data, method, seed=run.seed)
    vectors = als.fit(as_wanted(als, parts.train), run)
    return float(np.mean(Questions.prepare(parts, run).per_user(vectors, "ndcg", 10)))
