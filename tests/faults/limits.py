"""Acts that meet a limit, or a connection that is cut: a sentence, nothing lost.

Of a DuckDB file: no file may grow past a size, DuckDB may not use more memory than so much, the
process may not. Of a server: a statement may take a moment only, the disk is full under its data
and its write-ahead log (where this user may mount a small one), a session is ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from tests.faults.disk import mounted
from tests.faults.kills import endless
from tests.faults.result import Tried
from tests.servers import started

BLOWS = {"duckdb": ("full", "buffers", "memory"), "postgres": ("late", "cut")}


def tries(seed: int, first: int, engines: list[str]) -> Iterator[Tried]:
    """Act after act, each on the next engine."""
    blows = dict(BLOWS)
    with ExitStack() as opened:
        disk = opened.enter_context(mounted()) if "postgres" in engines else None
        if disk:
            blows["postgres"] += ("room",)
        server = (
            partial(started, "max_wal_size = '64MB'", folder=disk) if disk else started
        )
        yield from endless(seed, first, engines, blows, server=server, disk=disk)
