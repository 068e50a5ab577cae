"""A map of a run as one file for other tools: a row per item or user, with all that is known of it.

Parquet is for Embedding Atlas, datamapplot and whatever reads tables; tab-separated text, a file of
vectors and one of what they are called, for TensorBoard's projector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.arrow import as_matrix, one_array
from embsql.data import Float32
from embsql.derived.labels import names_of
from embsql.derived.table_files import to_parquet, writer
from embsql.derived.topk_tables import nearest
from embsql.derived.vectors import named_statement
from embsql.engines import Engine
from embsql.errors import NoMap
from embsql.lifecycle import registry
from embsql.lifecycle.named_statements import query_named
from embsql.run import Run, usable_cores
from embsql.sources.source import Source

METHODS = ("umap", "tsne", "pca")  # of which the first that was drawn is taken
PROJECTOR = ".tsv"
TAB = "\t"
BREAKS = (
    r"[\t\r\n]"  # a cell of the projector's files holds none, and nothing quotes them
)


@dataclass(frozen=True, slots=True)
class ExportedMap:
    """What was written."""

    run_id: int
    method: str  # by which the map was drawn
    path: str
    points: int  # rows


def export_map(
    engine: Engine,
    reference: str,
    path: str,
    *,
    entity: str,
    method: str | None,
    clustering: str,
    labels: Source | None,
    neighbors: int,
    embeddings: bool,
) -> ExportedMap:
    """Write the map of a run's items or users, drawn before, into a file.

    A row per point in order of id: `item_id` or `user_id`, `label`, `x`, `y`, `cluster` and
    `cluster_label` (NULL without that clustering), `popularity` in interactions, `neighbors` and,
    with `embeddings`, `embedding`. Neighbors are a struct of `ids`, which number the file's rows
    from 0, and `distances`, 1 - cosine, the nearest first. `labels` is a SELECT of entity_id and
    label; who has none goes by the id. Raises NoMap, FileNotWritten, InvalidArgument, UnknownModel,
    UnknownRun, NoLiveRun, RunNotReady, and what reading the labels raises.
    """
    write = writer(path, "path", {".parquet": to_parquet, PROJECTOR: to_projector})
    record = registry.finished_run(engine, reference)
    drawn = _method(engine, record, entity, method)
    called = names_of(engine, labels, "labels")
    rows = engine.ask(
        named_statement(engine, "map_points"),
        run_id=record["run_id"],
        model=f"{record['model_name']}@{record['run_id']}",
        entity=entity,
        method=drawn,
        clustering=clustering,
    )
    projector = path.endswith(PROJECTOR)
    table = _table(
        rows, entity, called, 0 if projector else neighbors, embeddings or projector
    )
    write(table, path)
    return ExportedMap(int(record["run_id"]), drawn, path, len(table))


def _method(
    engine: Engine, record: Mapping[str, Any], entity: str, wanted: str | None
) -> str:
    """By which method the map was drawn that is to be written. Raises NoMap."""
    found = query_named(engine, "map_methods", run_id=record["run_id"], entity=entity)
    drawn = {row["method_name"] for row in found}
    known = [method for method in METHODS if method in drawn]
    if not known or wanted not in {None, *known}:
        raise NoMap(
            entity=entity,
            reference=f"{record['model_name']}@{record['run_id']}",
            by=f" by {wanted}" if wanted else "",
            found=f" (there is one by {' and '.join(known)})" if known else "",
            option=f" --method {wanted}" if wanted else "",
        )
    return wanted or known[0]


def _table(
    rows: pa.Table,
    entity: str,
    called: Mapping[str, str],
    neighbors: int,
    embeddings: bool,
) -> pa.Table:
    """The columns of the file, of n points."""
    matrix = as_matrix(rows["embedding"])  # (n, d)
    ids = rows["entity_id"].cast(pa.string())
    names = [called.get(name, name) for name in ids.to_pylist()]
    columns = {f"{entity}_id": ids, "label": pa.array(names, pa.string())}
    columns |= {name: rows[name] for name in ("x", "y", "cluster", "cluster_label")}
    columns["popularity"] = rows["interactions"]
    if neighbors:
        columns["neighbors"] = _neighbors(matrix, neighbors)
    if embeddings:
        columns["embedding"] = _lists(matrix)
    return pa.table(columns)


def _neighbors(vectors: Float32, k: int) -> pa.StructArray:
    """The k nearest of each of n vectors (n, d), as Embedding Atlas reads them: (n,)."""
    codes, scores = nearest(vectors, k, Run(threads=usable_cores()))  # (n, k) each
    found = codes >= 0  # (n, k)
    ends = np.cumsum(found.sum(1, dtype=np.int32), dtype=np.int32)  # (n,)
    offsets = pa.array(np.concatenate([np.zeros(1, np.int32), ends]))  # (n + 1,)
    distances = np.maximum(1 - scores[found], 0)  # (r,) of r neighbors in all
    lists = (
        pa.ListArray.from_arrays(offsets, pa.array(values))
        for values in (codes[found], distances)
    )
    return pa.StructArray.from_arrays(lists, ["ids", "distances"])


def _lists(vectors: Float32) -> pa.LargeListArray:
    """Vectors (n, d) as n lists of any length: what reads files knows these best."""
    n, d = vectors.shape
    offsets = pa.array(np.arange(n + 1, dtype=np.int64) * d)  # (n + 1,)
    return pa.LargeListArray.from_arrays(offsets, pa.array(vectors.ravel()))


def to_projector(table: pa.Table, path: str) -> None:
    """Write the vectors without names, and the other columns in `x.metadata.tsv`."""
    np.savetxt(path, as_matrix(table["embedding"]), fmt="%.9g", delimiter=TAB)
    columns = table.drop(["embedding"])
    cells = [_cells(column).to_pylist() for column in columns.columns]
    lines = [columns.column_names, *zip(*cells, strict=True)]
    Path(path).with_suffix(f".metadata{PROJECTOR}").write_text(
        "".join(TAB.join(line) + "\n" for line in lines), encoding="utf-8"
    )


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values (n,) as text that fits in a cell; nothing for NULL."""
    words = one_array(column).cast(pa.string()).fill_null("")
    return pc.replace_substring_regex(words, BREAKS, " ")
