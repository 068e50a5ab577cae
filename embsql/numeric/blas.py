"""Products by BLAS with one thread for each of ours: those of its own would spin next to them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np  # noqa: F401 - loads the BLAS that is limited
from threadpoolctl import OpenBLASController, ThreadpoolController

_lock = threading.Lock()
# one for each who is inside; only the first of them is in force
_limits: list[Any] = []


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """While somebody is inside, BLAS uses the thread that calls it and no other.

    The limit is the process's, not the thread's: the first one in sets it, the last one out takes
    it off, whoever else has set one meanwhile. threadpoolctl 3.8 alone obeys one thread, and leaves
    a limit on where two overlap (findings/threadpoolctl_overlapping_limits.sh).
    """
    with _lock:
        _limits.append(None if _limits else _limited())
    try:
        yield
    finally:
        with _lock:
            limit = _limits.pop()  # the first one's comes last
            if limit is not None:
                _disown()
                limit.restore_original_limits()
                _disown()


def _limited() -> Any:
    """BLAS with one thread from now on; what knows how many it had."""
    _disown()
    limit = _blas().limit(limits=1)
    _disown()
    return limit


def _disown() -> None:
    """Let any thread set the number of threads: threadpoolctl obeys the first that did."""
    OpenBLASController.clear_controlling_thread(force=True)


@cache
def _blas() -> ThreadpoolController:
    """The BLAS of numpy: finding it takes some milliseconds."""
    return ThreadpoolController().select(user_api="blas")
