"""Draws the README's pictures from the demo's shop: python docs/pictures.py, with a Chromium."""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

import embsql
from embsql.shells.demo import SHOP, open_shop

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks._browser import Browser, browser

PICTURES = Path(__file__).parent / "pictures"
SECTIONS = ("quality", "map")  # of the page
WIDTH, MARGIN = 900, 16  # pixels
FIND = """
(() => {
    const field = document.querySelector("#map input");
    field.value = "mug-03";
    field.dispatchEvent(new Event("input", { bubbles: true }));
    [...document.querySelectorAll("#map button")]
        .find((button) => button.textContent.trim() === "mug-03")
        .click();
})()
"""


def main() -> None:
    """Write a picture for each section."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "demo.html"
        _report(page)
        with browser((WIDTH, 900)) as tab:
            tab.open(page)
            tab.value(FIND)
            for section in SECTIONS:
                (PICTURES / f"{section}.png").write_bytes(_picture(tab, section))


def _report(page: Path) -> None:
    """The page about a run of the generated shop."""
    with embsql.connect(":memory:") as database:
        open_shop(database)
        database.train("demo", "shop_orders", dim=32, evaluate=True, **SHOP)
        aisles = "SELECT item_id AS entity_id, aisle AS label FROM shop_items"
        database.cluster("demo", labels=aisles)
        database.project("demo")
        database.report("demo", path=page)


def _picture(tab: Browser, section: str) -> bytes:
    """A section of the page as a PNG."""
    box = tab.value(
        f"(({{x, y, width, height}}) => ({{x, y: y + scrollY, width, height}}))"
        f"(document.getElementById('{section}').getBoundingClientRect())"
    )
    clip = {
        "x": box["x"] - MARGIN,
        "y": box["y"],
        "width": box["width"] + 2 * MARGIN,
        "height": box["height"] + MARGIN,
        "scale": 1,
    }
    shot = tab.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    main()
