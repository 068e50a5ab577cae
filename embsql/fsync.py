"""What files need to last, and to be replaced by others as a whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock

LOCK = ".embsql.lock"
COPY = ".embsql-"  # how the folder begins that a new file is written in


def fsync_path(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    # Windows flushes no folders, and files only where it may write
    windows = os.name == "nt"
    if windows and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if windows else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """Where to write what will replace a file: the same name in a folder next to it.

    The folder is gone when the block ends, and so are those of whoever was killed in theirs. One
    replaces files in a folder at a time: of two, one would lose the other's work.
    """
    with _alone(path.parent):
        for left in path.parent.glob(f"{COPY}{'?' * 8}"):
            shutil.rmtree(left, ignore_errors=True)  # what is another user's stays
        with TemporaryDirectory(prefix=COPY, dir=path.parent) as folder:
            yield Path(folder) / path.name


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which ends with the process, however that ends."""
    folder.stat()  # which raises where there is none: FileLock would make one
    file = folder / LOCK
    # another user's lock, left by a kill, can be taken too
    with FileLock(file, mode=0o666):
        try:
            yield
        finally:
            with suppress(OSError):  # Windows removes it with the lock
                file.unlink()


def settle(fresh: Path, path: Path) -> None:
    """Give a finished file its name, so that it has it after a power cut too."""
    fsync_path(fresh)
    fresh.replace(path)
    fsync_path(path.parent)
