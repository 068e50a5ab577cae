"""A page in Firefox, by WebDriver BiDi: https://w3c.github.io/webdriver-bidi/."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

LISTENS = "WebDriver BiDi listening on "
EVENTS = ["log.entryAdded", "network.beforeRequestSent"]


def firefox() -> str | None:
    """Where a Firefox is, if there is one."""
    return next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)


class Tab:
    """One tab: what it was asked to fetch, what its console says, what it answers."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.events: list[dict[str, Any]] = []
        self.call("session.new", capabilities={})
        self.call("session.subscribe", events=EVENTS)
        self._tab = self.call("browsingContext.create", type="tab")["context"]

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """The result of one command; what happens meanwhile is kept in `events`."""
        self._number += 1
        sent = {"id": self._number, "method": method, "params": values}
        self._socket.send(json.dumps(sent))
        while (message := json.loads(self._socket.recv())).get("id") != self._number:
            self.events.append(message)
        assert message["type"] == "success", message
        return message["result"]

    def open(self, path: Path) -> None:
        """Open a report, and wait until all of it is drawn."""
        self.events.clear()
        self.call("browsingContext.navigate", context=self._tab, url=path.as_uri())
        self.value(
            "new Promise(done => { const look = () => document.body?.dataset.ready ? done(1)"
            " : setTimeout(look, 20); look(); })"
        )

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript is: text, a number, or true."""
        values = {"expression": expression, "target": {"context": self._tab}}
        answer = self.call("script.evaluate", awaitPromise=True, **values)
        assert answer["type"] == "success", answer
        return answer["result"].get("value")

    def of(self, method: str) -> list[dict[str, Any]]:
        """The events of a kind since the page was opened."""
        return [one["params"] for one in self.events if one.get("method") == method]


@contextmanager
def opened() -> Iterator[Tab]:
    """A Firefox of one's own, gone afterwards."""
    import websocket

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ["--headless", "--no-remote", "--profile", folder]
        command = [firefox() or "", *options, "--remote-debugging-port", "0"]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, **pipes, text=True)
        try:
            lines = (line for line in process.stderr or () if LISTENS in line)
            address = next(lines).split(LISTENS)[1].strip() + "/session"
            connect = websocket.create_connection
            with closing(connect(address, suppress_origin=True)) as socket:
                yield Tab(socket)
        finally:
            process.kill()
            process.communicate()
