"""Every question on every engine equals numpy's answer (more of it: tests/campaigns)."""

from __future__ import annotations

from typing import Any

import pytest

from embsql import surface
from tests.oracle.calls import SUBJECTS, calls, many
from tests.oracle.check import Checked, check
from tests.oracle.conftest import ENGINES, SEED

EACH = 2  # calls of each question
MANY = 8  # calls of many subjects at once
FAULTS = {  # what is known to be wrong, until it is not
    "models": (ENGINES, "a run evaluated by two splits is there twice"),
    "nearest_cluster": (ENGINES[:2], "meets centroids of other runs, perhaps of another length"),
    "recommend_from": (ENGINES[:2], "exclude_seen of NULL leaves items out"),
    "recommend": (ENGINES[1:2], "no LATERAL over it in DuckDB 1.5"),
}


@pytest.fixture(scope="module")
def checked(made, engine) -> tuple[str, list[Checked]]:
    """An engine, and its answers to all calls, compared."""
    name, ask = engine
    asked: list[Any] = [
        *calls(made, SEED, EACH * len(surface.questions())),
        *many(made, SEED, MANY, SUBJECTS),
    ]
    return name, list(check(made, ask, asked))


@pytest.mark.parametrize("question", surface.questions())
def test_question(request, checked, question: str) -> None:
    engine, answers = checked
    engines, fault = FAULTS.get(question, ((), ""))
    if engine in engines:
        request.applymarker(pytest.mark.xfail(reason=fault, strict=True))
    mine = [one for one in answers if one.call.question == question]
    assert len(mine) >= EACH
    assert not [(one.call.sql, one.wrong) for one in mine if one.wrong]
