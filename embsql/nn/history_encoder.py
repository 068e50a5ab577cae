"""Networks over histories of given vectors, in torch.

Histories lie one after another, see `packed`. An encoder gives two things of them: for each item
the user's vector without it, to predict it from, and for each user the vector of the whole history.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

from embsql.data import Embeddings, Float32, FoldIn, Interactions
from embsql.errors import TooFew
from embsql.features.vectors import item_vectors
from embsql.nn.losses import Scores, softmax
from embsql.nn.negatives import Negatives, negatives
from embsql.nn.packed import Histories, Packed, histories
from embsql.nn.recurrent import Recurrent
from embsql.nn.towers import CHUNK, FIRST, Drop
from embsql.nn.trainer import Loop, batch_of, placed, shuffled
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.algorithms.neural_content import NeuralContent

ID_DROPOUT = 0.3  # share of ids left out in training; what items that nobody met live on


class Items(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """Items: a linear map of what is given, and what is their own where ids count."""

    given: Tensor  # (n, p)

    def __init__(
        self, given: Float32, met: Tensor | None, dim: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        scale = (
            float(np.sqrt(np.square(given, dtype=np.float64).sum(1).mean())) or 1.0
        )  # the unit does not matter
        self.register_buffer("given", torch.from_numpy(given / np.float32(scale)), persistent=False)
        self.turn = nn.Linear(given.shape[1], dim, bias=False)
        nn.init.orthogonal_(self.turn.weight, generator=generator)
        self.own: nn.Parameter | None = None
        if met is not None:
            own = torch.randn(len(given), dim, generator=generator) * (FIRST / dim**0.5)  # (n, d)
            self.own = nn.Parameter(
                own * met[:, None]
            )  # who was never met has nothing of their own

    def forward(self, items: Tensor, drop: Drop | None = None) -> Tensor:
        """(m,) -> (m, d)"""
        turned = self.turn(embedding(items, self.given))  # (m, d)
        if self.own is None:
            return turned
        own = embedding(items, self.own)  # (m, d)
        return turned + (
            own if drop is None else own * drop.keep(drop.own, len(items), 1).to(own.device)
        )


class Pooling(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """Means, with weights that each item's vector may decide."""

    def __init__(self, dim: int, generator: torch.Generator, *, attends: bool) -> None:
        super().__init__()
        self.look = nn.Linear(dim, dim) if attends else None
        self.want = (
            nn.Parameter(torch.zeros(dim)) if attends else None
        )  # (d,) at first all weights are equal
        if self.look is not None:
            nn.init.xavier_uniform_(self.look.weight, generator=generator)
            nn.init.zeros_(self.look.bias)

    def forward(self, x: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
        """Of items (t, d): the means of the others (t, d), and of all of a history (b, d)."""
        weight, owner = self.weight(x), packed.owner.to(x.device)  # (t, 1), (t,)
        part = torch.cat(
            [x * weight, weight], 1
        )  # (t, d + 1) the last is what the others are divided by
        total = part.new_zeros(len(packed.length), part.shape[1]).index_add(
            0, owner, part
        )  # (b, d + 1)
        alone = (packed.length == 1).to(x.device)[owner, None]  # (t, 1)
        return _divided((total[owner] - part).masked_fill(alone, 0)), _divided(total)

    def weight(self, x: Tensor) -> Tensor:
        """(t, d) -> (t, 1)"""
        if self.look is None or self.want is None:
            return torch.ones_like(x[:, :1])
        return (torch.tanh(self.look(x)) @ self.want)[:, None].exp()


def _divided(sums: Tensor) -> Tensor:
    """(m, d + 1) -> (m, d) zero where nothing was summed"""
    return sums[:, :-1] / sums[:, -1:].clamp(min=1e-12)


class Reading(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """A recurrent network, from its state before each item and at the end."""

    def __init__(self, dim: int, generator: torch.Generator) -> None:
        super().__init__()
        self.network = Recurrent(dim, 1, 0.0, generator)

    def forward(self, x: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
        """Of items (t, d): the states before each (t, d), and at the end of each history (b, d)."""
        states = self.network(x, packed)  # (t, d)
        before = torch.cat([torch.zeros_like(states[:1]), states[:-1]])  # (t, d)
        return before.masked_fill((packed.place == 0).to(x.device)[:, None], 0), states[packed.last]


class Step(NamedTuple):
    """The histories of some users, and what their items are contrasted with."""

    packed: Packed
    item: Tensor  # (t,)
    other: Tensor  # (s,) drawn


class Model(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """Items, and the encoder that makes users of them."""

    def __init__(self, options: NeuralContent, items: Items, generator: torch.Generator) -> None:
        super().__init__()
        self.items, self.options = items, options
        self.encoder = (
            Reading(options.dim, generator)
            if options.encoder == "gru"
            else Pooling(options.dim, generator, attends=options.encoder == "attention")
        )

    def scores(self, step: Step, expected: Tensor, drop: Drop) -> Scores:
        """Of the items of some histories, each from what its history is without it."""
        item, other = (
            part.to(self.items.given.device) for part in (step.item, step.other)
        )  # (t,), (s,)
        code, place = torch.cat([item, other]).unique(return_inverse=True)  # (m,), (t + s,)
        y = embedding(place, self.items(code, drop))  # (t + s, d)
        state, _ = self.encoder(y[: len(item)], step.packed)  # (t, d)
        first = int(self.options.encoder == "gru")  # nothing comes before the first
        asked = (step.packed.place >= first).to(item.device)  # (t,)
        x, y = self._unit(state[asked]) / self.temperature, self._unit(y)  # (a, d), (t + s, d)
        met = (x * y[: len(item)][asked]).sum(1)  # (a,)
        hits = item[asked][:, None] == other  # (a, s)
        return Scores(met, x @ y[len(item) :].T, hits, expected[step.other].to(item.device))

    @property
    def temperature(self) -> float:
        """What scores are divided by in the loss."""
        return self.options.temperature if self.options.similarity == "cosine" else 1.0

    def _unit(self, vectors: Tensor) -> Tensor:
        return normalize(vectors) if self.options.similarity == "cosine" else vectors

    @torch.inference_mode()
    def embeddings(self, past: Histories) -> Embeddings:
        """The vectors of all, of length 1 where the cosine is what counts."""
        device, n = self.items.given.device, len(self.items.given)
        y = torch.cat(
            [self.items(items) for items in torch.arange(n, device=device).split(CHUNK)]
        )  # (n, d)
        users = torch.zeros(len(past.counts), y.shape[1], device=device)  # (u, d)
        for some in past.counts.nonzero()[:, 0].split(self.options.batch_size):
            packed = past.pack(some)
            item = past.item[packed.entry].to(device)  # (t,)
            users[packed.user.to(device)] = self.encoder(embedding(item, y), packed)[1]
        found, items = (
            self._unit(vectors).cpu().numpy() for vectors in (users, y)
        )  # (u, d), (n, d)
        return Embeddings(
            found,
            items,
            self.options.similarity,
            fold_in=FoldIn("mean", item_scale=self._counts(y)),
        )

    def _counts(self, y: Tensor) -> Float32 | None:
        """How much each item (n, d) counts in a mean that SQL takes of the vectors that it has:
        (n,).
        """
        if isinstance(self.encoder, Reading):
            return None  # no mean is what it makes of a history; the mean of all is what there is
        weight = self.encoder.weight(y)[:, 0]  # (n,)
        length = (
            y.norm(dim=1) if self.options.similarity == "cosine" else 1
        )  # (n,) which the stored ones have lost
        counts: Float32 = (weight * length).cpu().numpy()
        return counts


def fitted(options: NeuralContent, data: Interactions, run: Run) -> Embeddings:
    """Train on histories of items that have a vector.

    Raises BadFeatures, Diverged, NoGpu and TooFew.
    """
    given = item_vectors(data, options.vector_col)  # (i, p)
    known = data if options.item_id_embedding else data.where((given != 0).any(axis=1)[data.item])
    past = histories(known).latest(options.max_length)
    learners = (past.counts > 1).nonzero()[:, 0]  # (n,) users with something to predict
    if not len(learners):
        raise TooFew(
            users=data.n_users,
            items=data.n_items,
            algorithm=options.name,
            need="a user who met two items with vectors",
        )
    size = batch_of(options.batch_size, len(learners))
    work = (
        size * len(past.item) / len(learners) * min(options.negatives, data.n_items) * options.dim
    )
    with placed(run, work) as generator:
        met = (
            torch.from_numpy(np.bincount(known.item, minlength=data.n_items) > 0)
            if options.item_id_embedding
            else None
        )  # (i,)
        model: Model = Model(options, Items(given, met, options.dim, generator), generator).to(
            run.device
        )
        negative = negatives("uniform", options.negatives, 0, known, generator)
        drop = Drop(generator, ID_DROPOUT)
        Loop(options.name, options.epochs, options.lr).train(
            model,
            lambda: _steps(past, learners, size, negative),
            math.ceil(len(learners) / size),
            lambda step: softmax(model.scores(step, negative.expected, drop)),
            run,
        )
        found: Embeddings = model.embeddings(past)
        return found


def _steps(past: Histories, learners: Tensor, size: int, negative: Negatives) -> Iterator[Step]:
    """The histories of all in random order, with the negatives of each step."""
    for chosen in shuffled(len(learners), size, negative.generator):
        packed = past.pack(learners[chosen])
        yield Step(packed, past.item[packed.entry], negative.draw())
