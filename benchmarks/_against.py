"""A benchmark of this checkout and of another commit in turn, each in a checkout and an environment
of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks._lines import ROOT, line

CLOCK = Path(__file__).parent / "_clock"
SURE = 0.95  # the least probability of an interval, where there are rounds enough
Line = dict[str, Any]


def parser() -> argparse.ArgumentParser:
    """The options of a comparison, which no benchmark has."""
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    group = own.add_argument_group("against another commit")
    group.add_argument(
        "--against", metavar="REVISION", help="measure this commit too, in turn"
    )
    group.add_argument(
        "--turns",
        type=int,
        default=6,
        help="of each; 6 give an interval of 97%% (default 6)",
    )
    group.add_argument(
        "--clock",
        choices=["cpu", "wall"],
        default="cpu",
        help="what timings are of (default cpu)",
    )
    group.add_argument(
        "--there",
        metavar="OPTIONS",
        help="its options, where that commit named them otherwise",
    )
    group.add_argument(
        "--same-code",
        action="store_true",
        help="measure it by the benchmarks of this checkout",
    )
    group.add_argument(
        "--package",
        action="append",
        default=[],
        metavar="NAME==VERSION",
        help="another version of a package, for both",
    )
    return own


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two that are compared."""

    folder: Path  # that holds its benchmarks
    python: str
    words: Sequence[str]  # the benchmark's options

    def measure(self, name: str, environment: dict[str, str]) -> list[Line]:
        """What the benchmark prints, and the CPU time of the whole."""
        before = _children_cpu()
        done = subprocess.run(
            [self.python, "-m", "benchmarks", name, *self.words],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(
                f"{name} {shlex.join(self.words)} failed in {self.folder}, see above; "
                "--there gives the other commit options that it knows, "
                "--same-code the benchmarks of this checkout"
            )
        whole = {"data": "all", "system": "command", "metric": "CPU time", "unit": "s"}
        return [
            *map(json.loads, done.stdout.splitlines()),
            {**whole, "value": _children_cpu() - before},
        ]


def compare(name: str, words: Sequence[str], wanted: argparse.Namespace) -> None:
    """Measure both in turn, every other round in reverse, and print each figure with its ratio."""
    commit = _git("rev-parse", "--verify", f"{wanted.against}^{{commit}}")
    environment = _environment(wanted)
    with tempfile.TemporaryDirectory() as same:
        tree = build(commit)
        (Path(same) / "benchmarks").symlink_to(ROOT / "benchmarks")
        theirs = shlex.split(wanted.there) if wanted.there is not None else words
        python = str(tree / ".venv" / "bin" / "python")
        sides = [
            Side(ROOT, sys.executable, words),
            Side(Path(same) if wanted.same_code else tree, python, theirs),
        ]
        rounds = [
            _round(turn, sides, name, environment) for turn in range(wanted.turns)
        ]
    settings = {
        "commit": commit,
        "clock": wanted.clock,
        "turns": wanted.turns,
        "packages": wanted.package,
    }
    for figure in figures(rounds):
        line(
            name,
            figure["data"],
            figure["system"],
            figure["metric"],
            figure["value"],
            figure["unit"],
            peer=commit[:12],
            peer_value=figure["peer_value"],
            **figure["interval"],
            **settings,
            options=figure["settings"],
        )


def _round(
    turn: int, sides: list[Side], name: str, environment: dict[str, str]
) -> list[list[Line]]:
    found = [
        side.measure(name, environment) for side in (sides[::-1] if turn % 2 else sides)
    ]
    return found[::-1] if turn % 2 else found


def _environment(wanted: argparse.Namespace) -> dict[str, str]:
    """Of both sides: the packages asked for before those installed, the clock, the data of this
    checkout.
    """
    paths = [str(package(one)) for one in wanted.package] + [str(CLOCK)] * (
        wanted.clock == "cpu"
    )
    data = os.environ.get("EMBSQL_DATA", str(ROOT.parent / "shared" / "data"))
    return {**os.environ, "EMBSQL_DATA": data, "PYTHONPATH": os.pathsep.join(paths)}


# --- what is built once --------------------------------------------------------------------------


def build(commit: str) -> Path:
    """A checkout of the commit with its environment, made by its own Makefile; what is there
    already is kept.
    """
    tree = _cache() / "commits" / commit[:12]
    if not tree.exists():
        _git("worktree", "prune")
        _git("worktree", "add", "--detach", str(tree), commit)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"PYTHONPATH", "MAKEFLAGS"}
    }
    subprocess.run(
        ["make", "-C", tree, "bench"],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
    )
    return tree


def package(requirement: str) -> Path:
    """The folder of a package, without what it depends on."""
    folder = _cache() / "packages" / requirement
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as new:
            pip = [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-q",
                "--no-deps",
                "--target",
            ]
            subprocess.run([*pip, f"{new}/made", requirement], check=True)
            Path(new, "made").rename(folder)
    return folder


def _cache() -> Path:
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "embsql"
        / "benchmarks"
    )


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# --- figures -------------------------------------------------------------------------------------


def figures(rounds: list[list[list[Line]]]) -> Iterator[Line]:
    """Each figure of ours: medians of the rounds and, where the other printed it too, the interval
    of the ratio.
    """
    ours, theirs = ([_named(one[side]) for one in rounds] for side in (0, 1))
    for key, first in ours[0].items():
        pairs = [
            (_value(a, key), _value(b, key)) for a, b in zip(ours, theirs, strict=True)
        ]
        yield {"settings": {}, **first, **_summed_up(pairs)}


def _value(lines: dict[tuple[Any, ...], Line], key: tuple[Any, ...]) -> float | None:
    value: float | None = lines.get(key, {}).get("value")
    return value


def _named(lines: list[Line]) -> dict[tuple[Any, ...], Line]:
    """Lines by what they measure; of several alike, by their order."""
    seen: Counter[tuple[Any, ...]] = Counter()
    named = {}
    for one in lines:
        key = tuple(
            one.get(part) for part in ("data", "system", "metric", "unit", "peer")
        )
        named[*key, seen[key]] = one
        seen[key] += 1
    return named


def _summed_up(pairs: list[tuple[float | None, float | None]]) -> Line:
    whole = [(a, b) for a, b in pairs if a is not None and b]
    if not whole:
        return {
            "value": pairs[0][0],
            "peer_value": pairs[0][1],
            "interval": {"interval": None, "sure": None},
        }
    ours, theirs = (statistics.median(column) for column in zip(*whole, strict=True))
    low, high, sure = interval([a / b for a, b in whole])
    bounds = {
        "interval": [float(f"{low:.5g}"), float(f"{high:.5g}")],
        "sure": round(sure, 4),
    }
    return {"value": ours, "peer_value": theirs, "interval": bounds}


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Two of the ratios of single rounds that the true median lies between, and how probable that
    is.

    By order statistics, which suppose nothing of how ratios are distributed: the narrowest pair
    that is sure to 95%, the outermost where too few rounds were measured for that.
    """
    n, ordered = len(ratios), sorted(ratios)

    def sure(k: int) -> float:
        """That between the k-th from below and from above, from 0, lies the median."""
        return 1 - 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n

    k = max((k for k in range((n + 1) // 2) if sure(k) >= SURE), default=0)
    return ordered[k], ordered[n - 1 - k], max(0.0, sure(k))
