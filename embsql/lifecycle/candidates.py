"""What algorithm auto may try: what the data can carry, the simplest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from embsql import algorithms
from embsql.algorithms import Algorithm
from embsql.data import Interactions
from embsql.errors import BadOption, shared
from embsql.lifecycle.budget import Budget

IN_ORDER = {"gru4rec", "sasrec"}  # learn from nothing but the order of events
OF_FEATURES = {"fusion"}  # learn nothing without item_features
OF_GRAPHS = {"node2vec"}  # without a graph of the caller's, item2vec is as good


@dataclass(frozen=True, slots=True)
class Proposal:
    """An algorithm with options."""

    algorithm: str
    options: Mapping[str, Any]
    # what a training takes where als with 64 dims takes 1, roughly (docs/decisions/0047)
    cost: float

    def __str__(self) -> str:
        own = [f"{name} {value}" for name, value in self.options.items()]
        return ", ".join([self.algorithm, *own])

    def make(self) -> Algorithm:
        """The algorithm. Raises BadOption."""
        return algorithms.make(self.algorithm, self.options)

    def is_as(self, other: Proposal) -> bool:
        """Whether another trains the same."""
        same = self.algorithm == other.algorithm
        return same and self.options == other.options


@dataclass(frozen=True, slots=True)
class Choosing:
    """What is to be chosen: within which time, and what decides what is tried."""

    budget: Budget
    given: Mapping[str, Any]  # options that every candidate has
    # all that another choice could follow from, as the run remembers it
    asked: Mapping[str, Any]
    device: str

    @property
    def explicit(self) -> bool:
        """Whether weights are ratings."""
        return self.given.get("feedback") == "explicit"


EVIDENCE = (
    Proposal("als", {}, 1),
    Proposal("svd", {}, 0.5),
    Proposal("svd", {"dim": 16}, 0.2),
    Proposal("als", {"reg": 0.02}, 1),
    Proposal("als", {"dim": 128}, 2),
    Proposal("svd", {"dim": 256}, 2),
    Proposal("als", {"dim": 256}, 5),
    Proposal("item2vec", {}, 4),
    Proposal("fusion", {}, 5),
    Proposal("node2vec", {}, 10),
    Proposal("two_tower", {}, 100),
    Proposal("sasrec", {}, 200),
    Proposal("gru4rec", {}, 600),
)
RATINGS = (
    Proposal("als", {}, 1),
    Proposal("als", {"reg": 0.04}, 1),
    Proposal("als", {"reg": 0.16}, 1),
    Proposal("als", {"dim": 128}, 2),
)


def candidates(choosing: Choosing) -> list[Proposal]:
    """All that may be tried with the options given, each once."""
    every = RATINGS if choosing.explicit else EVIDENCE
    found: list[Proposal] = []
    for one in every:
        candidate = _with(one, choosing.given)
        if not any(candidate.is_as(other) for other in found):
            found.append(candidate)
    return found


def _with(candidate: Proposal, given: Mapping[str, Any]) -> Proposal:
    """A candidate with the options given over its own; ratings are a matter of als."""
    options = {**candidate.options, **given}
    if candidate.algorithm != "als":
        options.pop("feedback", None)
    return Proposal(candidate.algorithm, options, candidate.cost)


def simplest(choosing: Choosing) -> Algorithm:
    """The simplest candidate. Raises BadOption."""
    return candidates(choosing)[0].make()


def in_no_order(candidate: Proposal, data: Interactions) -> Proposal:
    """A candidate for data without times: windows of item2vec are then of any order."""
    if candidate.algorithm != "item2vec" or data.time is not None:
        return candidate
    options = {**candidate.options, "shuffle": True}
    return Proposal(candidate.algorithm, options, candidate.cost)


def obstacle(candidate: Proposal, data: Interactions, choosing: Choosing) -> str | None:
    """Why a candidate cannot be tried; None where it can."""
    return next(_obstacles(candidate, data, choosing), None)


def _obstacles(
    candidate: Proposal, data: Interactions, choosing: Choosing
) -> Iterator[str]:
    name = candidate.algorithm
    try:
        made = candidate.make()
    except BadOption as error:
        yield shared(error)
        return
    if name in IN_ORDER and data.time is None:
        yield "it needs event_time, which the source does not give"
    if name in OF_FEATURES and data.item_features is None:
        yield "it needs item_features"
    if name in OF_GRAPHS and data.graph is None:
        yield "it needs a graph"
    if choosing.device == "cuda" and not made.on_gpu:
        yield "it does not train on a GPU"
    if made.resumes and find_spec("torch") is None:
        yield "it needs the Python package torch: pip install 'embsql[torch]'"
