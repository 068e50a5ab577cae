"""Maps of two runs, the first turned onto the second: one picture of each that can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from embsql.data import Float32
from embsql.numeric.projection import align, pca, procrustes
from embsql.report.points import Points, chart, drawn, in_square, neighbors, packed

ANCHORS = 5000  # of each kind, that fix how one space is turned onto the other

Pair = tuple[Points, Points]


def aligned_charts(
    pairs: Sequence[Pair], labels: Mapping[str, str], shifts: Mapping[str, pa.Table]
) -> list[dict[str, Any]]:
    """What the page draws of the items, and of the users, that two runs have.

    The first runs' vectors are turned onto the second's by the rotation that fits best all that
    both have (Schönemann, 1966), as embsql.drift does. `shifts` are its rows of each kind.
    """
    shared = [_shared(pair) for pair in pairs]
    rotation = _rotation(shared) if shared else None
    return [
        _chart(pair, rotation, labels, shifts.get(pair[1].entity))
        for pair in shared
        if len(pair[1].vectors)
    ]


def _chart(
    pair: Pair,
    rotation: Float32 | None,
    labels: Mapping[str, str],
    shifts: pa.Table | None,
) -> dict[str, Any]:
    """A chart of the second run, with where the first had the same m points."""
    a, b = pair
    m = len(b.vectors)
    everything = np.arange(m)
    positions = in_square(_in_one_plane(pair, rotation))  # (2m, 2)
    own = chart(b, labels, everything, positions[m:])
    earlier = {
        "x": packed(positions[:m, 0].tobytes()),
        "y": packed(positions[:m, 1].tobytes()),
        "neighbors": neighbors(a, everything),
    }
    method = b.method if _drawn_alike(pair) else None
    return own | {"method": method, "earlier": earlier, "shift": _shift(b, shifts)}


def _drawn_alike(pair: Pair) -> bool:
    """Whether both runs have a map by the same method."""
    a, b = pair
    return a.method is not None and a.method == b.method


def _shared(pair: Pair) -> Pair:
    """The same for what both have a direction of, in one order."""
    a, b = pair
    row = pc.index_in(b.table["entity_id"], value_set=a.table["entity_id"])  # (n,)
    there = row.is_valid().to_numpy(zero_copy_only=False)  # (n,)
    own = np.flatnonzero(there)  # (m,)
    other = row.drop_null().to_numpy()  # (m,)
    directed = a.vectors[other].any(1) & b.vectors[own].any(1)  # (m,)
    return _taken(a, other[directed]), _taken(b, own[directed])


def _taken(found: Points, rows: NDArray[np.integer]) -> Points:
    """Some of the points."""
    table = found.table.take(pa.array(rows))
    return replace(found, table=table, vectors=found.vectors[rows])


def _rotation(shared: Sequence[Pair]) -> Float32:
    """What turns directions of the first run (n, d) onto those of the second: (d, d)."""
    steps = [max(1, len(b.vectors) // ANCHORS) for _, b in shared]
    sides = [
        np.concatenate(
            [
                _directions(pair[n])[::step]
                for pair, step in zip(shared, steps, strict=True)
            ]
        )
        for n in (0, 1)
    ]
    a, b = _of_one_length(*sides)
    return procrustes(a, b)


def _in_one_plane(pair: Pair, rotation: Float32 | None) -> Float32:
    """Where m points lie by the first run, and behind them by the second: (2m, 2).

    On the maps that both runs drew, the first turned onto the second; or by one PCA of both.
    """
    a, b = pair
    if _drawn_alike(pair):
        earlier, own = drawn(a), drawn(b)  # (m, 2) each
        return np.concatenate([align(earlier, own), own])
    first, second = _of_one_length(_directions(a), _directions(b))
    turned = first if rotation is None else first @ rotation
    return pca(np.concatenate([turned, second]))


def _of_one_length(a: Float32, b: Float32) -> tuple[Float32, Float32]:
    """Vectors of two runs, the shorter with zeros behind them."""
    longest = max(a.shape[1], b.shape[1])
    return _padded(a, longest), _padded(b, longest)


def _padded(vectors: Float32, length: int) -> Float32:
    """Vectors (n, d) with zeros behind them: (n, length)."""
    longer = np.zeros((len(vectors), length), np.float32)  # (n, length)
    longer[:, : vectors.shape[1]] = vectors
    return longer


def _directions(found: Points) -> Float32:
    """The vectors (n, d) at length 1."""
    length = np.linalg.norm(found.vectors, axis=1, keepdims=True)  # (n, 1)
    directions: Float32 = found.vectors / length
    return directions


def _shift(found: Points, shifts: pa.Table | None) -> str | None:
    """How far each point (m,) moved by embsql.drift, packed; none where that was not asked."""
    if shifts is None:
        return None
    row = pc.index_in(found.table["entity_id"], value_set=shifts["entity_id"])
    moved = shifts["shift"].take(row).fill_null(0).to_numpy().astype(np.float32)  # (m,)
    return packed(moved.tobytes())
