"""Two towers in torch: vectors of users and items by id, features and, for users, history.

A vector is id embedding + tower, a sum over features that may go through layers. In training id
embeddings are left out at random, so that the tower learns to do without them, as it must for a
newcomer (Volkovs, Yu and Poutanen, 2017, "DropoutNet").
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag, normalize, relu

from embsql.data import CsrMatrix, Embeddings, Float32, Interactions, Tower
from embsql.features.encoders import ColumnRow, FeatureMatrix
from embsql.nn.losses import LOSSES, MASKED, Scores
from embsql.nn.negatives import (
    NegativeSampler,
    SeenItems,
    gather_csr_rows,
    hardest,
    negative_sampler,
    pair_counts,
)
from embsql.nn.optim import EmbeddingTable, build_optimizers
from embsql.nn.tensors import float32_array, int64_tensor, true_indices
from embsql.nn.trainer import (
    TrainingLoop,
    effective_batch_size,
    hold_out,
    shuffled_batches,
    torch_context,
)
from embsql.options import Similarity
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.algorithms.two_tower import TwoTower

# share of known features that training hides, so that the columns of unknown ones are learned
UNKNOWN_RATE = 0.05
INIT_NORM = 0.1  # length of the vectors that training starts from
# rows, steps and learning rate with which a tower learns an earlier run's vectors
WARMUP_BATCH = 1024
WARMUP_STEPS = 100
WARMUP_LR = 0.01
INFERENCE_BATCH = 8192  # rows of a tower at a time when nothing is learned
EVAL_BATCH = 512  # users at a time whose scores of all items are made
EMPTY = -1  # the item of a queue's entry that nothing fills yet

Features = dict[str, FeatureMatrix | None]  # of "user" and "item"


class Dropouts(NamedTuple):
    """What training leaves out at random, as shares."""

    generator: torch.Generator
    ids: float  # of id embeddings
    history: float = 0.0  # of a history's items
    embedding: float = 0.0  # of a user vector's components

    def mask(self, rate: float, *shape: int) -> Tensor:
        """1 with probability 1 - rate, else 0, of a shape."""
        random = torch.rand(shape, generator=self.generator)
        return (random >= rate).float()

    def apply(self, x: Tensor) -> Tensor:
        """Users' vectors (b, d) without some components, the others larger by as much: (b, d)"""
        if not self.embedding:
            return x
        mask = self.mask(self.embedding, *x.shape)  # (b, d)
        return x * mask.to(x.device) / (1 - self.embedding)


# --- one tower -----------------------------------------------------------------------------------


class FeatureLayer(nn.Module):  # type: ignore[misc]  # torch is untyped
    """The first layer: a sparse matrix of features times a table."""

    indptr: Tensor  # (n + 1,)
    column: Tensor  # (entries,)
    value: Tensor  # (entries,)
    feature: Tensor  # (entries,) from 1
    unknown: Tensor  # (features,)

    def __init__(
        self, matrix: FeatureMatrix, width: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        table = _random(matrix.n_columns, width, generator)  # (columns, w)
        self.table = nn.Parameter(table)
        for name in ("indptr", "column", "value", "feature", "unknown"):
            buffer = torch.from_numpy(getattr(matrix, name))
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, rows: Tensor, dropouts: Dropouts | None) -> Tensor:
        """(b,) -> (b, w)"""
        entry, offset, row = gather_csr_rows(self.indptr, rows)  # (e,), (b,), (e,)
        column = self.column[entry]  # (e,)
        value = self.value[entry]  # (e,)
        if dropouts is None:
            return _weighted_sum(column, self.table, offset, value)
        mask = dropouts.mask(UNKNOWN_RATE, len(rows), len(self.unknown))  # (b, f)
        known = mask.to(value.device)
        always = torch.ones_like(known[:, :1])  # (b, 1)
        of_feature = torch.cat([always, known], 1)  # (b, f + 1)
        is_kept = of_feature[row, self.feature[entry]]  # (e,)
        kept = _weighted_sum(column, self.table, offset, value * is_kept)  # (b, w)
        hidden = (1 - known) @ self.table[self.unknown]  # (b, w)
        return kept + hidden


