"""One generated database on every engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import embsql
from tests.oracle import found
from tests.oracle.data import World
from tests.oracle.engines import Asked, command, in_process
from tests.oracle.generate import world
from tests.oracle.write import write

SEED, MODELS = 3, 5
ENGINES = ("DuckDB", "DuckDB's command", "PostgreSQL")


@pytest.fixture(scope="session")
def made() -> World:
    """What is in the databases: generated models, and those of tests/oracle/found.py."""
    generated, known = world(SEED, MODELS), found.world()
    models, runs = generated.models + known.models, generated.runs + known.runs
    return World(models, runs, generated.cohorts)


@pytest.fixture(scope="session")
def oracle_file(made, tmp_path_factory) -> Path:
    """A DuckDB file that holds it."""
    path = tmp_path_factory.mktemp("oracle") / "world.duckdb"
    with embsql.connect(str(path)) as database:
        write(database, made)
    return path


@pytest.fixture(scope="session", params=ENGINES)
def engine(request, made) -> Iterator[tuple[str, Asked]]:
    """An engine by name, and how it is asked."""
    if request.param == "PostgreSQL":
        with embsql.connect(request.getfixturevalue("new_database")()) as database:
            write(database, made)
            yield request.param, in_process(database)
        return
    path = request.getfixturevalue("oracle_file")
    if request.param == "DuckDB's command":
        yield request.param, command(path)
        return
    with embsql.connect(str(path), read_only=True) as database:
        # the questions are small, and a caller's settings change no answer
        database.engine.run(
            "SET threads = 1; SET default_order = 'DESC'; SET default_null_order = 'nulls_first'"
        )
        yield request.param, in_process(database)
