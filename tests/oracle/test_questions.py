"""Every question on every engine equals numpy's answer (more of it: tests/campaigns)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import embsql
from embsql import surface
from tests.oracle.calls import SUBJECTS, calls, many
from tests.oracle.check import Checked, check
from tests.oracle.data import World
from tests.oracle.engines import command, in_process
from tests.oracle.generate import world
from tests.oracle.write import write

SEED, MODELS = 3, 7
EACH = 3  # calls of each question
MANY = 16  # calls of many subjects at once
ENGINES = ("DuckDB", "DuckDB's command", "PostgreSQL")
FAULTS = {  # what is known to be wrong, until it is not
    "models": (ENGINES, "a run evaluated by two splits is there twice"),
    "nearest_cluster": (ENGINES[:2], "meets centroids of other runs, perhaps of another length"),
    "recommend_from": (ENGINES[:2], "exclude_seen of NULL leaves items out"),
    "explain": (ENGINES[:2], "of a history of nothing known there is an error instead of no rows"),
    "recommend": (ENGINES[1:2], "no LATERAL over it in DuckDB 1.5"),
}


@pytest.fixture(scope="module")
def made() -> World:
    return world(SEED, MODELS)


@pytest.fixture(scope="module")
def file(made, tmp_path_factory) -> Path:
    """A DuckDB file that holds the world."""
    path = tmp_path_factory.mktemp("oracle") / "world.duckdb"
    with embsql.connect(str(path)) as database:
        write(database, made)
    return path


@pytest.fixture(scope="module", params=ENGINES)
def checked(request, made) -> Iterator[tuple[str, list[Checked]]]:
    """An engine, and its answers to all calls, compared."""
    asked: list[Any] = [
        calls(made, SEED, EACH * len(surface.questions())),
        many(made, SEED, MANY, SUBJECTS),
    ]
    if request.param == "DuckDB's command":
        ask = command(request.getfixturevalue("file"))
        yield request.param, [one for some in asked for one in check(made, ask, some)]
        return
    duck = request.param == "DuckDB"
    target = (
        str(request.getfixturevalue("file")) if duck else request.getfixturevalue("new_database")()
    )
    with embsql.connect(target, read_only=duck) as database:
        if not duck:
            write(database, made)
        yield (
            request.param,
            [one for some in asked for one in check(made, in_process(database), some)],
        )


@pytest.mark.parametrize("question", surface.questions())
def test_question(request, checked, question: str) -> None:
    engine, answers = checked
    engines, fault = FAULTS.get(question, ((), ""))
    if engine in engines:
        request.applymarker(pytest.mark.xfail(reason=fault, strict=True))
    mine = [one for one in answers if one.call.question == question]
    assert len(mine) >= EACH
    assert not [(one.call.sql, one.wrong) for one in mine if one.wrong]