class HistoryLayer(nn.Module):  # type: ignore[misc]  # torch is untyped
    """The mean over a user's items, in training over some of them, of what each contributes."""

    indptr: Tensor  # (n_users + 1,)
    item: Tensor  # (pairs,)

    def __init__(
        self,
        rows: CsrMatrix,
        table: EmbeddingTable,
        projection: nn.Parameter | None,
        empty: nn.Parameter,
    ) -> None:
        super().__init__()
        self.table = table  # (n_items, d)
        self.projection = projection  # (d, w), none where d is w
        self.empty = empty  # (1, w) of who has no history
        indptr = torch.from_numpy(rows.indptr)
        item = int64_tensor(rows.indices)
        self.register_buffer("indptr", indptr, persistent=False)
        self.register_buffer("item", item, persistent=False)

    def forward(self, users: Tensor, dropouts: Dropouts | None) -> Tensor:
        """(b,) -> (b, w)"""
        entry, offset, row = gather_csr_rows(self.indptr, users)  # (e,), (b,), (e,)
        is_kept = self._mask(len(entry), dropouts)  # (e,)
        count = is_kept.new_zeros(len(users)).index_add(0, row, is_kept)  # (b,)
        count = count[:, None]  # (b, 1)
        total = _weighted_sum(
            self.item[entry], self.table, offset, is_kept, sparse=self.table.is_large
        )  # (b, d)
        mean = total / count.clamp(min=1)  # (b, d)
        return torch.where(count > 0, self._projected(mean), self.empty)

    def _mask(self, n: int, dropouts: Dropouts | None) -> Tensor:
        if dropouts is None:
            return self.table.new_ones(n)
        mask = dropouts.mask(dropouts.history, n)
        return mask.to(self.table.device)

    def _projected(self, x: Tensor) -> Tensor:
        """(n, d) -> (n, w)"""
        return x if self.projection is None else x @ self.projection

    def contributions(self) -> Tensor:
        """What each item contributes as the only one: (n_items, w)."""
        return self._projected(self.table)


def _weighted_sum(
    index: Tensor,
    table: Tensor,
    offset: Tensor,
    weight: Tensor,
    *,
    sparse: bool = False,
) -> Tensor:
    """Sums of weighted rows of a table, a bag of entries for each offset: (b, w)."""
    return embedding_bag(
        index, table, offset, mode="sum", sparse=sparse, per_sample_weights=weight
    )


