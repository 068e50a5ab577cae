"""The limit on BLAS's threads is there while somebody is inside, and gone with the last."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from threadpoolctl import OpenBLASController, ThreadpoolController

from embsql.numeric.blas import one_blas_thread

BLAS = ThreadpoolController().select(user_api="blas")


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in BLAS.info()}


@pytest.fixture(autouse=True)
def _two_threads() -> Iterator[None]:
    limit = BLAS.limit(limits=2)
    OpenBLASController.clear_controlling_thread()
    assert blas_threads() == {2}
    yield
    limit.restore_original_limits()
    OpenBLASController.clear_controlling_thread()


def test_the_limit_ends_with_the_last_whoever_came_first() -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(one_blas_thread())
    second.enter_context(one_blas_thread())
    first.close()
    assert blas_threads() == {1}
    second.close()
    assert blas_threads() == {2}


def test_it_is_the_same_in_threads_that_overlap() -> None:
    stacks = ExitStack(), ExitStack()
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        for pool, stack in zip((first, second), stacks, strict=True):
            pool.submit(stack.enter_context, one_blas_thread()).result()
            assert blas_threads() == {1}
        first.submit(stacks[0].close).result()
        assert blas_threads() == {1}
        second.submit(stacks[1].close).result()
    assert blas_threads() == {2}
