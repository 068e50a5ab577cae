"""Sequence models: what is predicted of a history, the loss, and users' vectors as states."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag, normalize, relu, softplus

from embsql.data import Embeddings, Float32, FoldIn, Interactions
from embsql.features.time import N_TIME_FEATURES, ages, time_features
from embsql.nn.sequence_networks import (
    NETWORKS,
    Dropout,
    EventHistories,
    Packed,
    histories,
    users_with_events,
)
from embsql.nn.tensors import float32_array, true_indices
from embsql.nn.trainer import (
    MAX_HELD_OUT,
    TrainingLoop,
    effective_batch_size,
    shuffled_batches,
    torch_context,
)
from embsql.options import Similarity
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Sequential, TrainingTask

FULL_SOFTMAX_LIMIT = 20_000  # items up to which the loss is over the whole catalog
DEFAULT_NEGATIVES = 1024  # where it is not
EVAL_BATCH = 512  # histories at a time when nothing is learned
MASK_RATE = 0.2  # share of events that a model learns to fill in
# share of histories of which only the last event is masked, as when recommending
LAST_ONLY_RATE = 0.1
EARLY_STOPPING_K = 10  # length of the lists that early stopping looks at
CHUNK_LOGITS = 1 << 19  # logits at a time: what a core's cache holds
ABSENT = -1  # column of an item that is not among the negatives


# --- batches: what is predicted of a history -----------------------------------------------------


class SequenceBatch(NamedTuple):
    """A batch of histories, and what is predicted of them."""

    packed: Packed
    inputs: Tensor  # (t,) items, or masks, that the network reads
    state_at: Tensor  # (s,) events whose states predict
    target: Tensor  # (p,) predicted events, by their index among all
    # (p,) which of the states predicts each; none: one each
    state_of: Tensor | None = None


@dataclass(frozen=True, slots=True)
class NextItem:
    """Predict every event from those before it."""

    events: EventHistories

    def batch(self, users: Tensor) -> SequenceBatch:
        """Of the histories of users (b,)."""
        packed = self.events.pack(users, drop_last=1)
        inputs = self.events.item[packed.event]  # (t,)
        state_at = torch.arange(len(inputs))  # (t,)
        return SequenceBatch(packed, inputs, state_at, target=packed.event + 1)


@dataclass(frozen=True, slots=True)
class Bag:
    """Predict all events of a user from some of them; the network chooses which."""

    events: EventHistories

    def batch(self, users: Tensor) -> SequenceBatch:
        """Of the histories of users (b,)."""
        packed = self.events.pack(users)
        inputs = self.events.item[packed.event]  # (t,)
        return SequenceBatch(
            packed, inputs, packed.last, packed.event, state_of=packed.row
        )


@dataclass(frozen=True, slots=True)
class MaskedItem:
    """Predict events behind a mask from all others (Devlin et al., 2019; Sun et al., 2019)."""

    events: EventHistories
    mask_token: int
    generator: torch.Generator

    def batch(self, users: Tensor) -> SequenceBatch:
        """Of the histories of users (b,)."""
        packed = self.events.pack(users)
        is_masked = self._mask(packed)  # (t,)
        items = self.events.item[packed.event]  # (t,)
        inputs = items.masked_fill(is_masked, self.mask_token)  # (t,)
        masked = true_indices(is_masked)  # (p,)
        return SequenceBatch(packed, inputs, masked, target=packed.event[masked])

    def _mask(self, packed: Packed) -> Tensor:
        """Which events are masked, at least one of every history: (t,)."""
        is_last_only = self._random(len(packed.user)) < LAST_ONLY_RATE  # (b,)
        is_masked = self._random(len(packed.event)) < MASK_RATE  # (t,)
        is_masked &= ~is_last_only[packed.row]
        has_none = torch.ones_like(is_last_only)  # (b,)
        has_none[packed.row[is_masked]] = False
        is_masked[packed.last[has_none]] = True
        return is_masked

    def _random(self, n: int) -> Tensor:
        return torch.rand(n, generator=self.generator)


Task = NextItem | Bag | MaskedItem


def make_task(
    name: TrainingTask,
    events: EventHistories,
    mask_token: int,
    generator: torch.Generator,
) -> Task:
    """What a model with this training task predicts of the events."""
    if name == "masked":
        return MaskedItem(events, mask_token, generator)
    return NextItem(events) if name == "causal" else Bag(events)


# --- model ---------------------------------------------------------------------------------------


class SequenceModel(nn.Module):  # type: ignore[misc]  # torch is untyped
    """Item vectors and the network over them.

    An item's score after a history is the product of its vector and the state, or with a
    temperature their cosine over it.
    """

    def __init__(
        self,
        n_items: int,
        dim: int,
        network: nn.Module,
        generator: torch.Generator,
        temperature: float | None = None,
    ) -> None:
        super().__init__()
        self.n_items = n_items
        self.network = network
        self.input_scale = dim**0.5
        self.temperature = temperature
        self.table = _short_vectors(
            n_items + 1, dim, generator
        )  # (i + 1, d) the last is the mask
        self.time_table = _short_vectors(N_TIME_FEATURES, dim, generator)
        self.age_embedding = nn.Parameter(torch.zeros(dim))

    @property
    def items(self) -> Tensor:
        """(i, d)"""
        return self.table[: self.n_items]

    def forward(self, inputs: Tensor, features: Tensor, packed: Packed) -> Tensor:
        """The state after each event: items (t,), time features (t, c) -> (t, d)"""
        device = self.table.device
        x = embedding(inputs.to(device), self.table)  # (t, d)
        if features.shape[1]:
            rows = features.to(device)  # (t, c)
            x = x + embedding_bag(rows, self.time_table, mode="sum")
        return self.network(self.input_scale * x, packed)

    def normalized(self, vectors: Tensor) -> Tensor:
        """Vectors (n, d) as they are scored: of length 1 where the score is the cosine."""
        return vectors if self.temperature is None else normalize(vectors)

    @torch.no_grad()
    def warm_start(self, initial: Float32) -> None:
        """Start from the vectors of an earlier run (i, d), NaN for items that it did not know."""
        vectors = torch.from_numpy(initial)  # (i, d)
        known = torch.where(vectors.isnan(), self.items, vectors)  # (i, d)
        self.items.copy_(known)

    @torch.no_grad()
    def scored_items(self) -> Float32:
        """The items' vectors as they are scored (i, d)."""
        items = self.items.cpu()
        return float32_array(self.normalized(items))

    @torch.no_grad()
    def input_lengths(self) -> Float32:
        """How long the vectors that the network reads are, where a scored one is 1 (i,)."""
        items = self.items.cpu()
        lengths = torch.ones(len(items))  # (i,)
        if self.temperature is not None:
            lengths = items.norm(dim=1)
        return float32_array(self.input_scale * lengths)

    @torch.inference_mode()
    def last_states(self, events: EventHistories) -> Tensor:
        """The state after each user's last event, (u, d); 0 for who has none."""
        self.eval()
        counts = events.counts  # (u,)
        users_states = torch.zeros(len(counts), self.table.shape[1])  # (u, d)
        for users in true_indices(counts > 0).split(EVAL_BATCH):
            packed = events.pack(users)
            inputs = events.item[packed.event]  # (t,)
            features = events.time_features[packed.event]  # (t, c)
            states = self(inputs, features, packed)  # (t, d)
            last_states = states[packed.last]  # (b, d)
            users_states[packed.user] = self.normalized(last_states).cpu()
        self.train()
        return users_states


