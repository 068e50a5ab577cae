"""What goes through numpy while data are small is what the compiled loops find."""

from __future__ import annotations

import numpy as np
import pytest

from embsql.data import CsrMatrix
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
