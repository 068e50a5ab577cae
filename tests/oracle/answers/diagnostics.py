"""sql/questions/diagnostics."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle.answers._common import cosine, k_of, live, sorted_ids
from tests.oracle.answers.audience import CLEAR, turn
from tests.oracle.answers.recommend import pair_score
from tests.oracle.compare import ANY, Listed, Refused
from tests.oracle.data import Row, Run, Vector, World, by_bytes

HEALTH = 1e-4  # sums over all pairs, centered, in float32


def _top(scores: dict[str, float], k: int, *, exact: bool) -> list[str] | None:
    """The best k ids, ties by id; none where rounding decides who is among them."""
    order = sorted(scores, key=lambda one: (-scores[one], by_bytes(one)))
    if k >= len(order) or k <= 0:
        return order[: max(k, 0)]
    last, first = scores[order[k - 1]], scores[order[k]]
    if last - first > CLEAR:
        return order[:k]
    if not exact:
        return None
    ties = [one for one in scores if abs(scores[one] - last) < CLEAR]
    above = [one for one in scores if scores[one] > last + CLEAR]
    return [*above, *sorted_ids(ties)[: k - len(above)]]


def coherence(
    world: World,
    model: str,
    ids: list[str | None] | None,
    labels: list[str | None] | None,
    k: int | None = 10,
) -> Listed:
    run = live(world, model)
    if len(ids or []) != len(labels or []):
        raise Refused(f"{len(ids or [])} ids with {len(labels or [])} labels")
    label = _labels(run, ids or [], labels or [])
    same: dict[str, list[float]] = {}
    unclear = set()
    for one in sorted(label, key=lambda one: (turn(one), one))[:300]:
        others = {
            two: cosine(run.items[one].embedding, run.items[two].embedding) or 0.0
            for two in label
            if two != one
        }
        top = _top(others, k_of(k), exact=run.exact)
        if top is None:
            unclear.add(label[one])
        elif top:
            same.setdefault(label[one], []).extend(
                label[two] == label[one] for two in top
            )
    return Listed(
        [
            _coherent(label, word, same.get(word), word in unclear)
            for word in sorted_ids({*same, *unclear})
        ]
    )


def _labels(
    run: Run, ids: list[str | None], labels: list[str | None]
) -> dict[str, str]:
    """The label of each known item with a direction, the first by name where there are several."""
    found: dict[str, str] = {}
    for one, word in zip(ids, labels, strict=False):
        if one in run.items and run.items[one].norm and word is not None:
            found[one] = min(found.get(one, word), word, key=by_bytes)
    return found


def _coherent(
    label: dict[str, str], word: str, same: list[float] | None, unclear: bool
) -> Row:
    items = sum(other == word for other in label.values())
    chance = (items - 1) / (len(label) - 1) if len(label) > 1 else None
    if unclear or same is None:
        return word, items, ANY, chance, ANY
    share = float(np.mean(same))
    return word, items, share, chance, share / chance if chance else None


# --- health --------------------------------------------------------------------------------------


def embedding_health(world: World, model: str) -> Listed:
    run = live(world, model)
    rows = [
        *_lists(run),
        *(row for entity in ("item", "user") for row in _side(run, entity)),
    ]
    order = (
        "zero_vectors",
        "not_finite",
        "participation_ratio",
        "norm_popularity",
        "hubness",
        "coverage_at_10",
        "gini_at_10",
    )
    return Listed(sorted(rows, key=lambda row: (row[0], order.index(row[1]))), HEALTH)


def _check(
    entity: str,
    name: str,
    value: Any,
    threshold: float,
    *,
    low: bool = False,
    both: bool = False,
) -> Row:
    """A figure beside its threshold: at least that where `low`, else at most that."""
    if value is None or value is ANY:
        return entity, name, value, threshold, value
    if abs(abs(value) - threshold) < HEALTH and abs(value) != threshold:
        return entity, name, value, threshold, ANY
    size = abs(value) if both else value
    return (
        entity,
        name,
        value,
        threshold,
        bool(size >= threshold if low else size <= threshold),
    )


def _side(run: Run, entity: str) -> list[Row]:
    side = run.side(entity)
    if not side:
        return []
    zero = float(np.mean([not vector.norm for vector in side.values()]))
    rows = [
        _check(entity, "zero_vectors", zero, 0.01),
        _check(entity, "not_finite", 0.0, 0.0),
        _check(entity, "participation_ratio", _ratio(side), 0.1 * run.dim, low=True),
        _check(entity, "norm_popularity", _norm_popularity(side), 0.98, both=True),
    ]
    directed = {one: vector for one, vector in side.items() if vector.norm}
    if len(directed) > 1:
        others = len(directed) - 1
        rows.append(
            _check(entity, "hubness", _hubness(run, directed), min(1.0, 100 / others))
        )
    return rows


def _ratio(side: dict[str, Vector]) -> float | None:
    table = np.array([vector.embedding for vector in side.values()])  # (n, d)
    covariance = (table - table.mean(0)).T @ (table - table.mean(0))
    squares = np.trace(covariance @ covariance)
    if not squares > 1e-9 * (table @ table.T).ravel() @ (table @ table.T).ravel():
        return None
    return float(np.trace(covariance) ** 2 / squares)


def _norm_popularity(side: dict[str, Vector]) -> float | None:
    norms = np.array([vector.norm for vector in side.values()])
    counts = np.array([float(vector.interactions) for vector in side.values()])
    if np.ptp(norms) < CLEAR or not np.ptp(counts):
        return None
    return float(np.corrcoef(norms, np.log(1 + counts))[0, 1])


def _hubness(run: Run, side: dict[str, Vector]) -> Any:
    lists = []
    for one, vector in side.items():
        near = {
            other: cosine(vector.embedding, v.embedding) or 0.0
            for other, v in side.items()
            if other != one
        }
        top = _top(near, 10, exact=run.exact)
        if top is None:
            return ANY
        lists += top
    return max(lists.count(one) for one in set(lists)) / (len(side) - 1)


def _lists(run: Run) -> list[Row]:
    """How much of the catalog is in the ten best of users, and how unequally."""
    asked = sorted(run.users, key=lambda one: (turn(one), one))[:100]
    shown: list[str] = []
    for one in asked:
        seen = {pair.item_id for pair in run.history(one)}
        scores = {
            item: pair_score(run, run.users[one], v)
            for item, v in run.items.items()
            if item not in seen
        }
        known = {item: score for item, score in scores.items() if score is not None}
        top = _top(known, 10, exact=run.exact or run.similarity == "dot")
        if top is None:
            return [
                ("item", "coverage_at_10", ANY, 0.1, ANY),
                ("item", "gini_at_10", ANY, 0.8, ANY),
            ]
        shown += top
    counts = sorted(shown.count(item) for item in set(shown))
    possible = min(10 * len(asked), len(run.items))
    coverage = len(counts) / possible if possible else None
    return [
        _check("item", "coverage_at_10", coverage, 0.1, low=True),
        _check("item", "gini_at_10", _gini(counts), 0.8),
    ]


def _gini(counts: list[int]) -> float | None:
    """How unequal counts in ascending order are."""
    n = len(counts)
    if not n:
        return None
    return (
        2
        * sum(rank * count for rank, count in enumerate(counts, 1))
        / (n * sum(counts))
        - (n + 1) / n
    )
