"""Work measured in a process of its own, so that its memory and its compiling are nobody else's."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks._lines import ROOT


def apart(
    work: Callable[..., dict[str, Any]],
    *,
    environment: dict[str, str] | None = None,
    **values: Any,
) -> dict[str, Any]:
    """What `work(**values)` gives in a fresh process, with `peak_rss_mb` of that process; values
    must fit into JSON.
    """
    name = f"{work.__module__}:{work.__name__}"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._apart", name],
        input=json.dumps(values, default=str),
        text=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} failed, see above")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def peak_rss_mb() -> float:
    """The most memory this process ever held.

    Where the system tells it, the figure is the program's own: ru_maxrss of a started process
    begins with what its parent held.
    """
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> None:
    """Count the most memory from here on, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def rss_mb() -> float:
    """The memory this process holds now; where the system does not tell, the most it ever held."""
    return _status("VmRSS") or peak_rss_mb()


def _status(field: str) -> float:
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="ascii").splitlines() if status.exists() else []
    return next(
        (float(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0
    )


def _main(name: str) -> None:
    module, _, function = name.partition(":")
    answer = getattr(importlib.import_module(module), function)(**json.load(sys.stdin))
    print(json.dumps({**answer, "peak_rss_mb": peak_rss_mb()}))


if __name__ == "__main__":
    _main(sys.argv[1])
