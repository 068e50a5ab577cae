"""What the tests share: a database, the way to real data, a run whose vectors are known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import embsql
from tests.worlds import known_run

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("EMBSQL_DATA", ROOT.parent / "shared" / "data"))


def real(*names: str) -> Path:
    """A file of real data, or a skip that says what is missing."""
    path = DATA.joinpath(*names)
    if not path.exists():
        pytest.skip(f"real data not found: {'/'.join(names)} (set EMBSQL_DATA to the folder that holds it)")
    return path


@pytest.fixture
def db() -> Iterator[embsql.Database]:
    """An empty database in memory."""
    with embsql.connect(":memory:") as database:
        yield database


@pytest.fixture(scope="session")
def known() -> Iterator[embsql.Database]:
    """Models `compass` (dot, with biases) and `angles` (cosine), whose vectors stand in tests/worlds.py."""
    with embsql.connect(":memory:") as database:
        known_run(database)
        yield database
