"""One thread makes the next piece while another uses one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def one_ahead(
    pieces: Iterator[T], stop: Callable[[], object] | None = None
) -> Iterator[T]:
    """The same, none of which is None, each made by another thread while the one before it is used.

    Where the use fails, or this thread is interrupted, the piece that is being made is waited for;
    `stop` ends it sooner.
    """
    with ThreadPoolExecutor(1) as maker:
        following = maker.submit(next, pieces, None)
        try:
            while (piece := following.result()) is not None:
                following = maker.submit(next, pieces, None)
                yield piece
        except BaseException:
            if stop:
                stop()
            raise
