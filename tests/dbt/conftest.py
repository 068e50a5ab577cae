"""Projects on every adapter.

dbt has an environment of its own (make dbt); elsewhere these tests are left out.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.dbt.projects import Project

TARGETS = ["duckdb", "postgres"]
if not any(importlib.metadata.distributions(name="dbt-core")):
    collect_ignore = [
        path.name
        for path in Path(__file__).parent.glob("test_*.py")
        if path.name != "test_package.py"
    ]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """dbt leaves its log files open, and says so itself when they are collected."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(
                pytest.mark.filterwarnings(
                    "ignore::pytest.PytestUnraisableExceptionWarning"
                )
            )


@pytest.fixture(params=TARGETS)
def project(request, tmp_path: Path) -> Project:
    """A small project on each adapter."""
    address = (
        request.getfixturevalue("new_database")()
        if request.param == "postgres"
        else None
    )
    from tests.dbt.projects import written

    return written(tmp_path, request.param, address)


@pytest.fixture
def on_duckdb(tmp_path: Path) -> Project:
    from tests.dbt.projects import written

    return written(tmp_path, "duckdb", None)


@pytest.fixture
def on_postgres(tmp_path: Path, pg: str) -> Project:
    from tests.dbt.projects import written

    return written(tmp_path, "postgres", pg)
