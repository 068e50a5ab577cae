"""The compiler of loops: how they are compiled, and that a run can see when they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core import event
from numba.core.caching import IndexDataCacheFile

from embsql import phases

CACHE_LOCK = "embsql.lock"  # in the folder of what is cached
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# Sums may be reordered, which is what lets them use vector registers; NaN and infinity keep their
# meaning.
FAST = {
    "nogil": True,
    "cache": True,
    "_nrt": False,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz"},
}


class Listener(event.Listener):
    """Hears when a function begins to be compiled, and ends, in the thread that called it.

    One that was cached is loaded without.
    """

    def on_start(self, _event: Any) -> None:
        """Count one more."""
        phases.compilation(1)

    def on_end(self, _event: Any) -> None:
        """Count one fewer."""
        phases.compilation(-1)


event.register("numba:compile", Listener())


class CacheIndex(IndexDataCacheFile):
    """What says which code is cached, of a function of this version or of one before.

    numba 0.68 reads all of it before it looks at its stamp, and fails where a class that a
    signature names has gone since (findings/numba_stale_cache.sh). Such an index is an old one.
    """

    def _load_index(self) -> Any:
        try:
            return super()._load_index()
        except (AttributeError, ImportError):
            return {}

    def save(self, key: Any, data: Any) -> None:
        """Add code, one process at a time.

        Two at once would take one file's name for the code of two signatures, and one would later
        run the other's.
        """
        from filelock import FileLock

        # another user's lock can be taken too
        with FileLock(Path(self._cache_path) / CACHE_LOCK, mode=0o666):
            super().save(key, data)


def _decorator(**options: Any) -> Callable[[Kernel], Kernel]:
    def compile_later(function: Kernel) -> Kernel:
        dispatcher = njit(**options)(function)
        dispatcher._cache._cache_file.__class__ = CacheIndex
        kernel: Kernel = dispatcher
        return kernel

    return compile_later


compiled = _decorator(**FAST)
inlined = _decorator(
    **FAST, forceinline=True
)  # a call per pair would cost as much as its work
merged = _decorator(**FAST, inline="always")  # never compiled but in its callers
# sums in the order that is written; numbers of every type, which Python's do not say
exact: Callable[[Any], Any] = _decorator(nogil=True, cache=True)
