"""Draws the dashboard that serve.py serves, with a Chromium.

Usage, with embsql's Python:
    SUPERSET_PASSWORD=... python examples/superset/picture.py dashboard.png [PORT]
"""

from __future__ import annotations

import base64
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks._browser import Browser, browser

WINDOW, SIZE = (1400, 1730), (1400, 1615)  # pixels; all of the dashboard
SCALE = 0.6  # of the picture
DRAWN = """
[...document.querySelectorAll(".chart-slice")]
    .filter((chart) => chart.querySelector("canvas, table")).length === 6
"""
SIGN_IN = """
(async (password) => {
    const form = new URLSearchParams({ username: "admin", password });
    form.set("csrf_token", document.querySelector("#csrf_token").value);
    return (await fetch("/login/", { method: "POST", body: form })).ok;
})("PASSWORD")
"""


def main(path: str, port: str = "8088") -> None:
    """Write the dashboard as a PNG."""
    server = f"http://127.0.0.1:{port}"
    password = os.environ["SUPERSET_PASSWORD"]
    with browser(WINDOW) as tab:
        tab.call("Page.navigate", url=f"{server}/login/")
        _wait(tab, "document.querySelector('#csrf_token') !== null")
        tab.value(SIGN_IN.replace("PASSWORD", password))
        tab.call("Page.navigate", url=f"{server}/superset/dashboard/shop/")
        _wait(tab, DRAWN)
        time.sleep(3)  # until the charts have moved
        width, height = SIZE
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": SCALE}
        shot = tab.call("Page.captureScreenshot", clip=clip)
        Path(path).write_bytes(base64.b64decode(shot["data"]))


def _wait(tab: Browser, condition: str) -> None:
    """Until something is so on the page, at most a minute."""
    end = time.monotonic() + 60
    while not tab.value(condition):
        if time.monotonic() > end:
            sys.exit(f"the page does not get there: {condition}")
        time.sleep(0.5)


if __name__ == "__main__":
    main(*sys.argv[1:])