class TowerNetwork(nn.Module):  # type: ignore[misc]  # torch is untyped
    """One tower, and the id embeddings that are added to it."""

    def __init__(
        self,
        has_pairs: Tensor,
        dim: int,
        hidden: list[int],
        features: FeatureMatrix | None,
        generator: torch.Generator,
        *,
        has_ids: bool = True,
    ) -> None:
        super().__init__()
        widths = [*hidden, dim]
        table = EmbeddingTable(_random(len(has_pairs), dim, generator))  # (n, d)
        self.id_embedding = table.requires_grad_(has_ids)
        # none for who has no pairs
        self.id_embedding.data *= (has_pairs & has_ids)[:, None]
        self.features: FeatureLayer | None = None
        if features:
            self.features = FeatureLayer(features, widths[0], generator)
        self.history: HistoryLayer | None = None
        layers = [_linear(*shape, generator) for shape in pairwise(widths)]
        self.layers = nn.ModuleList(layers)

    def forward(self, rows: Tensor, dropouts: Dropouts | None = None) -> Tensor:
        """(b,) -> (b, d)"""
        of_ids = embedding(
            rows, self.id_embedding, sparse=self.id_embedding.is_large
        )  # (b, d)
        x = self._first_layer(rows, dropouts)  # (b, w) or none
        if x is None:
            return of_ids
        for layer in self.layers:
            x = layer(relu(x))
        if dropouts is not None:
            mask = dropouts.mask(dropouts.ids, len(rows), 1)  # (b, 1)
            of_ids = of_ids * mask.to(of_ids.device)
        return x + of_ids

    def _first_layer(self, rows: Tensor, dropouts: Dropouts | None) -> Tensor | None:
        x = self.features(rows, dropouts) if self.features else None
        if self.history is None:
            return x
        of_history = self.history(rows, dropouts)
        return of_history if x is None else x + of_history

    @torch.inference_mode()
    def vectors(self) -> Tensor:
        """The vectors of all: (n, d)."""
        table = self.id_embedding
        rows = torch.arange(len(table), device=table.device)  # (n,)
        batches = rows.split(INFERENCE_BATCH)
        return torch.cat([self(batch) for batch in batches])

    def warm_start(self, vectors: Tensor, run: Run) -> None:
        """Let the vectors of all be those (n, d), but for those that are NaN.

        The tower learns as much of them as it can, or newcomers would have to wait; the rest is in
        the id embeddings.
        """
        is_unknown = vectors.isnan().any(1)  # (n,)
        known = true_indices(~is_unknown)  # (k,)
        parameters = self._tower_parameters()
        if parameters and len(known):
            self._learn(parameters, vectors, known, run)
        if self.id_embedding.requires_grad:
            rest = vectors - self.vectors()  # (n, d)
            with torch.no_grad():
                self.id_embedding += rest.nan_to_num_(0)

    def _learn(
        self, parameters: list[nn.Parameter], vectors: Tensor, known: Tensor, run: Run
    ) -> None:
        """Fit the tower without ids to the vectors (n, d) of the known rows (k,)."""
        optimizers = build_optimizers(parameters, WARMUP_LR)
        without_ids = Dropouts(run.generator, ids=1)
        size = (WARMUP_BATCH,)
        for _ in range(WARMUP_STEPS):
            run.check()
            chosen = torch.randint(len(known), size, generator=run.generator)  # (b,)
            rows = known[chosen]  # (b,)
            error = self(rows, without_ids) - vectors[rows]  # (b, d)
            error.square().sum(1).mean().backward()
            for optimizer in optimizers.values():
                optimizer.step()
            self.zero_grad()

    def _tower_parameters(self) -> list[nn.Parameter]:
        """All but the id embeddings, also those of items that a history shares."""
        excluded = {"id_embedding"}
        if self.history and self.history.projection is not None:
            excluded.add("history.table")
        return [
            value for name, value in self.named_parameters() if name not in excluded
        ]

    def as_rows(self, features: FeatureMatrix | None, items: Any) -> Tower | None:
        """The tower without ids, for SQL; None when it knows nothing but ids."""
        columns: list[ColumnRow] = []
        tables: list[Tensor] = []
        if self.features and features:
            columns += list(features.columns())
            tables.append(self.features.table)
        if self.history:
            values = [None, *items.to_pylist()]
            columns += [("items", "items", value, None, None) for value in values]
            tables += [self.history.empty, self.history.contributions()]
        if not columns:
            return None
        table = float32_array(torch.cat(tables))
        return Tower(tuple(columns), table, tuple(map(_weights, self.layers)))


def _weights(layer: nn.Linear) -> tuple[Float32, Float32]:
    return float32_array(layer.weight), float32_array(layer.bias)


# --- both towers ---------------------------------------------------------------------------------


class PairBatch(NamedTuple):
    """One step."""

    user: Tensor  # (b,)
    item: Tensor  # (b,)
    sampled: Tensor  # (s,) negatives


