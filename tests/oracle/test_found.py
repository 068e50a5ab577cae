"""What comparing generated answers has found stays right."""

from __future__ import annotations

import pytest

from tests.oracle.check import check
from tests.oracle.found import FOUND


@pytest.mark.parametrize("what", FOUND)
def test_found(made, engine, what: str) -> None:
    _, ask = engine
    assert [one.wrong for one in check(made, ask, [FOUND[what]])] == [None]
