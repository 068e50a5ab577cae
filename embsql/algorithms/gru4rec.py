"""GRU4Rec: a recurrent network that reads a user's history and predicts what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from embsql.algorithms import algorithm
from embsql.algorithms.base.sequence import Sequential, TrainingTask
from embsql.data import Interactions
from embsql.options import Count, Dropout, Range


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class Gru4rec(Sequential):
    """Gated recurrent units over each user's latest events, in order.

    For sessions and for histories alike. A user's vector is the network's state after the last
    event, an item's is its row of the table, and the score is their product. Needs event_time, or a
    source whose order is the order of events (Hidasi et al., 2016, "Session-based recommendations
    with recurrent neural networks"; the loss is the softmax over the catalog, as in Hidasi and
    Karatzoglou, 2018).
    """

    network: ClassVar[str] = "gru"

    epochs: Count = 20  # passes over the histories
    n_layers: Annotated[int, Range(1, 4)] = 1  # layers of recurrent units
    dropout: Dropout = 0.1  # share of the network's components left out in training

    def task(self, data: Interactions) -> TrainingTask:  # noqa: ARG002 - whatever the data
        """See Sequential."""
        return "causal"
