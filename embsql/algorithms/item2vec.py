"""Item embeddings from sequences: items near each other in histories get similar vectors."""

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
from embsql.algorithms.base.profile import weighted_means
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

BLOCK_TOKENS = 1 << 20  # made ready at a time
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

    skipgram: each item of a window should tell the center from random negatives. cbow: their mean
    should; faster. ppmi: no epochs; co-occurrences within the window are counted, weighed by
    shifted positive pointwise mutual information and factorized (Levy and Goldberg, 2014, "Neural
    word embedding as implicit matrix factorization"): the same bytes for any number of threads.

    Columns of `item_features` that `metadata_cols` names join the sequences as tokens next to their
    items (Vasile, Smirnova and Conneau, 2016, "Meta-Prod2Vec"), so that rare items come near
    others of their kind.

    Items get their input vectors, less the mean of all, at length 1; in cbow, where those learn
    only together, the sums of input and output vectors. A user is the mean of the history, by
    weight, and by age where `half_life` is given; the score is the product, and a little for
    popularity. With popularity_weight=0 it is the cosine, and items keep their lengths.
    """

    name: ClassVar[str]  # set by @algorithm
    ordered: ClassVar[bool] = True
    sides: ClassVar[tuple[str, ...]] = ("item_features",)  # with metadata_cols

    dim: Dim = 64  # length of the vectors: 50 to 128 suit most catalogs
    epochs: Count = 10  # passes over the sequences; small data wants 30 to 100
    # skipgram is best, cbow faster, ppmi exact
    method: Literal["skipgram", "cbow", "ppmi"] = "skipgram"
    # items on either side that count as context; longer for sets, 3 for strict order
    window: Count = 5
    # windows of 1 to `window` by chance, so that near items count more
    dynamic_window: bool = True
    # put each history in a new order every epoch: for sets that have none
    shuffle: bool = False
    # random items that each pair is contrasted with; for ppmi, the shift log(negatives)
    negatives: Count = 5
    # an item is a negative as often as its count to this power; worth trying -0.5 to 1
    ns_exponent: Exponent = 0.75
    # drop events of items above this share of all at random, 1e-3 to 1e-5; 0: none
    sample: NonNegative = 0.0
    # step length at first, falling to nothing; each vector's own steps shrink as it learns
    lr: Positive = 0.8
    # weight of ln(1 + users), added to an item's score; 0: cosine, vectors keep their lengths
    popularity_weight: NonNegative = 0.06
    # days (units of a numeric event_time) that halve a context's or history's weight
    half_life: Positive | None = None
    # use the latest so many events of a user; none: all
    max_length: Count | None = None
    # columns of item_features, separated by commas, that join as tokens
    metadata_cols: str | None = None

    def __post_init__(self) -> None:
        check(self)
        # there is only one, and `run.report` is called as often
        if self.method == "ppmi":
            object.__setattr__(self, "epochs", 1)

    @property
    def warm_starts(self) -> bool:
        """Where it learns by steps, which ppmi does not."""
        return self.method != "ppmi"

    @property
    def on_gpu(self) -> bool:
        """Where it learns by steps: ppmi counts."""
        return self.method != "ppmi"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Features of items, where some are named."""
        return self.sides if self.metadata_cols else ()

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data; the reported loss is the mean of a pair, its negatives included."""
        histories = self._histories(data, run)
        train = self._factorize if self.method == "ppmi" else self._train
        items = train(data, histories, run)  # (i, d)
        if self.popularity_weight:
            return self._centered(data, items, run)
        users = self._users(data, _unit(items), run)  # (u, d)
        length = np.linalg.norm(items, axis=1)  # (i,)
        scale = 1 / np.maximum(length, np.float32(TINY))  # (i,)
        fold_in = FoldIn("mean", item_scale=scale)
        return Embeddings(users, items, similarity="cosine", fold_in=fold_in)

    def _centered(self, data: Interactions, items: Float32, run: Run) -> Embeddings:
        """Directions less their mean, scored by product, and popularity as the items' bias."""
        items = _unit(_less_mean(items, data))  # (i, d)
        users = self._users(data, _unit(items), run)  # (u, d)
        counts = np.bincount(data.item, minlength=data.n_items)  # (i,) users of each
        bias = (self.popularity_weight * np.log1p(counts)).astype(np.float32)  # (i,)
        return Embeddings(users, items, item_bias=bias)

    def _train(self, data: Interactions, histories: Histories, run: Run) -> Float32:
        """Item vectors (i, d) by training.

        Those of CBOW need both matrices, as its inputs only learn together.
        """
        counts = histories.counts  # (n_tokens,)
        initial = None
        if run.before is not None:
            new_tokens = len(counts) - data.n_items
            missing = ((0, new_tokens), (0, 0))
            initial = np.pad(
                run.before.items, missing, constant_values=np.nan
            )  # (n_tokens, d)
        settings = self._settings(histories)
        inputs, outputs = train.train_skipgram(
            histories, counts, settings, run, initial
        )
        vectors = inputs + outputs if self.method == "cbow" else inputs  # (n_tokens, d)
        return vectors[: data.n_items]

    def _factorize(self, data: Interactions, histories: Histories, run: Run) -> Float32:
        """Item vectors (i, d) from counts."""
        from embsql.skipgram.ppmi import factors

        settings = self._settings(histories)
        vectors, loss = factors(histories.blocks(1), histories.n_tokens, settings, run)
        run.report(epoch=1, loss=loss)
        return vectors[: data.n_items]

    def _settings(self, histories: Histories) -> Settings:
        return Settings(
            dim=self.dim,
            epochs=self.epochs,
            window=self.window * histories.tokens_per_event,
            negatives=self.negatives,
            lr=self.lr,
            ns_exponent=self.ns_exponent,
            sample=self.sample,
            cbow=self.method == "cbow",
            dynamic_window=self.dynamic_window,
        )

    # --- sequences --------------------------------------------------------------------------------

    def _histories(self, data: Interactions, run: Run) -> Histories:
        """Every user's events as sequences, the latest `max_length` of each."""
        events = data.events_by_time()
        user = data.user[events.pair]  # (m,)
        item = data.item[events.pair]  # (m,)
        age = self._age(events.time)  # (m,) or none
        if self.max_length is not None:
            ends = np.cumsum(np.bincount(user, minlength=data.n_users))  # (u,)
            is_late = ends[user] - np.arange(len(user)) <= self.max_length  # (m,)
            user = user[is_late]
            item = item[is_late]
            age = None if age is None else age[is_late]
        metadata, n_metadata = self._metadata_tokens(data)
        return Histories(
            indptr=indptr_of(user, data.n_users),
            item=item,
            age=age,
            metadata=metadata,
            n_tokens=data.n_items + n_metadata,
            seed=run.seed if self.shuffle else None,
        )

    def _age(self, time: Int64 | None) -> Float32 | None:
        """How many half-lives before the last event of all each happened, (m,)."""
        if self.half_life is None:
            return None
        return (ages(self, "half_life", time) / self.half_life).astype(np.float32)

    def _metadata_tokens(self, data: Interactions) -> tuple[CsrMatrix, int]:
        """The tokens of each item from the columns named, numbered after the items; how many."""
        owners = [np.empty(0, np.int32)]
        tokens = [np.empty(0, np.int32)]
        n = 0
        for column in self._columns(data):
            owner, code, n_codes = _encode(column)
            owners.append(owner)
            tokens.append(data.n_items + n + code)
            n += n_codes
        owner = np.concatenate(owners)  # (k,)
        order = np.argsort(owner, kind="stable")  # (k,)
        indptr = indptr_of(owner[order], data.n_items)  # (i + 1,)
        indices = np.concatenate(tokens)[order]  # (k,)
        return CsrMatrix(indptr, indices, np.ones(len(order), np.float32)), n

    def _columns(self, data: Interactions) -> Iterator[pa.Array]:
        """The columns that are named, one value or list per item.

        Raises BadOption for one that is not there.
        """
        table = pa.table({}) if data.item_features is None else data.item_features
        known = ", ".join(table.column_names) or "none, as item_features is not given"
        allowed = f"columns of item_features: {known}"
        for name in filter(None, map(str.strip, (self.metadata_cols or "").split(","))):
            require(self, allowed, metadata_cols=name in table.column_names)
            yield table[name].combine_chunks()

    # --- users ------------------------------------------------------------------------------------

    def _users(self, data: Interactions, unit: Float32, run: Run) -> Float32:
        """Mean of the unit item vectors (i, d) of each history, by weight and age: (u, d)."""
        return weighted_means(data, self._decayed_weight(data), unit, run)

    def _decayed_weight(self, data: Interactions) -> NDArray[np.float64]:
        """Weights of the pairs (n,), an event's halved per half-life before the user's last."""
        events = data.events_by_time()
        age = self._age(events.time)  # (m,) or none
        if age is None:
            return data.weight.astype(np.float64)
        user = data.user[events.pair]  # (m,)
        last = (
            np.cumsum(np.bincount(user, minlength=data.n_users)) - 1
        )  # (u,) the last event
        decay = np.exp2(age[last[user]] - age, dtype=np.float64)  # (m,)
        return np.bincount(events.pair, events.weight * decay, len(data)).astype(
            np.float64
        )


def _less_mean(items: Float32, data: Interactions) -> Float32:
    """The vectors (i, d) less their mean over the events, which says nothing of any item."""
    has_vector = items.any(axis=1, keepdims=True)  # (i, 1)
    counts = np.bincount(data.item, minlength=data.n_items) * has_vector.ravel()  # (i,)
    mean = (counts @ items / max(counts.sum(), 1)).astype(np.float32)  # (d,)
    centered: Float32 = np.where(has_vector, items - mean, items)  # (i, d)
    return centered


def _unit(vectors: Float32) -> Float32:
    """The vectors (n, d) at length 1, or 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)  # (n, 1)
    unit: Float32 = vectors / np.maximum(length, np.float32(TINY))  # (n, d)
    return unit


def _encode(column: pa.Array) -> tuple[Int32, Int32, int]:
    """Owner (k,) and code (k,) of the values of a column, and how many codes there are.

    An owner has several values where the column holds lists.
    """
    owner = np.arange(len(column), dtype=np.int32)  # (n,)
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        owner = pc.list_parent_indices(column).to_numpy().astype(np.int32)  # (k,)
        column = pc.list_flatten(column)  # (k,)
    is_valid = column.is_valid().to_numpy(zero_copy_only=False)  # (k,)
    encoded = column.drop_null().dictionary_encode()
    codes = encoded.indices.to_numpy().astype(np.int32)
    return owner[is_valid], codes, len(encoded.dictionary)


@dataclass(frozen=True, slots=True)
class Histories:
    """Users' items in order, as sequences of tokens; each item followed by its metadata."""

    indptr: Int64  # (u + 1,)
    item: Int32  # (m,)
    age: Float32 | None  # (m,) in half-lives
    metadata: CsrMatrix  # the tokens of each item
    n_tokens: int
    # of the order in each epoch; none: the order is that of the events
    seed: int | None

    @property
    def counts(self) -> Int64:
        """How often each token comes, (n_tokens,)."""
        n_items = len(self.metadata.counts)
        items = np.bincount(self.item, minlength=n_items)  # (i,)
        of_tokens = np.repeat(items, self.metadata.counts)  # (k,)
        counts = np.bincount(
            self.metadata.indices, of_tokens, self.n_tokens
        )  # (n_tokens,)
        counts[:n_items] += items
        return counts.astype(np.int64)

    @property
    def tokens_per_event(self) -> int:
        """Tokens of an event, about."""
        tokens = int(self.counts.sum())
        return max(1, round(tokens / max(len(self.item), 1)))

    def blocks(self, epoch: int) -> Iterator[Block]:
        """See `base.Corpus`."""
        tokens = np.arange(0, len(self.item) + BLOCK_TOKENS, BLOCK_TOKENS)
        edges = np.searchsorted(self.indptr, tokens)
        edges = np.unique(np.minimum(edges, len(self.indptr) - 1))
        for low, high in pairwise(edges.tolist()):
            yield self._with_metadata(self._block(low, high, epoch))

    def _block(self, low: int, high: int, epoch: int) -> Block:
        """Users low..high."""
        first = self.indptr[low]
        last = self.indptr[high]
        indptr = self.indptr[low : high + 1] - first
        item = self.item[first:last]  # (t,)
        age = None if self.age is None else self.age[first:last]  # (t,)
        if self.seed is None:
            return Block(indptr, item, age)
        user = np.repeat(np.arange(high - low), np.diff(indptr))  # (t,)
        lots = np.random.default_rng([self.seed, epoch, low]).random(len(item))  # (t,)
        order = np.lexsort((lots, user))  # (t,)
        return Block(indptr, item[order], None if age is None else age[order])

    def _with_metadata(self, block: Block) -> Block:
        """A block in which every item is followed by its tokens."""
        if not len(self.metadata.indices):
            return block
        lengths = (
            1 + self.metadata.counts[block.token]
        )  # (t,) of an item and its tokens
        begins = np.concatenate(([0], np.cumsum(lengths)))  # (t + 1,)
        owner = np.repeat(np.arange(len(block.token)), lengths)  # (k,)
        item = block.token[owner]  # (k,)
        nth = np.arange(begins[-1]) - begins[owner]  # (k,) 0 is the item itself
        entry = self.metadata.indptr[item] + nth - 1  # (k,)
        last_entry = len(self.metadata.indices) - 1
        metadata = self.metadata.indices[np.minimum(entry, last_entry)]  # (k,)
        token = np.where(nth == 0, item, metadata)  # (k,)
        time = None if block.time is None else block.time[owner]  # (k,)
        return Block(begins[block.indptr], token, time)
