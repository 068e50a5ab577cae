"""Sequence models in torch: what is predicted of a history, the loss, and the states that become
users' vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag, normalize, relu, softplus

from embsql.data import Embeddings, Float32, FoldIn, Interactions
from embsql.errors import TooFew
from embsql.features.time import N_TIME_FEATURES, ages, time_features
from embsql.nn import pooling, recurrent, transformer
from embsql.nn.packed import Dropout, Histories, Packed, histories
from embsql.nn.softmax import softmax
from embsql.nn.trainer import HELD_OUT, Loop, batch_of, placed
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Reading, Sequential

ALL = 20_000  # items up to which the loss is over the whole catalogue
SOME = 1024  # negatives where it is not
SIZE = 512  # histories at a time when nothing is learned
HIDDEN = 0.2  # share of events that a model learns to fill in
LAST = 0.1  # share of histories of which only the last event is masked, as when recommending
K = 10  # length of the lists that early stopping looks at
NETWORKS: dict[str, Callable[[Any, Reading, torch.Generator], nn.Module]] = {
    "pooling": pooling.network,
    "recurrent": recurrent.network,
    "transformer": transformer.network,
}


class Step(NamedTuple):
    """What is predicted of a batch of histories."""

    packed: Packed
    token: Tensor  # (t,) what the network sees
    at: Tensor  # (s,) events whose states predict
    target: Tensor  # (p,) places of what they predict among all events
    by: Tensor | None = None  # (p,) which of the states predicts each; none: one each


@dataclass(frozen=True, slots=True)
class Before:
    """Predict every event from those before it."""

    events: Histories

    def step(self, users: Tensor) -> Step:
        """Of the histories of users (b,)."""
        packed = self.events.pack(users, short=1)
        return Step(
            packed,
            self.events.item[packed.entry],
            torch.arange(len(packed.entry)),
            packed.entry + 1,
        )


@dataclass(frozen=True, slots=True)
class Whole:
    """Predict all events of a user from some of them; the network chooses which."""

    events: Histories

    def step(self, users: Tensor) -> Step:
        """Of the histories of users (b,)."""
        packed = self.events.pack(users)
        return Step(packed, self.events.item[packed.entry], packed.last, packed.entry, packed.owner)


@dataclass(frozen=True, slots=True)
class Around:
    """Predict events that are hidden behind a token of their own from all others (Devlin 2019.

    Sun 2019).
    """

    events: Histories
    mask: int  # the token
    generator: torch.Generator

    def step(self, users: Tensor) -> Step:
        """Of the histories of users (b,)."""
        packed = self.events.pack(users)
        only_last = self._random(len(users)) < LAST  # (b,)
        hidden = (self._random(len(packed.entry)) < HIDDEN) & ~only_last[packed.owner]  # (t,)
        bare = torch.ones(len(users), dtype=torch.bool).index_fill(
            0, packed.owner[hidden], value=False
        )  # (b,)
        hidden[packed.last[bare]] = True  # every history has something to predict
        at = hidden.nonzero()[:, 0]  # (p,)
        return Step(
            packed,
            self.events.item[packed.entry].masked_fill(hidden, self.mask),
            at,
            packed.entry[at],
        )

    def _random(self, n: int) -> Tensor:
        return torch.rand(n, generator=self.generator)


Objective = Before | Whole | Around


class Model(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """Items and the network over them.

    An item's score after a history is the product of its vector and the state.

    With a temperature it is their cosine over it.
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
        self.n_items, self.network, self.scale, self.temperature = (
            n_items,
            network,
            dim**0.5,
            temperature,
        )
        self.table = _random(n_items + 1, dim, generator)  # (i + 1, d) the last row is the mask's
        self.clock = _random(N_TIME_FEATURES, dim, generator)
        self.aging = nn.Parameter(torch.zeros(dim))

    @property
    def items(self) -> Tensor:
        """(i, d)"""
        return self.table[: self.n_items]

    def forward(self, token: Tensor, clock: Tensor, packed: Packed) -> Tensor:
        """The state after each event: (t,), (t, c) -> (t, d)"""
        device = self.table.device
        x = embedding(token.to(device), self.table)  # (t, d)
        if clock.shape[1]:
            x = x + embedding_bag(clock.to(device), self.clock, mode="sum")
        return self.network(self.scale * x, packed)

    def directed(self, vectors: Tensor) -> Tensor:
        """What scores are made of: vectors (n, d), of length 1 where the cosine counts."""
        return vectors if self.temperature is None else normalize(vectors)

    @torch.no_grad()
    def begin(self, before: Float32) -> None:
        """Start from the vectors of an earlier run (i, d), NaN for items that it did not know."""
        vectors = torch.from_numpy(before)  # (i, d)
        self.items.copy_(torch.where(vectors.isnan(), self.items, vectors))

    @torch.no_grad()
    def vectors(self) -> tuple[Float32, Float32]:
        """The items' vectors as they are scored (i, d), and by what they are shorter than those
        that are read (i,).
        """
        items = self.items.cpu()
        scored = self.directed(items)  # (i, d)
        shorter = torch.ones(len(items)) if self.temperature is None else items.norm(dim=1)  # (i,)
        return scored.numpy(), shorter.numpy()

    @torch.inference_mode()
    def states(self, events: Histories) -> Tensor:
        """The state after each user's last event, (u, d); 0 for who has none."""
        self.eval()
        found = torch.zeros(len(events.counts), self.table.shape[1])
        for users in (events.counts > 0).nonzero()[:, 0].split(SIZE):
            packed = events.pack(users)
            states = self(events.item[packed.entry], events.clock[packed.entry], packed)  # (t, d)
            found[packed.user] = self.directed(states[packed.last]).cpu()
        self.train()
        return found


