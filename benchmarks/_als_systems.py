"""embsql's als and implicit's, called alike, and the data that both are given."""

from __future__ import annotations

from typing import Any

from benchmarks._made import WARM_ROWS, Pairs, clustered
from benchmarks._rank import Model
from embsql import algorithms
from embsql.data import Interactions
from embsql.run import Run

SEED = 1
GIVEN = (
    40.0,
    30.0,
)  # alpha and regularization of implicit, where a seen pair counts alpha and any other 1
PAIRS_PER_USER, ITEMS = 65, 20_000  # of generated data, like MovieLens 20M


def fit_embsql(
    data: Interactions, dim: int, threads: int, epochs: int, **more: float
) -> Model:
    made = algorithms.make("als", {"dim": dim, "epochs": epochs, **more}).fit(
        data, Run(SEED, threads)
    )
    return Model(made.users, made.items)


def fit_implicit(
    matrix: Any,
    dim: int,
    threads: int,
    iterations: int,
    regularization: float = GIVEN[1],
) -> Model:
    """The matrix holds the confidence of every seen pair.

    BLAS gets one thread, as implicit asks for.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=dim,
            regularization=regularization,
            iterations=iterations,
            num_threads=threads,
            random_state=SEED,
        )
        model.fit(matrix, show_progress=False)
    return Model(model.user_factors, model.item_factors)


def warm(threads: int) -> None:
    """Load what is loaded once: compiled loops, libraries."""
    small = clustered(2000, 500, WARM_ROWS)
    fit_embsql(small.interactions(), 8, threads, 1)
    fit_implicit(small.matrix(), 8, threads, 1)


def generated(pairs: int) -> Pairs:
    """As many users as such data have, and 20,000 items (fewer where pairs are few)."""
    return clustered(
        max(10, pairs // PAIRS_PER_USER), min(ITEMS, max(200, pairs // 50)), pairs
    )


def default_epochs() -> int:
    return algorithms.make("als", {}).epochs
