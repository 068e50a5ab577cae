"""Encoders of histories of items whose vectors come from elsewhere, in torch.

Histories are packed one after another, see `histories`. An encoder makes two things of
them: for each item the user's vector without it, to predict it from, and for each user the vector
of the whole history.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

from embsql.data import Embeddings, Float32, FoldIn, Interactions
from embsql.features.vectors import item_vectors
from embsql.nn.histories import EventHistories, Packed, histories, users_with_events
from embsql.nn.losses import Scores, sampled_softmax
from embsql.nn.negatives import NegativeSampler, negative_sampler, pair_counts
from embsql.nn.network_rows import recurrent_rows
from embsql.nn.sequence_networks import Gru
from embsql.nn.tensors import float32_array, true_indices
from embsql.nn.towers import INFERENCE_BATCH, INIT_NORM, Dropouts
from embsql.nn.trainer import (
    TrainingLoop,
    effective_batch_size,
    shuffled_batches,
    torch_context,
)
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.algorithms.neural_content import NeuralContent

# share of id embeddings left out in training; what items live on that nobody has interacted with
ID_DROPOUT = 0.3
MIN_DIVISOR = 1e-12


class ItemEncoder(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Items: a linear map of their content vectors, plus an id embedding where ids count."""

    content: Tensor  # (n, p)

    def __init__(
        self,
        content: Float32,
        has_pairs: Tensor | None,
        dim: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        scale = np.float32(_root_mean_square_length(content) or 1.0)
        scaled = torch.from_numpy(content / scale)  # (n, p) the unit does not matter
        self.register_buffer("content", scaled, persistent=False)
        n, content_dim = content.shape
        self.projection = nn.Linear(content_dim, dim, bias=False)
        nn.init.orthogonal_(self.projection.weight, generator=generator)
        self.id_embedding: nn.Parameter | None = None
        if has_pairs is not None:
            table = torch.randn(n, dim, generator=generator)  # (n, d)
            table = table * (INIT_NORM / dim**0.5)
            table = table * has_pairs[:, None]  # none for items without pairs
            self.id_embedding = nn.Parameter(table)

    def forward(self, items: Tensor, dropouts: Dropouts | None = None) -> Tensor:
        """(m,) -> (m, d)"""
        projected = self.projection(embedding(items, self.content))  # (m, d)
        if self.id_embedding is None:
            return projected
        of_ids = embedding(items, self.id_embedding)  # (m, d)
        if dropouts is not None:
            mask = dropouts.mask(dropouts.ids, len(items), 1)  # (m, 1)
            of_ids = of_ids * mask.to(of_ids.device)
        return projected + of_ids


def _root_mean_square_length(vectors: Float32) -> float:
    squares = np.square(vectors, dtype=np.float64)  # (n, p)
    mean_squared_length = squares.sum(1).mean()
    return float(np.sqrt(mean_squared_length))


class WeightedMean(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Means of items, with attention weights that each item's vector decides, or equal ones."""

    def __init__(
        self, dim: int, generator: torch.Generator, *, attention: bool
    ) -> None:
        super().__init__()
        self.key: nn.Linear | None = None
        self.query: nn.Parameter | None = None
        if attention:
            self.key = nn.Linear(dim, dim)
            # at first all weights are equal
            self.query = nn.Parameter(torch.zeros(dim))
            nn.init.xavier_uniform_(self.key.weight, generator=generator)
            nn.init.zeros_(self.key.bias)

    def forward(self, x: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
        """Of items (t, d): the means of the others (t, d), and of all of a history (b, d)."""
        weight = self.weight(x)  # (t, 1)
        row = packed.row.to(x.device)  # (t,)
        summands = torch.cat(
            [x * weight, weight], 1
        )  # (t, d + 1) the last is the divisor
        totals = summands.new_zeros(len(packed.length), summands.shape[1])
        totals = totals.index_add(0, row, summands)  # (b, d + 1)
        is_single = (packed.length == 1).to(x.device)  # (b,)
        is_alone = is_single[row, None]  # (t, 1)
        others = totals[row] - summands  # (t, d + 1)
        others = others.masked_fill(is_alone, 0)  # without a rounding error
        return _means(others), _means(totals)

    def weight(self, x: Tensor) -> Tensor:
        """(t, d) -> (t, 1)"""
        if self.key is None or self.query is None:
            return torch.ones_like(x[:, :1])
        key = torch.tanh(self.key(x))  # (t, d)
        score = key @ self.query  # (t,)
        return score[:, None].exp()


def _means(totals: Tensor) -> Tensor:
    """(m, d + 1) -> (m, d) zero where nothing was summed"""
    sums, divisors = totals[:, :-1], totals[:, -1:]  # (m, d), (m, 1)
    return sums / divisors.clamp(min=MIN_DIVISOR)


class GruEncoder(nn.Module):  # type: ignore[misc]  # torch is untyped
    """A GRU's state before each item and at the end."""

    def __init__(self, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        self.network = Gru(dim, 1, 0.0, generator)

    def forward(self, x: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
        """Of items (t, d): the states before each (t, d), and at the end of each history (b, d)."""
        states = self.network(x, packed)  # (t, d)
        zero = torch.zeros_like(states[:1])  # (1, d)
        shifted = torch.cat([zero, states[:-1]])  # (t, d)
        is_first = (packed.position == 0).to(x.device)  # (t,)
        before = shifted.masked_fill(is_first[:, None], 0)  # (t, d)
        return before, states[packed.last]

    def weight(self, x: Tensor) -> Tensor:
        """Whether items are read, as those without a vector are not: (t, d) -> (t, 1)"""
        return (x != 0).any(1, keepdim=True).to(x.dtype)


class HistoryBatch(NamedTuple):
    """The histories of some users, and what their items are contrasted with."""

    packed: Packed
    item: Tensor  # (t,)
    sampled: Tensor  # (s,) negatives


class HistoryModel(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Items, and the encoder that makes users of them."""

    def __init__(
        self, options: NeuralContent, items: ItemEncoder, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.items = items
        self.options = options
        self.is_causal = options.encoder == "gru"
        if self.is_causal:
            self.encoder = GruEncoder(options.dim, generator)
        else:
            attention = options.encoder == "attention"
            self.encoder = WeightedMean(options.dim, generator, attention=attention)

    def scores(
        self, batch: HistoryBatch, batch_counts: Tensor, dropouts: Dropouts
    ) -> Scores:
        """Of the items of some histories, each from what its history is without it."""
        device = self.items.content.device
        item = batch.item.to(device)  # (t,)
        sampled = batch.sampled.to(device)  # (s,)
        t = len(item)
        items = torch.cat([item, sampled])  # (t + s,)
        unique, index = items.unique(return_inverse=True)  # (m,), (t + s,)
        y = embedding(index, self.items(unique, dropouts))  # (t + s, d)
        state, _ = self.encoder(y[:t], batch.packed)  # (t, d)
        first = 1 if self.is_causal else 0  # nothing comes before the first
        is_predicted = (batch.packed.position >= first).to(device)  # (t,)
        x = self._scored(state[is_predicted])  # (a, d)
        x = x / self.temperature
        y = self._scored(y)  # (t + s, d)
        target = y[:t][is_predicted]  # (a, d)
        target_item = item[is_predicted]  # (a,)
        return Scores(
            positive=(x * target).sum(1),
            negatives=x @ y[t:].T,
            accidental_hits=target_item[:, None] == sampled,
            expected_counts=batch_counts[batch.sampled].to(device),
        )

    @property
    def temperature(self) -> float:
        """What scores are divided by in the loss."""
        return self.options.temperature if self.options.similarity == "cosine" else 1.0

    def _scored(self, vectors: Tensor) -> Tensor:
        """Vectors (n, d) of length 1 where the score is the cosine."""
        return normalize(vectors) if self.options.similarity == "cosine" else vectors

    @torch.inference_mode()
    def embeddings(self, events: EventHistories) -> Embeddings:
        """The vectors of all as they are scored."""
        items = self._all_items()  # (n, d)
        users = self._all_users(events, items)  # (u, d)
        fold_in = FoldIn("mean", item_scale=self._fold_in_weights(items))
        network = None
        if isinstance(self.encoder, GruEncoder):
            network = recurrent_rows(self.encoder.network, self.options.max_length)
        return Embeddings(
            float32_array(self._scored(users)),
            float32_array(self._scored(items)),
            self.options.similarity,
            fold_in=fold_in,
            network=network,
        )

    def _all_items(self) -> Tensor:
        """(n, d)"""
        content = self.items.content
        items = torch.arange(len(content), device=content.device)  # (n,)
        batches = items.split(INFERENCE_BATCH)
        return torch.cat([self.items(batch) for batch in batches])

    def _all_users(self, events: EventHistories, items: Tensor) -> Tensor:
        """Vectors of all users by those of items (n, d), zero for who has no history: (u, d)"""
        device = items.device
        counts = events.counts  # (u,)
        states = torch.zeros(len(counts), items.shape[1], device=device)
        for users in true_indices(counts).split(self.options.batch_size):
            packed = events.pack(users)
            item = events.item[packed.event].to(device)  # (t,)
            y = embedding(item, items)  # (t, d)
            _, vectors = self.encoder(y, packed)  # (b, d)
            states[packed.user.to(device)] = vectors
        return states

    def _fold_in_weights(self, items: Tensor) -> Float32:
        """What SQL multiplies the stored vector of each item (n, d) by, before it is read: (n,)."""
        weight = self.encoder.weight(items)[:, 0]  # (n,)
        if self.options.similarity == "cosine":
            # the lengths that stored vectors have lost
            weight = weight * items.norm(dim=1)
        return float32_array(weight)


def fit_neural_content(
    options: NeuralContent, data: Interactions, run: Run
) -> Embeddings:
    """Train on histories of items that have a vector.

    Raises BadFeatures, Diverged, NoGpu and NotEnoughData.
    """
    content = item_vectors(data, options.vector_col)  # (i, p)
    has_ids = options.item_id_embedding
    known = data
    if not has_ids:
        has_content = (content != 0).any(axis=1)  # (i,)
        known = data.where(has_content[data.item])
    events = histories(known).latest(options.max_length)
    learners = users_with_events(
        data,
        events,
        2,
        algorithm=options.name,
        need="a user with two items that have vectors",
    )  # (n,)
    batch_size = effective_batch_size(options.batch_size, len(learners))
    n_batches = math.ceil(len(learners) / batch_size)
    items_per_batch = batch_size * len(events.item) / len(learners)
    n_negatives = min(options.negatives, data.n_items)
    multiplications = items_per_batch * n_negatives * options.dim
    with torch_context(run, multiplications) as generator:
        has_pairs = None
        if has_ids:
            has_pairs = pair_counts(known.item, data.n_items) > 0  # (i,)
        items = ItemEncoder(content, has_pairs, options.dim, generator)
        model = HistoryModel(options, items, generator).to(run.device)
        sampler = negative_sampler("uniform", options.negatives, 0, known, generator)
        dropouts = Dropouts(generator, ID_DROPOUT)

        def loss(batch: HistoryBatch) -> Tensor:
            scores = model.scores(batch, sampler.batch_counts, dropouts)
            return sampled_softmax(scores)

        batches = partial(_batches, events, learners, batch_size, sampler)
        loop = TrainingLoop(options.name, options.epochs, options.lr)
        loop.train(model, batches, n_batches, loss, run)
        embeddings: Embeddings = model.embeddings(events)
        return embeddings


def _batches(
    events: EventHistories, learners: Tensor, size: int, sampler: NegativeSampler
) -> Iterator[HistoryBatch]:
    """The histories of all in random order, with the negatives of each batch."""
    for chosen in shuffled_batches(len(learners), size, sampler.generator):
        packed = events.pack(learners[chosen])
        item = events.item[packed.event]  # (t,)
        yield HistoryBatch(packed, item, sampler.sample())
