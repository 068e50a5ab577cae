"""Coded pairs cut into blocks of users and of items: sparse matrices by row, and who needs whom.

A block is a range of codes. Where one begins depends on the data alone, so that the same data give
the same bytes on every cluster.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from embsql.data import Int64
from embsql.distributed import tasks
from embsql.distributed.coding import SIDES, training_sql
from embsql.engines.spark_workspace import SparkWorkspace, map_block, map_rows
from embsql.factorization.blocks import Sides

PAIRS_PER_BLOCK = 2_000_000  # of one task: some tens of megabytes, some seconds
CHUNKS = 4096  # ranges of codes, between which blocks may begin


@dataclass(frozen=True, slots=True)
class BlockCut:
    """Where the blocks of one side begin."""

    width: int  # codes in a chunk
    blocks: list[int]  # of each chunk, from 1
    edges: Int64  # (blocks + 1,) first code of each block, and behind the last

    @property
    def parameters(self) -> dict[str, str | int]:
        """What a statement needs to know; Spark plans a text faster than thousands of numbers."""
        return {"width": self.width, "blocks": ",".join(map(str, self.blocks))}

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """From the first code of each block up to before its last."""
        return list(pairwise(self.edges.tolist()))


@dataclass(frozen=True, slots=True)
class Matrix:
    """The pairs by row of one side."""

    table: str
    links: str  # which rows of the other side each of its blocks needs
    cut: BlockCut
    n_columns: int
    scale: float = 1.0  # of weights
    counts: Int64 | None = None  # (n,) pairs of each row, where some may have none


@dataclass(frozen=True, slots=True)
class Blocks:
    """All pairs in blocks."""

    matrices: Sides  # of Matrix
    weight: float  # the sum of all
    checksum: str  # of pairs and ids


def cut_into_blocks(work: SparkWorkspace, counts: Sides) -> Blocks:
    """Write the coded pairs, of so many users and items, as blocks."""
    cuts = Sides(*(_cut(work, side, n) for side, n in zip(SIDES, counts, strict=True)))
    others = Sides(cuts.item, cuts.user), Sides(counts.item, counts.user)
    made = Sides(*map(partial(_matrix, work), SIDES, cuts, *others))
    work.drop("pairs")
    for side, cut in zip(SIDES, cuts, strict=True):
        _store_names(work, side, cut)
    work.drop("coded")
    facts = work.ask(training_sql("digests"))
    digest = hashlib.sha256(b"".join(facts["digest"].to_pylist()))
    weight = float(np.sum(facts["weight"].to_numpy()))
    return Blocks(made, weight, digest.hexdigest())


def _cut(work: SparkWorkspace, side: str, n: int) -> BlockCut:
    """Blocks of about equally many pairs."""
    width = max(1, -(-n // CHUNKS))
    found = work.ask(training_sql("chunks"), side=side, width=width)
    return cut_evenly(found["pairs"].to_numpy().astype(np.int64), width, n)


def cut_evenly(pairs: Int64, width: int, n: int) -> BlockCut:
    """Blocks of n codes, of which each chunk of so many codes has so many pairs (chunks,)."""
    blocks = -(-int(pairs.sum()) // PAIRS_PER_BLOCK)
    ends = np.cumsum(pairs)  # (chunks,)
    share = (ends - pairs // 2 - 1) * blocks // ends[-1]  # (chunks,)
    _, block = np.unique(share, return_inverse=True)  # (chunks,) none is empty
    first = np.flatnonzero(np.diff(block, prepend=-1)) * width  # (blocks,)
    edges = np.append(first, n).astype(np.int64)  # (blocks + 1,)
    return BlockCut(width, (block + 1).tolist(), edges)


def _matrix(
    work: SparkWorkspace, side: str, cut: BlockCut, other: BlockCut, n_columns: int
) -> Matrix:
    table = f"by_{side}"
    links = f"{side}_links"
    pairs = work.frame(training_sql(table), **cut.parameters)
    build = partial(tasks.build_matrix, cut.edges)
    work.store(table, map_block(pairs, build, tasks.MATRIX))
    store_links(work, table, links, other)
    return Matrix(table, links, cut, n_columns)


def store_links(work: SparkWorkspace, table: str, links: str, other: BlockCut) -> None:
    """Write which rows of the other side's blocks those of a matrix need."""
    columns = work.frame(training_sql("columns"), matrix=table)
    link = partial(tasks.link, other.edges)
    work.store(links, map_rows(columns, link, tasks.LINKS))


def _store_names(work: SparkWorkspace, side: str, cut: BlockCut) -> None:
    """Write the ids of a side by block."""
    ids = work.frame(training_sql("names"), side=side, **cut.parameters)
    work.store(f"{side}_names", map_block(ids, tasks.pack_names, tasks.NAMES))
