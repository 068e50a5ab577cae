"""Cells of a run's vectors as rows: where a question about many vectors looks first.

Only a DuckDB file has them: a server has an index. Vectors lie in order of their cells, so that a
scan passes over all others. Cell 0 is what is in none, which every question reads: vectors of
length 0, users that a refresh made anew, and all of a run without cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from embsql.arrow import as_matrix
from embsql.data import Float32, Int32, Int64
from embsql.engines import Engine
from embsql.lifecycle.named_statements import execute_named
from embsql.lifecycle.run_rows import Table
from embsql.numeric import cells
from embsql.numeric.cells import Guide
from embsql.options import Similarity
from embsql.run import Run
from embsql.sources.findings import Finding

# of users, and of items: of fewer, one subject's are read in less time than it takes to choose,
# and many subjects' soon are (0050)
MIN_ROWS = 100_000
ENTITIES = ("user", "item")
COPIED = ("cell_members", "cells")  # which are counted


def in_cells(
    engine: Engine, run: Run, similarity: Similarity, tables: Iterable[Table]
) -> Iterator[Table]:
    """The tables of a run; large ones of vectors in cells, and the cells."""
    sides: dict[str, Mapping[str, Any]] = {}
    for table, columns in tables:
        entity = table.removesuffix("_embeddings")
        if engine.embedded and entity in ENTITIES:
            sides[entity] = columns
        else:
            yield table, dict(columns)
    for entity in sides:
        yield from _side(entity, sides, run, similarity)


def without_cells(engine: Engine, rows: Mapping[str, int]) -> list[Finding]:
    """That a run has no cells though they were asked for, by how many users and items it has."""
    if engine.embedded and max(rows.values()) >= MIN_ROWS:
        return []
    few = f"{rows['user']} users and {rows['item']} items are read whole in less time"
    why = f"{few}; cells are made from {MIN_ROWS} on"
    if not engine.embedded:
        why = "a server has an index in their place"
    hint = f"search_cells changes nothing for this run: {why}"
    return [Finding("search by cells", "info", 0, hint=hint)]


def copy_cells(engine: Engine, run_id: int, parent_run: int) -> None:
    """Take over the cells of the run that one is made of; who is new is in none."""
    for table in COPIED if engine.embedded else ():
        execute_named(engine, f"copy_{table}", run_id=run_id, parent_run=parent_run)


def _side(
    entity: str,
    sides: Mapping[str, Mapping[str, Any]],
    run: Run,
    similarity: Similarity,
) -> Iterator[Table]:
    """The rows of one embedding table, and those of its cells where it is large."""
    columns = sides[entity]
    vectors = _matrix(columns)  # (n, d)
    if len(vectors) < MIN_ROWS:
        yield f"{entity}_embeddings", dict(columns)
        return
    bias = np.asarray(columns["bias"], np.float32)  # (n,)
    cell = cells.divide(vectors, bias, run)  # (n,)
    order = np.argsort(cell, kind="stable")  # (n,)
    ordered = vectors[order], bias[order], cell[order]
    own = {"embedding": ordered[0], "cell": ordered[2]}
    others = columns.keys() - own.keys()
    rows = {name: _taken(columns[name], order) for name in others}
    yield f"{entity}_embeddings", rows | own
    ids = columns[f"{entity}_id"]
    yield "cell_members", _members(run, entity, ids, cell)
    for found in _guides(entity, sides, ordered, run, similarity):
        yield "cells", _cells(run, entity, found)


def _guides(
    entity: str,
    sides: Mapping[str, Mapping[str, Any]],
    ordered: tuple[Float32, Float32, Int32],
    run: Run,
    similarity: Similarity,
) -> Iterator[Guide]:
    """For neighbors, which are ranked by cosine, and for the run's own score."""
    alike = _questions(ordered[0], run)
    others = [
        _questions(_matrix(sides[other]), run) for other in sides if other != entity
    ]
    asked_by = [one for one in others if len(one)] or [alike]
    asking = np.concatenate(asked_by)  # (m, d)
    if similarity == "cosine":
        both = np.concatenate((alike, asking))
        yield cells.guide("cosine", *ordered, both, run)
        return
    yield cells.guide("cosine", *ordered, alike, run)
    yield cells.guide("dot", *ordered, asking, run)


def _questions(vectors: Float32, run: Run) -> Float32:
    """Some of the vectors (n, d)."""
    rng = np.random.default_rng(run.seed)
    size = min(len(vectors), cells.QUESTIONS)
    drawn = rng.choice(len(vectors), size, replace=False)  # (size,)
    return vectors[np.sort(drawn)]


def _matrix(columns: Mapping[str, Any]) -> Float32:
    """The vectors (n, d) of an embedding table's rows."""
    vectors = columns["embedding"]
    return vectors if isinstance(vectors, np.ndarray) else as_matrix(vectors)


def _taken(column: Any, order: Int64) -> Any:
    """A column in another order; what all rows share stays."""
    if isinstance(column, pa.Scalar):
        return column
    if isinstance(column, (pa.Array, pa.ChunkedArray)):
        return column.take(pa.array(order))
    return np.asarray(column)[order]


def _members(run: Run, entity: str, ids: Any, cell: Int32) -> dict[str, Any]:
    """Which cell an id is in, in order of id."""
    return {
        "run_id": pa.scalar(run.run_id, pa.int64()),
        "entity": pa.scalar(entity),
        "entity_id": ids,
        "cell": cell,
    }


def _cells(run: Run, entity: str, found: Guide) -> dict[str, Any]:
    """The cells that hold anything."""
    there = np.flatnonzero(found.sizes)  # (c,)
    return {
        "run_id": pa.scalar(run.run_id, pa.int64()),
        "entity": pa.scalar(entity),
        "similarity": pa.scalar(found.similarity),
        "cell": there.astype(np.int32),
        "size": found.sizes[there].astype(np.int32),
        "center": found.centers[there],
        "bias": found.bias[there],
        "reach": found.reach[there],
        "budget": pa.scalar(found.budgets[0], pa.int32()),
        "budget_100": pa.scalar(found.budgets[1], pa.int32()),
        "recall": pa.scalar(found.recall, pa.float32()),
    }
