"""Recommendations without a training: what is popular, item-kNN, EASE."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmarks._rank import popular
from benchmarks._suite_exam import Exam, Marks
from embsql.evaluation.baselines import item_knn
from embsql.run import Run

LENGTH = 20
MOST_ITEMS = 6_000  # of EASE, which inverts a matrix of all items by all items
EASE_REGS = (30.0, 100.0, 300.0, 1000.0)


class Linear(NamedTuple):
    """What a user has, times weights."""

    known: Any  # (u, i)
    weights: np.ndarray  # (i, i)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(n,) -> (n, i)"""
        return self.known[users] @ self.weights


class Lists(NamedTuple):
    """A list for each user."""

    codes: np.ndarray  # (u, k), -1 at the end
    n_items: int

    def scores(self, users: np.ndarray) -> np.ndarray:
        """(n,) -> (n, i): the earlier in the list, the more."""
        codes = self.codes[users]  # (n, k)
        rows, ranks = np.nonzero(codes >= 0)
        scores = np.full((len(users), self.n_items), -np.inf, np.float32)  # (n, i)
        scores[rows, codes[rows, ranks]] = -ranks
        return scores


def ease(known: Any, reg: float) -> Linear:
    """Each item predicted from all others, by least squares (Steck, 2019)."""
    gram = (known.T @ known).toarray().astype(np.float64)  # (i, i)
    gram[np.diag_indices(len(gram))] += reg
    inverse = np.linalg.inv(gram)  # (i, i)
    weights = -inverse / np.diag(inverse)  # (i, i)
    weights[np.diag_indices(len(weights))] = 0
    return Linear(known, weights.astype(np.float32))


def neighbors(exam: Exam) -> Lists:
    """The library's own item-kNN."""
    history = exam.data.by_user()
    codes = item_knn(exam.data, history, LENGTH, Run(1, exam.threads))
    return Lists(codes, exam.data.n_items)


def references(exam: Exam) -> dict[str, Marks]:
    """The marks of each; EASE is the best of several penalties on what is asked."""
    known = exam.known
    marks = {
        "popular": exam.marks(popular(known)),
        "item-kNN": exam.marks(neighbors(exam)),
    }
    if exam.data.n_items <= MOST_ITEMS:
        tried = [exam.marks(ease(known, reg)) for reg in EASE_REGS]
        marks["EASE"] = max(tried, key=lambda found: found[1])
    return marks
