"""Item embeddings from sequences: items that come near each other in users' histories get similar
vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from embsql.algorithms import algorithm
from embsql.data import (
    CsrMatrix,
    Embeddings,
    Float32,
    FoldIn,
    Int32,
    Int64,
    Interactions,
    indptr_of,
)
from embsql.features.time import ages
from embsql.options import Count, Dim, Exponent, NonNegative, Positive, check, require
from embsql.run import Run
from embsql.skipgram import train
from embsql.skipgram.base import Block, Settings

BLOCK = 1 << 20  # tokens made ready at a time
TINY = 1e-30  # less than any length that counts


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class Item2Vec:
    """Item embeddings from the order of what users did, as word2vec learns from sentences.

    Every user's events, the oldest first, are one sequence; items that share a window get similar
    vectors (Barkan and Koenigstein, 2016, "Item2Vec: neural item embedding for collaborative
    filtering"). Rows without a time count in the order of the source; where there is no order at
    all, set `shuffle` or a window as long as a history. Sequences of one item teach nothing, and an
    item that only comes alone keeps a vector near zero.

    skipgram: each item of a window should tell the centre from random negatives. cbow: their mean
    should; faster. ppmi: no epochs; co-occurrences within the window are counted, weighed by
    shifted positive pointwise mutual information and factorised (Levy and Goldberg, 2014, "Neural
    word embedding as implicit matrix factorization"): the same bytes for any number of threads.

    Columns of `item_features` that `metadata_cols` names join the sequences as tokens beside their
    items (Vasile, Smirnova and Conneau, 2016, "Meta-Prod2Vec"), so that items seldom met come near
    others of their kind.

    Items get their input vectors, less the mean of all, at length 1; in cbow, where those learn
    only together, the sums of input and output vectors. A user is the mean of the history, by
    weight, and by age where `half_life` is given; the score is the product, and a little for
    popularity. With popularity_weight=0 it is the cosine, and items keep their lengths.
    """

    name: ClassVar[str]  # set by @algorithm
    ordered: ClassVar[bool] = True
    on_gpu: ClassVar[bool] = True
    sides: ClassVar[tuple[str, ...]] = ("item_features",)  # with metadata_cols

    dim: Dim = 64  # length of the vectors: 50 to 128 suit most catalogues
    epochs: Count = 10  # passes over the sequences; small data wants 30 to 100
    # skipgram is best, cbow faster, ppmi exact
    method: Literal["skipgram", "cbow", "ppmi"] = "skipgram"
    # items on either side that count as context; longer for sets, 3 for strict order
    window: Count = 5
    dynamic_window: bool = True  # windows of 1 to `window` by chance, so that near items count more
    shuffle: bool = False  # put each history in a new order every epoch: for sets that have none
    # random items that each pair is told from; for ppmi, the shift log(negatives)
    negatives: Count = 5
    # an item is a negative as often as its count to this power; worth trying -0.5 to 1
    ns_exponent: Exponent = 0.75
    # drop events of items above this share of all at random, 1e-3 to 1e-5; 0: none
    sample: NonNegative = 0.0
    # step length at first, falling to nothing; each vector's own steps shrink as it learns
    lr: Positive = 0.8
    # of ln(1 + users), added to an item's score; 0: cosine, vectors keep their lengths
    popularity_weight: NonNegative = 0.03
    # days (units of a numeric event_time) that halve a context's or history's weight
    half_life: Positive | None = None
    max_length: Count | None = None  # use the latest so many events of a user; none: all
    # columns of item_features, separated by commas, that join as tokens
    metadata_cols: str | None = None

    def __post_init__(self) -> None:
        check(self)
        if self.method == "ppmi":
            object.__setattr__(
                self, "epochs", 1
            )  # there is only one, and `run.report` is called as often

    @property
    def inputs(self) -> tuple[str, ...]:
        """Features of items, where some are named."""
        return self.sides if self.metadata_cols else ()

    @property
    def explicit(self) -> bool:
        """Weights are evidence."""
        return False

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data; the reported loss is the mean of a pair, its negatives included."""
        items = (
            self._counted(data, run) if self.method == "ppmi" else self._trained(data, run)
        )  # (i, d)
        if self.popularity_weight:
            items = _unit(_centred(items, data))  # (i, d)
        users = self._users(data, _unit(items), run)  # (u, d)
        if self.popularity_weight:
            met = np.bincount(data.item, minlength=data.n_items)  # (i,) users of each
            return Embeddings(
                users, items, item_bias=(self.popularity_weight * np.log1p(met)).astype(np.float32)
            )
        scale = 1 / np.maximum(np.linalg.norm(items, axis=1), np.float32(TINY))  # (i,)
        return Embeddings(
            users, items, similarity="cosine", fold_in=FoldIn("mean", item_scale=scale)
        )

    def _trained(self, data: Interactions, run: Run) -> Float32:
        """Item vectors (i, d) by training.

        Those of CBOW need both matrices, as its inputs only learn together.
        """
        histories = self._histories(data, run)
        before = (
            None if run.before is None else self._with_rows(run.before.items, len(histories.counts))
        )  # (n, d)
        inputs, outputs = train.train(
            histories, histories.counts, self._settings(histories), run, before
        )
        return (inputs + outputs if self.method == "cbow" else inputs)[: data.n_items]

    def _counted(self, data: Interactions, run: Run) -> Float32:
        """Item vectors (i, d) from counts."""
        from embsql.skipgram.ppmi import (
            factors,
        )  # here: it brings the compiler, which listing does not need

        histories = self._histories(data, run)
        items, loss = factors(
            histories.blocks(1), histories.n_tokens, self._settings(histories), run
        )  # (n, d)
        run.report(epoch=1, loss=loss)
        return items[: data.n_items]

    def _settings(self, histories: Histories) -> Settings:
        return Settings(
            dim=self.dim,
            epochs=self.epochs,
            window=self.window * histories.width,
            negatives=self.negatives,
            lr=self.lr,
            ns_exponent=self.ns_exponent,
            sample=self.sample,
            cbow=self.method == "cbow",
            dynamic_window=self.dynamic_window,
        )

    def _with_rows(self, vectors: Float32, n: int) -> Float32:
        """The vectors (i, d), and NaN for all tokens beside items: (n, d)."""
        return np.pad(vectors, ((0, n - len(vectors)), (0, 0)), constant_values=np.nan)

    # --- sequences --------------------------------------------------------------------------------

    def _histories(self, data: Interactions, run: Run) -> Histories:
        """Every user's events as sequences, the latest `max_length` of each."""
        events = data.events_by_time()
        user, item, age = (
            data.user[events.pair],
            data.item[events.pair],
            self._age(events.time),
        )  # (m,) each
        if self.max_length is not None:
            ends = np.cumsum(np.bincount(user, minlength=data.n_users))  # (u,)
            late = ends[user] - np.arange(len(user)) <= self.max_length  # (m,)
            user, item, age = user[late], item[late], None if age is None else age[late]
        side, n_side = self._side_tokens(data)
        seed = run.seed if self.shuffle else None
        return Histories(
            indptr_of(user, data.n_users), item, age, side, data.n_items + n_side, seed
        )

    def _age(self, time: Int64 | None) -> Float32 | None:
        """How many half-lives before the last event of all each happened, (m,)."""
        if self.half_life is None:
            return None
        return (ages(self, "half_life", time) / self.half_life).astype(np.float32)

    def _side_tokens(self, data: Interactions) -> tuple[CsrMatrix, int]:
        """The tokens beside each item, from the columns named, numbered after the items.

        And how many there are.
        """
        owners, tokens, n = [np.empty(0, np.int32)], [np.empty(0, np.int32)], 0
        for column in self._columns(data):
            owner, value, many = _values(column)
            owners.append(owner)
            tokens.append(data.n_items + n + value)
            n += many
        owner, token = np.concatenate(owners), np.concatenate(tokens)  # (k,), (k,)
        order = np.argsort(owner, kind="stable")  # (k,)
        return CsrMatrix(
            indptr_of(owner[order], data.n_items), token[order], np.ones(len(order), np.float32)
        ), n

    def _columns(self, data: Interactions) -> Iterator[pa.Array]:
        """The columns that are named, one value or list per item.

        Raises BadOption for one that is not there.
        """
        table = pa.table({}) if data.item_features is None else data.item_features
        known = ", ".join(table.column_names) or "none, as item_features is not given"
        for name in filter(None, map(str.strip, (self.metadata_cols or "").split(","))):
            require(
                self, f"columns of item_features: {known}", metadata_cols=name in table.column_names
            )
            yield table[name].combine_chunks()

    # --- users ------------------------------------------------------------------------------------

    def _users(self, data: Interactions, unit: Float32, run: Run) -> Float32:
        """Mean of the unit item vectors (i, d) of each user's history, by weight and age: (u, d)."""
        from embsql.numeric.linalg import (
            multiply,
        )  # here: it brings the compiler, which listing does not need

        weight = self._aged(data)  # (n,)
        total = np.bincount(data.user, weight, data.n_users)  # (u,)
        share = weight / np.where(total > 0, total, 1)[data.user]  # (n,)
        return multiply(
            CsrMatrix(data.by_user().indptr, data.item, share.astype(np.float32)), unit, run
        )  # (u, d)

    def _aged(self, data: Interactions) -> NDArray[np.float64]:
        """Weights of the pairs (n,), each event's halved for every half-life before the user's
        last.
        """
        events = data.events_by_time()
        age = self._age(events.time)  # (m,) or none
        if age is None:
            return data.weight.astype(np.float64)
        user = data.user[events.pair]  # (m,)
        last = np.cumsum(np.bincount(user, minlength=data.n_users)) - 1  # (u,) its place
        halved = events.weight * np.exp2(age[last[user]] - age, dtype=np.float64)  # (m,)
        return np.bincount(events.pair, halved, len(data)).astype(np.float64)  # (n,)


def _centred(items: Float32, data: Interactions) -> Float32:
    """The vectors (i, d) less their mean over the events, which all share and which says nothing of
    any.
    """
    met = np.bincount(data.item, minlength=data.n_items) * items.any(axis=1)  # (i,)
    mean = (met @ items / max(met.sum(), 1)).astype(np.float32)  # (d,)
    centred: Float32 = np.where(items.any(axis=1, keepdims=True), items - mean, items)  # (i, d)
    return centred


def _unit(vectors: Float32) -> Float32:
    """The vectors (n, d) at length 1, or 0."""
    unit: Float32 = vectors / np.maximum(
        np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(TINY)
    )  # (n, d)
    return unit


def _values(column: pa.Array) -> tuple[Int32, Int32, int]:
    """Owner (k,) and code (k,) of the values of a column, several per owner where it holds lists.

    How many codes.
    """
    owner = np.arange(len(column), dtype=np.int32)  # (n,)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        owner, column = (
            pc.list_parent_indices(column).to_numpy().astype(np.int32),
            pc.list_flatten(column),
        )  # (k,), (k,)
    there = column.is_valid().to_numpy(zero_copy_only=False)  # (k,)
    coded = column.drop_null().dictionary_encode()
    return owner[there], coded.indices.to_numpy().astype(np.int32), len(coded.dictionary)


@dataclass(frozen=True, slots=True)
class Histories:
    """Users' items in order, as sequences of tokens; each item followed by the tokens beside it."""

    indptr: Int64  # (u + 1,)
    item: Int32  # (m,)
    age: Float32 | None  # (m,) in half-lives
    side: CsrMatrix  # the tokens of each item
    n_tokens: int
    seed: int | None  # of the order in each epoch; none: the order is that of the events

    @property
    def counts(self) -> Int64:
        """How often each token comes, (n_tokens,)."""
        items = np.bincount(self.item, minlength=len(self.side.counts))  # (i,)
        beside = np.bincount(
            self.side.indices, np.repeat(items, self.side.counts), self.n_tokens
        )  # (n_tokens,)
        beside[: len(items)] += items
        return beside.astype(np.int64)

    @property
    def width(self) -> int:
        """Tokens of an event, about."""
        return max(1, round(int(self.counts.sum()) / max(len(self.item), 1)))

    def blocks(self, epoch: int) -> Iterator[Block]:
        """See `base.Corpus`."""
        edges = np.searchsorted(self.indptr, np.arange(0, len(self.item) + BLOCK, BLOCK))
        edges = np.unique(np.minimum(edges, len(self.indptr) - 1))
        for low, high in pairwise(edges.tolist()):
            yield self._with_side(self._block(low, high, epoch))

    def _block(self, low: int, high: int, epoch: int) -> Block:
        """Users low..high."""
        first, last = self.indptr[low], self.indptr[high]
        start, item = self.indptr[low : high + 1] - first, self.item[first:last]
        age = None if self.age is None else self.age[first:last]
        if self.seed is None:
            return Block(start, item, age)
        user = np.repeat(np.arange(high - low), np.diff(start))  # (t,)
        order = np.lexsort(
            (np.random.default_rng([self.seed, epoch, low]).random(len(item)), user)
        )  # (t,)
        return Block(start, item[order], None if age is None else age[order])

    def _with_side(self, block: Block) -> Block:
        """A block in which every item is followed by its tokens."""
        if not len(self.side.indices):
            return block
        place = np.concatenate(
            ([0], np.cumsum(1 + self.side.counts[block.token]))
        )  # (t + 1,) of each item
        owner = np.repeat(np.arange(len(block.token)), np.diff(place))  # (k,)
        item, nth = (
            block.token[owner],
            np.arange(place[-1]) - place[owner],
        )  # (k,), (k,) 0 is the item itself
        beside = self.side.indices[
            np.minimum(self.side.indptr[item] + nth - 1, len(self.side.indices) - 1)
        ]  # (k,)
        time = None if block.time is None else block.time[owner]
        return Block(place[block.indptr], np.where(nth == 0, item, beside), time)
