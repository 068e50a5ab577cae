"""Groups of the vectors of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from embsql.data import Int32
from embsql.derived.labels import read_labels
from embsql.derived.vectors import EntityVectors, read_side, replace_rows
from embsql.engines import Engine
from embsql.lifecycle.named_statements import log_event
from embsql.run import Run, usable_cores
from embsql.sources.source import Source

if TYPE_CHECKING:
    from embsql.numeric.kmeans import Clustering

TOP = 5  # members by which a cluster goes
FEW = 3  # members that a category must have in a cluster to be its label,
PART = 10  # and one member in so many: what sets a handful apart does not describe the others


@dataclass(frozen=True, slots=True)
class Clustered:
    """What clustering made."""

    run_id: int
    clusters: int
    members: int
    # mean over the members: near 1 for groups well apart, near 0 for none to speak of
    silhouette: float


def cluster(
    engine: Engine,
    reference: str,
    *,
    entity: str,
    k: int | None,
    clustering: str,
    seed: int,
    normalize: bool,
    labels: Source | None,
    threads: int | None,
) -> Clustered:
    """Group a run's items or users, in place of an earlier clustering of that name.

    `k` is found by silhouette unless given.

    Directions are grouped, so that the length of a vector, which is often popularity, does not
    count, and a vector without a direction is in no group; without `normalize` the vectors are
    grouped as they are. `labels` is a SELECT of entity_id and label: a cluster is called after the
    category that is most over-represented in it. Raises UnknownModel, UnknownRun, RunNotReady,
    InvalidArgument, NotASelect or SourceFailed.
    """
    # here: it brings the compiler, which asking does not need
    from embsql.numeric.kmeans import choose_k, kmeans

    side = read_side(engine, reference, entity, normalize=normalize)
    categories = (
        _categories(engine, labels, side)
        if labels
        else Categories([], *np.empty((2, 0), np.int64))
    )
    run = Run(seed, threads or usable_cores())
    found = _by_size(
        kmeans(side.vectors, choose_k(side.vectors, run) if k is None else k, run)
    )
    words = _labels(found, categories)
    named = {"clustering_name": clustering}
    tables = {
        "clusters": _clusters(side, found, words, normalize=normalize),
        "cluster_members": _members(side, found),
    }
    replace_rows(engine, side, named, tables)
    log_event(
        engine,
        side.record["model_name"],
        side.run_id,
        "cluster",
        f"{entity} {clustering}",
    )
    silhouette = float(found.silhouettes.mean(dtype=np.float64))
    return Clustered(side.run_id, len(found.centroids), len(side.ids), silhouette)


def _by_size(found: Clustering) -> Clustering:
    """The clusters (k, d) in order of size, none of them empty.

    The largest comes first, of equals the one with the first member.
    """
    from dataclasses import replace

    present, first, sizes = np.unique(
        found.labels, return_index=True, return_counts=True
    )  # (c,), c <= k of them
    order = present[np.lexsort((first, -sizes))]  # (c,)
    number = np.empty(len(found.centroids), np.int32)  # (k,)
    number[order] = np.arange(len(order))
    return replace(found, centroids=found.centroids[order], labels=number[found.labels])


def _clusters(
    side: EntityVectors, found: Clustering, labels: list[str | None], *, normalize: bool
) -> dict[str, Any]:
    """The rows of the clusters table."""
    k = len(found.centroids)
    sizes = np.bincount(found.labels, minlength=k)  # (k,)
    squares = np.bincount(
        found.labels, np.square(found.distances, dtype=np.float64), k
    )  # (k,)
    return side.rows(k) | {
        "cluster_id": np.arange(k, dtype=np.int32),
        "size": sizes,
        "radius": np.sqrt(squares / sizes),
        "label": pa.array(labels, pa.string()),
        "unit_length": pa.repeat(normalize, k),
        "centroid": found.centroids,
    }


def _members(side: EntityVectors, found: Clustering) -> dict[str, Any]:
    """The rows of the cluster_members table."""
    ranks = _ranks(found.labels, side.interactions)  # (n,)
    return side.rows(len(side.ids)) | {
        "entity_id": side.ids,
        "cluster_id": found.labels,
        "distance": found.distances.astype(np.float64),
        "silhouette": found.silhouettes.astype(np.float64),
        "top_rank": pa.array(ranks, mask=ranks > TOP),
    }


def _ranks(labels: Int32, interactions: Int32) -> Int32:
    """The place (n,) of each among its cluster's, from 1 for the most popular.

    Equals by id, which is their order.
    """
    order = np.lexsort((-interactions, labels))  # (n,) cluster by cluster
    starts = np.searchsorted(
        labels[order], labels[order]
    )  # (n,) where each one's cluster begins
    ranks = np.empty(len(labels), np.int32)
    ranks[order] = np.arange(1, len(labels) + 1) - starts
    return ranks


@dataclass(frozen=True, slots=True)
class Categories:
    """What the caller says that ids are; an id may be several things."""

    names: list[str]  # in order
    row: NDArray[
        np.int64
    ]  # (p,) of which id each statement is, as its place among the ids
    category: NDArray[np.int64]  # (p,) and which category it says


def _categories(engine: Engine, select: Source, side: EntityVectors) -> Categories:
    """The caller's SELECT as pairs of an id that has a vector and a category, each once."""
    given = read_labels(engine, select, "labels")
    positions = {name: position for position, name in enumerate(side.ids.to_pylist())}
    pairs = {
        (positions[entity_id], label)
        for entity_id, label in zip(*given, strict=True)
        if entity_id in positions
    }
    names = sorted({label for _, label in pairs})
    codes = {name: code for code, name in enumerate(names)}
    table = np.array([(row, codes[label]) for row, label in pairs], np.int64).reshape(
        -1, 2
    )  # (p, 2)
    return Categories(names, table[:, 0], table[:, 1])


def _labels(found: Clustering, given: Categories) -> list[str | None]:
    """Of each cluster the category with the greatest lift, equals by name.

    Lift is the category's share within the cluster over its share of all.

    It must hold for a few of the members, and for a part of them that is worth the name.
    """
    k, names = len(found.centroids), given.names
    counts = np.zeros((k, len(names)), np.int64)  # (k, c)
    np.add.at(counts, (found.labels[given.row], given.category), 1)
    sizes = np.bincount(found.labels, minlength=k)[:, None]  # (k, 1)
    share = counts / np.maximum(
        counts.sum(0), 1
    )  # (k, c) of a category that is here: within a cluster, as its lift
    share[(counts < FEW) | (counts * PART < sizes)] = 0
    return [names[int(row.argmax())] if row.any() else None for row in share]
