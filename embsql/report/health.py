"""Whether the vectors are fit for use."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from embsql.data import Float32
from embsql.report.points import Points
from embsql.report.subject import Subject

# vectors of both kinds, up to which all are looked at for a page: 3 s of CPU, 1.2 GB
CHECKED = 500_000


def health(subject: Subject, sides: list[Points]) -> dict[str, Any]:
    """The checks of embsql.embedding_health; norms, duplicates and who is cold, of each side.

    Of a large run there are no checks here.
    """
    cold = {row["entity"]: row["cold"] for row in subject.rows("cold")}
    return {
        "checks": [] if subject.vectors > CHECKED else subject.rows("health"),
        "sides": [_side(side) | {"cold": cold[side.entity]} for side in sides],
    }


def _side(side: Points) -> dict[str, Any]:
    """Of n vectors the least, middle and greatest length, and the share that equals another."""
    norms = np.linalg.norm(side.vectors.astype(np.float64), axis=1)  # (n,)
    least, middle, greatest = np.quantile(norms, [0, 0.5, 1])
    return {
        "entity": side.entity,
        "vectors": len(norms),
        "least_norm": float(least),
        "median_norm": float(middle),
        "greatest_norm": float(greatest),
        "duplicates": _repeated(side.vectors) / len(norms),
    }


def _repeated(vectors: Float32) -> int:
    """How many of n vectors (n, d) equal another one."""
    rows = np.ascontiguousarray(vectors).view(f"V{vectors.shape[1] * 4}")  # (n, 1)
    counts = Counter(row.tobytes() for row in rows.ravel())
    return sum(count for count in counts.values() if count > 1)
