"""What came of a part of the campaign, kept so that it can go on where it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Tried:
    """One try: what is counted of it, and what was wrong."""

    counts: Mapping[str, int]
    wrong: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Totals:
    """All tries of a part with a seed."""

    part: str
    seed: int
    tries: int = 0
    wrong: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def add(self, tried: Tried) -> None:
        """One more."""
        self.tries += 1
        self.wrong += len(tried.wrong)
        self.counts.update(tried.counts)
        self.examples += [f"try {self.tries - 1}: {each}" for each in tried.wrong]
        del self.examples[20:]

    def line(self) -> str:
        """One line of JSON."""
        names = ("part", "seed", "tries", "wrong", "counts", "examples")
        return json.dumps(
            {name: getattr(self, name) for name in names}, sort_keys=False
        )


def resumed(path: Path | None, part: str, seed: int) -> Totals:
    """What a file says of this part and seed, from which the next try follows; else nothing yet."""
    if path is None or not path.exists():
        return Totals(part, seed)
    kept: dict[str, Any] = json.loads(path.read_text())
    if (kept["part"], kept["seed"]) != (part, seed):
        raise SystemExit(f"{path} is of part {kept['part']} with seed {kept['seed']}")
    return Totals(**kept | {"counts": Counter(kept["counts"])})
