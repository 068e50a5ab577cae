"""Events that are asked about, each from those before it in its session: what comes next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from embsql.data import (
    CsrMatrix,
    Embeddings,
    Events,
    Float32,
    Float64,
    Int32,
    Int64,
    Interactions,
    Network,
)
from embsql.errors import MissingExtra
from embsql.features.time import time_rows
from embsql.numeric.fold_in import Catalog, Folded
from embsql.run import Run

Mask = NDArray[np.bool_]

MAX_ASKED = 250_000  # events; of more some are drawn
MAX_READ = 2**27  # events in all prefixes, so that one endless session is measured too
BATCH = 2048  # prefixes between two looks at whether to stop


@dataclass(frozen=True)
class Sessions:
    """Events of sessions, each session's in order, and which of them are asked about.

    A session is a user's whole history, or a row of a test.
    """

    session: Int32  # (e,) ascending
    item: Int32  # (e,)
    weight: Float32  # (e,)
    time: Int64 | None  # (e,)
    asked: Int64  # (m,) positions of events that have one before them, ascending

    @property
    def target(self) -> Int32:
        """The items that are to be found, (m,)."""
        return self.item[self.asked]

    @property
    def group(self) -> Int32:
        """The sessions of the events asked about, (m,)."""
        return self.session[self.asked]

    @cached_property
    def begin(self) -> Int64:
        """Where the sessions of the events asked about begin, (m,)."""
        begins: Int64 = np.searchsorted(self.session, self.group)
        return begins

    def drawn(self, seed: int) -> Sessions:
        """As many of the events asked about as can be read, by lot."""
        lots = np.random.default_rng(seed).permutation(len(self.asked))  # (m,)
        read = np.cumsum((self.asked - self.begin)[lots])  # (m,) in order of lot
        n = min(MAX_ASKED, max(1, int(np.searchsorted(read, MAX_READ, "right"))))
        return replace(self, asked=self.asked[np.sort(lots[:n])])

    def prefixes(self, known: Mask) -> Prefixes:
        """What stands before the events asked about, of items (n_items,) that are known."""
        keep = known[self.item]  # (e,)
        kept_before = np.concatenate(([0], np.cumsum(keep)))  # (e + 1,)
        return Prefixes(
            self.session[keep],
            self.item[keep],
            self.weight[keep],
            None if self.time is None else self.time[keep],
            kept_before[self.begin],
            kept_before[self.asked],
            len(known),
        )

    def facts(self, known: Mask) -> dict[str, int]:
        """What is asked, and what is not known of it."""
        prefixes = self.prefixes(known)
        last = np.zeros(int(self.session.max(initial=-1)) + 1, np.int64)  # (sessions,)
        last[self.group] = self.asked  # of equal ones the last
        in_prefix = np.arange(len(self.item)) < last[self.session]  # (e,)
        return {
            "events": len(self.asked),
            "sessions": len(np.unique(self.group)),
            "events of unknown items": int((~known[self.target]).sum()),
            "unknown items in prefixes": int((in_prefix & ~known[self.item]).sum()),
            "prefixes without known items": int((prefixes.length == 0).sum()),
        }


def sessions(data: Interactions, asked: Mask) -> Sessions:
    """The events of each user as a session, of which those of a mask (m,) are asked about.

    The first of a session has nothing before it, and is not.
    """
    events = data.events_by_time()
    user = data.user[events.pair]  # (m,)
    follows = np.diff(user, prepend=-1) == 0  # (m,)
    return Sessions(
        user,
        data.item[events.pair],
        _weight(events),
        events.time,
        np.flatnonzero(asked & follows),
    )


def _weight(events: Events) -> Float32:
    return events.weight.astype(np.float32, copy=False)  # (m,)


@dataclass(frozen=True)
class Prefixes:
    """The known events before each event that is asked about."""

    session: Int32  # (e,) ascending
    item: Int32  # (e,)
    weight: Float32  # (e,)
    time: Int64 | None  # (e,)
    begin: Int64  # (m,) of each prefix, the first of its events
    end: Int64  # (m,) the one after its last
    n_items: int

    @property
    def length(self) -> Int64:
        """How many events each prefix has, (m,)."""
        return self.end - self.begin

    @cached_property
    def _first(self) -> Int64:
        """The first event of the same session and item, of each event: (e,)."""
        keys = self.session * np.int64(self.n_items) + self.item  # (e,)
        _, first, of_key = np.unique(keys, return_index=True, return_inverse=True)
        firsts: Int64 = first[of_key]  # (e,)
        return firsts

    @cached_property
    def _firsts_before(self) -> Int64:
        """How many such first events there are before each event, and at the end: (e + 1,)."""
        is_first = self._first == np.arange(len(self.item))  # (e,)
        return np.concatenate(([0], np.cumsum(is_first)))

    def items(self) -> CsrMatrix:
        """The items of each prefix, each once, in order of appearance: m rows."""
        before = self._firsts_before
        length = before[self.end] - before[self.begin]  # (m,)
        indptr = np.concatenate(([0], np.cumsum(length)))  # (m + 1,)
        shift = np.repeat(before[self.begin] - indptr[:-1], length)  # (entries,)
        is_first = np.diff(before) > 0  # (e,)
        items = self.item[is_first]  # (first events,)
        entries = np.arange(indptr[-1]) + shift  # (entries,)
        return CsrMatrix(indptr, items[entries], np.ones(len(entries), np.float32))

    def pairs(self, *, average: bool) -> CsrMatrix:
        """The same with weights: the sum of an item's, or with `average` their mean."""
        row_of = self._firsts_before[self._first]  # (e,) of the item among first events
        low = self._firsts_before[self.begin]  # (m,)
        totals = [
            _totals(row_of[begin:end] - first, self.weight[begin:end], average=average)
            for begin, end, first in zip(self.begin, self.end, low, strict=True)
        ]
        data = np.concatenate([np.empty(0), *totals]).astype(np.float32)  # (entries,)
        return replace(self.items(), data=data)


