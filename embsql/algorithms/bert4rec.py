"""BERT4Rec: a transformer that learns to fill gaps in a history, the last of which comes next."""

from __future__ import annotations

from dataclasses import dataclass

from embsql.algorithms import algorithm
from embsql.algorithms.base.sequence import Attentive, TrainingTask
from embsql.data import Interactions
from embsql.options import Count, Positive, require


@algorithm
@dataclass(frozen=True, slots=True, kw_only=True)
class Bert4rec(Attentive):
    """Self-attention in both directions over each user's latest events, some of them masked.

    A user's vector is the state at a mask after the last event. Each pass has only a fifth of the
    events as targets, so it wants more passes than sasrec, below which it stays on ML-1M, see
    docs/benchmarks.md (Sun et al., 2019, "BERT4Rec"; Petrov and Macdonald, 2022, "A systematic
    review and replicability study of BERT4Rec").
    """

    epochs: Count = 60  # passes over the histories
    lr: Positive = 0.001  # step size of Adam, falling to 0

    def __post_init__(self) -> None:
        Attentive.__post_init__(self)
        require(
            self,
            "2 or more: an event, and one to be guessed",
            max_length=self.max_length >= 2,
        )

    def task(self, data: Interactions) -> TrainingTask:  # noqa: ARG002 - whatever the data
        """See Sequential."""
        return "masked"
