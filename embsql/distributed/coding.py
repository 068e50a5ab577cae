"""From a source in Spark to coded pairs there, with the report that one machine would make of it.

The source is evaluated once, into a table; what comes here are counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embsql.data import Int64
from embsql.engines import Engine
from embsql.engines.spark_workspace import SparkWorkspace
from embsql.errors import EmbsqlError
from embsql.run import Columns
from embsql.sources.coding import WEIGHT_FACTS
from embsql.sources.columns import LARGEST
from embsql.sources.findings import (
    SPACES,
    Finding,
    IdFacts,
    PairFacts,
    of_ids,
    of_pairs,
    of_rows,
    outlier,
)
from embsql.sources.prepare import known_of_source, moment
from embsql.sources.problems import find_problem, too_much
from embsql.sqlfiles import render
from embsql.sqlfiles.files import statements

SIDES = ("user", "item")


@dataclass(frozen=True, slots=True)
class Coded:
    """Tables of a workspace, unless the rows have a problem, and what was found.

    `pairs` has a row (user, item, weight, last_time) for each pair, `coded` the ids of each side
    with their codes, in order by bytes, and how many pairs each has.
    """

    findings: list[Finding]
    problem: EmbsqlError | None = None
    users: int = 0
    items: int = 0
    pairs: int = 0
    largest_weight: float = 0.0
    newest_event: int | None = None  # of those that have come


def training_sql(name: str) -> str:
    """A statement of a training in Spark."""
    return statements("spark/training.sql")[name]


def code_source(
    engine: Engine,
    work: SparkWorkspace,
    source: str,
    columns: Columns,
    model: str,
    *,
    explicit: bool,
) -> Coded:
    """Read a source, check it, number its ids, merge the rows of a pair.

    Raises what `sources.prepare` raises where it cannot be read at all; what is wrong with its rows
    comes back as `problem`.
    """
    facts = known_of_source(engine, source, columns, explicit=explicit)
    rows = render.render_stage("source", facts | {"since": None})
    work.read("read", render.render_stage("spark", facts | {"rows": rows}))
    found = _summary(work, facts)
    _merge(work, found, explicit=explicit)
    ids = _id_facts(work)
    texts = {side: _of_ids(ids.get(side, {})) for side in SIDES}
    findings = [*of_rows(found, explicit), *of_ids(texts)]
    problem = find_problem(found, found["usable"], texts, facts, model)
    if problem:
        return Coded(findings, problem)
    pairs = work.row(training_sql("pair_facts"), now=moment(facts))
    if pairs["endless"]:
        return Coded(findings, too_much(pairs["endless"], facts, model))
    of = _pair_facts(work, found["usable"], ids, pairs)
    _code(work)
    return Coded(
        [*findings, *of_pairs(of)],
        users=of.users,
        items=of.items,
        pairs=pairs["pairs"],
        largest_weight=of.heaviest[2],
        newest_event=pairs["newest"],
    )


# --- rows ----------------------------------------------------------------------------------------


def _summary(work: SparkWorkspace, facts: dict[str, Any]) -> dict[str, Any]:
    """What `sources.coding.summary` finds, and how many rows can be used."""
    found = work.row(training_sql("summary"), largest=LARGEST, now=moment(facts))
    for kind in ("negative", "infinite"):
        example = found[f"{kind}_example"]
        words = example and f"{example['words']}{example['weight']}"
        found[f"{kind}_example"] = words
    no_weight = {} if facts["has_weight"] else dict.fromkeys(WEIGHT_FACTS, 0)
    return found | no_weight


def _merge(work: SparkWorkspace, found: dict[str, Any], *, explicit: bool) -> None:
    """The rows that can be used, a row for each pair; who has no time is older than all others."""
    oldest = found["oldest"]
    before = None if oldest is None else max(oldest - 1, np.iinfo(np.int64).min)
    merged = work.frame(training_sql("merged"), average=explicit, before=before)
    work.store("merged", merged)
    work.drop("read")


# --- ids -----------------------------------------------------------------------------------------


def _id_facts(work: SparkWorkspace) -> dict[str, dict[str, Any]]:
    """Figures about the ids of "user" and "item", where there are some."""
    work.store("ids", work.frame(training_sql("ids")))
    found = {row["side"]: row for row in work.ask(training_sql("id_facts")).to_pylist()}
    for row in work.ask(training_sql("alike"), spaces=SPACES).to_pylist():
        found[row["side"]] |= row
    return found


def _of_ids(found: dict[str, Any]) -> IdFacts:
    if not found:
        return IdFacts()
    example = found.get("example")
    return IdFacts(
        pointed=found["pointed"],
        alike=found.get("alike", 0),
        example=example and (example["first_id"], example["last_id"]),
        longest=found["longest"]["id"],
        with_nul=found["with_nul"],
    )


def _code(work: SparkWorkspace) -> None:
    """Number the ids, and write the pairs with their codes."""
    work.store("coded", work.frame(training_sql("coded")))
    work.store("pairs", work.frame(training_sql("pairs")))
    work.drop("ids", "merged")


# --- pairs ---------------------------------------------------------------------------------------


def _pair_facts(
    work: SparkWorkspace, usable: int, ids: dict[str, Any], pairs: dict[str, Any]
) -> PairFacts:
    users, items = (ids[side] for side in SIDES)
    heaviest = pairs["heaviest"]
    weight = -heaviest["smallness"]
    median = _median(work, pairs) if weight > outlier(pairs["smallest"]) else weight
    limit = outlier(median)
    outliers = (
        work.row(training_sql("outliers"), limit=limit)["pairs"]
        if weight > limit
        else 0
    )
    return PairFacts(
        repeated=usable - pairs["pairs"],
        users=users["ids"],
        items=items["ids"],
        lonely=users["lonely"],
        top_item=items["top"]["id"],
        top_pairs=-items["top"]["rareness"],
        outliers=outliers,
        median=median,
        heaviest=(heaviest["user_id"], heaviest["item_id"], weight),
    )


def _median(work: SparkWorkspace, pairs: dict[str, Any]) -> float:
    """The median of the weights, of which few come here: about those in the middle."""
    low, high = pairs["middle"]
    below = work.row(training_sql("below"), low=low)["pairs"]
    middle = work.ask(training_sql("middle"), low=low, high=high)
    ends = below + np.cumsum(middle["pairs"].to_numpy())  # (values,)
    return middle_of(middle["weight"].to_numpy(), ends, pairs["pairs"])


def middle_of(values: NDArray[Any], ends: Int64, n: int) -> float:
    """The median of n numbers, of which some values (v,) lie in the middle, in order.

    `ends` (v,) says how many numbers are up to each of them.
    """
    ranks = [(n - 1) // 2, n // 2]
    return float(np.mean(values[np.searchsorted(ends, ranks, side="right")]))
