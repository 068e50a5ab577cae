"""Where each algorithm's options are looked for: around what is known to be good anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks._suite_exam import Options
from embsql.data import Interactions


def _log(chance: np.random.Generator, low: float, high: float) -> float:
    """A number between two, each size as probable."""
    return float(f"{math.exp(chance.uniform(math.log(low), math.log(high))):.3g}")


def _one(chance: np.random.Generator, *values: Any) -> Any:
    return values[int(chance.integers(len(values)))]


def _als(chance: np.random.Generator, data: Interactions) -> Options:
    """The weight is drawn as a multiple of the density, the penalty at a row of mean evidence."""
    density = len(data) / (data.n_users * data.n_items)
    exponent = _one(chance, 0.5, 0.75, 1.0, 1.0)
    ratio = _log(chance, 2, 100)
    rows = 2 * len(data) / (data.n_users + data.n_items)
    reg = _log(chance, 0.002, 0.1) * (rows * (1 + ratio)) ** (1 - exponent)
    return {
        "unobserved_weight": ratio * density,
        "reg": reg,
        "reg_exponent": exponent,
        "epochs": _one(chance, 2, 3, 4, 6, 8, 12, 16),
    }


def _svd(chance: np.random.Generator, _data: Interactions) -> Options:
    method = _one(chance, "normalized", "plain")
    return {"method": method, "dim": _one(chance, 8, 16, 24, 32, 48, 64)}


def _item2vec(chance: np.random.Generator, _data: Interactions) -> Options:
    return {
        "window": _one(chance, 2, 3, 5, 10, 20, 50),
        "epochs": _one(chance, 5, 10, 20, 40, 80),
        "shuffle": _one(chance, False, True),
        "negatives": _one(chance, 5, 15),
        "ns_exponent": _one(chance, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0),
        "sample": _one(chance, 0.0, 0.0, 1e-3, 1e-4),
        "lr": _one(chance, 0.4, 0.8),
        "popularity_weight": _log(chance, 0.005, 0.2),
    }


def _sequential(chance: np.random.Generator, _data: Interactions) -> Options:
    return {
        "epochs": _one(chance, 5, 10, 15, 25),
        "lr": _log(chance, 0.0005, 0.005),
        "dropout": _one(chance, 0.0, 0.1, 0.3, 0.5),
        "reg": _one(chance, 0.0, 0.01, 0.1),
        "batch_size": _one(chance, 32, 128),
    }


def _two_tower(chance: np.random.Generator, _data: Interactions) -> Options:
    return {"epochs": _one(chance, 5, 10, 20, 40), "lr": _log(chance, 0.001, 0.05)}


SPACES: dict[str, Callable[[np.random.Generator, Interactions], Options]] = {
    "als": _als,
    "svd": _svd,
    "item2vec": _item2vec,
    "sasrec": _sequential,
    "gru4rec": _sequential,
    "two_tower": _two_tower,
}
