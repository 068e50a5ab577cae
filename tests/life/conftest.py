"""What the tests of rights share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.house import House, clear, furnish


@pytest.fixture(scope="module")
def house(new_database: Callable[[], str]) -> Iterator[House]:
    address = new_database()
    furnish(address)
    made = House(address)
    yield made
    made.close()
    clear(address)
