"""Writes a generated database as training would have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple
from typing import Any

import numpy as np
import pyarrow as pa

import embsql
from embsql.lifecycle.pair_versions import write_pairs
from tests.oracle.data import Gate, Run, Trial, World

TYPES = {
    "run_id": pa.int64(),
    "position": pa.int32(),
    "layer": pa.int32(),
    "interactions": pa.int32(),
    "norm": pa.float32(),
    "bias": pa.float32(),
    "last_time": pa.int64(),
    "center": pa.float64(),
    "scale": pa.float64(),
    "cluster_id": pa.int32(),
    "size": pa.int64(),
    "top_rank": pa.int32(),
    "epoch": pa.int32(),
    "k": pa.int32(),
    "affected": pa.int64(),
    "trial": pa.int32(),
    "chosen": pa.bool_(),
    "users": pa.int64(),
    "left_out": pa.int64(),
    "compared_run": pa.int64(),
    "items": pa.int64(),
    "dim": pa.int32(),
    "seed": pa.int64(),
    "live_run": pa.int64(),
    "started_at": pa.timestamp("us"),
    "finished_at": pa.timestamp("us"),
    "logged_at": pa.timestamp("us"),
    "updated_at": pa.timestamp("us"),
} | dict.fromkeys(
    (
        "value",
        "popular_value",
        "itemknn_value",
        "new_value",
        "live_value",
        "difference",
        "ci_low",
        "ci_high",
        "tolerance",
        "seconds",
    ),
    pa.float64(),
)
TEXT_VALUES = {"tower_features"}  # where `value` is a word
VECTORS = {"embedding", "entries", "weights", "centroid"}


def write(database: embsql.Database, world: World) -> None:
    """All rows of a world."""
    for model in world.models:
        earlier = f"CAST(ARRAY{model.earlier_runs} AS BIGINT[])"
        database.engine.run(
            "INSERT INTO embsql.models (model_name, live_run, earlier_runs, updated_at) "
            f"VALUES ($name, CAST($live AS BIGINT), {earlier}, embsql_internal.utc_now())",
            name=model.name,
            live=model.live_run,
        )
    for run in world.runs:
        _run(database, run)
    for model in world.models:
        database.engine.run(
            "UPDATE embsql.run_records SET promoted_at = started_at "
            "WHERE run_id = ANY (CAST($runs AS BIGINT[]))",
            runs=[*model.earlier_runs, model.live_run],
        )
    _rows(database, "cohorts", "cohort_set user_id cohort", world.cohorts)


def _rows(
    database: embsql.Database, table: str, names: str, rows: Iterable[tuple[Any, ...]]
) -> None:
    """Rows of a table; none is fine."""
    rows = list(rows)
    if rows:
        columns = zip(*rows, strict=True)
        named = {
            name: _column(table, name, values)
            for name, values in zip(names.split(), columns, strict=True)
        }
        if table == "interactions":
            write_pairs(database.engine, rows[0][0], [named])
        else:
            database.engine.write(table, named)


def _column(table: str, name: str, values: tuple[Any, ...]) -> Any:
    if name in VECTORS and isinstance(values[0], np.ndarray):
        same = len({len(value) for value in values}) == 1
        return (
            np.array(values, "f4")
            if same
            else pa.array([list(value) for value in values], pa.list_(pa.float32()))
        )
    if name == "value" and table in TEXT_VALUES:
        return pa.array(values, pa.string())
    if name in ("weight", "scale") and table in ("interactions", "item_weights"):
        return pa.array(values, pa.float32())
    return pa.array(values, TYPES.get(name))


def _run(database: embsql.Database, run: Run) -> None:
    ready = run.status == "ready"
    counts = (len(run.users), len(run.items)) if ready else (None, None)
    _rows(
        database,
        "run_records",
        "run_id model_name algorithm params source_sql seed dim similarity status users items "
        "error versions started_at finished_at phase phase_seconds",
        [
            (
                run.run_id,
                run.model,
                run.algorithm,
                run.params,
                "",
                1,
                run.dim if ready else None,
                run.similarity,
                run.status,
                *counts,
                run.error,
                "{}",
                run.started_at,
                run.finished_at,
                run.phase,
                run.phase_seconds,
            )
        ],
    )
    for entity in ("user", "item"):
        rows = [
            (run.run_id, one, v.embedding, v.norm, v.bias, v.interactions)
            for one, v in run.side(entity).items()
        ]
        _rows(
            database,
            f"{entity}_embeddings",
            f"run_id {entity}_id embedding norm bias interactions",
            rows,
        )
    pairs = [(run.run_id, *astuple(pair)) for pair in run.seen]
    _rows(database, "interactions", "run_id user_id item_id weight last_time", pairs)
    _folding(database, run)
    _towers(database, run)
    _groups(database, run)
    _notes(database, run)


def _folding(database: embsql.Database, run: Run) -> None:
    if run.solver:
        kind, settings = run.solver
        _rows(
            database,
            "fold_in_settings",
            "run_id kind settings",
            [(run.run_id, kind, json.dumps(settings))],
        )
        if kind == "least_squares":
            table = np.array(
                [vector.embedding for vector in run.items.values()]
            )  # (n, d)
            gram = [(run.run_id, n, line) for n, line in enumerate(table.T @ table, 1)]
            _rows(database, "item_gramian", "run_id position entries", gram)
    scales = [(run.run_id, one, scale) for one, scale in run.scales.items()]
    _rows(database, "item_weights", "run_id item_id scale", scales)


def _towers(database: embsql.Database, run: Run) -> None:
    for entity, tower in run.towers.items():
        rows = [
            (
                run.run_id,
                entity,
                p.feature,
                p.kind,
                p.value,
                p.center,
                p.scale,
                p.embedding,
            )
            for p in tower.parts
        ]
        _rows(
            database,
            "tower_features",
            "run_id entity feature kind value center scale embedding",
            rows,
        )
        for layer, (weights, bias) in enumerate(tower.layers, 2):
            lines = zip(weights, bias, strict=True)
            rows = [
                (run.run_id, entity, layer, n, line, float(one))
                for n, (line, one) in enumerate(lines, 1)
            ]
            _rows(
                database,
                "tower_layers",
                "run_id entity layer position weights bias",
                rows,
            )


def _groups(database: embsql.Database, run: Run) -> None:
    names = "run_id entity_kind clustering_name"
    clusters = [
        (run.run_id, *(getattr(c, name) for name in c.__dataclass_fields__))
        for c in run.clusters
    ]
    _rows(
        database,
        "clusters",
        f"{names} cluster_id size radius label unit_length centroid",
        clusters,
    )
    members = [(run.run_id, *astuple(member)) for member in run.members]
    _rows(
        database,
        "cluster_members",
        f"{names} entity_id cluster_id distance silhouette top_rank",
        members,
    )
    points = [(run.run_id, *astuple(point)) for point in run.points]
    _rows(database, "maps", "run_id entity_kind method_name entity_id x y", points)


def _notes(database: embsql.Database, run: Run) -> None:
    figures = [(run.run_id, *astuple(figure)) for figure in run.figures]
    names = (
        "run_id split segment metric k value popular_value itemknn_value ci_low ci_high"
    )
    _rows(database, "metrics", names, figures)
    gates = [(run.run_id, *astuple(run.gate))] if run.gate else []
    names = " ".join(Gate.__dataclass_fields__)
    _rows(database, "gates", f"run_id {names}", gates)
    _rows(
        database,
        "training_log",
        "run_id epoch metric value logged_at",
        [(run.run_id, *row) for row in run.log],
    )
    findings = [(run.run_id, *row) for row in run.findings]
    _rows(
        database,
        "source_checks",
        "run_id check_name severity affected example hint",
        findings,
    )
    trials = [(run.run_id, *astuple(trial)) for trial in run.trials]
    names = " ".join(Trial.__dataclass_fields__)
    _rows(database, "trials", f"run_id {names}", trials)
