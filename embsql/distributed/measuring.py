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
from operator import add, itemgetter

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
    pairs = int(np.sum(found["pairs"]))
    held = int(np.sum(found["held"]))
    if not held:
        raise nothing_held_out(name)
    weight = float(np.sum(found["weight"].to_numpy()))
    blocks = Blocks(Sides(users, items), weight, data.blocks.checksum)
    totals = data.totals._replace(pairs=pairs, weight=weight)
    train = dataclasses.replace(data, blocks=blocks, totals=totals)
    asked = _asked(found)  # (blocks,)
    new_items = int(np.count_nonzero(counts == 0))
    facts = _facts(found) | {
        "users": int(asked.sum()),
        "pairs": held,
        "users without training pairs": 0,  # everybody keeps one
        "items without training pairs": new_items,
    }
    whole = Whole(counts, totals.users, _light(found))
    return Parts(name, train, asked, whole, facts)


def _training_users(data: InSpark, name: str, cut: Cut) -> Matrix:
    """The training pairs by user, with what is held out in the same table."""
    work = data.work
    users, items = data.blocks.matrices
    sizes = work.ask(training_sql("pairs_of_blocks"), matrix=users.table)
    pairs = sizes["pairs"].to_pylist()
    how = evaluation_tasks.Holding(
        method=name,
        cut=cut,
        firsts=np.cumsum([0, *pairs]).tolist(),
        edges=users.cut.edges,
        n_items=users.n_columns,
    )
    table = work.fresh("known_by_user")
    links = work.fresh("user_links")
    rows = work.frame(training_sql("all_pairs"), matrix=users.table)
    hold = partial(evaluation_tasks.cut_pairs, how)
    work.store(table, map_rows(rows, hold, evaluation_tasks.HELD_OUT))
    store_links(work, table, links, items.cut)
    return Matrix(table, links, users.cut, users.n_columns)


def _training_items(data: InSpark, users: Matrix) -> tuple[Matrix, Int64]:
    """The training pairs by item, and how many each has: (n_items,)."""
    work = data.work
    items = data.blocks.matrices.item
    table = work.fresh("known_by_item")
    links = work.fresh("item_links")
    rows = work.frame(training_sql("both_parts"), matrix=users.table)
    spread = partial(evaluation_tasks.by_item, users.cut.edges, items.cut.edges)
    pairs = map_rows(rows, spread, evaluation_tasks.PAIRS)
    build = partial(evaluation_tasks.build_known, items.cut.edges)
    work.store(table, map_block(pairs, build, tasks.MATRIX))
    store_links(work, table, links, users.cut)
    found = work.ask(training_sql("row_ends"), matrix=table)
    row_ends = [tasks.array(ends, np.int64) for ends in found["indptr"]]
    counts = np.concatenate([np.diff(ends) for ends in row_ends])  # (n_items,)
    return Matrix(table, links, items.cut, items.n_columns, counts=counts), counts


def _asked(found: pa.Table) -> Int64:
    """How many users of each block are asked: (blocks,)."""
    askers = (tasks.array(some, np.int64).sum() for some in found["askers"])
    return np.array([*askers], np.int64)


def _light(found: pa.Table) -> float:
    """See `Whole`: the median of the training pairs of users who are asked and not new."""
    lengths = _of_every_block(found["lengths"])  # (different,)
    askers = _of_every_block(found["askers"])  # (different,)
    old = np.flatnonzero(lengths > NEW_USER_PAIRS)  # (old,)
    if not len(old):
        return 0.0
    ascending = old[np.argsort(lengths[old])]  # (old,)
    ends = np.cumsum(askers[ascending])  # (old,)
    return middle_of(lengths[ascending], ends, int(ends[-1]))


def _of_every_block(numbers: pa.ChunkedArray) -> Int64:
    """The numbers that blocks have as bytes, one block after another: (n,)."""
    parts = [tasks.array(some, np.int64) for some in numbers]
    return np.concatenate(parts)


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
    work = parts.train.work
    users = parts.train.blocks.matrices.user
    pairs = work.frame(training_sql("both_parts"), matrix=users.table)
    ask = partial(evaluation_tasks.ask_block, _asking(parts, made, run, k))
    asked = map_blocks(pairs, _vectors(parts, made), ask, evaluation_tasks.TALLY)
    rows = work.collect(asked).to_pylist()
    rows.sort(key=itemgetter("block"))
    lengths = sorted({*k})
    n_items = len(parts.whole.counts)
    tallies = (evaluation_tasks.tally_of(row, len(lengths), n_items) for row in rows)
    total = reduce(add, tallies)
    n_known = int(np.count_nonzero(parts.whole.counts))
    return total.rows(lengths, n_known) + facts_as_figures(parts.facts)


def _asking(
    parts: Parts, made: BlockEmbeddings, run: Run, k: tuple[int, ...]
) -> evaluation_tasks.Asking:
    return evaluation_tasks.Asking(
        k=k,
        whole=parts.whole,
        firsts=np.cumsum([0, *parts.asked]).tolist(),
        asked=int(parts.asked.sum()),
        user_axes=made.final_axes(made.factors.user),
        item_axes=made.final_axes(made.factors.item),
        seed=run.seed,
    )


def _vectors(parts: Parts, made: BlockEmbeddings) -> Frame:
    """The factors of all items for each block of users, and its own."""
    work = parts.train.work
    factors = made.factors.item.table
    tables = {"biases": made.biases.item} if made.biases else {}
    catalog = "rated_catalog" if made.biases else "catalog"
    n_blocks = len(parts.asked)
    items = work.frame(
        training_sql(catalog), factors=factors, blocks=n_blocks, **tables
    )
    own = work.frame(training_sql("own_vectors"), factors=made.factors.user.table)
    return items.union(own)
