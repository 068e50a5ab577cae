"""SASRec: a transformer that reads a user's history and predicts what comes next."""

from __future__ import annotations

from dataclasses import dataclass

from embsql.algorithms import algorithm
from embsql.algorithms.base.sequence import Attentive, TrainingTask
from embsql.data import Interactions


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class Sasrec(Attentive):
    """Self-attention over each user's latest events, in order: what came last, and after what.

    A user's vector is the network's state after the last event, an item's is its row of the table,
    and the score is their product: recommendations and similar users are asked for as of any other
    model. Needs event_time, or a source whose order is the order of events. Users with more than
    `max_length` events are known by their latest ones.

    The loss is the softmax over the catalog, with which this network was found to be above BERT4Rec
    (Kang and McAuley, 2018, "Self-attentive sequential recommendation"; Klenitskiy and Vasilev,
    2023, "Turning dross into gold loss"). Of large catalogs some items are drawn, and
    `sampling_correction` says how many each stands for.
    """

    def task(self, data: Interactions) -> TrainingTask:  # noqa: ARG002 - whatever the data
        """See Sequential."""
        return "causal"
