"""sql/questions/clusters and sql/questions/maps."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.oracle.answers._common import finite, live, sized
from tests.oracle.compare import Entry, Listed, Ranked, Refused
from tests.oracle.data import Run, World, by_bytes

Word = str | None


def cluster_members(
    world: World, model: str, entity: Word = "item", clustering: Word = "default"
) -> Listed:
    run, _ = _made(world, model, entity, clustering)
    members = [
        m for m in run.members if (m.entity, m.clustering) == (entity, clustering)
    ]
    members.sort(key=lambda m: by_bytes(m.entity_id))
    return Listed(
        [(m.entity_id, m.cluster_id, m.distance, m.silhouette) for m in members]
    )


def _made(
    world: World, model: str, entity: Word, clustering: Word
) -> tuple[Run, list[Any]]:
    """The run and its groups; a clustering that was never made is refused."""
    run = live(world, model)
    found = [
        c for c in run.clusters if (c.entity, c.clustering) == (entity, clustering)
    ]
    if not found:
        raise Refused("")
    return run, found


def clusters(
    world: World, model: str, entity: Word = "item", clustering: Word = "default"
) -> Listed:
    run, found = _made(world, model, entity, clustering)
    rows: list[Any] = []
    for c in sorted(found, key=lambda c: c.cluster_id):
        tops = _tops(run, entity, clustering, c.cluster_id)
        label = ", ".join(tops) if c.label is None else c.label
        rows.append((c.cluster_id, c.size, c.radius, label, tops))
    return Listed(rows)


def _tops(run: Run, entity: Word, clustering: Word, cluster_id: int) -> list[str]:
    members = [
        m
        for m in run.members
        if (m.entity, m.clustering, m.cluster_id) == (entity, clustering, cluster_id)
    ]
    return [
        m.entity_id
        for m in sorted(members, key=lambda m: m.top_rank or 0)
        if m.top_rank
    ]


def nearest_cluster(
    world: World,
    model: str,
    to_vector: list[Any] | None,
    entity: Word = "item",
    clustering: Word = "default",
) -> Ranked:
    run, found = _made(world, model, entity, clustering)
    finite(to_vector)
    if to_vector is None:
        return Ranked([], 0)
    vector, entries = sized(run, to_vector), []
    size = np.sqrt(vector @ vector)
    for c in found:
        if size or not c.unit_length:
            distance = float(
                np.linalg.norm(
                    (vector / size if c.unit_length else vector) - c.centroid
                )
            )
            number = f"{c.cluster_id:09d}"  # in order as text too
            entries.append(
                Entry(
                    (c.cluster_id, distance), -distance, c.centroid.tobytes(), (number,)
                )
            )
    return Ranked(entries, None)


def map_(
    world: World, model: str, entity: Word = "item", method: Word = "pca"
) -> Listed:
    run = live(world, model)
    groups = {
        m.entity_id: m.cluster_id
        for m in run.members
        if (m.entity, m.clustering) == (entity, "default")
    }
    points = [p for p in run.points if (p.entity, p.method) == (entity, method)]
    if not points:
        raise Refused("")  # a map that was never made
    points.sort(key=lambda p: by_bytes(p.entity_id))
    return Listed([(p.entity_id, p.x, p.y, groups.get(p.entity_id)) for p in points])
