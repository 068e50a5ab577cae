"""Vectors that were made elsewhere as a run like any other: stored, checked, versioned, asked.

Nothing is trained.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Interactions
from embsql.engines import Engine
from embsql.engines.columns import find_column
from embsql.errors import BadFeatures
from embsql.lifecycle.plan import Plan
from embsql.lifecycle.train import complete
from embsql.options import Similarity
from embsql.run import Run
from embsql.sources.side_inputs import by_id
from embsql.sources.source import Source


def register_embeddings(
    engine: Engine,
    model_name: str,
    items: Source,
    *,
    users: Source | None,
    similarity: Similarity,
    force: bool,
    search_cells: bool = False,
) -> Run:
    """Store vectors as a run and make it live.

    `items` has item_id and embedding, `users` user_id and embedding, of the same length. A row
    without an embedding is left out. Unchanged vectors are not stored again unless `force`. Raises
    NotASelect, SourceFailed, or BadFeatures for ids that come twice and for vectors that are none.
    """
    from embsql.features.registered import Registered

    plan = Plan(
        model_name,
        items,
        Registered(similarity=similarity, users=str(users) if users else None),
        force=force,
        search_cells=search_cells,
    )
    return complete(engine, plan, lambda _: _given(engine, items, users))


def _given(engine: Engine, items: Source, users: Source | None) -> Interactions:
    """The vectors as features of users and items without interactions."""
    item_ids, of_items = _side(engine, items, "item")
    if not users:
        return items_without_interactions(item_ids, of_items)
    ids, of_users = _side(engine, users, "user")
    return dataclasses.replace(
        items_without_interactions(item_ids, of_items),
        users=ids,
        user_features=of_users,
    )


def items_without_interactions(ids: pa.StringArray, features: pa.Table) -> Interactions:
    """Items without interactions, by their ids (n,) in order, with what is known of each."""
    nobody = np.empty(0, np.int32)
    return Interactions(
        nobody,
        nobody,
        np.empty(0, np.float32),
        None,
        ids[:0],
        ids,
        item_features=features,
    )


def _side(
    engine: Engine, select: Source, entity: str
) -> tuple[pa.StringArray, pa.Table]:
    """Ids in order and their column of vectors. Raises BadFeatures."""
    ids, rows = by_id(engine, select, f"{entity}_id", f"{entity}s")
    name = find_column(rows.column_names, None, "embedding", f"{entity}s")
    if name is None:
        raise BadFeatures(
            option=f"{entity}s",
            found=f"no column embedding, only {', '.join(rows.column_names)}",
        )
    there = rows[name].is_valid().combine_chunks()
    ids = ids.filter(there)
    vectors = rows.select([name]).rename_columns(["embedding"]).filter(there)
    if not len(ids):
        raise BadFeatures(
            option=f"{entity}s", found="no row with an id and an embedding"
        )
    order = pc.sort_indices(ids)
    return ids.take(order), vectors.take(order)
