"""What moved since the run before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.report.subject import ENTITIES, Subject, clipped

MOVERS = 10  # items that moved most
BINS = 20  # of the histogram of shifts


def drift(subject: Subject, before: int | None) -> dict[str, Any]:
    """How far items and users moved from the run before, and the items that moved most.

    `reason` says why there is nothing: first (no run before) or large.
    """
    if before is None:
        return {"reason": "first"}
    if subject.large:
        return {"reason": "large", "before": f"{subject.name}@{before}"}
    moved = subject.table("drift", before=f"{subject.name}@{before}")
    items = moved.filter(pc.equal(moved["entity"], "item"))
    return {
        "reason": None,
        "before": f"{subject.name}@{before}",
        "sides": [_side(moved, entity) for entity in ENTITIES],
        "movers": [
            row | {"entity_id": clipped(row["entity_id"])}
            for row in items.slice(0, MOVERS).to_pylist()
        ],
    }


def _side(moved: pa.Table, entity: str) -> dict[str, Any]:
    """Of the items or users that both runs know: how many, and how far they moved."""
    rows = moved.filter(pc.equal(moved["entity"], entity))
    shifts = rows["shift"].to_numpy()  # (n,)
    greatest = float(shifts.max(initial=0))
    return {
        "entity": entity,
        "ids": len(shifts),
        "median": float(np.median(shifts)) if len(shifts) else None,
        "p90": float(np.quantile(shifts, 0.9)) if len(shifts) else None,
        "neighbor_overlap": pc.mean(rows["neighbor_overlap"]).as_py(),
        "greatest": greatest,
        "histogram": np.histogram(shifts, BINS, (0, greatest or 1))[0].tolist(),
    }
