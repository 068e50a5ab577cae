"""sql/questions/search."""

from __future__ import annotations

from typing import Any

from tests.oracle.answers._common import (
    cosine,
    finite,
    k_of,
    live,
    of_each,
    ranking,
    sized,
    sorted_ids,
)
from tests.oracle.compare import Listed, Ranked
from tests.oracle.data import Run, World


def item_embedding(
    world: World, model: str, items: list[str | None] | None = None
) -> Listed:
    return _embedding(live(world, model), "item", items)


def user_embedding(
    world: World, model: str, users: list[str | None] | None = None
) -> Listed:
    return _embedding(live(world, model), "user", users)


def _embedding(run: Run, entity: str, asked: list[str | None] | None) -> Listed:
    side = run.side(entity)
    ids = sorted_ids(one for one in side if asked is None or one in asked)
    return Listed(
        [
            (one, list(side[one].embedding), side[one].norm, side[one].bias)
            for one in ids
        ]
    )


def similar_items(
    world: World, model: str, for_item: str | None, k: int | None = 10
) -> Ranked:
    return _similar(live(world, model), "item", for_item, k)


def similar_users(
    world: World, model: str, for_user: str | None, k: int | None = 10
) -> Ranked:
    return _similar(live(world, model), "user", for_user, k)


def similar_items_batch(
    world: World, model: str, for_items: list[str | None] | None, k: int | None = 10
) -> Ranked:
    run = live(world, model)
    return of_each(for_items, k, lambda one: _similar(run, "item", one, k))


def similar_users_batch(
    world: World, model: str, for_users: list[str | None] | None, k: int | None = 10
) -> Ranked:
    run = live(world, model)
    return of_each(for_users, k, lambda one: _similar(run, "user", one, k))


def _similar(run: Run, entity: str, subject: str | None, k: int | None) -> Ranked:
    side = run.side(entity)
    if subject not in side or not side[subject].norm:
        return Ranked([], 0)
    mine = side[subject].embedding
    scores = [
        (one, cosine(other.embedding, mine))
        for one, other in side.items()
        if one != subject and other.norm
    ]
    return Ranked(ranking(side, scores, exact=run.exact), k_of(k))


def nearest_items(
    world: World, model: str, to_vector: list[Any] | None, k: int | None = 10
) -> Ranked:
    finite(to_vector)
    return _nearest(live(world, model), "item", to_vector, k)


def nearest_users(
    world: World, model: str, to_vector: list[Any] | None, k: int | None = 10
) -> Ranked:
    finite(to_vector)
    return _nearest(live(world, model), "user", to_vector, k)


def _nearest(
    run: Run, entity: str, to_vector: list[Any] | None, k: int | None
) -> Ranked:
    if to_vector is None:
        return Ranked([], 0)
    side, vector = run.side(entity), sized(run, to_vector)
    if run.similarity == "dot":
        scores = [
            (one, float(other.embedding @ vector) + other.bias)
            for one, other in side.items()
        ]
        return Ranked(ranking(side, scores, exact=True), k_of(k))
    near = [(one, cosine(other.embedding, vector)) for one, other in side.items()]
    return Ranked(
        ranking(side, [pair for pair in near if pair[1] is not None], exact=False),
        k_of(k),
    )
