"""What the tests share: a database, the way to real data, a run whose vectors are known."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import embsql
from embsql.lifecycle import installation
from embsql.lifecycle.installation import install
from embsql.numeric.plain import compiled_loops_only
from tests.pooler import pooler
from tests.servers import Databases, started
from tests.shortcuts import Install, copying
from tests.worlds import known_run

# Threads of torch that wait for each other sleep: two processes on two cores would else spin ten
# times the work away.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
REPLICATION = ("wal_level = logical", "wal_retrieve_retry_interval = '200ms'")
ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("EMBSQL_DATA", ROOT.parent / "shared" / "data"))


def real(*names: str) -> Path:
    """A file of real data, or a skip that says what is missing."""
    path = DATA.joinpath(*names)
    if not path.exists():
        pytest.skip(
            f"real data not found: {'/'.join(names)} (set EMBSQL_DATA to the folder that holds it)"
        )
    return path


@pytest.fixture(scope="session")
def quick_install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    return copying(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session", autouse=True)
def _quick(quick_install: Install) -> Iterator[None]:
    """New DuckDB databases are copies of an installed one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installation, "install", quick_install)
        yield


@pytest.fixture
def installing(monkeypatch: pytest.MonkeyPatch) -> None:
    """New databases are installed, as outside of the tests."""
    monkeypatch.setattr(installation, "install", install)


@pytest.fixture(scope="module", params=["plain", "compiled"])
def numeric_path(request) -> Iterator[None]:
    """Both ways that numbers go: in numpy, as small data do, and by compiled loops."""
    with compiled_loops_only() if request.param == "compiled" else nullcontext():
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a server: EMBSQL_TEST_POSTGRES, or one of our own with pgvector."""
    given = os.environ.get("EMBSQL_TEST_POSTGRES")
    if given:
        yield given
        return
    with started(*REPLICATION) as address:
        yield address


LONGEST = (
    "test_install.py",
    "test_docs.py",
    "test_benchmarks.py",
    "test_spark.py",
    "test_spark_training.py",
    "test_sequences.py",
    "test_publish.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest come first, so that no process waits for the other's last."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.hookimpl(
    optionalhook=True
)  # of an extension that a single process does without
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.by_file import ByFile

    return ByFile(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pgbouncer",
        action="store_true",
        help="reach PostgreSQL through PgBouncer in transaction mode",
    )


@pytest.fixture(scope="session")
def way(request, postgres: str) -> Iterator[Callable[[str], str]]:
    """What makes of a database's address the one that tests get: through a pooler where that is
    asked for.
    """
    if not request.config.getoption("--pgbouncer"):
        yield str
        return
    with pooler(postgres, sessions=6) as through:
        yield through


@pytest.fixture(scope="session")
def copies(postgres: str) -> Iterator[Databases]:
    """Databases that hold embsql and nothing else."""
    made = Databases(postgres)
    yield made
    made.close()


@pytest.fixture(scope="session")
def new_database(copies: Databases, way: Callable[[str], str]) -> Callable[[], str]:
    """Makes databases that hold embsql and nothing else; their addresses."""
    return lambda: way(copies.create())


ENGINES = ["duckdb", "postgres"]


@pytest.fixture
def pg(copies, way) -> Iterator[str]:
    """The address of a PostgreSQL database that holds embsql and nothing else."""
    address = copies.create()
    yield way(address)
    copies.drop(address)


@pytest.fixture
def empty(postgres) -> Iterator[str]:
    """The address of a database with nothing in it."""
    import psycopg
    from psycopg import conninfo

    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE embsql_empty")
        yield conninfo.make_conninfo(postgres, dbname="embsql_empty")
        admin.execute("DROP DATABASE embsql_empty WITH (FORCE)")


@pytest.fixture
def db() -> Iterator[embsql.Database]:
    """An empty DuckDB database in memory."""
    with embsql.connect(":memory:") as database:
        yield database


@pytest.fixture(params=ENGINES)
def each(request) -> Iterator[embsql.Database]:
    """An empty database of every engine."""
    target = ":memory:" if request.param == "duckdb" else request.getfixturevalue("pg")
    with embsql.connect(target) as database:
        yield database


@pytest.fixture(scope="session", params=ENGINES)
def known(request) -> Iterator[embsql.Database]:
    """Models `compass` (dot, with biases) and `angles` (cosine), whose vectors stand in
    tests/worlds.py.
    """
    target = (
        ":memory:"
        if request.param == "duckdb"
        else request.getfixturevalue("new_database")()
    )
    with embsql.connect(target) as database:
        known_run(database)
        yield database
