"""The map: a point for each item or user, and what its color and its neighbors are."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from embsql.arrow import as_matrix
from embsql.data import Float32, Int32
from embsql.derived.topk_tables import nearest
from embsql.numeric.projection import pca
from embsql.report.subject import Subject, clipped
from embsql.run import Run, usable_cores

POINTS = 100_000  # on one map; above, a fixed choice of as many
METHODS = ("umap", "tsne", "pca")  # of which the first that was drawn is shown
NEIGHBORS = 3  # of a point, named where one looks at it
# points up to which neighbors are searched: n^2 products, a second of one core here
SEARCHED = 20_000
COHORTS = 50  # with a color or name of their own; the others are one


@dataclass(frozen=True, slots=True)
class Points:
    """Vectors of one side of a run in order of id: all, or a fixed choice of them."""

    entity: str
    method: str | None  # by which the map was drawn; none: it is drawn here
    # (n,) entity_id, interactions, x, y, cluster_id, cohort_set, cohort
    table: pa.Table
    vectors: Float32  # (n, d)
    total: int  # vectors that the run has


def points(subject: Subject, entity: str) -> Points | None:
    """The vectors of a run's items or users with what is known of each; none where it has none."""
    total = int(subject.record[f"{entity}s"] or 0)
    drawn = {
        row["method"] for row in subject.rows("methods") if row["entity"] == entity
    }
    method = next((known for known in METHODS if known in drawn), None)
    table = subject.table(f"{entity}_points", points=POINTS, method=method or "pca")
    if not table.num_rows:
        return None
    vectors = as_matrix(table["embedding"])  # (n, d)
    return Points(entity, method, table.drop(["embedding"]), vectors, total)


def chart(
    found: Points,
    labels: Mapping[str, str],
    shown: NDArray[np.int64],
    positions: NDArray[np.uint16],
) -> dict[str, Any]:
    """What the page draws of the rows `shown` (m,), which lie at `positions` (m, 2); packed.

    `labels` are what items are called. x and y are (m,) of uint16 in one scale, neighbors (m, 3)
    of int32, -1 for none.
    """
    table = found.table.take(pa.array(shown))
    cohorts, cohort = _cohorts(table["cohort"])
    ids = table["entity_id"].to_pylist()
    named = labels if found.entity == "item" else {}
    words = [clipped(labels[name]) if name in named else None for name in ids]
    columns = {
        "x": positions[:, 0],
        "y": positions[:, 1],
        "interactions": table["interactions"].to_numpy().astype(np.uint32),
        "cluster": table["cluster_id"].fill_null(-1).to_numpy().astype(np.int32),
        "cohort": cohort,
    }
    return {
        "entity": found.entity,
        "method": found.method,
        "total": found.total,
        "points": len(ids),
        "ids": packed(json.dumps([clipped(name) for name in ids]).encode()),
        "labels": packed(json.dumps(words).encode()) if named else None,
        "cohort_set": pc.max(table["cohort_set"]).as_py(),
        "cohorts": cohorts,
        "neighbors": neighbors(found, shown),
        **{name: packed(column.tobytes()) for name, column in columns.items()},
    }


def packed(data: bytes) -> str:
    """Bytes as text that the page unpacks: gzip in base64; the same bytes, the same text."""
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()


def own_chart(found: Points, labels: Mapping[str, str]) -> dict[str, Any]:
    """The chart of a run alone: what has a direction, on its map, or by PCA."""
    shown, positions = _positions(found)  # (m,), (m, 2)
    return chart(found, labels, shown, in_square(positions))


def drawn(found: Points) -> Float32:
    """Where the points (n, 2) lie on the run's map; NaN for what is not on it."""
    return np.stack([found.table[axis].to_numpy() for axis in "xy"], 1)


def _positions(found: Points) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Which rows have a position (m,), and where it is (m, 2)."""
    if found.method:
        positions = drawn(found)  # (n, 2)
        shown = np.flatnonzero(np.isfinite(positions).all(1))  # (m,)
        return shown, positions[shown]
    norms = np.linalg.norm(found.vectors, axis=1)  # (n,)
    shown = np.flatnonzero(norms)
    if not len(shown):
        return shown, np.zeros((0, 2))
    return shown, pca(found.vectors[shown] / norms[shown, None])


def in_square(positions: NDArray[Any]) -> NDArray[np.uint16]:
    """Positions (m, 2) in a square of 65536 steps, their shape kept."""
    if not len(positions):
        return np.zeros((0, 2), np.uint16)
    low, high = positions.min(0), positions.max(0)  # (2,), (2,)
    side = max((high - low).max(), 1e-12)
    centered = (positions - (low + high) / 2) / side + 0.5  # (m, 2)
    steps: NDArray[np.uint16] = np.rint(centered * 65535).astype(np.uint16)
    return steps


def _cohorts(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.uint8]]:
    """The names of the largest cohorts, and each point's (m,): 255 for none of these."""
    counts = column.drop_null().value_counts().to_pylist()
    largest = sorted(counts, key=lambda row: (-row["counts"], row["values"]))[:COHORTS]
    names = sorted(row["values"] for row in largest)
    codes = {name: code for code, name in enumerate(names)}
    numbers = [codes.get(name, 255) for name in column.to_pylist()]
    return [clipped(name) for name in names], np.array(numbers, np.uint8)


def neighbors(found: Points, shown: NDArray[np.int64]) -> str | None:
    """The nearest of each point (m, 3), packed; none where they are not all here, or too many."""
    n = len(found.vectors)
    if n < found.total or n > SEARCHED:
        return None
    codes, _ = nearest(found.vectors, NEIGHBORS, Run(threads=usable_cores()))  # (n, k)
    position = np.full(
        n + 1, -1, np.int32
    )  # of a row among those shown; the last: none
    position[shown] = np.arange(len(shown), dtype=np.int32)
    wide: Int32 = np.full((len(shown), NEIGHBORS), -1, np.int32)  # (m, 3)
    wide[:, : codes.shape[1]] = position[codes[shown]]
    return packed(wide.tobytes())
