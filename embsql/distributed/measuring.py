"""How good a model is that is trained in Spark: pairs are held out and asked about there.

What comes here are sums, and how many training pairs each item has.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import add

import numpy as np
import pyarrow as pa

from embsql.data import Int64
from embsql.distributed import evaluation_tasks, tasks
from embsql.distributed.blocks import Blocks, Matrix, store_links
from embsql.distributed.coding import middle_of, training_sql
from embsql.distributed.interactions import InSpark
from embsql.engines.spark_workspace import Frame, map_block, map_blocks, map_rows
from embsql.evaluation.evaluator import NEW_USER_PAIRS, Whole, facts_as_figures
from embsql.evaluation.splits import Cut, nothing_held_out
from embsql.evaluation.tally import Metric
from embsql.factorization.blocks import BlockEmbeddings, Sides
from embsql.run import Run


@dataclass(frozen=True, slots=True)
class Parts:
    """See `evaluation.splits.Split`; what is held out lies in the users' table of `train`."""

    name: str
    train: InSpark
    asked: Int64  # (blocks,) users in each
    whole: Whole
    facts: Mapping[str, int]


# --- holding out ---------------------------------------------------------------------------------


def held_out_parts(data: InSpark, name: str, cut: Cut) -> Parts:
    """The same pairs as `evaluation.splits.split` takes. Raises NotEvaluated where none are."""
    users = _training_users(data, name, cut)
    items, counts = _training_items(data, users)
    found = data.work.ask(training_sql("held_out"), matrix=users.table)
    pairs, held = (int(np.sum(found[column])) for column in ("pairs", "held"))
    if not held:
        raise nothing_held_out(name)
    weight = float(np.sum(found["weight"].to_numpy()))
    blocks = Blocks(Sides(users, items), weight, data.blocks.checksum)
    totals = data.totals._replace(pairs=pairs, weight=weight)
    train = dataclasses.replace(data, blocks=blocks, totals=totals)
    asked = _asked(found)  # (blocks,)
    facts = _facts(found) | {
        "users": int(asked.sum()),
        "pairs": held,
        "users without training pairs": 0,  # everybody keeps one
        "items without training pairs": int(np.count_nonzero(counts == 0)),
    }
    whole = Whole(counts, totals.users, _light(found))
    return Parts(name, train, asked, whole, facts)


def _training_users(data: InSpark, name: str, cut: Cut) -> Matrix:
    """The training pairs by user, with what is held out in the same table."""
    work, (users, items) = data.work, data.blocks.matrices
    sizes = work.ask(training_sql("pairs_of_blocks"), matrix=users.table)
    firsts = np.cumsum([0, *sizes["pairs"].to_pylist()]).tolist()
    how = evaluation_tasks.Holding(name, cut, firsts, users.cut.edges, users.n_columns)
    table, links = work.fresh("known_by_user"), work.fresh("user_links")
    rows = work.frame(training_sql("all_pairs"), matrix=users.table)
    hold = partial(evaluation_tasks.cut_pairs, how)
    work.store(table, map_rows(rows, hold, evaluation_tasks.HELD_OUT))
    store_links(work, table, links, items.cut)
    return Matrix(table, links, users.cut, users.n_columns)


def _training_items(data: InSpark, users: Matrix) -> tuple[Matrix, Int64]:
    """The training pairs by item, and how many each has: (n_items,)."""
    work, items = data.work, data.blocks.matrices.item
    table, links = work.fresh("known_by_item"), work.fresh("item_links")
    edges = users.cut.edges, items.cut.edges
    rows = work.frame(training_sql("both_parts"), matrix=users.table)
    spread = partial(evaluation_tasks.by_item, *edges)
    pairs = map_rows(rows, spread, evaluation_tasks.PAIRS)
    build = partial(evaluation_tasks.build_known, items.cut.edges)
    work.store(table, map_block(pairs, build, tasks.MATRIX))
    store_links(work, table, links, users.cut)
    found = work.ask(training_sql("row_ends"), matrix=table)
    counts = np.concatenate(
        [np.diff(tasks.array(ends, np.int64)) for ends in found["indptr"]]
    )  # (n_items,)
    return Matrix(table, links, items.cut, items.n_columns, counts=counts), counts


def _asked(found: pa.Table) -> Int64:
    """How many users of each block are asked: (blocks,)."""
    askers = (tasks.array(some, np.int64).sum() for some in found["askers"])
    return np.array([*askers], np.int64)


def _light(found: pa.Table) -> float:
    """See `Whole`: the median of the training pairs of users who are asked and not new."""
    lengths, askers = (
        np.concatenate([tasks.array(some, np.int64) for some in found[name]])
        for name in ("lengths", "askers")
    )  # (different,) each, of every block
    old = lengths > NEW_USER_PAIRS  # (different,)
    order = np.argsort(lengths[old])  # (old,)
    ends = np.cumsum(askers[old][order])  # (old,)
    return middle_of(lengths[old][order], ends, int(ends[-1])) if len(ends) else 0.0


def _facts(found: pa.Table) -> dict[str, int]:
    """What is to be known about the split, of all blocks."""
    total: Counter[str] = Counter()
    for words in found["facts"].to_pylist():
        total.update(json.loads(words))
    return dict(total)


# --- asking --------------------------------------------------------------------------------------


def figures_of(
    parts: Parts, made: BlockEmbeddings, run: Run, k: tuple[int, ...]
) -> list[Metric]:
    """Every figure of a model that was trained on a part, asked about the other.

    Those of item-kNN are missing: its neighbors depend on the pairs of all users.
    """
    work, users = parts.train.work, parts.train.blocks.matrices.user
    pairs = work.frame(training_sql("both_parts"), matrix=users.table)
    ask = partial(evaluation_tasks.ask_block, _asking(parts, made, run, k))
    asked = map_blocks(pairs, _vectors(parts, made), ask, evaluation_tasks.TALLY)
    found = sorted(work.collect(asked).to_pylist(), key=lambda row: row["block"])
    lengths, n_items = sorted({*k}), len(parts.whole.counts)
    tallies = (evaluation_tasks.tally_of(row, len(lengths), n_items) for row in found)
    n_known = int(np.count_nonzero(parts.whole.counts))
    return reduce(add, tallies).rows(lengths, n_known) + facts_as_figures(parts.facts)


def _asking(
    parts: Parts, made: BlockEmbeddings, run: Run, k: tuple[int, ...]
) -> evaluation_tasks.Asking:
    firsts = np.cumsum([0, *parts.asked]).tolist()
    user_axes, item_axes = (made.final_axes(side) for side in made.factors)
    return evaluation_tasks.Asking(
        k, parts.whole, firsts, int(parts.asked.sum()), user_axes, item_axes, run.seed
    )


def _vectors(parts: Parts, made: BlockEmbeddings) -> Frame:
    """The factors of all items for each block of users, and its own."""
    work, factors = parts.train.work, made.factors.item.table
    tables = {"biases": made.biases.item} if made.biases else {}
    catalog = training_sql("rated_catalog" if made.biases else "catalog")
    own = work.frame(training_sql("own_vectors"), factors=made.factors.user.table)
    items = work.frame(catalog, factors=factors, blocks=len(parts.asked), **tables)
    return items.union(own)
