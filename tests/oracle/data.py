"""What a database holds, as plain Python: what the generator makes and the oracle answers from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Vector:
    """One row of an embedding table."""

    embedding: np.ndarray  # (d,) float64, of values that float32 holds
    bias: float
    interactions: int

    @property
    def norm(self) -> float:
        return float(np.sqrt(self.embedding @ self.embedding))

    @property
    def unit(self) -> np.ndarray:
        """(d,) of length 1."""
        return self.embedding / self.norm


@dataclass(frozen=True)
class Seen:
    """One pair that a run was trained on."""

    user_id: str
    item_id: str
    weight: float
    time: int | None


@dataclass(frozen=True)
class Part:
    """One row of a tower's first layer."""

    feature: str
    kind: str
    value: str | None
    center: float | None
    scale: float | None
    embedding: np.ndarray  # (w,)


@dataclass(frozen=True)
class Tower:
    """What makes a vector of features."""

    parts: list[Part]
    layers: list[tuple[np.ndarray, np.ndarray]]  # (out, in) and (out,)


@dataclass(frozen=True)
class Cluster:
    """One group of a clustering."""

    entity: str
    clustering: str
    cluster_id: int
    size: int
    radius: float
    label: str | None
    unit_length: bool
    centroid: np.ndarray  # (d,)


@dataclass(frozen=True)
class Member:
    """One row of a clustering's members."""

    entity: str
    clustering: str
    entity_id: str
    cluster_id: int
    distance: float
    silhouette: float
    top_rank: int | None


@dataclass(frozen=True)
class Point:
    """One point of a map."""

    entity: str
    method: str
    entity_id: str
    x: float
    y: float


@dataclass(frozen=True)
class Figure:
    """One figure of an evaluation."""

    split: str
    segment: str
    metric: str
    k: int
    value: float | None
    popular_value: float | None
    itemknn_value: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True)
class Gate:
    """What the gate of a run compared and decided."""

    verdict: str
    split: str
    metric: str
    k: int
    value: float
    popular_value: float | None
    compared_run: int | None
    basis: str
    users: int | None
    left_out: int | None
    new_value: float | None
    live_value: float | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    tolerance: float
    reason: str | None


@dataclass
class Trial:
    """What a search tried; the last five are those of algorithm auto."""

    trial: int
    params: str
    metric: str
    value: float | None
    seconds: float
    status: str
    error: str | None
    algorithm: str | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    chosen: bool | None = None
    reason: str | None = None


@dataclass
class Run:
    """All rows of one run."""

    run_id: int
    model: str
    status: str
    similarity: str
    dim: int
    exact: bool  # whether float32 holds every length, so that equal cosines are equal everywhere
    users: dict[str, Vector]
    items: dict[str, Vector]
    seen: list[Seen]
    algorithm: str = "als"
    params: str = "{}"
    error: str | None = None
    started_at: datetime = datetime(2026, 1, 1)
    finished_at: datetime | None = None
    solver: tuple[str, dict[str, float]] | None = None
    scales: dict[str, float] = field(default_factory=dict)
    towers: dict[str, Tower] = field(default_factory=dict)
    clusters: list[Cluster] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    gate: Gate | None = None  # none: it had no gate, as runs of earlier versions
    log: list[tuple[int, str, float, datetime]] = field(default_factory=list)
    findings: list[tuple[str, str, int, str | None, str | None]] = field(
        default_factory=list
    )
    phase: str | None = None
    phase_seconds: str | None = None
    trials: list[Trial] = field(default_factory=list)

    def side(self, entity: str) -> dict[str, Vector]:
        """The vectors of users or items."""
        return {"user": self.users, "item": self.items}.get(entity, {})

    def history(self, user_id: str | None) -> list[Seen]:
        """What a user met."""
        return [pair for pair in self.seen if pair.user_id == user_id]

    def audience(self, item_id: str | None) -> list[Seen]:
        """Who met an item."""
        return [pair for pair in self.seen if pair.item_id == item_id]


@dataclass
class Model:
    """One row of the table of models."""

    name: str
    live_run: int | None
    earlier_runs: list[int]


@dataclass
class World:
    """All a database holds."""

    models: list[Model]
    runs: list[Run]
    cohorts: list[
        tuple[str, str, str]
    ]  # cohort_set, user_id, cohort; a row may be there twice

    def model(self, name: str) -> Model | None:
        """A model by its name."""
        return next((model for model in self.models if model.name == name), None)

    def runs_of(self, name: str) -> list[Run]:
        """All runs of a model, newest first."""
        return sorted(
            (run for run in self.runs if run.model == name), key=lambda run: -run.run_id
        )


def by_bytes(text: str) -> bytes:
    """What ids are put in order by on every engine."""
    return text.encode()


Row = tuple[Any, ...]
