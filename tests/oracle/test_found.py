"""What comparing generated answers has found stays right."""

from __future__ import annotations

import pytest

from tests.oracle.check import check
from tests.oracle.conftest import ENGINES
from tests.oracle.found import FOUND

FAULTS = {  # until they are none
    "a run evaluated by two splits is one row": ENGINES,
    "centroids of other runs are of other lengths": ENGINES[:2],
    "a vector without a direction is in no group": ENGINES[:2],
    "a run's number is made of digits": ENGINES[:2],
    "and of nothing else": ENGINES[:2],
    "seen items come back for NULL": ENGINES[:2],
    "seeds come back for NULL": ENGINES[:2],
    "nothing met explains nothing": ENGINES[:2],
    "both models are looked for": ENGINES[2:],
    "NULL is no model": ENGINES,
    "a steep system is solved": ENGINES[:2],
    "where all cancels out, all has moved": ENGINES,
    "what cancels out has moved": ENGINES,
}


@pytest.mark.parametrize("what", FOUND)
def test_found(request, made, engine, what: str) -> None:
    name, ask = engine
    if name in FAULTS.get(what, ()):
        request.applymarker(pytest.mark.xfail(strict=True))
    assert [one.wrong for one in check(made, ask, [FOUND[what]])] == [None]
