"""A page in Chromium, driven over a pipe by the protocol of its developer tools.

https://chromedevtools.github.io/devtools-protocol: objects of JSON that end in a zero byte.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TROUBLE = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
# What a container without a kernel's sandbox, memory to share or a graphics card needs.
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def chromium() -> str | None:
    """Where a Chromium is, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One tab: what it was asked to fetch, what went wrong in it, what it answers."""

    def __init__(self, answers: BinaryIO, commands: BinaryIO) -> None:
        self._answers = answers
        self._commands = commands
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """The result of one command; what happens meanwhile is kept in `events`."""
        self._number += 1
        sent = {"id": self._number, "method": method, "params": values}
        if self._session:
            sent["sessionId"] = self._session
        self._commands.write(json.dumps(sent).encode() + b"\0")
        self._commands.flush()
        while (message := self._message()).get("id") != self._number:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def _message(self) -> dict[str, Any]:
        found = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            assert byte, "the browser has gone"
            found += byte
        return json.loads(found)

    def open(self, path: Path) -> None:
        """Open a report, and wait until all of it is drawn."""
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        self.value(
            "new Promise(done => { const look = () => document.body?.dataset.ready ? done(1)"
            " : setTimeout(look, 20); look(); })"
        )

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is, awaited where it is a promise."""
        answer = self.call(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def move(self, kind: str, x: float, y: float, **values: Any) -> None:
        """A mouse's event at a point of the window: mouseMoved, mousePressed, mouseReleased."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **values)

    @property
    def trouble(self) -> list[dict[str, Any]]:
        """What stands on the console, warnings of the policy too."""
        return [event for event in self.events if event.get("method") in TROUBLE]

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]


@contextmanager
def browser(size: tuple[int, int] = (1200, 900)) -> Iterator[Browser]:
    """A Chromium of one's own, gone afterwards."""
    program = chromium()
    assert program, "no Chromium is installed"
    there, here = os.pipe(), os.pipe()  # commands, answers

    def connect() -> None:
        # beyond 4 first, as either end may be one of the numbers that Chromium expects
        reading, writing = os.dup(there[0]), os.dup(here[1])
        os.dup2(reading, 3)
        os.dup2(writing, 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        window = f"--window-size={size[0]},{size[1]}"
        process = subprocess.Popen(
            [program, *OPTIONS, window, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,
            preexec_fn=connect,  # noqa: PLW1509 (this process starts no thread that holds a lock)
        )
        os.close(there[0])
        os.close(here[1])
        with os.fdopen(here[0], "rb") as answers, os.fdopen(there[1], "wb") as commands:
            try:
                yield Browser(answers, commands)
            finally:
                process.kill()
                process.wait()
