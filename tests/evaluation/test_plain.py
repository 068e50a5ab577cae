"""What goes through numpy while data are small is what the compiled loops find."""

from __future__ import annotations

import numpy as np
import pytest

from embsql.data import CsrMatrix
from embsql.numeric import kmeans
from embsql.numeric.plain import compiled_loops_only
from embsql.numeric.topk import cosine_neighbors, first_unseen, top_k_linear
from embsql.run import Run
from tests.evaluation.worlds import crowd


def both_ways(rank, *arguments, **options):
    """What is found in numpy, and what by compiled loops."""
    found = rank(*arguments, **options)
    with compiled_loops_only():
        return found, rank(*arguments, **options)


@pytest.mark.parametrize("seed", range(5))
def test_numpy_and_the_loops_agree(seed):
    history = crowd(150, 60, 1500, seed)
    by_user, by_item, run = history.by_user(), history.by_item(), Run(threads=2)
    order = np.random.default_rng(seed).permutation(60).astype(np.int32)
    codes, loop_codes = both_ways(first_unseen, order, by_user, 7, 60)
    np.testing.assert_array_equal(codes, loop_codes)
    found, by_loops = both_ways(cosine_neighbors, by_user, by_item, 70, run)
    np.testing.assert_array_equal(found[0], by_loops[0])
    np.testing.assert_array_equal(found[1], by_loops[1])
    weight = np.random.default_rng(seed).integers(1, 4, len(history))
    square = CsrMatrix(by_item.indptr, by_item.indices % 60, weight.astype(np.float32))
    for repeats in (False, True):
        found, by_loops = both_ways(
            top_k_linear,
            by_user,
            square,
            np.arange(60, dtype=np.float32) % 3,
            9,
            run,
            repeats=repeats,
        )
        np.testing.assert_array_equal(found[0], by_loops[0])
        np.testing.assert_array_equal(found[1], by_loops[1])


@pytest.mark.parametrize("m", [1, 2, 5])
def test_numpy_and_the_loops_find_the_same_centroids(m: int) -> None:
    rng = np.random.default_rng(m)
    vectors = rng.standard_normal((500, 7)).astype(np.float32) + 100
    centroids = vectors[:4].copy()
    found, by_loops = both_ways(kmeans._nearest, vectors, centroids, m, Run())
    np.testing.assert_array_equal(found, by_loops)
    assert (found[:, 4:] == -1).all()
    nearest = found[:, 0]
    plain, loops = both_ways(kmeans._distances, vectors, centroids, nearest, Run())
    np.testing.assert_allclose(plain, loops, rtol=1e-6)
    closest = np.full(500, 5, np.float32)
    plain, loops = both_ways(kmeans._closest_with, vectors, centroids, closest)
    np.testing.assert_allclose(plain, loops, rtol=1e-6)
    assert (plain == 5).any()