def _random(n: int, dim: int, generator: torch.Generator) -> nn.Parameter:
    """Short vectors (n, d): what is seldom met must not stay what chance made it."""
    return nn.Parameter(torch.randn(n, dim, generator=generator) / dim)


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of a step."""

    model: Model
    events: Histories
    options: Sequential
    count: int  # items that a step contrasts with, all of them where there are no more
    generator: torch.Generator

    def __call__(self, step: Step) -> Tensor:
        """What is predicted, and the pull on the items' vectors: ()"""
        loss, pull = self._predicted(step), self.options.reg / len(self.events.item)
        return loss + pull * self.model.items.square().sum() if pull else loss

    def _predicted(self, step: Step) -> Tensor:
        """The mean over what is predicted, each by its weight: ()"""
        events, model, device = self.events, self.model, self.model.table.device
        states = model(step.token, events.clock[step.packed.entry], step.packed)  # (t, d)
        state = states[step.at.to(device)]  # (s, d)
        weight, target = (
            events.weight[step.target].to(device),
            events.item[step.target],
        )  # (p,), (p,)
        if step.by is not None and self.options.loss != "gbce":
            return self._shared(self._sharp(state), step.by.to(device), target, weight) / len(
                target
            )
        state = state if step.by is None else state[step.by.to(device)]  # (p, d)
        state = self._sharp(state + events.age[step.target, None].to(device) * model.aging)
        of = {"softmax": self._softmax, "gbce": self._gbce, "contrastive": self._contrastive}[
            self.options.loss
        ]
        return of(state, target, weight) / len(state)

    def _sharp(self, state: Tensor) -> Tensor:
        """States (n, d) without some of their numbers, over the temperature."""
        drop = Dropout(self.options.user_embedding_dropout, self.generator)
        return drop(self.model.directed(state)) / (self.model.temperature or 1.0)

    def _softmax(self, state: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Over all items, or some, each of which stands for as many as were not drawn."""
        other = self._draw()  # (n,)
        place = torch.full((self.model.n_items,), -1).index_copy(
            0, other, torch.arange(len(other))
        )  # (i,)
        own, others = self._vectors(target, other)  # (p, d), (n, d)
        return softmax(state, own, others, place[target].to(state.device), self._bias, weight)

    def _shared(self, state: Tensor, by: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Where each state (b, d) predicts several items: its scores of all others are made once."""
        own, others = self._vectors(target, self._draw())  # (p, d), (n, d)
        met, scores = (state[by] * own).sum(1), state @ others.T  # (p,), (b, n)
        if self.options.loss == "contrastive":
            near = relu(scores - self.options.margin).mean(1)  # (b,)
            return (relu(1 - met) + self.options.negative_weight * near[by]) @ weight
        below = (scores.logsumexp(1) + self._bias)[by] - met  # (p,)
        return (below if self.count == self.model.n_items else softplus(below)) @ weight

    def _contrastive(self, state: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """The cosine with the target towards 1, with others below the margin (Mao et al., 2021,
        "SimpleX").
        """
        return self._shared(state, torch.arange(len(state), device=state.device), target, weight)

    def _vectors(self, target: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Of the items to be predicted, (p, d), and of others, (n, d)."""
        device = self.model.table.device
        found = self.model.directed(
            embedding(torch.cat([target, other]).to(device), self.model.items)
        )  # (p + n, d)
        return found[: len(target)], found[len(target) :]

    @property
    def _bias(self) -> float:
        """What raises others' scores, for those that were not drawn."""
        return self.options.sampling_correction * math.log(self.model.n_items / self.count)

    def _gbce(self, state: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Met or not, for the target and negatives each, calibrated (Petrov and Macdonald, 2023,
        "gSASRec").
        """
        other, rate = self._draw(), self.count / self.model.n_items  # (n,)
        power = rate * (self.options.gbce_t * (1 - 1 / rate) + 1 / rate)
        own, others = self._vectors(target, other)  # (p, d), (n, d)
        same = (target[:, None] == other).to(state.device)  # (p, n)
        apart = softplus(state @ others.T).masked_fill(same, 0)  # (p, n)
        return (power * softplus(-(state * own).sum(1)) + apart.sum(1)) @ weight

    def _draw(self) -> Tensor:
        """Other items, each as likely, none twice: (n,)."""
        n = self.model.n_items
        return (
            torch.arange(n)
            if self.count == n
            else torch.randperm(n, generator=self.generator)[: self.count]
        )


def fitted(options: Sequential, data: Interactions, run: Run) -> Embeddings:
    """Train a sequence model. Raises BadOption, Diverged, NoGpu and TooFew."""
    reads, events = options.reads(data), _histories(options, data)
    known, held = _carved(events, run.seed) if options.patience else (events, None)
    latest = known.latest(options.max_length + (reads == "before"))
    learners = (latest.counts > (reads != "around")).nonzero()[
        :, 0
    ]  # (n,) users with something to predict
    if not len(learners):
        raise TooFew(
            users=data.n_users,
            items=data.n_items,
            algorithm=options.name,
            need="one user with two events",
        )
    size, count = batch_of(options.batch_size, len(learners)), _negatives(options, data.n_items)
    with placed(run, len(latest.item) / len(learners) * size * count * options.dim) as generator:
        network = NETWORKS[options.network](options, reads, generator)
        model = Model(data.n_items, options.dim, network, generator, options.temperature)
        if run.before:
            model.begin(run.before.items)
        model.to(run.device)
        loss = Loss(model, latest, options, count, generator)
        predicted = objective(reads, latest, data.n_items, generator)
        Loop(options.name, options.epochs, options.lr, options.patience).train(
            model,
            lambda: _steps(predicted, learners, size, generator),
            math.ceil(len(learners) / size),
            loss,
            run,
            lambda: _ndcg(model, _asked(options, reads, known, data.n_items), known, held),
        )
        users = model.states(_asked(options, reads, events, data.n_items))  # (u, d)
        items, length = model.vectors()  # (i, d), (i,)
        fold_in = FoldIn(
            "mean", item_scale=model.scale * length
        )  # so that it makes what `pooling` does
        return Embeddings(
            users.numpy(),
            items,
            "dot" if options.temperature is None else "cosine",
            fold_in=fold_in,
        )


def _histories(options: Sequential, data: Interactions) -> Histories:
    """All events with what the options want to be known of them. Raises BadOption."""
    past = replace(histories(data), weight=torch.from_numpy(options.weights(data)))
    if options.example_age:
        age = np.log1p(ages(options, "example_age", data.in_order().time)).astype(
            np.float32
        )  # (m,)
        past = replace(past, age=torch.from_numpy(age))
    return (
        replace(past, clock=torch.from_numpy(time_features(options, data)))
        if options.time_features
        else past
    )


def objective(
    reads: Reading, events: Histories, mask: int, generator: torch.Generator
) -> Objective:
    """What a way of reading predicts."""
    if reads == "around":
        return Around(events, mask, generator)
    return Before(events) if reads == "before" else Whole(events)


def _negatives(options: Sequential, n_items: int) -> int:
    """Items that a step contrasts with."""
    every = n_items if options.loss == "softmax" and n_items <= ALL else SOME
    return min(options.negatives or every, n_items)


def _steps(
    objective: Objective, learners: Tensor, size: int, generator: torch.Generator
) -> Iterator[Step]:
    """All histories in random order."""
    order = torch.randperm(len(learners), generator=generator)  # (n,)
    return (objective.step(users) for users in learners[order].split(size))


def _asked(options: Sequential, reads: Reading, events: Histories, mask: int) -> Histories:
    """The histories after whose last event the states are users' vectors."""
    if reads != "around":
        return events.latest(options.max_length)
    return events.latest(options.max_length - 1).followed_by(mask)


# --- early stopping ------------------------------------------------------------------------------


class Held(NamedTuple):
    """Last events, left out of training."""

    user: Tensor  # (h,)
    item: Tensor  # (h,)


def _carved(events: Histories, seed: int) -> tuple[Histories, Held]:
    """The histories without the last event of everybody who has three, or of as many as are looked
    at, and those.
    """
    many = (events.counts >= 3).nonzero()[:, 0]  # (n,)
    order = torch.randperm(len(many), generator=torch.Generator().manual_seed(seed))
    users = many[order[:HELD_OUT]].sort().values  # (h,)
    known, item = events.without_last(users)
    return known, Held(users, item)


@torch.inference_mode()
def _ndcg(model: Model, asked: Histories, known: Histories, held: Held) -> float:
    """NDCG of the items held out among those that their users had not met before."""
    states, items, gains = model.states(asked), torch.from_numpy(model.vectors()[0]), []
    for users, wanted in zip(held.user.split(SIZE), held.item.split(SIZE), strict=True):
        scores = states[users] @ items.T  # (b, i)
        right = scores.gather(1, wanted[:, None])  # (b, 1)
        entry, owner, _ = known.entries(users)  # (t,), (t,)
        scores[owner, known.item[entry]] = -math.inf
        rank = (scores > right).sum(1)  # (b,) from 0
        gains.append(torch.where(rank < K, 1 / (rank + 2.0).log2(), 0.0))
    return float(torch.cat(gains).mean())
