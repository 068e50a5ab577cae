"""sql/questions/audience."""

from __future__ import annotations

from hashlib import md5
from typing import Any

import numpy as np

from tests.oracle.answers._common import cosine, k_of, live, ranking
from tests.oracle.compare import ANY, Entry, Listed, Ranked
from tests.oracle.data import Run, World

CLEAR = 1e-6  # two cosines further apart are in the same order on every engine
SHIFT = 2e-4  # what float32's unit vectors, turned by an iteration in float32, leave of a cosine


def turn(word: str) -> str:
    """What puts ids in an order that has nothing to do with the vectors."""
    return md5(word.encode(), usedforsecurity=False).hexdigest()


def _center(run: Run, ids: Any) -> np.ndarray | None:
    """The mean of the directions of known users; none when there is none or they cancel out."""
    units = [
        vector.unit for one, vector in run.users.items() if one in ids and vector.norm
    ]
    center = np.mean(units, 0) if units else np.zeros(run.dim)
    return center if np.abs(center).max() > CLEAR else None


def lookalikes(
    world: World,
    model: str,
    seeds: list[str | None] | None,
    k: int | None = 10,
    exclude_seeds: bool | None = True,
) -> Ranked:
    run = live(world, model)
    center = _center(run, seeds or [])
    if center is None:
        return Ranked([], 0)
    without = set(seeds or []) if exclude_seeds else set()
    users = {
        one: user for one, user in run.users.items() if one not in without and user.norm
    }
    scores = [(one, cosine(user.embedding, center)) for one, user in users.items()]
    return Ranked(ranking(users, scores, exact=False), k_of(k))


def lookalike_quality(
    world: World, model: str, seeds: list[str | None] | None
) -> Listed:
    run = live(world, model)
    known = sorted(
        (one for one, user in run.users.items() if user.norm and one in (seeds or [])),
        key=turn,
    )
    asked, held = known[::2], known[1::2]
    center = _center(run, asked)
    if not held or center is None:
        return Listed([])
    others = {
        one: user for one, user in run.users.items() if user.norm and one not in asked
    }
    near = {one: cosine(user.embedding, center) or 0.0 for one, user in others.items()}
    ranks = [_rank(run, near, one) for one in held]
    rows: list[Any] = []
    for size in (10, 100, 1000):
        found, chance = (
            [sum(rank[n] <= size for rank in ranks) for n in (0, 1)],
            min(1, size / len(near)),
        )
        recall = found[0] / len(held)
        clear = found[0] == found[1]
        rows.append((size, recall if clear else ANY, recall / chance if clear else ANY))
    return Listed(rows)


def _rank(run: Run, near: dict[str, float], one: str) -> tuple[int, int]:
    """The first and the last rank that a user may have, rounding being what it is."""
    mine = run.users[one].embedding.tobytes()
    twins = [other for other in near if run.users[other].embedding.tobytes() == mine]
    first = 1 + sum(other.encode() < one.encode() for other in twins)
    others = [near[other] for other in near if other not in twins]
    above = [value - near[one] for value in others]
    return first + sum(lead > CLEAR for lead in above), first + sum(
        lead > -CLEAR for lead in above
    )


# --- two runs ------------------------------------------------------------------------------------


def moves(a: Run, b: Run) -> dict[tuple[str, str], tuple[Any, Any]]:
    """(shift, neighbor_overlap) of everything that both runs have a direction of."""
    units = {
        (entity, one): (a.side(entity)[one].unit, b.side(entity)[one].unit)
        for entity in ("item", "user")
        for one in a.side(entity)
        if one in b.side(entity)
        and a.side(entity)[one].norm
        and b.side(entity)[one].norm
    }
    if not units:
        return {}
    rotation = _rotation(
        np.array([x for x, _ in units.values()]),
        np.array([y for _, y in units.values()]),
    )
    overlaps = {entity: _overlaps(units, entity) for entity in ("item", "user")}
    return {
        key: (_shift(rotation, *pair), overlaps[key[0]][key[1]])
        for key, pair in units.items()
    }


def _rotation(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """The best rotation (e, d) of rows (n, d) onto rows (n, e); none where rounding decides it."""
    u, sizes, v = np.linalg.svd(y.T @ x, full_matrices=False)
    relative = sizes / sizes[0] if sizes[0] > CLEAR else sizes * 0
    if ((relative > 1e-9) & (relative < 0.02)).any():
        return None
    kept = relative > 0.01
    return np.array(u[:, kept] @ v[kept])


def _shift(rotation: np.ndarray | None, x: np.ndarray, y: np.ndarray) -> Any:
    """The cosine distance that remains. What the rotation leaves nothing of counts as moved."""
    if rotation is None:
        return ANY
    turned = rotation @ x
    size = np.sqrt(turned @ turned)
    if 1e-9 < size < 0.01:
        return ANY
    return 1 - float(turned @ y) / float(size) if size > 0.01 else 1.0


def _overlaps(units: dict[tuple[str, str], Any], entity: str) -> dict[str, Any]:
    """The share of the ten nearest that is the same in both runs; none for what is alone."""
    ids = sorted((one for kind, one in units if kind == entity), key=turn)
    if not ids:
        return {}
    tops = [_tops(np.array([units[entity, one][run] for one in ids])) for run in (0, 1)]
    return {one: _overlap(tops[0][n], tops[1][n]) for n, one in enumerate(ids)}


def _overlap(a: set[int] | None, b: set[int] | None) -> Any:
    if a is None or b is None:
        return ANY
    return len(a & b) / len(a) if a else None


def _tops(units: np.ndarray) -> list[set[int] | None]:
    """The ten nearest of each row (n, d) by cosines to five decimals, then by position.

    None where rounding decides.
    """
    near = 1e5 * units @ units.T  # (n, n)
    found: list[set[int] | None] = []
    for row in range(len(near)):
        others = [position for position in range(len(near)) if position != row]
        options = [
            frozenset(
                sorted(
                    others,
                    key=lambda position: (
                        -np.round(near[row, position] + slack),
                        position,
                    ),
                )[:10]
            )
            for slack in (-0.06, 0, 0.06)
        ]
        border = sorted((near[row, position] for position in others), reverse=True)[
            9:11
        ]
        clear = len(border) < 2 or (
            len(set(options)) == 1 and _settled(near[row, others], border)
        )
        found.append(set(options[1]) if clear else None)
    return found


def _settled(near: np.ndarray, border: list[float]) -> bool:
    """Whether no cosine that may be the tenth is so near to half a unit that rounding decides."""
    contested = near[(near > border[1] - 1.2) & (near < border[0] + 1.2)]
    return bool((np.abs(contested % 1 - 0.5) > 0.06).all())


def drift(world: World, model_a: str, model_b: str) -> Ranked:
    moved = moves(live(world, model_a), live(world, model_b))
    clear = not any(shift is ANY for shift, _ in moved.values())
    return Ranked(
        [
            Entry((*key, *move), move[0] if clear else None, key, key)
            for key, move in moved.items()
        ],
        None,
        SHIFT,
    )