def _totals(position: Int64, weight: Float32, *, average: bool) -> Float64:
    """Weights (t,) added up by position, which is 0 to n - 1, or their means: (n,)."""
    total = np.asarray(np.bincount(position, weight), np.float64)  # (n,)
    return total / np.bincount(position) if average else total


# --- how a model answers -------------------------------------------------------------------------


def vectors_after(
    asked: Sessions, embeddings: Embeddings, known: Mask, run: Run
) -> Folded:
    """What a model makes of the prefixes of events asked about, as embsql.fold_in does.

    Its network's states, or what is folded in. `known` says of which items (n_items,) it has
    vectors. Raises MissingExtra for a network without torch.
    """
    codes = np.cumsum(known, dtype=np.int32) - 1  # (n_items,) among those known
    prefixes = asked.prefixes(known)
    if embeddings.network:
        return _states(prefixes, embeddings, embeddings.network, run)
    bias = embeddings.item_bias
    if bias is None:
        bias = np.zeros(len(known), np.float32)  # (n_items,)
    scale = embeddings.fold_in.item_scale
    how = replace(
        embeddings.fold_in, item_scale=None if scale is None else scale[known]
    )
    catalog = Catalog(
        embeddings.items[known].astype(np.float64), bias[known].astype(np.float64), how
    )
    pairs = prefixes.pairs(average=how.rated)
    own = CsrMatrix(pairs.indptr, codes[pairs.indices], pairs.data)
    return _joined([catalog.fold_in(rows) for rows in _batches(own, run)], catalog)


def _batches(rows: CsrMatrix, run: Run) -> Iterator[CsrMatrix]:
    """Some rows at a time, with a look at whether to stop."""
    for low in range(0, len(rows.counts), BATCH):
        run.check()
        indptr = rows.indptr[low : low + BATCH + 1]  # (b + 1,)
        entries = slice(indptr[0], indptr[-1])
        yield CsrMatrix(indptr - indptr[0], rows.indices[entries], rows.data[entries])


def _joined(parts: list[Folded], catalog: Catalog) -> Folded:
    empty = catalog.fold_in(CsrMatrix.empty(0))
    return Folded(*map(np.concatenate, zip(empty, *parts, strict=True)))


