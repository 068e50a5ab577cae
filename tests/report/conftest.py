"""Models to report, and a browser to look with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import embsql
from benchmarks._browser import Browser, browser, chromium
from tests.report.pages import HOSTILE, toy_pairs


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Iterator[embsql.Database]:
    """Two runs of a small model with all that can be made of it, and one of strange ids."""
    with embsql.connect(tmp_path_factory.mktemp("toy") / "toy.duckdb") as database:
        options: dict[str, Any] = {"evaluate": True, "gate": False, "progress": False}
        for dim in (4, 6):
            database.train("toy", toy_pairs(), dim=dim, **options)
        for entity in ("item", "user"):
            database.cluster("toy", entity=entity, k=2)
            database.project("toy", entity=entity)
        database.engine.run(
            "INSERT INTO embsql.cohorts SELECT 'half', 'u' || lpad(n::VARCHAR, 2, '0'), "
            "CASE WHEN n < 30 THEN 'first' ELSE 'second' END FROM range(60) AS r(n)"
        )
        vectors = np.random.default_rng(0).normal(size=(len(HOSTILE), 3)).tolist()
        strange = pa.table({"item_id": HOSTILE[:-1], "embedding": vectors[:-1]})
        database.register_embeddings("strange", strange)
        labels = pa.table(
            {"entity_id": HOSTILE[:3], "label": ["<b>" + "y" * 10_000] * 3}
        )
        database.cluster("strange", k=1, labels=labels)
        yield database


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("no Chromium is installed")
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(browser())
        except (AssertionError, OSError) as error:
            pytest.skip(f"Chromium is installed and does not start: {error}")
        yield opened
