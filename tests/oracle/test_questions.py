"""Every question on every engine equals numpy's answer (more of it: tests/campaigns)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.oracle.calls import asked, calls, from_columns, many
from tests.oracle.check import Checked, check
from tests.oracle.conftest import SEED

EACH = 2  # calls of each question


@pytest.fixture(scope="module")
def checked(made, engine) -> list[Checked]:
    """An engine's answers to all calls, compared."""
    _, ask = engine
    wanted: list[Any] = [
        *calls(made, SEED, EACH * len(asked())),
        *many(made, SEED, len(from_columns())),
    ]
    return list(check(made, ask, wanted))


@pytest.mark.parametrize("question", asked())
def test_question(checked, question: str) -> None:
    mine = [one for one in checked if one.call.question == question]
    assert len(mine) >= EACH
    assert not [(one.call.sql, one.wrong) for one in mine if one.wrong]
