"""What is made of a finished run: groups of its vectors, and maps of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from embsql.data import Float32, Int32
from embsql.engines import Engine
from embsql.errors import BadArgument
from embsql.lifecycle import forgetting, registry
from embsql.lifecycle.leases import retry
from embsql.lifecycle.registry import say
from embsql.run import Columns, Run, usable_cores
from embsql.sources.source import Source, reading
from embsql.sqlfiles import surface

if TYPE_CHECKING:
    from embsql.numeric.kmeans import Clustering

TOP = 5  # members by which a cluster goes
FEW = 3  # members that a category must have in a cluster to be its label,
PART = 10  # and one member in so many: what sets a handful apart does not describe the others
COMMON = 3  # points that fix how a map lies


@dataclass(frozen=True, slots=True)
class Clustered:
    """What clustering made."""

    run_id: int
    clusters: int
    members: int
    silhouette: float  # mean over the members: near 1 for groups well apart, near 0 for none to speak of


@dataclass(frozen=True, slots=True)
class Projected:
    """What projecting made."""

    run_id: int
    points: int
    aligned_to: int | None  # the run whose map this one was turned onto


@dataclass(frozen=True, slots=True)
class Side:
    """The vectors of one side of a run, in order of id."""

    record: Mapping[str, Any]  # the run's
    entity: str
    ids: pa.Array  # (n,)
    vectors: Float32  # (n, d)
    interactions: Int32  # (n,)

    @property
    def run_id(self) -> int:
        """The run's number."""
        return int(self.record["run_id"])

    def rows(self, n: int) -> dict[str, Any]:
        """The columns that say whose n rows are."""
        return {"run_id": np.full(n, self.run_id), "entity_kind": pa.repeat(self.entity, n)}


# --- clusters ------------------------------------------------------------------------------------


def cluster(
    engine: Engine,
    reference: str,
    *,
    entity: str,
    k: int | None,
    clustering: str,
    seed: int,
    raw: bool,
    labels: Source | None,
    threads: int | None,
) -> Clustered:
    """Group a run's items or users, in place of an earlier clustering of that name; k by silhouette unless given.

    Directions are grouped, so that the length of a vector, which is often popularity, does not count, and a vector
    without a direction is in no group; with `raw` the vectors are grouped as they are. `labels` is a SELECT of
    entity_id and label: a cluster is called after the category that is most over-represented in it.
    Raises UnknownModel, UnknownRun, RunNotReady, BadArgument, NotASelect or SourceFailed.
    """
    from embsql.numeric.kmeans import choose, kmeans  # here: it brings the compiler, which asking does not need

    side = _side(engine, reference, entity, raw=raw)
    categories = _categories(engine, labels, side) if labels else Categories([], *np.empty((2, 0), np.int64))
    run = Run(seed, threads or usable_cores())
    found = _by_size(kmeans(side.vectors, choose(side.vectors, run) if k is None else k, run))
    words = _labels(found, categories)
    named = {"clustering_name": clustering}
    tables = {"clusters": _clusters(side, found, words, raw=raw), "cluster_members": _members(side, found)}
    _replace(engine, side, named, tables)
    registry.event(engine, side.record["model_name"], side.run_id, "cluster", f"{entity} {clustering}")
    silhouette = float(found.silhouettes.mean(dtype=np.float64))
    return Clustered(side.run_id, len(found.centroids), len(side.ids), silhouette)


def _by_size(found: Clustering) -> Clustering:
    """The clusters (k, d) in order of size, the largest first, of equals the one with the first member; none empty."""
    from dataclasses import replace

    present, first, sizes = np.unique(found.labels, return_index=True, return_counts=True)  # (c,), c <= k of them
    order = present[np.lexsort((first, -sizes))]  # (c,)
    number = np.empty(len(found.centroids), np.int32)  # (k,)
    number[order] = np.arange(len(order))
    return replace(found, centroids=found.centroids[order], labels=number[found.labels])


def _clusters(side: Side, found: Clustering, labels: list[str | None], *, raw: bool) -> dict[str, Any]:
    """The rows of the clusters table."""
    k = len(found.centroids)
    sizes = np.bincount(found.labels, minlength=k)  # (k,)
    squares = np.bincount(found.labels, np.square(found.distances, dtype=np.float64), k)  # (k,)
    return side.rows(k) | {
        "cluster_id": np.arange(k, dtype=np.int32),
        "size": sizes,
        "radius": np.sqrt(squares / sizes),
        "label": pa.array(labels, pa.string()),
        "unit_length": pa.repeat(not raw, k),
        "centroid": found.centroids,
    }


