"""A live run of model m whose rows a benchmark makes, as training writes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import embsql
from embsql.lifecycle.named_statements import execute_named


@contextmanager
def made_run(
    database: embsql.Database, *, dim: int, users: int, items: int, pairs: int
) -> Iterator[None]:
    """Run 1, whose rows are written meanwhile; scores are dot products."""
    engine = database.engine
    execute_named(engine, "ensure_model", model_name="m")
    execute_named(
        engine,
        "begin_run",
        run_id=1,
        model_name="m",
        algorithm="als",
        params="{}",
        source_sql="",
        seed=1,
        versions="{}",
    )
    yield
    execute_named(
        engine,
        "finish_run",
        run_id=1,
        source_hash="",
        dim=dim,
        similarity="dot",
        users=users,
        items=items,
        interactions=pairs,
        checksum="",
    )
    database.promote("m@1")
