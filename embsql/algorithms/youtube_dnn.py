"""YouTube DNN: the mean of a history, perhaps through a network, predicts what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from embsql.algorithms import algorithm
from embsql.algorithms.base.sequence import Sequential, TrainingTask
from embsql.data import Interactions
from embsql.options import Count, Dim, Dropout, Layers


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class YoutubeDnn(Sequential):
    """The mean of a user's history, through hidden layers if wanted, predicts the next item.

    With event_time, an event is predicted from those before it alone. Without, all events of a user
    are predicted from a random part of them, so that a user's scores are made once for all of these
    (as in Liang et al., 2018, "Variational autoencoders for collaborative filtering"). The score is
    the product of a user's vector and an item's, or with `temperature` their cosine. Over tens of
    thousands of items loss = contrastive with a temperature of 1, a user_embedding_dropout of 0.1
    and a history_dropout of 0 is a good beginning (Mao et al., 2021, "SimpleX", without its users'
    ids); products then want a `reg` near 6, or they learn by heart what they are shown.
    `example_age` keeps what was fashionable once from being recommended now, and `weighted_loss`
    makes an hour watched count more than a click (Covington, Adams and Sargin, 2016, "Deep neural
    networks for YouTube recommendations").
    """

    network: ClassVar[str] = "mean"

    max_length: Count = 500  # the latest so many events of a user are used
    history_dropout: Dropout = 0.5  # share of a history's events left out in training
    hidden_layers: Layers = 0  # hidden layers between the mean and the user's vector
    hidden_dim: Dim = 128  # width of hidden layers

    def task(self, data: Interactions) -> TrainingTask:
        """See Sequential."""
        return "bag" if data.events_by_time().time is None else "causal"
