"""sql/questions/cohorts."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from math import log
from typing import Any

import numpy as np

from tests.oracle.answers._common import cosine, k_of, live, sorted_ids
from tests.oracle.answers.audience import CLEAR, SHIFT, moves
from tests.oracle.compare import ANY, RANK, Entry, Listed, Ranked
from tests.oracle.data import Run, World


def _members(world: World, cohort_set: str | None) -> dict[str, set[str]]:
    """Who is in each cohort of a set, cohorts in order."""
    found: dict[str, set[str]] = {}
    for name, user, cohort in world.cohorts:
        if name == cohort_set:
            found.setdefault(cohort, set()).add(user)
    return {cohort: found[cohort] for cohort in sorted_ids(found)}


def _centroid(run: Run, users: set[str]) -> tuple[int, np.ndarray | None]:
    """How many of them have a direction, and the mean of these."""
    units = [
        run.users[one].unit for one in users if one in run.users and run.users[one].norm
    ]
    return len(units), np.mean(units, 0) if units else None


def cohort_profiles(world: World, model: str, cohort_set: str | None) -> Listed:
    run, rows = live(world, model), []
    for cohort, users in _members(world, cohort_set).items():
        n, centroid = _centroid(run, users)
        spread = None if centroid is None else 1 - float(np.sqrt(centroid @ centroid))
        vector = None if centroid is None else [float(entry) for entry in centroid]
        rows.append((cohort, n, vector, spread, n / len(users)))
    return Listed(rows)


def cohort_similarity(world: World, model: str, cohort_set: str | None) -> Ranked:
    run, entries = live(world, model), []
    centroids = {
        cohort: _centroid(run, users)[1]
        for cohort, users in _members(world, cohort_set).items()
    }
    found = {
        cohort: c
        for cohort, c in centroids.items()
        if c is not None and np.abs(c).max() > CLEAR
    }
    for (a, center_a), (b, center_b) in combinations(found.items(), 2):
        near = cosine(center_a, center_b)
        entries.append(Entry((a, b, near), near, (a, b), (a, b)))
    return Ranked(entries, None)


def cohort_items(
    world: World, model: str, cohort_set: str | None, k: int | None = 10
) -> Ranked:
    run, entries = live(world, model), []
    everyone = {pair.user_id for pair in run.seen}
    popular = Counter(pair.item_id for pair in run.seen)
    for cohort, users in _members(world, cohort_set).items():
        inside = users & everyone
        for item, count in Counter(
            pair.item_id for pair in run.seen if pair.user_id in users
        ).items():
            if count * len(everyone) > len(inside) * popular[item]:
                lift = count * len(everyone) / (len(inside) * popular[item])
                ratio = _ratio(count, len(inside), popular[item], len(everyone))
                entries.append(
                    Entry(
                        (cohort, item, RANK, ratio, lift),
                        ratio,
                        (count, popular[item]),
                        (item,),
                    )
                )
    return Ranked(entries, k_of(k), parts=1)


def _ratio(count: int, inside: int, popular: int, everyone: int) -> float:
    """The log-likelihood ratio of a table of four fields (Dunning, 1993)."""
    table = np.array(
        [
            [count, inside - count],
            [popular - count, everyone - inside - popular + count],
        ],
        np.float64,
    )
    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
    return 2 * sum(
        seen * log(seen / chance)
        for seen, chance in zip(table.flat, expected.flat, strict=True)
        if seen
    )


def cohort_drift(
    world: World, model_a: str, model_b: str, cohort_set: str | None
) -> Listed:
    moved = {
        one: move
        for (entity, one), move in moves(
            live(world, model_a), live(world, model_b)
        ).items()
        if entity == "user"
    }
    rows: list[Any] = []
    for cohort, users in _members(world, cohort_set).items():
        found = [moved[one] for one in users if one in moved]
        if found:
            shifts, overlaps = zip(*found, strict=True)
            rows.append(
                (cohort, len(found), _mean(shifts), _mean(overlaps), len(found) >= 20)
            )
    return Listed(rows, SHIFT)


def _mean(values: Any) -> Any:
    if any(value is ANY for value in values):
        return ANY
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
