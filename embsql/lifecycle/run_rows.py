"""What a run leaves behind: the rows of its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from embsql.data import (
    Clock,
    Embeddings,
    Float32,
    Float64,
    FoldIn,
    Graph,
    Int64,
    Interactions,
    Network,
    indptr_of,
)
from embsql.run import Run

Table = tuple[str, dict[str, Any]]  # its name, and its columns


def tables(run: Run, data: Interactions, embeddings: Embeddings) -> Iterator[Table]:
    """All of them, but for figures and findings."""
    counts = np.bincount(data.user, minlength=data.n_users)  # (u,)
    bias = embeddings.user_bias
    yield side_rows(run, "user", data.users, embeddings.users, bias, counts)
    counts = np.bincount(data.item, minlength=data.n_items)  # (i,)
    bias = embeddings.item_bias
    yield side_rows(run, "item", data.items, embeddings.items, bias, counts)
    yield pair_rows(run, data)
    gramian = embeddings.fold_in.gramian  # (d, d)
    if gramian is None:
        gramian = gramian_of_items(embeddings.items)
    yield from folding_rows(run, embeddings.fold_in, gramian)
    scale = embeddings.fold_in.item_scale
    if scale is not None:
        yield "item_weights", item_weights(run, data.items, scale)
    yield from _towers(run, embeddings)
    if embeddings.network:
        yield from _network(run, data, embeddings.network)
    if embeddings.graph:
        yield "graph_edges", _edges(run, data, embeddings.graph)


def side_rows(
    run: Run, entity: str, ids: Any, vectors: Any, bias: Any, counts: Int64
) -> Table:
    """The rows of one embedding table: vectors (n, dim), counts (n,) of interactions."""
    n = len(ids)
    return f"{entity}_embeddings", {
        "run_id": pa.scalar(run.run_id, pa.int64()),
        f"{entity}_id": ids,
        "embedding": vectors,
        "norm": np.sqrt(np.einsum("nd,nd->n", vectors, vectors)),  # (n,)
        "bias": np.zeros(n, np.float32) if bias is None else bias,
        "interactions": counts.astype(np.int32),
    }


def pair_rows(run: Run, data: Interactions) -> Table:
    """The rows of the interactions table.

    Ids go as codes into their vocabularies, and what all rows share once.
    """
    return "interactions", {
        "run_id": pa.scalar(run.run_id, pa.int64()),
        "user_id": pa.DictionaryArray.from_arrays(data.user, data.users),
        "item_id": pa.DictionaryArray.from_arrays(data.item, data.items),
        "weight": data.weight,
        "last_time": pa.scalar(None, pa.int64()) if data.time is None else data.time,
    }


def _edges(run: Run, data: Interactions, graph: Graph) -> dict[str, Any]:
    """The rows of the table of edges."""
    return {
        "run_id": np.full(len(graph.weight), run.run_id, np.int64),
        "source_node": pa.DictionaryArray.from_arrays(graph.source, data.items),
        "target_node": pa.DictionaryArray.from_arrays(graph.target, data.items),
        "weight": graph.weight,
    }


def gramian_of_items(items: Any) -> Float64:
    """The inner products of the columns of item vectors (n, dim): (dim, dim)."""
    exact = items.astype(np.float64)  # (n, dim)
    products: Float64 = exact.T @ exact  # (dim, dim)
    return products


def folding_rows(run: Run, how: FoldIn, gramian: Float64) -> Iterator[Table]:
    """What folding in needs, of items whose columns have these inner products (dim, dim)."""
    yield (
        "fold_in_settings",
        {
            "run_id": [run.run_id],
            "kind": [how.kind],
            "settings": [json.dumps(dict(how.settings))],
        },
    )
    if how.kind == "least_squares":
        dim = len(gramian)
        yield (
            "item_gramian",
            {
                "run_id": np.full(dim, run.run_id, np.int64),
                "position": np.arange(1, dim + 1, dtype=np.int32),
                "entries": gramian.astype(np.float32),
            },
        )


def item_weights(run: Run, items: Any, scale: Float32) -> dict[str, Any]:
    """The rows of what the weights of items (n,) are multiplied by in a history."""
    run_id = np.full(len(scale), run.run_id, np.int64)
    return {"run_id": run_id, "item_id": items, "scale": scale}


def _towers(run: Run, embeddings: Embeddings) -> Iterator[Table]:
    """The towers that make vectors of newcomers."""
    for entity, tower in embeddings.towers.items():
        feature, kind, value, center, scale = (
            list(column) for column in zip(*tower.rows, strict=True)
        )
        yield (
            "tower_features",
            {
                "run_id": [run.run_id] * len(feature),
                "entity": [entity] * len(feature),
                "feature": feature,
                "kind": kind,
                "value": pa.array(value, pa.string()),
                "center": pa.array(center, pa.float64()),
                "scale": pa.array(scale, pa.float64()),
                "embedding": tower.table,
            },
        )
        for layer, (weights, bias) in enumerate(tower.layers, 2):
            n = len(bias)
            position = np.arange(1, n + 1, dtype=np.int32)  # (n,)
            own = {
                "run_id": [run.run_id] * n,
                "entity": [entity] * n,
                "layer": np.full(n, layer, np.int32),
            }
            yield (
                "tower_layers",
                own | {"position": position, "weights": weights, "bias": bias},
            )


def _network(run: Run, data: Interactions, network: Network) -> Iterator[Table]:
    """The network that makes vectors of histories, and the histories it read."""
    latest_time = None
    if network.clock:
        latest_time = network.clock.latest_time
        yield "item_first_times", _first_times(run, data, network.clock)
    yield (
        "networks",
        {
            "run_id": [run.run_id],
            "kind": [network.kind],
            "n_layers": [network.n_layers],
            "n_heads": [network.n_heads],
            "max_length": [network.max_length],
            "latest_time": pa.array([latest_time], pa.int64()),
        },
    )
    for layer in network.layers:
        n = len(layer.bias)
        yield (
            "network_layers",
            {
                "run_id": [run.run_id] * n,
                "layer": np.full(n, layer.layer, np.int32),
                "part": [layer.part] * n,
                "position": np.arange(1, n + 1, dtype=np.int32),
                "weights": layer.weights,
                "bias": layer.bias,
            },
        )
    yield history_rows(run, data, network.max_length)


def _first_times(run: Run, data: Interactions, known: Clock) -> dict[str, Any]:
    """When each item was first seen."""
    return {
        "run_id": np.full(data.n_items, run.run_id, np.int64),
        "item_id": data.items,
        "first_time": known.first_times,
    }


def history_rows(run: Run, data: Interactions, max_length: int) -> Table:
    """The latest events of every user in their order, repeats too."""
    events = data.events_by_time()
    user = data.user[events.pair]  # (m,)
    offsets = indptr_of(user, data.n_users)  # (n_users + 1,)
    event = np.arange(len(user))  # (m,)
    kept = event >= offsets[user + 1] - max_length  # (m,)
    begin = np.maximum(offsets[:-1], offsets[1:] - max_length)  # (n_users,)
    position = event - begin[user] + 1  # (m,) from 1
    item = data.item[events.pair]  # (m,)
    return "histories", {
        "run_id": pa.scalar(run.run_id, pa.int64()),
        "user_id": pa.DictionaryArray.from_arrays(user[kept], data.users),
        "position": position[kept].astype(np.int32),
        "item_id": pa.DictionaryArray.from_arrays(item[kept], data.items),
        "event_time": pa.scalar(None, pa.int64())
        if events.time is None
        else events.time[kept],
    }
