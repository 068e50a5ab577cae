"""A stored run read back: its vectors, and the pairs it was trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.arrow import as_matrix
from embsql.data import Embeddings, Float32, FoldIn, Int32, Int64, Interactions, Network
from embsql.engines import Engine
from embsql.evaluation.splits import Mask
from embsql.lifecycle.stored_folding import aligned, fold_in_of, network_of
from embsql.options import Similarity
from embsql.sqlfiles.files import statements

# by what each is read in pages: what comes before the first row
LARGE_TABLES: dict[str, dict[str, str | int]] = {
    "item_embeddings": {"item_id": ""},
    "user_embeddings": {"user_id": ""},
    "interactions": {"user_id": "", "item_id": ""},
    "histories": {"user_id": "", "position": 0},
}
# rows of a server's answer at once: each becomes Python objects on its way
PAGE_ROWS = 100_000
UNLIMITED = 10**15


def pages(engine: Engine, table: str, run_id: int) -> Iterator[pa.Table]:
    """A run's rows of a large table in order of id; at least one page, which may have no rows."""
    page = UNLIMITED if engine.embedded else PAGE_ROWS
    after = LARGE_TABLES[table]
    while True:
        rows = engine.ask(
            statements("publish.sql")[table], run_id=run_id, page=page, **after
        )
        yield rows
        if rows.num_rows < page:
            return
        after = {key: rows[key][-1].as_py() for key in after}


def of_one_length(rows: pa.Table) -> Iterator[pa.Table]:
    """Rows in parts whose vectors have one length, as they are written.

    Those of towers have several.
    """
    kinds = (pa.types.is_list, pa.types.is_large_list)
    vectors = [
        field.name
        for field in rows.schema
        if any(is_kind(field.type) for is_kind in kinds)
    ]
    if not vectors:
        yield rows
        return
    lengths = pc.list_value_length(rows[vectors[0]])  # (n,)
    for length in lengths.unique():
        yield rows.filter(pc.equal(lengths, length))


@dataclass(frozen=True, slots=True)
class Side:
    """The users or the items of a run in order of id: by position is by id."""

    ids: pa.StringArray  # (n,)
    vectors: Float32  # (n, d)
    bias: Float32  # (n,)

    def on(self, ids: pa.StringArray, missing: float = 0.0) -> Side:
        """The same for other ids (m,), and a number for each entry of what is not here."""
        position = pc.index_in(ids, value_set=self.ids).fill_null(0).to_numpy()  # (m,)
        there = self.known(ids)  # (m,)
        vectors = np.full(
            (len(ids), self.vectors.shape[1]), missing, np.float32
        )  # (m, d)
        bias = np.zeros(len(ids), np.float32)  # (m,)
        vectors[there] = self.vectors[position[there]]
        bias[there] = self.bias[position[there]]
        return Side(ids, vectors, bias)

    def known(self, ids: pa.StringArray) -> Mask:
        """Which of some ids (m,) are here."""
        there: Mask = pc.is_in(ids, value_set=self.ids).to_numpy(zero_copy_only=False)
        return there


