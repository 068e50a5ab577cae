"""What is known besides interactions: users' and items' features, a graph of items."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import Graph, Interactions
from embsql.engines import Engine
from embsql.engines.columns import find_column, quote
from embsql.errors import BadFeatures, BadGraph
from embsql.sources.columns import LARGEST, id_text, nul_byte
from embsql.sources.findings import Finding, finding
from embsql.sources.problems import LONGEST_ID, too_long
from embsql.sources.source import Given, Source, of_table, reading

EDGE_ENDS = ("source", "target")  # of an edge


class Described(NamedTuple):
    """What a caller's SELECT knows of some ids."""

    ids: pa.StringArray  # (n,) each once
    rows: pa.Table  # (n, any columns)

    def of(self, ids: pa.StringArray) -> pa.Table:
        """What is known of each of these ids, a row per id; NULL where nothing is."""
        return self.rows.take(pc.index_in(ids, self.ids))

    def described(self) -> pa.StringArray:
        """The ids of which not everything is NULL."""
        anything = pa.array(np.zeros(len(self.ids), bool))  # (n,)
        for column in self.rows.columns:
            there = column.is_valid().combine_chunks()
            anything = pc.or_(anything, there)
        return self.ids.filter(anything)


def by_id(engine: Engine, select: Source, column: str, option: str) -> Described:
    """A caller's SELECT as the ids in a column, and what its other columns know of each.

    Rows without an id are left out. Raises NotASelect, SourceFailed, NulByte, or BadFeatures for an
    id that comes twice, and where the ids or all else are missing.
    """
    with reading(engine, select) as (reader, text):
        given = reader.gather(text, [column])
    key = find_column(given.column_names, None, column, option)
    if key is None or given.num_columns == 1:
        missing = f"no column {column}" if key is None else f"no column besides {key}"
        raise BadFeatures(
            option=option,
            found=f"{missing}; its columns are {', '.join(given.column_names)}",
        )
    rows = given.filter(given[key].is_valid()).combine_chunks()
    keys = id_text(rows[key])
    counts = keys.value_counts()
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        found = f'the id "{twice[0]["values"].as_py()}" more than once'
        raise BadFeatures(
            option=option, found=found, shared={"found": "an id more than once"}
        )
    nul = nul_byte(keys, key)
    if nul:
        raise (
            of_table(nul)
            if isinstance(select, Given) and select.table is not None
            else nul
        )
    return Described(keys, rows.drop_columns([key]))


def with_newcomers(
    data: Interactions, entity: str, ids: pa.StringArray
) -> Interactions:
    """The same pairs, with ids of users or items of whom there is no pair yet.

    Raises IdTooLong.
    """
    of_users = entity == "user"
    known = data.users if of_users else data.items
    is_new = pc.invert(pc.is_in(ids, known))
    new = ids.filter(is_new)
    if not len(new):
        return data
    lengths = pc.binary_length(new).to_numpy()  # (n_new,)
    longest = int(lengths.argmax())
    if lengths[longest] > LONGEST_ID:
        raise too_long(entity, new[longest].as_py(), f"{entity}_id")
    joined = pa.concat_arrays([known, new])
    order = pc.sort_indices(joined).to_numpy()  # (n_known + n_new,)
    n = len(order)
    code = np.empty(n, np.int32)
    code[order] = np.arange(n, dtype=np.int32)
    vocabulary = joined.take(order)
    # ascending as before, so that pairs stay in order
    if of_users:
        return replace(data, user=code[data.user], users=vocabulary)
    return replace(data, item=code[data.item], items=vocabulary)


def graph(
    engine: Engine, select: Source, ids: pa.StringArray
) -> tuple[Graph, list[Finding]]:
    """The edges between known items of a caller's SELECT, and what was found.

    The SELECT has source_node, target_node and perhaps weight.

    Without a weight each edge weighs 1. Edges of an unknown item or of an item with itself are left
    out, as are those that lack a node or weigh nothing. Raises NotASelect, SourceFailed,
    BadColumnType, InexactId, or BadGraph for a weight that is negative or not finite, and where no
    edge is left.
    """
    with reading(engine, select) as (reader, text):
        given = reader.gather(
            text, [f"{end}_node" for end in EDGE_ENDS], weight="weight"
        )
    source, target = (
        id_text(given[_end(given.column_names, f"{end}_node")]) for end in EDGE_ENDS
    )
    weight, rows = _edge_weights(given), given.num_rows
    ends = [
        pc.index_in(nodes, ids).fill_null(-1).to_numpy() for nodes in (source, target)
    ]  # (rows,), (rows,)
    missing = pc.or_(source.is_null(), target.is_null()).to_numpy(
        zero_copy_only=False
    ) | (weight == 0)  # (rows,)
    unknown = ~missing & ((ends[0] < 0) | (ends[1] < 0))  # (rows,)
    loop = ~missing & ~unknown & (ends[0] == ends[1])  # (rows,)
    keep = ~(missing | unknown | loop)  # (rows,)
    if not keep.any():
        raise BadGraph(
            found=f"{rows} rows, none of them an edge between two items of the source"
        )
    degree = np.bincount(
        np.concatenate([end[keep] for end in ends]), minlength=len(ids)
    )  # (n_items,)
    findings = [
        Finding("edges", "info", rows, hint="rows the graph returned"),
        finding(
            "edges without node or weight", int(missing.sum()), "warning", "left out"
        ),
        finding(
            "edges of unknown items",
            int(unknown.sum()),
            "warning",
            "left out: the source has no such item",
        ),
        finding(
            "edges of an item with itself",
            int(loop.sum()),
            "info",
            "left out: a walk would stand still",
        ),
        finding(
            "items without edges",
            int((degree == 0).sum()),
            "warning",
            "no walk meets them: their vectors are zero",
        ),
    ]
    one, other = (end[keep].astype(np.int32) for end in ends)  # (edges,), (edges,)
    return Graph(one, other, weight[keep]), findings


def _end(names: list[str], wanted: str) -> str:
    """The graph's own spelling of a column. Raises BadGraph."""
    found = find_column(names, None, wanted, "graph")
    if found is None:
        raise BadGraph(found=f"no column {wanted}; its columns are {', '.join(names)}")
    return found


def _edge_weights(given: pa.Table) -> Any:
    """The weights (rows,) of edges: 1 where the graph has none, 0 where one is missing.

    Raises BadGraph.
    """
    column = find_column(given.column_names, None, "weight", "graph")
    if column is None:
        return np.ones(given.num_rows, np.float32)
    with np.errstate(over="ignore"):  # too much for a float is not finite
        weight = given[column].fill_null(0).to_numpy().astype(np.float32)  # (rows,)
    wrong = ~np.isfinite(weight) | (weight < 0)  # (rows,)
    if wrong.any():
        kind = (
            "a negative weight"
            if np.isfinite(weight[wrong][0])
            else "a weight that is not finite"
        )
        rows = f"in {int(wrong.sum())} of {given.num_rows} rows"
        remedy = f"leave them out, WHERE {quote(column)} >= 0 AND {quote(column)} <= {LARGEST:g}"
        found = f"{kind} ({weight[wrong][0]:g}) {rows}; {remedy}"
        raise BadGraph(found=found, shared={"found": f"{kind} {rows}; {remedy}"})
    return weight
