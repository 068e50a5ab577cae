"""A small disk: a file system in memory, of which a file may leave as little room as is wanted."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = "1g"  # a server with its write-ahead log and three databases needs half of it


@contextmanager
def mounted() -> Iterator[Path | None]:
    """Where it is while the block runs; None where this user may mount nothing."""
    with tempfile.TemporaryDirectory() as folder:
        mounting = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={SIZE},mode=755",
            "tmpfs",
            folder,
        ]
        if subprocess.run(mounting, capture_output=True, check=False).returncode:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(disk: Path, room: int) -> Iterator[None]:
    """Leave so many bytes of it while the block runs."""
    balloon = disk / "balloon"
    try:
        with balloon.open("wb") as file:
            state = os.statvfs(disk)
            free = state.f_bavail * state.f_frsize
            os.posix_fallocate(file.fileno(), 0, max(1, free - room))
        yield
    finally:
        balloon.unlink(missing_ok=True)
