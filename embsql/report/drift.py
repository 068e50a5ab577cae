"""What moved since another run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.report.subject import ENTITIES, Subject, clipped

# vectors of both kinds, up to which all are compared with another run's for a page: 18 s of CPU
COMPARED = 200_000
MOVERS = 10  # items that moved most
BINS = 20  # of the histogram of shifts


def shifts(subject: Subject, before: str | None) -> pa.Table | None:
    """How far each item and user moved from another run, those that moved most first.

    None where there is no such run, or too much to compare for a page.
    """
    if before is None or subject.vectors > COMPARED:
        return None
    return subject.table("drift", before=before)


def drift(before: str | None, moved: pa.Table | None) -> dict[str, Any]:
    """How far items and users moved from another run, and the items that moved most.

    `reason` says why there is nothing: first (no run before) or large.
    """
    if moved is None:
        return {"reason": "large" if before else "first", "before": before}
    items = of_kind(moved, "item")
    return {
        "reason": None,
        "before": before,
        "sides": [_side(moved, entity) for entity in ENTITIES],
        "movers": [
            row | {"entity_id": clipped(row["entity_id"])}
            for row in items.slice(0, MOVERS).to_pylist()
        ],
    }


def of_kind(moved: pa.Table, entity: str) -> pa.Table:
    """The rows of the items, or of the users."""
    return moved.filter(pc.equal(moved["entity"], entity))


def _side(moved: pa.Table, entity: str) -> dict[str, Any]:
    """Of the items or users that both runs know: how many, and how far they moved."""
    rows = of_kind(moved, entity)
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
