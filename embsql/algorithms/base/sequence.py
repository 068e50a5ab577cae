"""What the sequence models share: their options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from embsql.algorithms.base.network import train_network
from embsql.data import Embeddings, Float32, Interactions
from embsql.features.time import ages, time_decay
from embsql.options import (
    Count,
    Dim,
    Dropout,
    NonNegative,
    Positive,
    Share,
    Size,
    check,
    require,
)
from embsql.run import Run

TrainingTask = Literal["causal", "masked", "bag"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential(ABC):
    """A model of which item comes next in a user's history."""

    name: ClassVar[str]  # set by @algorithm
    ordered: ClassVar[bool] = True
    resumes: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True
    on_gpu: ClassVar[bool] = True
    # which of nn.sequence_networks.NETWORKS turns events into states
    network: ClassVar[str]

    dim: Dim = 64  # length of the vectors
    epochs: Count = 15  # passes over the histories
    lr: Positive = 0.002  # step size of Adam, falling to 0
    # histories per step; fewer where that would be less than 32 steps an epoch
    batch_size: Count = 32
    max_length: Count = 200  # the latest so many events of a user are used
    # share of a user vector's components left out in training
    user_embedding_dropout: Dropout = 0.0
    # regularization of items' vectors, as strong as that many events; only for products
    reg: NonNegative = 0.0
    # softmax over all items, gbce of each for itself, contrastive up to a margin
    loss: Literal["softmax", "gbce", "contrastive"] = "softmax"
    # items drawn per step to contrast with; none: all of up to 5,000, else 1,024
    negatives: Count | None = None
    # scores are cosines, divided by this in the loss; none: products
    temperature: Positive | None = None
    # contrastive: the cosine that a negative may have
    margin: NonNegative = 0.9
    # contrastive: weight of all negatives, where the positive's is 1
    negative_weight: NonNegative = 150.0
    # softmax of drawn negatives: 0 takes them for all there are, 1 for as many as there are (logQ)
    sampling_correction: Share = 0.75
    # gbce of drawn negatives: 0 is plain binary cross-entropy, 1 fully corrected for the sampling
    gbce_t: Share = 0.75
    # read an event's hour, weekday, time since the event before and since the item's first
    time_features: bool = False
    # learn how each item's share changes with time, and recommend as of the last event
    example_age: bool = False
    # predicting an event counts by its weight, such as minutes watched, not 1
    weighted_loss: bool = False
    # days (units of a numeric event_time) that halve what predicting an event counts
    half_life: Positive | None = None
    # epochs without a better figure on everybody's last event, after which to stop; 0: never
    patience: Size = 0

    def __post_init__(self) -> None:
        check(self)
        has_cosines = self.loss != "contrastive" or self.temperature is not None
        allowed = "set with loss=contrastive, whose scores are cosines: 1, for example"
        require(self, allowed, temperature=has_cosines)

    @abstractmethod
    def task(self, data: Interactions) -> TrainingTask:
        """What an event is predicted from.

        Those before it, all around it in their order, or some of the whole history.
        """

    def weights(self, data: Interactions) -> Float32:
        """What predicting each event counts in the loss, (m,), 1 on average."""
        events = data.events_by_time()
        weight: Float32 = np.ones(len(events), np.float32)  # (m,)
        if self.weighted_loss:
            weight = events.weight
        if self.half_life is not None:
            age = ages(self, "half_life", events.time)  # (m,)
            weight = weight * time_decay(age, self.half_life)
        return weight / np.float32(weight.mean())

    def fit(self, data: Interactions, run: Run) -> Embeddings:
        """Train on the data; the reported loss is the mean of an event to be predicted."""
        return train_network("sequence_training.fit_sequence_model", self, data, run)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attentive(Sequential):
    """A transformer over histories."""

    network: ClassVar[str] = "transformer"

    n_layers: Count = 2  # layers of attention
    # parts of the vectors that attend on their own, each of an even length
    n_heads: Count = 2
    dropout: Dropout = 0.1  # share of the network's components left out in training

    def __post_init__(self) -> None:
        Sequential.__post_init__(self)
        allowed = f"such that dim ({self.dim}) is a multiple of 2 * n_heads"
        require(self, allowed, n_heads=self.dim % (2 * self.n_heads) == 0)
