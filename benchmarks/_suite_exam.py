"""One part of a shape that is asked about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks._rank import Model, recall_ndcg
from embsql import algorithms
from embsql.data import Embeddings, Interactions
from embsql.run import Run

MOST_USERS = 4_000  # who are asked
Marks = tuple[float, float]  # Recall@20 and NDCG@20
Options = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Exam:
    """What is trained on, and what is asked."""

    data: Interactions
    held_out: Interactions
    threads: int

    @property
    def known(self) -> Any:
        """What users have, as a scipy matrix (u, i)."""
        return _matrix(self.data)

    def marks(self, model: Any) -> Marks:
        """Those of anything that has scores."""
        relevant = _matrix(self.held_out)
        return recall_ndcg(
            model, self.known, relevant, threads=self.threads, most=MOST_USERS
        )

    def trained(self, algorithm: str, options: Options, seed: int) -> Marks:
        """Those of an algorithm."""
        made = algorithms.make(algorithm, options)
        run = Run(seed, self.threads)
        return self.marks(_model(made.fit(self.data, run), self.data))


def _matrix(data: Interactions) -> Any:
    ones = np.ones(len(data), np.float32)
    return csr_matrix((ones, (data.user, data.item)), (data.n_users, data.n_items))


def _model(made: Embeddings, data: Interactions) -> Model:
    """Vectors as they are ranked; an item that nobody is known to have is not recommended."""
    counts = np.bincount(data.item, minlength=data.n_items)  # (i,)
    bias = 0.0 if made.item_bias is None else made.item_bias
    bias = np.where(counts > 0, bias, -np.inf).astype(np.float32)  # (i,)
    if made.similarity == "cosine":
        return Model(_unit(made.users), _unit(made.items), bias)
    return Model(made.users, made.items, bias)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors (n, d) at length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
