"""Products by BLAS with one thread for each of ours: those of its own would spin beside them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np  # noqa: F401 - loads the BLAS that is limited
from threadpoolctl import OpenBLASController, ThreadpoolController

_lock = threading.Lock()
_limits: list[
    Any
] = []  # one for each who is inside; only the first of them is in force


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """While somebody is inside, BLAS uses the thread that calls it and no other.

    The limit is the process's, not the thread's: the first one in sets it, the last one out takes
    it off. threadpoolctl 3.8 alone would leave it on where two overlap
    (findings/threadpoolctl_overlapping_limits.sh).
    """
    with _lock:
        _limits.append(None if _limits else _blas().limit(limits=1))
        _let_others_limit()
    try:
        yield
    finally:
        with _lock:
            limit = _limits.pop()  # the first one's comes last
            if limit is not None:
                limit.restore_original_limits()
                _let_others_limit()


def _let_others_limit() -> None:
    """Own the number of threads no longer: threadpoolctl obeys its owner only."""
    OpenBLASController.clear_controlling_thread()


@cache
def _blas() -> ThreadpoolController:
    """The BLAS of numpy: finding it takes some milliseconds."""
    return ThreadpoolController().select(user_api="blas")