def _states(
    prefixes: Prefixes, embeddings: Embeddings, network: Network, run: Run
) -> Folded:
    """The states after the latest events of each prefix; none after an empty one."""
    try:
        from embsql.nn.stored_networks import (
            StoredNetwork,  # here: torch is slow to import
        )
    except ImportError:
        raise MissingExtra(
            what="asking a network", package="torch", extra="torch"
        ) from None
    stored = StoredNetwork(embeddings, network)
    features = _time_features(prefixes, network)
    rows = np.flatnonzero(prefixes.end > prefixes.begin)  # (n,)
    m = len(prefixes.end)
    dim = embeddings.dim
    vectors = np.zeros((m, dim), np.float32)
    known = np.zeros(m, np.bool_)
    for low in range(0, len(rows), BATCH):
        run.check()
        batch = rows[low : low + BATCH]  # (b,)
        offsets, event = _events_read(prefixes, batch, embeddings, network)
        item = prefixes.item[event].astype(np.int64)  # (t,)
        vectors[batch] = stored.states(offsets, item, features[event])
        known[batch] = np.diff(offsets) > 0
    return Folded(vectors, np.zeros(m, np.float32), known)


def _events_read(
    prefixes: Prefixes, batch: Int64, embeddings: Embeddings, network: Network
) -> tuple[Int64, Int64]:
    """Where some prefixes (b,) begin among the events that the network reads, and these.

    (b + 1,), (t,)
    """
    begin = prefixes.begin[batch]  # (b,)
    end = prefixes.end[batch]  # (b,)
    if network.kind == "gru_distinct":
        return _distinct_events(prefixes, begin, end, embeddings, network)
    return _ranges(np.maximum(begin, end - network.max_length), end)


def _ranges(begin: Int64, end: Int64) -> tuple[Int64, Int64]:
    """Where each of some ranges (b,) starts when they follow one another, and their numbers.

    (b + 1,), (t,)
    """
    length = end - begin  # (b,)
    offsets = np.concatenate(([0], np.cumsum(length)))  # (b + 1,)
    shift = np.repeat(begin - offsets[:-1], length)  # (t,)
    numbers = np.arange(offsets[-1]) + shift  # (t,)
    return offsets, numbers


def _distinct_events(
    prefixes: Prefixes,
    begin: Int64,
    end: Int64,
    embeddings: Embeddings,
    network: Network,
) -> tuple[Int64, Int64]:
    """As `_events_read`: the last event of each item that has a vector, the latest of these."""
    _, event = _ranges(begin, end)  # (t,)
    scale = embeddings.fold_in.item_scale  # (i,)
    assert scale is not None  # noqa: S101 - for mypy: whoever trains a network gives it
    row = np.repeat(np.arange(len(begin)), end - begin)  # (t,)
    kept = _last_of_each(row * len(scale) + prefixes.item[event])  # (s,)
    kept = kept[scale[prefixes.item[event[kept]]] > 0]
    counts = np.bincount(row[kept], minlength=len(begin))  # (b,)
    first = np.cumsum(counts) - network.max_length  # (b,)
    kept = kept[np.arange(len(kept)) >= first[row[kept]]]
    counts = np.minimum(counts, network.max_length)
    return np.concatenate(([0], np.cumsum(counts))), event[kept]


def _last_of_each(keys: Int64) -> Int64:
    """Where each key (t,) comes last, in order: (s,)."""
    _, from_end = np.unique(keys[::-1], return_index=True)  # (s,)
    return np.sort(len(keys) - 1 - from_end)


def _time_features(prefixes: Prefixes, network: Network) -> Int64:
    """What the network reads of the events' times: (e, c).

    Events without times are of its latest, as in SQL.
    """
    clock = network.clock
    n = len(prefixes.item)
    if clock is None:
        return np.empty((n, 0), np.int64)
    time = prefixes.time
    if time is None:
        time = np.full(n, clock.latest_time)  # (e,)
    return time_rows(prefixes.session, prefixes.item, time, clock)
