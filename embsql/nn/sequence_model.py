"""Sequence models: item vectors, the network over them, and users' vectors as its states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, embedding_bag, normalize

from embsql.data import Float32, Interactions
from embsql.features.time import N_TIME_FEATURES
from embsql.nn.histories import EventHistories, Packed
from embsql.nn.sequence_networks import NETWORKS
from embsql.nn.tensors import float32_array, true_indices

if TYPE_CHECKING:
    from embsql.algorithms.base.sequence import Sequential

EVAL_BATCH = 512  # histories at a time when nothing is learned


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

    def forward(
        self, inputs: Tensor, features: Tensor, packed: Packed, state_at: Tensor | None
    ) -> Tensor:
        """The states after some events (s,), none: all.

        Items (t,), time features (t, c) -> (s, d)
        """
        device = self.table.device
        x = embedding(inputs.to(device), self.table)  # (t, d)
        if features.shape[1]:
            rows = features.to(device)  # (t, c)
            x = x + embedding_bag(rows, self.time_table, mode="sum")
        if state_at is not None:
            state_at = state_at.to(device)
        return self.network(self.input_scale * x, packed, state_at)

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
            last_states = self(inputs, features, packed, packed.last)  # (b, d)
            users_states[packed.user] = self.normalized(last_states).cpu()
        self.train()
        return users_states


def _short_vectors(n: int, dim: int, generator: torch.Generator) -> nn.Parameter:
    """Random vectors (n, d), short: what is seldom seen must not stay what chance made it."""
    vectors = torch.randn(n, dim, generator=generator)
    return nn.Parameter(vectors / dim)


def build_model(
    options: Sequential, data: Interactions, generator: torch.Generator
) -> SequenceModel:
    """A model with random weights."""
    build = NETWORKS[options.network]
    network = build(options, options.task(data), generator)
    return SequenceModel(
        data.n_items, options.dim, network, generator, options.temperature
    )
