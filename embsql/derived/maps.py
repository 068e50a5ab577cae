"""Maps of a run: its vectors as points in the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from embsql.data import Float32
from embsql.derived.vectors import (
    EntityVectors,
    named_statement,
    read_side,
    replace_rows,
)
from embsql.engines import Engine
from embsql.lifecycle.named_statements import log_event
from embsql.run import Run

COMMON = 3  # points that fix how a map lies


@dataclass(frozen=True, slots=True)
class Projected:
    """What projecting made."""

    run_id: int
    points: int
    aligned_to: int | None  # the run whose map this one was turned onto


def project(
    engine: Engine, reference: str, *, entity: str, method: str, seed: int
) -> Projected:
    """Draw a map of a run's items or users by direction, in place of an earlier one by that method.

    It is turned onto the map of the newest other run of the model that has one, where they share
    enough ids. Raises UnknownModel, UnknownRun, RunNotReady, and MissingExtra for umap and tsne.
    """
    side = read_side(engine, reference, entity, normalize=True)
    points, aligned_to = _aligned(
        engine, side, method, _points(side.vectors, method, seed)
    )  # (n, 2)
    named = {"method_name": method}
    rows = {
        "entity_id": side.ids,
        "x": points[:, 0].astype(np.float64),
        "y": points[:, 1].astype(np.float64),
    }
    replace_rows(engine, side, named, {"maps": side.rows(len(side.ids)) | rows})
    log_event(
        engine, side.record["model_name"], side.run_id, "project", f"{entity} {method}"
    )
    return Projected(side.run_id, len(side.ids), aligned_to)


def _points(vectors: Float32, method: str, seed: int) -> Float32:
    """Vectors (n, d) as points (n, 2)."""
    from embsql.numeric.projection import neighbor_map, pca

    if method == "pca":
        return pca(vectors)
    return neighbor_map(vectors, Run(seed), cast("Literal['umap', 'tsne']", method))


def _aligned(
    engine: Engine, side: EntityVectors, method: str, points: Float32
) -> tuple[Float32, int | None]:
    """The points (n, 2) as they lay in the newest map before, and the run it is of."""
    from embsql.numeric.projection import align

    values = {"run_id": side.run_id, "entity": side.entity, "method_name": method}
    before = engine.ask(
        named_statement(engine, "earlier_map"),
        model_name=side.record["model_name"],
        **values,
    )
    positions = {
        name: position for position, name in enumerate(before["entity_id"].to_pylist())
    }
    common = [
        (row, positions[name])
        for row, name in enumerate(side.ids.to_pylist())
        if name in positions
    ]
    if len(common) < COMMON:
        return points, None
    rows, others = np.array(common).T  # (m,), (m,)
    previous = np.stack([before[axis].to_numpy() for axis in "xy"], 1).astype(
        np.float32
    )[others]  # (m, 2)
    return align(points, previous, rows), int(before["run_id"][0].as_py())
