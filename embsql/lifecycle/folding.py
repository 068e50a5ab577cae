"""Users folded into a finished run: what they did before and after it was trained, together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embsql.data import FoldIn, Interactions
from embsql.engines import Engine
from embsql.lifecycle.loaded import Side, side
from embsql.lifecycle.sequences import in_order, past_events, states
from embsql.lifecycle.stored_folding import fold_in_of, max_length_of, reads_once
from embsql.numeric.aggregate import by_pair
from embsql.numeric.fold_in import Catalog, Folded
from embsql.run import Run
from embsql.sqlfiles.files import statements

PAIRS = pa.schema(
    [
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("weight", pa.float32()),
        ("last_time", pa.int64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Foldable:
    """A finished run, its items loaded, and how it folds in."""

    run_id: int
    items: Side
    how: FoldIn
    max_length: int | None  # of the histories that its network reads; None without one
    distinct: bool = False  # whether it reads each item once, at its last event

    @property
    def reads_order(self) -> bool:
        """Whether a network makes its vectors, of events in their order."""
        return self.max_length is not None

    @property
    def reads_repeats(self) -> bool:
        """Whether its network reads every event, not each pair once."""
        return self.reads_order and not self.distinct

    def rows(self, engine: Engine, fresh: Interactions) -> pa.Table:
        """All that the users of new pairs did, before and since, as rows of ids."""
        past = engine.ask(
            statements(engine=engine.name)["histories"],
            run_id=self.run_id,
            users=fresh.users.to_pylist(),
        )
        return pa.concat_tables([past.cast(PAIRS), rows_of(fresh)])

    def coded(
        self, rows: pa.Table, users: pa.StringArray, items: pa.StringArray
    ) -> Interactions:
        """Rows of ids as pairs of some users and items, in order; those of others are left out."""
        user = pc.index_in(rows["user_id"], value_set=users)
        item = pc.index_in(rows["item_id"], value_set=items)
        there = pc.and_(user.is_valid(), item.is_valid())
        columns = by_pair(
            user.filter(there).to_numpy().astype(np.int32),
            item.filter(there).to_numpy().astype(np.int32),
            rows["weight"].filter(there).to_numpy().astype(np.float64),
            rows["last_time"].filter(there).to_numpy(),
            (len(users), len(items)),
            Run(),
            average=self.how.rated,
        )
        return Interactions(*columns, users, items)

    def histories(
        self, engine: Engine, fresh: Interactions, rows: pa.Table
    ) -> Interactions:
        """The pairs of these rows that it folds in, for a network with their events in order."""
        pairs = self.coded(rows, fresh.users, self.items.ids)
        if not self.reads_repeats:
            return pairs
        return in_order(past_events(engine, self.run_id, fresh.users), pairs, fresh)

    def fold_in(self, engine: Engine, histories: Interactions) -> Folded:
        """The users of histories: vectors (n, d), biases (n,), and who has any."""
        vectors = self.items.vectors.astype(np.float64)  # (m, d)
        if self.reads_order:
            return states(engine, self.run_id, vectors.shape[1], histories)
        bias = self.items.bias.astype(np.float64)  # (m,)
        return Catalog(vectors, bias, self.how).fold_in(histories.by_user())


def rows_of(pairs: Interactions) -> pa.Table:
    """Pairs as rows of ids."""
    users = pairs.users.take(pa.array(pairs.user))
    items = pairs.items.take(pa.array(pairs.item))
    columns = [users, items, pa.array(pairs.weight), pa.array(pairs.time)]
    return pa.Table.from_arrays(columns, schema=PAIRS)


def foldable(engine: Engine, run_id: int) -> Foldable:
    """A finished run as one folds into it."""
    items = side(engine, run_id, "item")
    how = fold_in_of(engine, run_id, items.ids)
    max_length = max_length_of(engine, run_id)
    return Foldable(run_id, items, how, max_length, reads_once(engine, run_id))
