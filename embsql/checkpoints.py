"""Checkpoints: how far a training has come, in files.

One that was killed can go on where it was.

A file has the format of safetensors: arrays and a header, no code. Its name ends with the SHA-256
of its bytes, its header names the training it belongs to; a file of which either is untrue is
passed over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embsql.errors import CheckpointNotWritten, MissingExtra
from embsql.fsync import fsync_path

FORMAT = 1  # of the files; other numbers are passed over
KEPT = 2  # of a training: the newest, and one more should that be damaged
DIGITS = 8  # of an epoch in a file's name


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A training as it is after an epoch."""

    epoch: int  # counted from 1
    arrays: dict[str, NDArray[Any]]
    notes: Any  # whatever else there is to remember, as JSON


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one training in a folder that many may share."""

    folder: Path
    identity: str  # of all that decides what the training comes to
    part: str = "whole"  # of a run, which may train more than once

    def of(self, part: str) -> Checkpoints:
        """Those of another training of the same run."""
        return replace(self, part=part)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, which is there entirely or not at all, and remove older ones.

        Raises CheckpointNotWritten.
        """
        from safetensors.numpy import save_file

        with _refused(self.folder):
            draft = self.folder / f"{self._name}.draft"
            # safetensors writes an array as it lies in memory, whatever its strides
            arrays = {
                name: np.asarray(array, order="C")
                for name, array in checkpoint.arrays.items()
            }
            save_file(arrays, draft, self._header | _metadata(checkpoint))
            name = f"{self._name}-{checkpoint.epoch:0{DIGITS}}-{_sealed(draft)}.safetensors"
            draft.rename(self.folder / name)
            fsync_path(self.folder)
            for file in self._files():
                if not checkpoint.epoch - KEPT < _epoch(file) <= checkpoint.epoch:
                    file.unlink(missing_ok=True)

    def newest(self) -> Iterator[Checkpoint]:
        """Those that are whole, the newest first."""
        for file in sorted(self._files(), key=_epoch, reverse=True):
            found = self._read(file)
            if found:
                yield found

    def clear(self) -> None:
        """Remove all of the run."""
        for file in self.folder.glob(f"{self.identity}-*"):
            with suppress(OSError):  # what cannot be removed does no harm
                file.unlink()

    @property
    def _name(self) -> str:
        return f"{self.identity}-{self.part}"

    @property
    def _header(self) -> dict[str, str]:
        return {"format": str(FORMAT), "identity": self.identity, "part": self.part}

    def _files(self) -> list[Path]:
        return list(self.folder.glob(f"{self._name}-{'[0-9]' * DIGITS}-*.safetensors"))

    def _read(self, file: Path) -> Checkpoint | None:
        """What a file holds; None where it is damaged or not what its name says."""
        from safetensors import SafetensorError, safe_open

        try:
            if _digest(file) != file.stem.rpartition("-")[2]:
                return None
            with safe_open(file, framework="numpy") as opened:
                header = opened.metadata() or {}
                names = opened.keys()  # it is no mapping
                arrays = {name: opened.get_tensor(name) for name in names}
            if self._header.items() <= header.items():
                return Checkpoint(
                    int(header["epoch"]), arrays, json.loads(header["notes"])
                )
        except (OSError, SafetensorError, ValueError, KeyError):
            pass
        return None


def checkpoints(folder: str, *identity: str | None) -> Checkpoints:
    """Where a run of this identity leaves its checkpoints; the folder is made.

    Raises MissingExtra and CheckpointNotWritten.
    """
    if find_spec("safetensors") is None:
        raise MissingExtra(what="checkpoints", package="safetensors", extra="torch")
    path = Path(folder).expanduser()
    with _refused(path):
        path.mkdir(parents=True, exist_ok=True)
    return Checkpoints(
        path, hashlib.blake2b(json.dumps(identity).encode(), digest_size=16).hexdigest()
    )


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    from safetensors import SafetensorError  # how a full disk comes out of save_file

    try:
        yield
    except (OSError, SafetensorError) as error:
        raise CheckpointNotWritten(folder=folder, reason=error) from None


def _metadata(checkpoint: Checkpoint) -> dict[str, str]:
    return {"epoch": str(checkpoint.epoch), "notes": json.dumps(checkpoint.notes)}


def _epoch(file: Path) -> int:
    return int(file.stem.split("-")[-2])


def _sealed(file: Path) -> str:
    """The SHA-256 of a file that is on the disk for good."""
    fsync_path(file)
    return _digest(file)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
