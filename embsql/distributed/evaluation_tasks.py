"""What Spark's executors do with a block to measure a model: they hold pairs out, and are asked.

Each block does of its users what one machine does of all; see `evaluation`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Embeddings, Float32, Int64, Interactions, indptr_of
from embsql.distributed import tasks
from embsql.distributed.tasks import array
from embsql.evaluation.evaluator import Evaluator, Questions, Whole
from embsql.evaluation.metrics import Part
from embsql.evaluation.splits import METHODS, Cut, Split
from embsql.evaluation.tally import Tally
from embsql.factorization.objective import without_specks
from embsql.run import Run

HELD_OUT = pa.schema(
    [
        *tasks.MATRIX,  # of the training pairs
        pa.field("held_indptr", pa.binary()),  # int64 (n + 1,)
        pa.field("held_items", pa.binary()),  # int32 (held out,) codes
        # how many of the users who are asked have so many training pairs
        pa.field("lengths", pa.binary()),  # int64 (different,)
        pa.field("askers", pa.binary()),  # int64 (different,)
        pa.field("facts", pa.string()),  # of `Split`, as JSON
    ]
)
PAIRS = pa.schema(
    {
        "block": pa.int32(),
        "row": pa.int32(),
        "column": pa.int32(),
        "weight": pa.float32(),  # NULL: it is held out
        "last_time": pa.int64(),
    }
)
TALLY = pa.schema(
    {
        "block": pa.int32(),
        "keys": pa.string(),  # JSON
        "sums": pa.binary(),  # float64 (2, 2c)
        "resamples": pa.binary(),  # float32 (1000, 2c)
        "listed": pa.binary(),  # bits (2, lengths, n_items)
    }
)


# --- holding out ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Holding:
    """How pairs of users are held out."""

    method: str
    cut: Cut
    firsts: list[int]  # (blocks,) pairs before each block
    edges: Int64  # (blocks + 1,) where those of users begin
    n_items: int


def cut_pairs(
    how: Holding, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The training pairs of blocks of users, and what is held out."""
    for rows in _one_by_one(batches):
        block = rows["block"][0].as_py()
        begin, end = how.edges[block - 1 : block + 1]
        users = _nameless(int(end - begin))
        cut = replace(how.cut, first=how.firsts[block - 1])
        data = tasks.interactions(rows, users, _nameless(how.n_items))
        parts = METHODS[how.method](data, cut)
        yield from _held_out(block, parts).to_batches()


def _held_out(block: int, parts: Split) -> pa.Table:
    """Both parts of a block."""
    train = parts.train
    held = parts.held_out
    counts = np.bincount(train.user, minlength=train.n_users)  # (n,)
    asked = counts[np.unique(held.user)]  # (asked,)
    lengths, askers = np.unique(asked, return_counts=True)
    known = tasks.matrix_columns(
        train.user, train.item, train.weight, train.time, train.n_users
    )
    return tasks.row(
        HELD_OUT,
        block=block,
        **known,
        held_indptr=indptr_of(held.user, held.n_users),  # (n + 1,)
        held_items=held.item,
        lengths=lengths.astype(np.int64),
        askers=askers.astype(np.int64),
        facts=json.dumps(parts.facts),
    )