def _members(side: Side, found: Clustering) -> dict[str, Any]:
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
    """The place (n,) of each among its cluster's, from 1 for the most popular; equals by id, which is their order."""
    order = np.lexsort((-interactions, labels))  # (n,) cluster by cluster
    starts = np.searchsorted(labels[order], labels[order])  # (n,) where each one's cluster begins
    ranks = np.empty(len(labels), np.int32)
    ranks[order] = np.arange(1, len(labels) + 1) - starts
    return ranks


# --- labels --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Categories:
    """What the caller says that ids are; an id may be several things."""

    names: list[str]  # in order
    row: NDArray[np.int64]  # (p,) of which id each statement is, as its place among the ids
    category: NDArray[np.int64]  # (p,) and which category it says


def _categories(engine: Engine, select: Source, side: Side) -> Categories:
    """The caller's SELECT as pairs of an id that has a vector and a category, each once."""
    with reading(engine, select) as (reader, text):
        types = reader.describe(text)
        if not {"entity_id", "label"} <= {name.lower() for name in types}:
            raise BadArgument(name="labels", allowed="a SELECT of entity_id and label", value=", ".join(types))
        given = _labelled(reader, text)
    places = {name: place for place, name in enumerate(side.ids.to_pylist())}
    pairs = {(places[row["entity_id"]], row["label"]) for row in given.to_pylist() if row["entity_id"] in places}
    names = sorted({label for _, label in pairs})
    codes = {name: code for code, name in enumerate(names)}
    table = np.array([(row, codes[label]) for row, label in pairs], np.int64).reshape(-1, 2)  # (p, 2)
    return Categories(names, table[:, 0], table[:, 1])


def _labelled(reader: Engine, text: str) -> pa.Table:
    """The pairs of entity_id and label (p,), each once, made text as ids of a source are."""
    facts = reader.source(text, Columns(user="entity_id", item="label"), explicit=True)
    statements, done = surface.statements("prepare/statements.sql"), surface.text("prepare/done.sql")
    asked = {"labels": statements["labels"]}
    return reader.read(surface.prepare("source", facts), statements["labelled"], asked, done)["labels"]


def _labels(found: Clustering, given: Categories) -> list[str | None]:
    """Of each cluster the category with the greatest lift (its share there over its share of all), equals by name.

    It must hold for a few of the members, and for a part of them that is worth the name.
    """
    k, names = len(found.centroids), given.names
    counts = np.zeros((k, len(names)), np.int64)  # (k, c)
    np.add.at(counts, (found.labels[given.row], given.category), 1)
    sizes = np.bincount(found.labels, minlength=k)[:, None]  # (k, 1)
    share = counts / np.maximum(counts.sum(0), 1)  # (k, c) of a category that is here: within a cluster, as its lift
    share[(counts < FEW) | (counts * PART < sizes)] = 0
    return [names[int(row.argmax())] if row.any() else None for row in share]


# --- maps ----------------------------------------------------------------------------------------


def project(engine: Engine, reference: str, *, entity: str, method: str, seed: int) -> Projected:
    """Draw a map of a run's items or users by direction, in place of an earlier one by that method.

    It is turned onto the map of the newest other run of the model that has one, where they share enough ids.
    Raises UnknownModel, UnknownRun, RunNotReady, and MissingExtra for umap and tsne.
    """
    side = _side(engine, reference, entity, raw=False)
    points, aligned_to = _aligned(engine, side, method, _points(side.vectors, method, seed))  # (n, 2)
    named = {"method_name": method}
    rows = {"entity_id": side.ids, "x": points[:, 0].astype(np.float64), "y": points[:, 1].astype(np.float64)}
    _replace(engine, side, named, {"maps": side.rows(len(side.ids)) | rows})
    registry.event(engine, side.record["model_name"], side.run_id, "project", f"{entity} {method}")
    return Projected(side.run_id, len(side.ids), aligned_to)


