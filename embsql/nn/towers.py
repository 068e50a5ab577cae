"""Two towers in torch: a user's and an item's vector of their id, what is known of them and, for
users, their history.

A vector is own + tower: own is the id's, tower a sum over features that may go through layers. In
training own is left out at random, so that the tower learns to do without it, as it must for a
newcomer (Volkovs, Yu and Poutanen, 2017, "DropoutNet").
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag, normalize, relu

from embsql.data import Embeddings, Float32, Interactions, Rows, Similarity, Tower
from embsql.features.encoders import FeatureMatrix
from embsql.nn.losses import LOSSES, MASKED, Scores
from embsql.nn.negatives import Negatives, counted, hardest, negatives
from embsql.nn.optim import Table, optimizers
from embsql.nn.packed import ragged
from embsql.nn.trainer import Loop, batch_of, carve, placed, shuffled
from embsql.run import Run

if TYPE_CHECKING:
    from embsql.algorithms.two_tower import TwoTower

# share of known features that training hides, so that the place of unknown ones is always learned
FORGET = 0.05
FIRST = 0.1  # length of the vectors that training starts from
LESSON, LESSONS, LEARN = (
    1024,
    100,
    0.01,
)  # rows, steps and their size in which a tower learns an earlier run's vectors
CHUNK = 8192  # rows of a tower at a time when nothing is learned


class Drop(NamedTuple):
    """What training leaves out at random."""

    generator: torch.Generator
    own: float  # share of ids
    past: float = 0.0  # share of a history's items
    numbers: float = 0.0  # share of a user vector's numbers

    def keep(self, share: float, *shape: int) -> Tensor:
        """1 with probability 1 - share, else 0, of a shape."""
        return (torch.rand(shape, generator=self.generator) >= share).float()

    def some(self, x: Tensor) -> Tensor:
        """The numbers that are kept of x (b, d), larger by as much as is left out: (b, d)"""
        return (
            x * self.keep(self.numbers, *x.shape).to(x.device) / (1 - self.numbers)
            if self.numbers
            else x
        )


class Features(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """The first layer: the sum of what each feature's values add."""

    indptr: Tensor  # (n + 1,)
    column: Tensor  # (entries,)
    value: Tensor  # (entries,)
    feature: Tensor  # (entries,)
    unknown: Tensor  # (features,)

    def __init__(self, encoded: FeatureMatrix, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.table = nn.Parameter(_random(encoded.n_columns, width, generator))  # (slots, w)
        for name in ("indptr", "column", "value", "feature", "unknown"):
            self.register_buffer(name, torch.from_numpy(getattr(encoded, name)), persistent=False)

    def forward(self, rows: Tensor, drop: Drop | None) -> Tensor:
        """(b,) -> (b, w)"""
        entry, offset, owner = ragged(self.indptr, rows)  # (e,), (b,), (e,)
        factor = self.value[entry]  # (e,)
        if drop is None:
            return embedding_bag(
                self.column[entry], self.table, offset, mode="sum", per_sample_weights=factor
            )
        keep = drop.keep(FORGET, len(rows), len(self.unknown)).to(factor.device)  # (b, f)
        always = torch.ones_like(keep[:, :1])  # (b, 1)
        kept = torch.cat([always, keep], 1)[owner, self.feature[entry]]  # (e,)
        found = embedding_bag(
            self.column[entry], self.table, offset, mode="sum", per_sample_weights=factor * kept
        )
        return found + (1 - keep) @ self.table[self.unknown]  # (b, w)


class History(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """The mean over a user's items, in training over some of them, of what each adds."""

    start: Tensor  # (n_users + 1,)
    item: Tensor  # (pairs,)

    def __init__(
        self, rows: Rows, table: Table, turn: nn.Parameter | None, unknown: nn.Parameter
    ) -> None:
        super().__init__()
        self.table, self.turn, self.unknown = (
            table,
            turn,
            unknown,
        )  # (n_items, d), (d, w) or none, (1, w)
        self.register_buffer("start", torch.from_numpy(rows.start), persistent=False)
        self.register_buffer(
            "item", torch.from_numpy(rows.column.astype(np.int64)), persistent=False
        )

    def forward(self, users: Tensor, drop: Drop | None) -> Tensor:
        """(b,) -> (b, w)"""
        entry, offset, owner = ragged(self.start, users)  # (e,), (b,), (e,)
        kept = (
            drop.keep(drop.past, len(entry)).to(users.device)
            if drop
            else self.table.new_ones(len(entry))
        )  # (e,)
        count = kept.new_zeros(len(users)).index_add(0, owner, kept)[:, None]  # (b, 1)
        total = embedding_bag(
            self.item[entry],
            self.table,
            offset,
            mode="sum",
            sparse=self.table.large,
            per_sample_weights=kept,
        )  # (b, d)
        mean = total / count.clamp(min=1)  # (b, d)
        return torch.where(count > 0, mean if self.turn is None else mean @ self.turn, self.unknown)

    def adds(self) -> Tensor:
        """What each item adds as the only one: (n_items, w)."""
        return self.table if self.turn is None else self.table @ self.turn


class Side(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """One tower."""

    def __init__(
        self,
        met: Tensor,
        dim: int,
        widths: list[int],
        encoded: FeatureMatrix | None,
        generator: torch.Generator,
        *,
        ids: bool = True,
    ) -> None:
        super().__init__()
        widths = [*widths, dim]
        self.own = Table(_random(len(met), dim, generator)).requires_grad_(ids)  # (n, d)
        self.own.data *= (met & ids)[:, None]  # who was never met has nothing of their own
        self.features = Features(encoded, widths[0], generator) if encoded else None
        self.history: History | None = None
        self.layers = nn.ModuleList(_linear(*pair, generator) for pair in pairwise(widths))

    def forward(self, rows: Tensor, drop: Drop | None = None) -> Tensor:
        """(b,) -> (b, d)"""
        own = embedding(rows, self.own, sparse=self.own.large)  # (b, d)
        x = self._first(rows, drop)  # (b, w) or none
        if x is None:
            return own
        for layer in self.layers:
            x = layer(relu(x))
        return x + (own if drop is None else own * drop.keep(drop.own, len(rows), 1).to(own.device))

    def _first(self, rows: Tensor, drop: Drop | None) -> Tensor | None:
        x = self.features(rows, drop) if self.features else None
        if self.history is None:
            return x
        past = self.history(rows, drop)
        return past if x is None else x + past

    @torch.inference_mode()
    def vectors(self) -> Tensor:
        """The vectors of all: (n, d)."""
        return torch.cat(
            [
                self(rows)
                for rows in torch.arange(len(self.own), device=self.own.device).split(CHUNK)
            ]
        )

    def begin(self, wanted: Tensor, run: Run) -> None:
        """Let the vectors of all be as wanted (n, d), but for those whose wish is NaN.

        The tower learns to say as much of it as it can, or newcomers would have to wait; the rest
        is their own.
        """
        known = (~wanted.isnan().any(1)).nonzero()[:, 0]  # (k,)
        learned = self._tower()
        if learned and len(known):
            changes, drop = optimizers(learned, LEARN), Drop(run.generator, own=1)
            for _ in range(LESSONS):
                run.check()
                rows = known[torch.randint(len(known), (LESSON,), generator=run.generator)]  # (b,)
                (self(rows, drop) - wanted[rows]).square().sum(1).mean().backward()
                for optimizer in changes.values():
                    optimizer.step()
                self.zero_grad()
        if self.own.requires_grad:
            with torch.no_grad():
                self.own += (wanted - self.vectors()).nan_to_num_(0)

    def _tower(self) -> list[nn.Parameter]:
        """What the tower is made of, but for the items' own vectors, should its history share them."""
        others = {"own"} | (
            {"history.table"} if self.history and self.history.turn is not None else set()
        )
        return [value for name, value in self.named_parameters() if name not in others]

    def rows(self, encoded: FeatureMatrix | None, items: Any) -> Tower | None:
        """The tower without ids, for SQL; None when it knows nothing but ids."""
        named, tables = [], []
        if self.features and encoded:
            named, tables = list(encoded.columns()), [_array(self.features.table)]
        if self.history:
            named += [("items", "items", item, None, None) for item in (None, *items.to_pylist())]
            tables += [_array(self.history.unknown), _array(self.history.adds())]
        layers = tuple((_array(layer.weight), _array(layer.bias)) for layer in self.layers)
        return Tower(tuple(named), np.concatenate(tables), layers) if named else None


class Batch(NamedTuple):
    """One step."""

    user: Tensor  # (b,)
    item: Tensor  # (b,)
    other: Tensor  # (s,) drawn


class Pair(nn.Module):  # type: ignore[misc]  # torch is imported without its types
    """Both towers."""

    memory: Tensor  # (m, d) vectors of the items met in the last steps, the latest first
    remembered: Tensor  # (m,) their codes, -1 for none

    def __init__(
        self, users: Side, items: Side, similarity: Similarity, temperature: float, memory: int = 0
    ) -> None:
        super().__init__()
        self.users, self.items = users, items
        self.similarity, self.temperature = similarity, temperature
        self.register_buffer("memory", torch.zeros(memory, items.own.shape[1]))
        self.register_buffer("remembered", torch.full((memory,), -1))

    def begin(self, before: Embeddings, run: Run) -> None:
        """Start from the vectors of an earlier run."""
        self.items.begin(torch.from_numpy(before.items), run)  # first: users may be made of them
        self.users.begin(torch.from_numpy(before.users), run)

    def scores(self, batch: Batch, negative: Negatives, drop: Drop) -> tuple[Scores, Tensor]:
        """The step's scores over the temperature, and the mean squared length of the vectors they
        are of.
        """
        user, item, drawn = (codes.to(self.users.own.device) for codes in batch)
        x = self.users(user, drop)  # (b, d)
        y = self.items(torch.cat([item, drawn]), drop)  # (b + s, d)
        size = x.square().sum(1).mean() + y[: len(item)].square().sum(1).mean()
        if self.similarity == "cosine":
            x, y = normalize(x), normalize(y)
        x = drop.some(x) / self.temperature  # (b, d)
        first = 0 if negative.in_batch else len(item)
        other = torch.cat([y[first:], self.memory])  # (s, d)
        code = torch.cat([item, drawn, self.remembered])[first:]  # (s,)
        met = (x * y[: len(item)]).sum(1)  # (b,)
        others = x @ other.T  # (b, s)
        hits = (item[:, None] == code) | (code < 0)  # (b, s)
        found = Scores(met, others, hits, negative.often(code.clamp(min=0), self.remembered))
        self._remember(item, y[: len(item)].detach())
        if negative.met:
            found = found._replace(hits=hits | negative.met.among(user, code))
            found = found._replace(hits=~hardest(found))
        return found, size

    def added(self) -> Tensor:
        """The sum of the squares of what features add: ()"""
        return sum(
            side.features.table.square().sum() for side in (self.users, self.items) if side.features
        )

    def _remember(self, item: Tensor, vectors: Tensor) -> None:
        """Keep the latest items (b,) and their vectors (b, d)."""
        n = len(self.memory)
        self.memory = torch.cat([vectors, self.memory])[:n]  # (m, d)
        self.remembered = torch.cat([item, self.remembered])[:n]  # (m,)

    @torch.inference_mode()
    def found(self, held: Interactions, known: Interactions, k: int = 20) -> float:
        """Share of held-out items, at most one a user, that are among the k best of those not yet
        met.
        """
        users = torch.from_numpy(held.user.astype(np.int64)).to(self.users.own.device)
        items, right, by_user = self._unit(self.items.vectors()), 0, known.by_user()  # (i, d)
        for rows, wanted in zip(
            users.split(512), np.split(held.item, range(512, len(held.item), 512)), strict=True
        ):
            scores = self._unit(self.users(rows)) @ items.T  # (b, i)
            entry, _, owner = ragged(torch.from_numpy(by_user.start), rows.cpu())  # (e,), (e,)
            scores[owner, torch.from_numpy(by_user.column)[entry].long()] = MASKED
            best = scores.topk(min(k, scores.shape[1])).indices.cpu()  # (b, k)
            right += int((best == torch.from_numpy(wanted)[:, None]).any(1).sum())
        return right / max(len(held), 1)

    def _unit(self, vectors: Tensor) -> Tensor:
        return normalize(vectors) if self.similarity == "cosine" else vectors

    def embeddings(self, data: Interactions, told: dict[str, FeatureMatrix | None]) -> Embeddings:
        """The vectors of all, of length 1 where the cosine is what counts, and the towers as rows."""
        users, items = (_array(self._unit(side.vectors())) for side in (self.users, self.items))
        sides = {"user": self.users, "item": self.items}
        towers = {name: side.rows(told[name], data.items) for name, side in sides.items()}
        return Embeddings(
            users,
            items,
            self.similarity,
            towers={name: rows for name, rows in towers.items() if rows},
        )


def fitted(
    options: TwoTower, data: Interactions, told: dict[str, FeatureMatrix | None], run: Run
) -> Embeddings:
    """Train two towers; told is what is known of users and items. Raises Diverged and NoGpu."""
    known, held = carve(data, run.seed) if options.patience else (data, data)
    size = batch_of(options.batch_size, len(known))
    work = (
        size
        * (min(size + options.negatives, data.n_items) + options.negative_queue_size)
        * options.dim
    )
    with placed(run, work) as generator:
        model = pair(options, known, told, generator)
        if run.before:
            model.begin(run.before, run)
        model.to(run.device)
        negative = negatives(options.sampler, options.negatives, size, known, generator, run.device)
        drop = Drop(
            generator, options.id_dropout, options.history_dropout, options.user_embedding_dropout
        )
        loss = Loss(model, negative, drop, options, options.feature_reg / len(known))
        Loop(options.name, options.epochs, options.lr, options.patience).train(
            model,
            lambda: batches(known, size, negative),
            math.ceil(len(known) / size),
            loss,
            run,
            lambda: model.found(held, known),
        )
        return model.embeddings(data, told)


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of a batch."""

    model: Pair
    negative: Negatives
    drop: Drop
    options: TwoTower
    pull: float  # of what features add

    def __call__(self, batch: Batch) -> Tensor:
        """() of a step"""
        scores, length = self.model.scores(batch, self.negative, self.drop)
        options = self.options
        loss = (
            LOSSES[options.loss](scores, options.margin, options.negative_weight)
            + options.reg * length
        )
        return loss + self.pull * self.model.added() if self.pull else loss


def pair(
    options: TwoTower,
    data: Interactions,
    told: dict[str, FeatureMatrix | None],
    generator: torch.Generator,
) -> Pair:
    """Two towers with random weights."""
    dim, widths = options.dim, [options.hidden_dim] * options.hidden_layers
    met = counted(data.user, data.n_users) > 0  # (u,)
    users = Side(met, dim, widths, told["user"], generator, ids=options.user_id_embedding)
    items = Side(counted(data.item, data.n_items) > 0, dim, widths, told["item"], generator)
    if options.history_embedding != "none":
        width, shared = [*widths, dim][0], options.history_embedding == "shared"
        table = (
            items.own if shared else Table(_random(data.n_items, width, generator))
        )  # (i, d or w)
        turn = nn.Parameter(torch.eye(dim, width)) if shared else None  # (d, w)
        users.history = History(
            data.by_user(), table, turn, nn.Parameter(_random(1, width, generator))
        )
    return Pair(users, items, options.similarity, options.divisor, options.negative_queue_size)


def batches(data: Interactions, size: int, negative: Negatives) -> Iterator[Batch]:
    """All pairs in random order, with the negatives of each step."""
    user, item = (
        torch.from_numpy(codes.astype(np.int64)) for codes in (data.user, data.item)
    )  # (n,), (n,)
    for chosen in shuffled(len(user), size, negative.generator):
        yield Batch(user[chosen], item[chosen], negative.draw())


def _random(n: int, width: int, generator: torch.Generator) -> Tensor:
    return torch.randn(n, width, generator=generator) * (FIRST / width**0.5)  # (n, w)


def _linear(inside: int, outside: int, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(inside, outside)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer


def _array(tensor: Tensor) -> Float32:
    array: Float32 = tensor.detach().cpu().numpy()
    return array
