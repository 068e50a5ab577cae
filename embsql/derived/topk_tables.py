"""Top-k tables of a finished run, for joins in BI.

What to show every user, and what is near every item.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import CsrMatrix, Float32, Int32
from embsql.engines import Engine
from embsql.lifecycle import forgetting, registry
from embsql.lifecycle.leases import retry
from embsql.lifecycle.loaded import Loaded, Side, load_run, side
from embsql.lifecycle.named_statements import execute_named, log_event
from embsql.run import Run, usable_cores


@dataclass(frozen=True, slots=True)
class Materialized:
    """What was written."""

    run_id: int
    top_items: int  # rows
    neighbors: int


def materialize(
    engine: Engine,
    reference: str,
    *,
    k: int,
    users: bool,
    items: bool,
    threads: int | None,
) -> Materialized:
    """Write top-k tables of a run, in place of earlier ones.

    The k best unseen items of every user, and the k nearest of every item.

    The scores are those of `recommend` and `similar_items`. Who has no direction has no rows where
    cosines count. Raises UnknownModel, UnknownRun, NoLiveRun or RunNotReady.
    """
    record = registry.finished_run(engine, reference)
    registry.check_own(engine, record["model_name"])
    run = Run(
        threads=threads or usable_cores(),
        run_id=int(record["run_id"]),
        model_name=record["model_name"],
    )
    loaded = load_run(engine, record) if users else None
    catalog = loaded.items if loaded else side(engine, int(record["run_id"]), "item")
    tables = {}
    if loaded:
        tables["top_items"] = top_item_rows(run, loaded, k)
    if items:
        tables["neighbors"] = neighbor_rows(run, catalog, catalog, k)
    _replace(engine, run, tables)
    log_event(
        engine, run.model_name, run.run_id, "materialize", f"{', '.join(tables)} k={k}"
    )
    counts = {table: len(rows["rank"]) for table, rows in tables.items()}
    return Materialized(
        int(record["run_id"]), counts.get("top_items", 0), counts.get("neighbors", 0)
    )


# --- the tables ----------------------------------------------------------------------------------


def top_item_rows(run: Run, loaded: Loaded, k: int) -> dict[str, Any]:
    """The rows of embsql.top_items, but for the run."""
    # here: asking does not need it
    from embsql.numeric.topk import top_k

    users, items, similarity = loaded.users, loaded.items, loaded.similarity
    seen, bias = loaded.pairs.by_user(), items.bias if similarity == "dot" else None
    codes, scores = top_k(
        users.vectors,
        items.vectors,
        min(k, len(items.ids)),
        seen=seen,
        item_bias=bias,
        similarity=similarity,
        run=run,
    )  # (m, k) each
    if similarity == "dot":
        scores += users.bias[:, None]  # (m, k): it changes no order
    user, rank, item, score = _flat(codes, scores)
    return {
        "user_id": _words(user, users.ids),
        "rank": rank,
        "item_id": _words(item, items.ids),
        "score": score,
    }


def neighbor_rows(run: Run, some: Side, items: Side, k: int) -> dict[str, Any]:
    """The rows of embsql.neighbors for some of the items, but for the run."""
    itself = (
        pc.index_in(some.ids, value_set=items.ids).to_numpy().astype(np.int32)
    )  # (m,)
    found = _nearest_others(some.vectors, items.vectors, itself, k, run)
    item, rank, other, score = _flat(*found)
    return {
        "entity": _words(np.zeros(len(item), np.int32), pa.array(["item"])),
        "entity_id": _words(item, some.ids),
        "rank": rank,
        "neighbor_id": _words(other, items.ids),
        "score": score,
    }


def nearest(vectors: Float32, k: int, run: Run) -> tuple[Int32, Float32]:
    """The k others nearest to each of n vectors (n, d) by cosine: codes and scores, (n, k) each.

    Of one that has fewer, the codes that remain are -1.
    """
    itself = np.arange(len(vectors), dtype=np.int32)  # (n,)
    return _nearest_others(vectors, vectors, itself, k, run)


def _nearest_others(
    some: Float32, vectors: Float32, itself: Int32, k: int, run: Run
) -> tuple[Int32, Float32]:
    """The k nearest to each of m vectors, but for itself: codes and scores, (m, k) each.

    `some` is (m, d), `vectors` (n, d), `itself` (m,) the codes of some among the n.
    """
    from embsql.numeric.topk import top_k

    m = len(some)
    seen = CsrMatrix(np.arange(m + 1), itself, np.ones(m, np.float32))
    return top_k(
        some, vectors, min(k, len(vectors)), seen=seen, similarity="cosine", run=run
    )  # (m, k) each


def _flat(codes: Int32, scores: Float32) -> tuple[Int32, Int32, Int32, Any]:
    """Lists (n, k) as rows (r,): whose, rank, code, score.

    Where fewer than k were found there are fewer rows.
    """
    row, column = np.nonzero(codes >= 0)  # (r,), (r,)
    found = codes[row, column], scores[row, column].astype(np.float64)  # (r,), (r,)
    return row.astype(np.int32), (column + 1).astype(np.int32), *found


def _words(codes: Int32, ids: pa.Array) -> pa.DictionaryArray:
    """Ids as codes into a vocabulary, not as so many strings."""
    return pa.DictionaryArray.from_arrays(codes, ids)


def _replace(engine: Engine, run: Run, tables: Mapping[str, dict[str, Any]]) -> None:
    """Write tables in place of the run's earlier ones, at once.

    Raises RunNotReady for a run dropped meanwhile.
    """

    def attempt() -> None:
        with engine.transaction():
            registry.lock_run(engine, run.model_name, int(run.run_id or 0))
            for table, rows in tables.items():
                execute_named(engine, f"drop_{table}", run_id=run.run_id)
                engine.write(
                    table,
                    {
                        "run_id": np.full(len(rows["rank"]), run.run_id, np.int64),
                        **rows,
                    },
                )
            forgetting.drop_orphans(engine, int(run.run_id or 0), tables)

    retry(engine, attempt)
