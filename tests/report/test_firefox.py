"""Pages in Firefox: nothing goes wrong, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.report.firefox import Tab, firefox, opened


@pytest.fixture(scope="module")
def other() -> Iterator[Tab]:
    pytest.importorskip("websocket", reason="websocket-client is not installed")
    if firefox() is None:
        pytest.skip("no Firefox is installed")
    with opened() as found:
        yield found


@pytest.mark.parametrize("models", [("toy",), ("strange",), ("toy@1", "toy@2")])
def test_a_page_in_firefox(toy, other, tmp_path, models: tuple[str, ...]) -> None:
    page = tmp_path / "page.html"
    toy.report(*models, path=page)
    other.open(page)
    assert other.of("log.entryAdded") == []
    asked = [event["request"]["url"] for event in other.of("network.beforeRequestSent")]
    away = [
        one for one in asked if not one.startswith("data:")
    ]  # a font of Firefox's own
    assert set(away) <= {page.as_uri()}
    assert int(other.value("document.querySelector('canvas').dataset.frames")) >= 1
    assert other.value("document.querySelectorAll('main svg, main table').length") > 2