def _short_vectors(n: int, dim: int, generator: torch.Generator) -> nn.Parameter:
    """Random vectors (n, d), short: what is seldom seen must not stay what chance made it."""
    vectors = torch.randn(n, dim, generator=generator)
    return nn.Parameter(vectors / dim)


# --- loss ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SequenceLoss:
    """The loss of a batch."""

    model: SequenceModel
    events: EventHistories
    options: Sequential
    n_negatives: int  # of a batch; all items where there are no more
    generator: torch.Generator

    def __call__(self, batch: SequenceBatch) -> Tensor:
        """What is predicted, and the regularization of the items' vectors: ()"""
        loss = self._prediction_loss(batch)
        reg = self.options.reg / len(self.events.item)
        if not reg:
            return loss
        squared_norm = self.model.items.square().sum()
        return loss + reg * squared_norm

    def _prediction_loss(self, batch: SequenceBatch) -> Tensor:
        """The mean over what is predicted, each by its weight: ()"""
        device = self.model.table.device
        features = self.events.time_features[batch.packed.event]  # (t, c)
        states = self.model(batch.inputs, features, batch.packed)  # (t, d)
        state = states[batch.state_at.to(device)]  # (s, d)
        weight = self.events.weight[batch.target].to(device)  # (p,)
        target = self.events.item[batch.target]  # (p,)
        if batch.state_of is not None:
            state_of = batch.state_of.to(device)  # (p,)
            if self.options.loss != "gbce":
                state = self._scaled(state)
                return self._shared_states(state, state_of, target, weight) / len(
                    target
                )
            state = state[state_of]  # (p, d)
        age = self.events.age[batch.target].to(device)  # (p,)
        of_age = age[:, None] * self.model.age_embedding  # (p, d)
        state = self._scaled(state + of_age)
        loss_of = {
            "softmax": self._softmax,
            "gbce": self._gbce,
            "contrastive": self._contrastive,
        }[self.options.loss]
        return loss_of(state, target, weight) / len(state)

    def _scaled(self, state: Tensor) -> Tensor:
        """States (n, d) without some of their components, over the temperature."""
        dropout = Dropout(self.options.user_embedding_dropout, self.generator)
        kept = dropout(self.model.normalized(state))  # (n, d)
        return kept / (self.model.temperature or 1.0)

    def _softmax(self, state: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Cross-entropy over all items, or over some, each of which stands for several."""
        negatives = self._sample()  # (n,)
        column_of = torch.full((self.model.n_items,), ABSENT)  # (i,)
        column_of[negatives] = torch.arange(len(negatives))
        column = column_of[target].to(state.device)  # (p,)
        target_vectors, vectors = self._item_vectors(
            target, negatives
        )  # (p, d), (n, d)
        return chunked_cross_entropy(
            state, target_vectors, vectors, column, self._log_correction, weight
        )

    def _shared_states(
        self, state: Tensor, state_of: Tensor, target: Tensor, weight: Tensor
    ) -> Tensor:
        """Where a state (b, d) predicts several items: its scores of negatives are made once.

        Contrastive (Mao et al., 2021, "SimpleX"): the cosine with the target towards 1, with
        negatives below the margin. Softmax: as `_softmax`, where the target may be a negative.
        """
        negatives = self._sample()  # (n,)
        target_vectors, vectors = self._item_vectors(
            target, negatives
        )  # (p, d), (n, d)
        positive = (state[state_of] * target_vectors).sum(1)  # (p,)
        scores = state @ vectors.T  # (b, n)
        if self.options.loss == "contrastive":
            above_margin = relu(scores - self.options.margin).mean(1)  # (b,)
            negative_loss = (
                self.options.negative_weight * above_margin[state_of]
            )  # (p,)
            return (relu(1 - positive) + negative_loss) @ weight
        all_others = scores.logsumexp(1) + self._log_correction  # (b,)
        loss = all_others[state_of] - positive  # (p,)
        if self.n_negatives < self.model.n_items:
            loss = softplus(loss)
        return loss @ weight

    def _contrastive(self, state: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        one_each = torch.arange(len(state), device=state.device)
        return self._shared_states(state, one_each, target, weight)

    def _gbce(self, state: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Generalized binary cross-entropy (Petrov and Macdonald, 2023, "gSASRec").

        The target is a positive, each negative is judged for itself, and a power of the positive's
        probability makes up for negatives that were not sampled.
        """
        negatives = self._sample()  # (n,)
        rate = self.n_negatives / self.model.n_items
        t = self.options.gbce_t
        power = rate * (t * (1 - 1 / rate) + 1 / rate)
        target_vectors, vectors = self._item_vectors(
            target, negatives
        )  # (p, d), (n, d)
        is_target = target[:, None] == negatives  # (p, n)
        scores = state @ vectors.T  # (p, n)
        negative_loss = softplus(scores).masked_fill(
            is_target.to(state.device), 0
        )  # (p, n)
        positive = (state * target_vectors).sum(1)  # (p,)
        loss = power * softplus(-positive) + negative_loss.sum(1)  # (p,)
        return loss @ weight

    def _item_vectors(self, target: Tensor, negatives: Tensor) -> tuple[Tensor, Tensor]:
        """The vectors of what is predicted, (p, d), and of the negatives, (n, d)."""
        items = torch.cat([target, negatives])  # (p + n,)
        items = items.to(self.model.table.device)
        vectors = embedding(items, self.model.items)  # (p + n, d)
        vectors = self.model.normalized(vectors)
        p = len(target)
        return vectors[:p], vectors[p:]

    @property
    def _log_correction(self) -> float:
        """What raises the negatives' scores, for items that were not sampled (logQ)."""
        items_per_negative = self.model.n_items / self.n_negatives
        return self.options.sampling_correction * math.log(items_per_negative)

    def _sample(self) -> Tensor:
        """Negatives, each item as likely, none twice: (n,)."""
        n_items = self.model.n_items
        if self.n_negatives == n_items:
            return torch.arange(n_items)
        order = torch.randperm(n_items, generator=self.generator)  # (i,)
        return order[: self.n_negatives]


def chunked_cross_entropy(
    state: Tensor,
    target: Tensor,
    negatives: Tensor,
    column: Tensor,
    log_correction: float,
    weight: Tensor,
) -> Tensor:
    """The weighted sum of cross-entropies of states (t, d), a chunk of the logits at a time: ().

    Each state's classes are its own target (t, d) and the negatives (n, d), whose logits are raised
    by a correction. `column` (t,) is where among the negatives the target is, or ABSENT: there it
    does not count.
    """
    loss: Tensor = _ChunkedCrossEntropy.apply(
        state, target, negatives, column, log_correction, weight
    )
    return loss


class _ChunkedCrossEntropy(torch.autograd.Function):  # type: ignore[misc]  # torch is untyped
    """The loss and, because logits are never in memory all at once, its gradients in one pass."""

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(
        ctx: Any,
        state: Tensor,
        target: Tensor,
        negatives: Tensor,
        column: Tensor,
        log_correction: float,
        weight: Tensor,
    ) -> Tensor:
        state_gradient = torch.empty_like(state)
        target_gradient = torch.empty_like(target)
        negatives_gradient = torch.zeros_like(negatives)
        loss = state.new_zeros(())
        by_state = (state, target, column, weight, state_gradient, target_gradient)
        rows = max(1, CHUNK_LOGITS // len(negatives))
        chunks = [tensor.split(rows) for tensor in by_state]
        for x, y, c, w, dx, dy in zip(*chunks, strict=True):
            positive = (x * y).sum(1)  # (c,)
            logits = (x @ negatives.T).add_(log_correction)  # (c, n)
            present = true_indices(c != ABSENT)  # (h,)
            logits[present, c[present]] = -math.inf
            top = torch.maximum(logits.amax(1), positive)  # (c,)
            top = top[:, None]  # (c, 1)
            exp_positive = (positive[:, None] - top).exp()  # (c, 1)
            exp_logits = logits.sub_(top).exp_()  # (c, n)
            partition = exp_logits.sum(1, keepdim=True) + exp_positive  # (c, 1)
            log_partition = (partition.log() + top)[:, 0]  # (c,)
            loss += log_partition.sub(positive) @ w
            each = w[:, None]  # (c, 1)
            d_logits = exp_logits.mul_(each / partition)  # (c, n)
            d_positive = each * (exp_positive / partition - 1)  # (c, 1)
            torch.mul(x, d_positive, out=dy)
            torch.mm(d_logits, negatives, out=dx)
            dx.addcmul_(d_positive, y)
            negatives_gradient.addmm_(d_logits.T, x)
        ctx.save_for_backward(state_gradient, target_gradient, negatives_gradient)
        return loss

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """() -> the gradients of state (t, d), target (t, d) and negatives (n, d)"""
        gradients = (saved * gradient for saved in ctx.saved_tensors)
        return *gradients, None, None, None


# --- training ------------------------------------------------------------------------------------


def fit_sequence_model(options: Sequential, data: Interactions, run: Run) -> Embeddings:
    """Train a sequence model. Raises BadOption, Diverged, NoGpu and NotEnoughData."""
    task_name = options.task(data)
    events = _events(options, data)
    known, held_out = events, None
    if options.patience:
        known, held_out = _hold_out_last(events, run.seed)
    one_to_start_from = 1 if task_name == "causal" else 0
    training = known.latest(options.max_length + one_to_start_from)
    min_events = 1 if task_name == "masked" else 2
    learners = users_with_events(
        data,
        training,
        min_events,
        algorithm=options.name,
        need="one user with two events",
    )  # (n,)
    batch_size = effective_batch_size(options.batch_size, len(learners))
    n_batches = math.ceil(len(learners) / batch_size)
    n_negatives = _n_negatives(options, data.n_items)
    events_per_history = len(training.item) / len(learners)
    multiplications = events_per_history * batch_size * n_negatives * options.dim
    with torch_context(run, multiplications) as generator:
        model = build_model(options, data, generator)
        if run.before:
            model.warm_start(run.before.items)
        model.to(run.device)
        task = make_task(task_name, training, data.n_items, generator)
        loss = SequenceLoss(model, training, options, n_negatives, generator)
        batches = partial(_batches, task, learners, batch_size, generator)
        validate = None
        if held_out:
            asked = _asked(options, task_name, known, data.n_items)
            validate = partial(_ndcg, model, asked, known, held_out)
        loop = TrainingLoop(options.name, options.epochs, options.lr, options.patience)
        loop.train(model, batches, n_batches, loss, run, validate)
        return _embeddings(model, _asked(options, task_name, events, data.n_items))


def build_model(
    options: Sequential, data: Interactions, generator: torch.Generator
) -> SequenceModel:
    """A model with random weights."""
    build = NETWORKS[options.network]
    network = build(options, options.task(data), generator)
    return SequenceModel(
        data.n_items, options.dim, network, generator, options.temperature
    )


def _events(options: Sequential, data: Interactions) -> EventHistories:
    """All events with what the options want to be known of them. Raises BadOption."""
    events = histories(data)
    weight = options.weights(data)  # (m,)
    events = replace(events, weight=torch.from_numpy(weight))
    if options.example_age:
        age = ages(options, "example_age", data.events_by_time().time)  # (m,)
        log_age = np.log1p(age).astype(np.float32)
        events = replace(events, age=torch.from_numpy(log_age))
    if options.time_features:
        features = time_features(options, data)  # (m, c)
        events = replace(events, time_features=torch.from_numpy(features))
    return events


def _n_negatives(options: Sequential, n_items: int) -> int:
    """Negatives of a batch."""
    is_full = options.loss == "softmax" and n_items <= FULL_SOFTMAX_LIMIT
    default = n_items if is_full else DEFAULT_NEGATIVES
    return min(options.negatives or default, n_items)


def _batches(
    task: Task, learners: Tensor, size: int, generator: torch.Generator
) -> Iterator[SequenceBatch]:
    """All histories in random order."""
    for chosen in shuffled_batches(len(learners), size, generator):
        yield task.batch(learners[chosen])


def _asked(
    options: Sequential,
    task_name: TrainingTask,
    events: EventHistories,
    mask_token: int,
) -> EventHistories:
    """The histories after whose last event the states are users' vectors."""
    if task_name == "masked":
        return events.latest(options.max_length - 1).append(mask_token)
    return events.latest(options.max_length)


def _embeddings(model: SequenceModel, asked: EventHistories) -> Embeddings:
    users = model.last_states(asked)  # (u, d)
    similarity: Similarity = "dot" if model.temperature is None else "cosine"
    # so that folding in makes of a history what the network of youtube_dnn does
    fold_in = FoldIn("mean", item_scale=model.input_lengths())
    return Embeddings(
        float32_array(users), model.scored_items(), similarity, fold_in=fold_in
    )


# --- early stopping ------------------------------------------------------------------------------


class HeldOut(NamedTuple):
    """Last events, left out of training."""

    user: Tensor  # (h,)
    item: Tensor  # (h,)


def _hold_out_last(events: EventHistories, seed: int) -> tuple[EventHistories, HeldOut]:
    """The histories without held-out last events, and those.

    Of everybody who has three, or of as many users as are looked at.
    """
    generator = torch.Generator().manual_seed(seed)
    has_three = true_indices(events.counts >= 3)  # (n,)
    order = torch.randperm(len(has_three), generator=generator)  # (n,)
    users = has_three[order[:MAX_HELD_OUT]]  # (h,)
    users = users.sort().values
    known, item = events.without_last(users)
    return known, HeldOut(users, item)


@torch.inference_mode()
def _ndcg(
    model: SequenceModel,
    asked: EventHistories,
    known: EventHistories,
    held_out: HeldOut,
) -> float:
    """NDCG of the held-out items among those that their users have not seen before."""
    states = model.last_states(asked)  # (u, d)
    items = torch.from_numpy(model.scored_items())  # (i, d)
    gains = []
    batches = zip(*(codes.split(EVAL_BATCH) for codes in held_out), strict=True)
    for users, wanted in batches:
        scores = states[users] @ items.T  # (b, i)
        wanted_score = scores.gather(1, wanted[:, None])  # (b, 1)
        event, row, _ = known.events_of(users)  # (t,), (t,)
        seen = known.item[event]  # (t,)
        scores[row, seen] = -math.inf
        rank = (scores > wanted_score).sum(1)  # (b,) from 0
        gain = 1 / (rank + 2.0).log2()  # (b,)
        gain = torch.where(rank < EARLY_STOPPING_K, gain, 0.0)
        gains.append(gain)
    return float(torch.cat(gains).mean())