class TwoTowerModel(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Both towers, and a queue of items that earlier batches had."""

    queue: Tensor  # (m, d) their vectors, the latest first
    queue_items: Tensor  # (m,) their codes, or EMPTY

    def __init__(
        self,
        users: TowerNetwork,
        items: TowerNetwork,
        similarity: Similarity,
        temperature: float,
        queue_size: int = 0,
    ) -> None:
        super().__init__()
        self.users = users
        self.items = items
        self.similarity = similarity
        self.temperature = temperature
        dim = items.id_embedding.shape[1]
        self.register_buffer("queue", torch.zeros(queue_size, dim))
        self.register_buffer("queue_items", torch.full((queue_size,), EMPTY))

    def warm_start(self, initial: Embeddings, run: Run) -> None:
        """Start from the vectors of an earlier run; items first: users may be made of them."""
        self.items.warm_start(torch.from_numpy(initial.items), run)
        self.users.warm_start(torch.from_numpy(initial.users), run)

    def scores(
        self, batch: PairBatch, sampler: NegativeSampler, dropouts: Dropouts
    ) -> tuple[Scores, Tensor]:
        """The batch's scores over the temperature, and their vectors' mean squared length."""
        device = self.users.id_embedding.device
        user, item, sampled = (codes.to(device) for codes in batch)
        b = len(item)
        items = torch.cat([item, sampled])  # (b + s,)
        x = self.users(user, dropouts)  # (b, d)
        y = self.items(items, dropouts)  # (b + s, d)
        squared_length = _mean_squared_length(x) + _mean_squared_length(y[:b])
        x, y = self._scored(x), self._scored(y)
        x = dropouts.apply(x) / self.temperature  # (b, d)
        first = 0 if sampler.in_batch else b
        negatives = torch.cat([y[first:], self.queue])  # (n, d)
        codes = torch.cat([items[first:], self.queue_items])  # (n,)
        is_empty = codes == EMPTY  # (n,)
        n_queued = len(self.queue) - is_empty.sum()
        scores = Scores(
            positive=(x * y[:b]).sum(1),
            negatives=x @ negatives.T,
            accidental_hits=(item[:, None] == codes) | is_empty,
            expected_counts=sampler.expected_counts(codes.clamp(min=0), n_queued),
        )
        self._enqueue(item, y[:b].detach())
        if sampler.seen:
            scores = _hardest_unseen(scores, sampler.seen.mask(user, codes))
        return scores, squared_length

    def _scored(self, vectors: Tensor) -> Tensor:
        """Vectors (n, d) of length 1 where the score is the cosine."""
        return normalize(vectors) if self.similarity == "cosine" else vectors

    def _enqueue(self, item: Tensor, vectors: Tensor) -> None:
        """Keep the latest items (b,) and their vectors (b, d)."""
        n = len(self.queue)
        queue = torch.cat([vectors, self.queue])  # (b + m, d)
        queue_items = torch.cat([item, self.queue_items])  # (b + m,)
        self.queue = queue[:n]
        self.queue_items = queue_items[:n]

    def feature_penalty(self) -> Tensor:
        """The sum of the squares of what features contribute: ()"""
        layers = (self.users.features, self.items.features)
        return sum(layer.table.square().sum() for layer in layers if layer)

    @torch.inference_mode()
    def hit_rate(
        self, held_out: Interactions, known: Interactions, k: int = 20
    ) -> float:
        """Share of held-out items, at most one a user, among the k best of those not yet seen."""
        users = int64_tensor(held_out.user).split(EVAL_BATCH)
        items = int64_tensor(held_out.item).split(EVAL_BATCH)
        vectors = self._scored(self.items.vectors())  # (i, d)
        seen = SeenItems(known.by_user(), "cpu")
        k = min(k, len(vectors))
        hits = 0
        for user, item in zip(users, items, strict=True):
            x = self.users(user.to(vectors.device))  # (b, d)
            scores = self._scored(x) @ vectors.T  # (b, i)
            row, seen_item = seen.of(user)  # (e,), (e,)
            scores[row, seen_item] = MASKED
            best = scores.topk(k).indices.cpu()  # (b, k)
            is_hit = (best == item[:, None]).any(1)  # (b,)
            hits += int(is_hit.sum())
        return hits / max(len(held_out), 1)

    def embeddings(self, data: Interactions, features: Features) -> Embeddings:
        """The vectors of all as they are scored, and the towers as rows."""
        towers = {
            "user": self.users.as_rows(features["user"], data.items),
            "item": self.items.as_rows(features["item"], data.items),
        }
        users = self._scored(self.users.vectors())  # (u, d)
        items = self._scored(self.items.vectors())  # (i, d)
        return Embeddings(
            float32_array(users),
            float32_array(items),
            self.similarity,
            towers={name: tower for name, tower in towers.items() if tower},
        )


def _mean_squared_length(vectors: Tensor) -> Tensor:
    """(n, d) -> ()"""
    return vectors.square().sum(1).mean()


def _hardest_unseen(scores: Scores, seen: Tensor) -> Scores:
    """The scores with all but the hardest negatives, none of them seen (b, s), as hits."""
    without_seen = scores._replace(accidental_hits=scores.accidental_hits | seen)
    return without_seen._replace(accidental_hits=~hardest(without_seen))


# --- training ------------------------------------------------------------------------------------


def fit_two_tower(
    options: TwoTower, data: Interactions, features: Features, run: Run
) -> Embeddings:
    """Train two towers on pairs and features. Raises Diverged and NoGpu."""
    known, held_out = data, None
    if options.patience:
        known, held_out = hold_out(data, run.seed)
    batch_size = effective_batch_size(options.batch_size, len(known))
    n_batches = math.ceil(len(known) / batch_size)
    n_items = min(batch_size + options.negatives, data.n_items)
    n_scores = batch_size * (n_items + options.negative_queue_size)
    with torch_context(run, n_scores * options.dim) as generator:
        model = build_two_towers(options, known, features, generator)
        if run.before:
            model.warm_start(run.before, run)
        model.to(run.device)
        sampler = negative_sampler(
            options.sampler, options.negatives, batch_size, known, generator, run.device
        )
        dropouts = Dropouts(
            generator,
            options.id_dropout,
            options.history_dropout,
            options.user_embedding_dropout,
        )
        feature_reg = options.feature_reg / len(known)
        loss = TwoTowerLoss(model, sampler, dropouts, options, feature_reg)
        batches = partial(pair_batches, known, batch_size, sampler)
        validate = None
        if held_out is not None:
            validate = partial(model.hit_rate, held_out, known)
        loop = TrainingLoop(options.name, options.epochs, options.lr, options.patience)
        loop.train(model, batches, n_batches, loss, run, validate)
        return model.embeddings(data, features)


@dataclass(frozen=True, slots=True)
class TwoTowerLoss:
    """The loss of a batch."""

    model: TwoTowerModel
    sampler: NegativeSampler
    dropouts: Dropouts
    options: TwoTower
    feature_reg: float  # for each pair

    def __call__(self, batch: PairBatch) -> Tensor:
        """The loss of its scores, and regularization: ()"""
        options = self.options
        scores, squared_length = self.model.scores(batch, self.sampler, self.dropouts)
        loss_of = LOSSES[options.loss]
        loss = loss_of(scores, options.margin, options.negative_weight)
        loss = loss + options.reg * squared_length
        if self.feature_reg:
            loss = loss + self.feature_reg * self.model.feature_penalty()
        return loss


def build_two_towers(
    options: TwoTower,
    data: Interactions,
    features: Features,
    generator: torch.Generator,
) -> TwoTowerModel:
    """Two towers with random weights."""
    hidden = [options.hidden_dim] * options.hidden_layers
    users = TowerNetwork(
        pair_counts(data.user, data.n_users) > 0,
        options.dim,
        hidden,
        features["user"],
        generator,
        has_ids=options.user_id_embedding,
    )
    items = TowerNetwork(
        pair_counts(data.item, data.n_items) > 0,
        options.dim,
        hidden,
        features["item"],
        generator,
    )
    if options.history_embedding != "none":
        users.history = _history_layer(options, data, items, generator)
    return TwoTowerModel(
        users, items, options.similarity, options.divisor, options.negative_queue_size
    )


def _history_layer(
    options: TwoTower,
    data: Interactions,
    items: TowerNetwork,
    generator: torch.Generator,
) -> HistoryLayer:
    """Histories by the items' own id embeddings, or by a table of their own."""
    width = options.hidden_dim if options.hidden_layers else options.dim
    if options.history_embedding == "shared":
        table = items.id_embedding
        projection = nn.Parameter(torch.eye(options.dim, width))  # (d, w)
    else:
        table = EmbeddingTable(_random(data.n_items, width, generator))  # (i, w)
        projection = None
    empty = nn.Parameter(_random(1, width, generator))
    return HistoryLayer(data.by_user(), table, projection, empty)


def pair_batches(
    data: Interactions, size: int, sampler: NegativeSampler
) -> Iterator[PairBatch]:
    """All pairs in random order, with the negatives of each batch."""
    user = int64_tensor(data.user)  # (n,)
    item = int64_tensor(data.item)  # (n,)
    for chosen in shuffled_batches(len(user), size, sampler.generator):
        sampled = sampler.sample()  # (s,)
        yield PairBatch(user[chosen], item[chosen], sampled)


def _random(n: int, width: int, generator: torch.Generator) -> Tensor:
    """Random vectors (n, w) of length INIT_NORM on average."""
    std = INIT_NORM / width**0.5
    return torch.randn(n, width, generator=generator) * std


def _linear(n_in: int, n_out: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