def by_item(
    users: Int64, items: Int64, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The pairs of blocks of users, by block of items; the edges of both are given.

    Those that are held out come without a weight, so that no block of items is without a pair.
    """
    for rows in _one_by_one(batches):
        block = rows["block"][0].as_py()
        first = np.int32(users[block - 1])
        for pairs in _parts(rows):
            block_of_item = np.searchsorted(items, pairs.item, side="right")  # (n,)
            made = {
                "block": block_of_item.astype(np.int32),
                "row": pairs.item,
                "column": pairs.user + first,
                "weight": pa.array(pairs.weight, from_pandas=True),
                "last_time": pa.nulls(len(pairs), pa.int64()),
            }
            yield pa.RecordBatch.from_pydict(made, PAIRS)


def build_known(edges: Int64, key: tasks.Key, rows: pa.Table) -> pa.Table:
    """The training pairs of a block of items as a sparse matrix."""
    is_known = pc.field("weight").is_valid()
    return tasks.build_matrix(edges, key, rows.filter(is_known))


def _parts(rows: pa.Table) -> tuple[Interactions, Interactions]:
    """The training pairs of a block, and what is held out, whose weights are NaN."""
    indptr = array(rows["held_indptr"][0], np.int64)  # (n + 1,)
    items = array(rows["held_items"][0], np.int32)  # (held out,)
    nobody = _nameless(len(indptr) - 1)
    codes = np.arange(len(nobody), dtype=np.int32)  # (n,)
    users = np.repeat(codes, np.diff(indptr))  # (held out,)
    train = tasks.interactions(rows, nobody, _nameless(0))
    weight = np.full(len(items), np.nan, np.float32)
    held = replace(train, user=users, item=items, weight=weight, time=None)
    return train, held


def _nameless(n: int) -> pa.StringArray:
    """As many users or items, of whom only the codes count."""
    return pa.nulls(n, pa.string())


def _one_by_one(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        for number in range(len(rows)):
            yield rows.slice(number, 1)


# --- asking --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked of every block of users."""

    k: tuple[int, ...]
    whole: Whole
    firsts: list[int]  # (blocks,) users asked before each block
    asked: int  # users in all
    # what factors are still to be multiplied by
    user_axes: Float32  # (f, dim)
    item_axes: Float32  # (g, dim)
    seed: int


def ask_block(
    asking: Asking, key: tasks.Key, pairs: pa.Table, sent: pa.Table
) -> pa.Table:
    """What the lists of a block's users come to, for all items and the users' own factors."""
    block = key[0].as_py()
    train, held = _parts(pairs)
    items = _nameless(len(asking.whole.counts))
    train = replace(train, items=items)
    held = replace(held, items=items)
    run = Run(asking.seed, threads=1)
    questions = Questions.prepare(Split("", train, held), run, asking.whole)
    evaluator = Evaluator.of_block(questions, asking.k)
    part = Part(asking.firsts[block - 1], asking.asked)
    found = evaluator.tally(_vectors(asking, sent), part)
    return row_of(block, found)


def _vectors(asking: Asking, sent: pa.Table) -> Embeddings:
    """The vectors of a block's users and of all items, as a run has them."""
    ordered = sent.sort_by("source")
    own, *others = ordered["rows"]
    width = len(asking.item_axes)
    items = [array(rows, np.float32, width) for rows in others]  # (n, g) each
    users = array(own, np.float32, len(asking.user_axes))  # (n, f)
    biases = [array(some, np.float64) for some in ordered["biases"] if some.is_valid]
    return Embeddings(
        without_specks(users @ asking.user_axes),
        without_specks(np.concatenate(items) @ asking.item_axes),
        item_bias=np.concatenate(biases).astype(np.float32) if biases else None,
    )


def row_of(block: int, tally: Tally) -> pa.Table:
    """A tally as bytes."""
    return tasks.row(
        TALLY,
        block=block,
        keys=json.dumps(tally.keys),
        sums=tally.sums,
        resamples=tally.resamples,
        listed=np.packbits(tally.listed),
    )


def tally_of(row: dict[str, Any], lengths: int, n_items: int) -> Tally:
    """The tally that was written as bytes."""
    keys = [tuple(key) for key in json.loads(row["keys"])]
    sums = np.frombuffer(row["sums"])
    resamples = np.frombuffer(row["resamples"], np.float32)
    packed = np.frombuffer(row["listed"], np.uint8)
    shape = (2, lengths, n_items)
    listed = np.unpackbits(packed, count=int(np.prod(shape))).astype(bool)
    return Tally(
        keys,
        sums.reshape(2, -1),  # (2, 2c)
        resamples.reshape(-1, 2 * len(keys)),  # (1000, 2c)
        listed.reshape(shape),
    )