@dataclass(frozen=True, slots=True)
class Loaded:
    """A run as it is stored."""

    users: Side
    items: Side
    similarity: Similarity
    pairs: Interactions  # what it was trained on, by the ids of its vectors; weights are not read
    # how it makes a vector of a history, by the ids of its items
    fold_in: FoldIn = field(default_factory=FoldIn)
    network: Network | None = None

    def embeddings(self, users: pa.StringArray, items: pa.StringArray) -> Embeddings:
        """Its vectors for the ids of other vocabularies, zeros for those that it does not have."""
        of_users = self.users.on(users)
        of_items = self.items.on(items)
        vectors = of_users.vectors, of_items.vectors
        if not len(self.users.ids):
            vectors = (
                np.zeros((len(users), of_items.vectors.shape[1]), np.float32),
                of_items.vectors,
            )
        return Embeddings(
            *vectors,
            self.similarity,
            of_items.bias if self.similarity == "dot" else None,
            fold_in=self._fold_in_on(items),
            network=self._network_on(items),
        )

    def _fold_in_on(self, items: pa.StringArray) -> FoldIn:
        """How it folds in, for the ids of another vocabulary."""
        scale = self.fold_in.item_scale
        if scale is None:
            return self.fold_in
        there = aligned(pa.array(scale), self.items.ids, items, 1)  # (m,)
        return replace(self.fold_in, item_scale=there)

    def _network_on(self, items: pa.StringArray) -> Network | None:
        """Its network, for the ids of another vocabulary."""
        clock = self.network.clock if self.network else None
        if self.network is None or clock is None:
            return self.network
        first = pa.array(clock.first_times)
        times = aligned(first, self.items.ids, items, clock.latest_time)  # (m,)
        return replace(self.network, clock=replace(clock, first_times=times))


def load_run(engine: Engine, record: Mapping[str, Any]) -> Loaded:
    """A run of which there is a record."""
    run_id = int(record["run_id"])
    users = side(engine, run_id, "user")
    items = side(engine, run_id, "item")
    codes, times = zip(
        *(_codes(page, users, items) for page in pages(engine, "interactions", run_id)),
        strict=True,
    )
    (user, item), time = (
        np.concatenate(codes, axis=1),
        pa.concat_arrays(times),
    )  # (2, pairs), (pairs,)
    timed = len(time) > 0 and not time.null_count
    pairs = Interactions(
        user,
        item,
        np.ones(len(user), np.float32),
        time.to_numpy() if timed else None,
        users.ids,
        items.ids,
    )
    how = fold_in_of(engine, run_id, items.ids)
    network = network_of(engine, run_id, items.ids)
    return Loaded(users, items, record["similarity"], pairs, how, network)


def side(engine: Engine, run_id: int, entity: str) -> Side:
    """The users or the items of a run."""
    table = pa.concat_tables(pages(engine, f"{entity}_embeddings", run_id))
    ids = table[f"{entity}_id"].cast(pa.string()).combine_chunks()
    vectors = as_matrix(table["embedding"])  # (n, d)
    bias = table["bias"].to_numpy().astype(np.float32, copy=False)  # (n,)
    return Side(ids, vectors, bias)


def _codes(page: pa.Table, users: Side, items: Side) -> tuple[Int32, pa.Int64Array]:
    """Pairs, ordered by user, as positions (2, pairs), and their times.

    A pair of which a vector is missing is left out.
    """
    sides = (("user_id", users), ("item_id", items))
    user, item = (
        pc.index_in(page[name].cast(pa.string()), value_set=side.ids)
        for name, side in sides
    )
    known = pc.and_(user.is_valid(), item.is_valid())
    codes = [
        column.filter(known).to_numpy().astype(np.int32) for column in (user, item)
    ]
    return np.stack(codes), page["last_time"].cast(pa.int64()).filter(
        known
    ).combine_chunks()


# --- pairs in other vocabularies -----------------------------------------------------------------


def joined(ids: pa.StringArray, more: pa.StringArray) -> pa.StringArray:
    """Some ids, and after them those of others that are new."""
    return pa.concat_arrays(
        [ids, more.filter(pc.invert(pc.is_in(more, value_set=ids)))]
    )


def keys(pairs: Interactions, users: pa.StringArray, items: pa.StringArray) -> Int64:
    """The pairs (n,) as numbers, user * n_items + item in other vocabularies, -1 where unknown."""
    user, item = (
        pc.index_in(ids, value_set=others)
        .fill_null(-1)
        .to_numpy()
        .astype(np.int64)[codes]  # (pairs,)
        for ids, others, codes in (
            (pairs.users, users, pairs.user),
            (pairs.items, items, pairs.item),
        )
    )
    return np.where((user >= 0) & (item >= 0), user * len(items) + item, -1)
