"""The arrays that travel between the database and the algorithms, with their shapes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from embsql.arrow import Digest
from embsql.options import Similarity

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interactions:
    """One row per user-item pair, ordered by (user, item).

    Codes are positions in the vocabularies, which are in ascending order of id (by bytes), so that
    ordering by code is ordering by id.
    """

    user: Int32  # (n,) code of the user, ascending
    item: Int32  # (n,) code of the item, ascending within a user
    weight: Float32  # (n,) sum of the pair's weights (mean for explicit feedback)
    # (n,) last event of the pair: microseconds since 1970, or the source's own order
    time: Int64 | None
    users: pa.StringArray  # (n_users,) text ids
    items: pa.StringArray  # (n_items,) text ids
    # the rows behind the pairs, for algorithms that learn from their order
    events: Events | None = None
    # (n_users, any columns) what is known of them; NULL where nothing is
    user_features: pa.Table | None = None
    item_features: pa.Table | None = None  # (n_items, any columns)
    # edges between items that the caller gave, for algorithms that walk on them
    graph: Graph | None = None

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_users(self) -> int:
        """Number of users in the vocabulary."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items in the vocabulary."""
        return len(self.items)

    def users_with_pairs(self) -> NDArray[np.bool_]:
        """Which users have any: (n_users,)."""
        counts = np.bincount(self.user, minlength=self.n_users)  # (n_users,)
        return counts > 0

    def items_with_pairs(self) -> NDArray[np.bool_]:
        """Which items have any: (n_items,)."""
        counts = np.bincount(self.item, minlength=self.n_items)  # (n_items,)
        return counts > 0

    def by_user(self, weight: Float32 | None = None) -> CsrMatrix:
        """The pairs with a row per user: a view, because they are ordered so.

        With their own weights, or with others (n,).
        """
        indptr = indptr_of(self.user, self.n_users)  # (n_users + 1,)
        return CsrMatrix(indptr, self.item, self.weight if weight is None else weight)

    def by_item(self) -> CsrMatrix:
        """The pairs with a row per item, users ascending within an item."""
        order = np.argsort(self.item, kind="stable")  # (n,)
        indptr = indptr_of(self.item[order], self.n_items)  # (n_items + 1,)
        return CsrMatrix(indptr, self.user[order], self.weight[order])

    def events_by_time(self) -> Events:
        """Every user's events, the oldest first; without events, the pairs by their time."""
        if self.events is not None:
            return self.events
        if self.time is None:
            return Events(np.arange(len(self), dtype=np.int32), self.weight, None)
        pair = np.lexsort((self.time, self.user))  # (n,)
        return Events(pair.astype(np.int32), self.weight[pair], self.time[pair])

    def where(self, keep: NDArray[np.bool_]) -> Interactions:
        """The pairs for which keep (n,) is true, with their events; vocabularies unchanged."""
        return replace(
            self,
            user=self.user[keep],
            item=self.item[keep],
            weight=self.weight[keep],
            time=None if self.time is None else self.time[keep],
            events=None if self.events is None else self.events.where(keep),
        )

    def from_events(self, keep: NDArray[np.bool_], *, average: bool) -> Interactions:
        """The pairs that the events for which keep (m,) is true make; vocabularies unchanged.

        The events are those of `events_by_time`. A pair's weight is the sum of its events', or
        their mean with `average`; its time is the last of theirs. A pair without such an event is
        left out.
        """
        n = len(self)
        events = self.events_by_time()
        pair = events.pair[keep]  # (kept,)
        count = np.bincount(pair, minlength=n)  # (n,)
        total = np.bincount(pair, events.weight[keep], n)  # (n,)
        weight = total / np.maximum(count, 1) if average else total  # (n,)
        latest = _latest(events, keep, n)  # (n,)
        made = replace(self, weight=weight.astype(np.float32), time=latest, events=None)
        has_event = count > 0  # (n,)
        kept_events = None if self.events is None else events.select(keep, has_event)
        return replace(made.where(has_event), events=kept_events)

    def newest_event(self, now: int) -> int | None:
        """The newest time, of those that have come; None without times.

        `now` is in microseconds since 1970. One that is yet to come would make nothing new until
        then; where all are beyond, times are an order, which has no future.
        """
        if self.time is None or not len(self.time):
            return None
        come = self.time[self.time <= now]  # (c,)
        return int(come.max() if len(come) else self.time.max())

    def checksum(self) -> str:
        """SHA-256 of everything that training can see.

        Equal data gives an equal sum on every engine.
        """
        digest = hashlib.sha256()
        for column in (
            self.user,
            self.item,
            self.weight,
            self.time,
            *_columns(self.events),
        ):
            digest.update(_bytes(column))
        for vocabulary in (self.users, self.items):
            for buffer in vocabulary.buffers()[1:]:
                digest.update(buffer or b"")
        for column in _columns(self.graph):
            digest.update(_bytes(column))
        for features in filter(None, (self.user_features, self.item_features)):
            rows = Digest()
            rows.add(features.schema.to_string(), features)
            digest.update(rows.hexdigest().encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Events:
    """One row per event, ordered by user, then as they happened.

    Each belongs to a pair of the interactions.
    """

    pair: Int32  # (m,) position among the pairs: pairs.user[pair] is ascending
    weight: Float32  # (m,)
    time: Int64 | None  # (m,) as in the interactions

    def __len__(self) -> int:
        return len(self.pair)

    def where(self, keep_pairs: NDArray[np.bool_]) -> Events:
        """The events of the pairs for which keep_pairs (n_pairs,) is true."""
        return self.select(keep_pairs[self.pair], keep_pairs)

    def select(self, keep: NDArray[np.bool_], keep_pairs: NDArray[np.bool_]) -> Events:
        """The events for which keep (m,) is true, where of the pairs keep_pairs (n_pairs,) stay."""
        position = (
            np.cumsum(keep_pairs, dtype=np.int64) - 1
        )  # (n_pairs,) among those that stay
        pair = position[self.pair[keep]].astype(np.int32)  # (kept,)
        time = None if self.time is None else self.time[keep]
        return Events(pair, self.weight[keep], time)


def _latest(events: Events, keep: NDArray[np.bool_], n: int) -> Int64 | None:
    """The last time of each of n pairs among the events for which keep (m,) is true: (n,)."""
    if events.time is None:
        return None
    latest = np.full(n, np.iinfo(np.int64).min)  # (n,)
    np.maximum.at(latest, events.pair[keep], events.time[keep])
    return latest


def _columns(arrays: Events | Graph | None) -> tuple[NDArray[Any] | None, ...]:
    """The arrays of events or a graph, none where there is none."""
    return (
        ()
        if arrays is None
        else tuple(getattr(arrays, column.name) for column in fields(arrays))
    )


def _bytes(array: NDArray[Any] | None) -> Any:
    """What a checksum reads of an array."""
    return b"none" if array is None else np.ascontiguousarray(array).data


@dataclass(frozen=True, slots=True)
class Graph:
    """Weighted edges between items; what connects a with b connects b with a."""

    source: Int32  # (e,) codes of items
    target: Int32  # (e,)
    weight: Float32  # (e,) above 0


@dataclass(frozen=True, slots=True)
class CsrMatrix:
    """A compressed sparse row matrix, as in scipy.

    Row r has the columns indices[indptr[r]:indptr[r + 1]], with the values of data there.
    """

    indptr: Int64  # (n_rows + 1,)
    indices: Int32  # (n,) columns
    data: Float32  # (n,)

    @classmethod
    def empty(cls, n_rows: int) -> CsrMatrix:
        """As many rows without an entry."""
        return cls(
            indptr=np.zeros(n_rows + 1, np.int64),
            indices=np.empty(0, np.int32),
            data=np.empty(0, np.float32),
        )

    @property
    def counts(self) -> Int64:
        """Number of entries of each row, (n_rows,)."""
        return np.diff(self.indptr)


def indptr_of(codes: Int32, n: int) -> Int64:
    """Where each of n rows begins once row numbers are in order: (n + 1,)."""
    counts = np.bincount(codes, minlength=n)
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


@dataclass(frozen=True, slots=True)
class FoldIn:
    """How a user's vector follows from a history, for SQL to repeat (sql/prelude).

    least_squares solves the user's row of the objective whose numbers are given; projection sums
    weight times item vector; mean divides that by the sum of weights.
    """

    kind: Literal["least_squares", "projection", "mean"] = "mean"
    settings: Mapping[str, float] = field(default_factory=dict)
    # (n_items,) what the weight of an item is multiplied by first
    item_scale: Float32 | None = None
    # (d, d) inner products of the columns of the items that could be chosen; none: of all items
    gramian: Float64 | None = None

    @property
    def rated(self) -> bool:
        """Whether weights are ratings, of which a pair has the mean."""
        return self.settings.get("global_mean") is not None


@dataclass(frozen=True, slots=True)
class Tower:
    """How a newcomer's vector follows from features, for SQL to repeat (sql/prelude)."""

    # feature, kind, value, center, scale
    rows: tuple[tuple[str, str, str | None, float | None, float | None], ...]
    table: Float32  # (rows, width) what each adds to the first layer
    # weights (out, in) and biases (out,) of the layers after it
    layers: tuple[tuple[Float32, Float32], ...] = ()


# gru_distinct: a GRU of each item once, at its last event
NetworkKind = Literal["gru", "gru_distinct", "mean", "transformer"]


@dataclass(frozen=True, slots=True)
class NetworkLayer:
    """A linear map of a network, or rows that it looks up."""

    layer: int  # from 1; 0: what is added to the items, after the last: the output
    part: str  # which of the layer's maps
    weights: Float32  # (out, in)
    bias: Float32  # (out,)


@dataclass(frozen=True, slots=True)
class Clock:
    """What a network that reads times knows of those that it was trained on."""

    latest_time: int  # of all events
    first_times: Int64  # (n_items,) of each item's first event


@dataclass(frozen=True, slots=True)
class Network:
    """How the state after a history follows from its items, for SQL to repeat (sql/prelude)."""

    kind: NetworkKind
    n_layers: int
    n_heads: int
    max_length: int  # the latest so many events are read
    layers: tuple[NetworkLayer, ...]
    clock: Clock | None = None  # where an event's time is read too


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What training gives: a vector per user and per item, in the order of the vocabularies."""

    users: Float32  # (n_users, dim)
    items: Float32  # (n_items, dim)
    similarity: Similarity = "dot"  # how a user vector and an item vector make a score
    item_bias: Float32 | None = None  # (n_items,) added to every score of the item
    user_bias: Float32 | None = None  # (n_users,)
    fold_in: FoldIn = field(default_factory=FoldIn)
    # what was walked on, each edge in both directions; none: nothing, or the interactions
    graph: Graph | None = None
    # of "user" and "item", where features were trained on
    towers: Mapping[str, Tower] = field(default_factory=dict)
    network: Network | None = None  # where users' vectors are its states

    @property
    def dim(self) -> int:
        """Length of every vector."""
        return int(self.items.shape[1])

    def checksum(self) -> str:
        """SHA-256 of the vectors and biases: the same bytes give the same sum."""
        digest = hashlib.sha256()
        for array in self._arrays():
            digest.update(_bytes(array))
        return digest.hexdigest()

    def finite(self) -> bool:
        """Whether every number is finite."""
        return all(
            array is None or bool(np.isfinite(array).all()) for array in self._arrays()
        )

    def _arrays(self) -> tuple[Float32 | None, ...]:
        return (self.users, self.items, self.item_bias, self.user_bias)
