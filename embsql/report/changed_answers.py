"""Whose answers two runs differ about most."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from embsql.report.subject import Subject, clipped

ASKED = 50  # of each part of items or users, from the best known to the least
STEPS = 10  # of the shares that are counted
# what is asked about items, and about users
QUESTIONS = {"item": "similar_items_of_both", "user": "recommendations_of_both"}


def changed_answers(subject: Subject, before: str, seed: int) -> dict[str, Any]:
    """Of items and users: how much of ten answers both runs share, and who shares least.

    Asked are a few of each part of those that both have, drawn by seed, from the best known to the
    least; of each part the one whose answers changed most is shown with them.
    """
    return {
        "seed": seed,
        "sides": [_side(subject, entity, before, seed) for entity in QUESTIONS],
    }


def _side(subject: Subject, entity: str, before: str, seed: int) -> dict[str, Any]:
    """The overlaps of some items or users, by part, and an example of each part."""
    values = {"before": before, "seed": seed, "most": ASKED}
    rows = subject.rows(QUESTIONS[entity], **values)
    asked = [_answers(own) for _, own in groupby(rows, itemgetter("tier", "subject"))]
    tiers = [list(own) for _, own in groupby(asked, itemgetter("tier"))]
    overlaps = [one["overlap"] for one in asked]
    return {
        "entity": entity,
        "asked": len(asked),
        "overlap": _mean(overlaps),
        "histogram": _counts(overlaps),
        "tiers": [_tier(own) for own in tiers],
        "examples": [min(own, key=itemgetter("overlap", "subject")) for own in tiers],
    }


def _answers(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What both runs answer about one subject, best first, and the share that is in both."""
    (first, *_) = known = list(rows)
    a, b = ([row["item_id"] for row in known if row["side"] == side] for side in "ab")
    return {
        "tier": first["tier"],
        "subject": clipped(first["subject"]),
        "interactions": first["interactions"],
        "overlap": len(set(a) & set(b)) / max(len(a), len(b)),
        "a": [clipped(name) for name in a],
        "b": [clipped(name) for name in b],
    }


def _tier(asked: list[dict[str, Any]]) -> dict[str, Any]:
    """One part: how well known it is, and what its answers share."""
    counts = [one["interactions"] for one in asked]
    overlap = _mean([one["overlap"] for one in asked])
    return {
        "asked": len(asked),
        "least": min(counts),
        "most": max(counts),
        "overlap": overlap,
    }


def _counts(shares: list[float]) -> list[int]:
    """How many shares are nearest to 0, 1/10, ..., 1: (11,)."""
    steps = np.rint(np.array(shares) * STEPS).astype(np.int64)  # (n,)
    counts: list[int] = np.bincount(steps, minlength=STEPS + 1).tolist()
    return counts


def _mean(shares: list[float]) -> float | None:
    return float(np.mean(shares)) if shares else None