def _points(vectors: Float32, method: str, seed: int) -> Float32:
    """Vectors (n, d) as points (n, 2)."""
    from embsql.numeric.projection import neighbours_map, pca

    if method == "pca":
        return pca(vectors)
    return neighbours_map(vectors, Run(seed), cast("Literal['umap', 'tsne']", method))


def _aligned(engine: Engine, side: Side, method: str, points: Float32) -> tuple[Float32, int | None]:
    """The points (n, 2) as they lay in the newest map before, and the run it is of."""
    from embsql.numeric.projection import align

    values = {"run_id": side.run_id, "entity": side.entity, "method_name": method}
    before = engine.ask(_statement(engine, "earlier_map"), model_name=side.record["model_name"], **values)
    places = {name: place for place, name in enumerate(before["entity_id"].to_pylist())}
    common = [(row, places[name]) for row, name in enumerate(side.ids.to_pylist()) if name in places]
    if len(common) < COMMON:
        return points, None
    rows, others = np.array(common).T  # (m,), (m,)
    previous = np.stack([before[axis].to_numpy() for axis in "xy"], 1).astype(np.float32)[others]  # (m, 2)
    return align(points, previous, rows), int(before["run_id"][0].as_py())


# --- features ------------------------------------------------------------------------------------


def features(engine: Engine, model: str, *, entity: str) -> pa.Table:
    """embsql.features with a column for each entry of the vector, e1, e2, ..., in place of the vector: (n, d + 9).

    Raises UnknownModel, UnknownRun, NothingLive and RunNotReady.
    """
    registry.finished(engine, model)
    told = engine.ask(_statement(engine, "features"), model=model, entity=entity)
    vectors = _matrix(told["embedding"], len(told))  # (n, d)
    place = told.column_names.index("embedding")
    columns = {f"e{number}": column for number, column in enumerate(vectors.T, 1)}
    rest = {name: told[name] for name in told.column_names}
    before, after = list(rest)[:place], list(rest)[place + 1 :]
    return pa.table({name: rest[name] for name in before} | columns | {name: rest[name] for name in after})


# --- reading and writing -------------------------------------------------------------------------


def _side(engine: Engine, reference: str, entity: str, *, raw: bool) -> Side:
    """The vectors of a finished run in order of id: as they are, or made of length 1 where they can be."""
    record = registry.finished(engine, reference)
    registry.check_own(engine, record["model_name"])
    table = engine.ask(_statement(engine, f"{entity}_vectors"), run_id=record["run_id"])
    vectors = _matrix(table["embedding"], len(table))  # (n, d)
    norms = np.linalg.norm(vectors, axis=1)  # (n,)
    kept = np.flatnonzero(np.ones_like(norms) if raw else norms)  # (m,)
    if not len(kept):
        raise BadArgument(name="model", allowed=f"one with vectors of {entity}s that have a direction", value=reference)
    ids, counts = table["entity_id"].cast(pa.string()).combine_chunks(), table["interactions"].to_numpy()
    unit = vectors[kept] if raw else vectors[kept] / norms[kept, None]  # (m, d)
    return Side(record, entity, ids.take(pa.array(kept)), unit, counts[kept])


def _matrix(column: pa.ChunkedArray, n: int) -> Float32:
    """A column of n vectors of one length as (n, d)."""
    flat = np.concatenate([np.zeros(0, np.float32), *(chunk.flatten().to_numpy() for chunk in column.chunks)])
    return flat.reshape(n, len(flat) // max(n, 1))  # (n * d,) to (n, d)


def _replace(engine: Engine, side: Side, named: dict[str, str], tables: Mapping[str, dict[str, Any]]) -> None:
    """Write tables in place of what has that name, at once. Raises RunNotReady for a run dropped meanwhile."""

    def attempt() -> None:
        with engine.transaction():
            # The run's row is whoever's writes it first: two that replace the same rows would both find none to remove.
            registry.hold(engine, side.record["model_name"], side.run_id)
            for table, rows in tables.items():
                say(engine, f"clear_{table}", run_id=side.run_id, entity=side.entity, **named)
                words = {column: pa.repeat(word, len(rows["run_id"])) for column, word in named.items()}
                engine.write(table, rows | words)
            forgetting.drop_strangers(engine, side.run_id, tables)

    retry(engine, attempt)


def _statement(engine: Engine, name: str) -> str:
    return surface.statements(engine=engine.name)[name]
