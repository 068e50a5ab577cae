"""sql/questions/features."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle.answers._common import cosine, live, sorted_ids
from tests.oracle.compare import ANY, Listed
from tests.oracle.data import Run, Seen, World


def features(world: World, model: str, entity: str | None = "user") -> Listed:
    run = live(world, model)
    side = run.side(entity or "")
    return Listed(
        [
            (
                one,
                list(side[one].embedding),
                side[one].norm,
                *_interactions(run, str(entity), one),
            )
            for one in sorted_ids(side)
        ]
    )


def _interactions(run: Run, entity: str, one: str) -> tuple[Any, ...]:
    """What follows from the pairs of a user or item, of those whose partner has a vector too."""
    pairs = run.history(one) if entity == "user" else run.audience(one)
    pairs = [
        pair
        for pair in pairs
        if pair.user_id in run.users and pair.item_id in run.items
    ]
    weights = [pair.weight for pair in pairs]
    times = [pair.time for pair in pairs if pair.time is not None]
    partners = [
        run.items[pair.item_id] if entity == "user" else run.users[pair.user_id]
        for pair in pairs
    ]
    return (
        len(pairs),
        float(sum(weights)) if pairs else None,
        _mean(weights),
        min(times, default=None),
        max(times, default=None),
        _mean([partner.interactions for partner in partners]),
        _mean([_cosine(run, pair) for pair in pairs]),
    )


def _cosine(run: Run, pair: Seen) -> float | None:
    return cosine(run.users[pair.user_id].embedding, run.items[pair.item_id].embedding)


def _mean(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def history_similarity(
    world: World, model: str, for_user: str | None, for_item: str | None
) -> Listed:
    run = live(world, model)
    if for_item not in run.items or not run.items[for_item].norm:
        return Listed([])
    past = [
        pair
        for pair in run.history(for_user)
        if pair.item_id != for_item and pair.item_id in run.items
    ]
    past = [pair for pair in past if run.items[pair.item_id].norm]
    if not past:
        return Listed([])
    mine = run.items[for_item].embedding
    near = np.array([cosine(run.items[pair.item_id].embedding, mine) for pair in past])
    above: Any = float(np.mean(near > 0.5))
    if not run.exact and (np.abs(near - 0.5) < 1e-6).any():
        above = ANY
    return Listed(
        [
            (
                float(near.mean()),
                float(near.max()),
                float(np.quantile(near, 0.9)),
                above,
                _decayed(past, near),
            )
        ]
    )


def _decayed(past: list[Seen], near: np.ndarray) -> float | None:
    """The mean weighted by exp(-age); none when a time is missing."""
    times = [pair.time for pair in past if pair.time is not None]
    if len(times) < len(past):
        return None
    later = [sum(other > time for other in set(times)) for time in times]
    weights = np.exp(-np.array(later, np.float64))
    return float(near @ weights / weights.sum())
