"""Two commits side by side: what is built, what is measured, and how sure a ratio is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from math import comb
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _against
from benchmarks.__main__ import main

BENCHMARK = """
import json, os, sys
line = {"benchmark": "query", "data": "d", "system": "s", "metric": "m", "value": VALUE}
line |= {"unit": "s", "peer": None}
print(json.dumps(line | {"settings": {"given": sys.argv[1:], "path": os.environ["PYTHONPATH"]}}))
"""
BURN = """
import sys, time
while time.process_time() < 0.2: pass
print("burnt", flush=True)
time.sleep(float(sys.argv[1]))
"""
FAMILY = """
import subprocess, sys, time
begin = time.perf_counter()
subprocess.run([sys.executable, "burn.py", "0"], check=True, stdout=subprocess.DEVNULL)
child = time.perf_counter()
shell = subprocess.Popen(["sh", "-c", sys.executable + " burn.py 1 2>&1 &"], stdout=subprocess.PIPE)
shell.wait(), shell.stdout.readline()
print(child - begin, time.perf_counter() - child)
"""


def checkout(folder: Path, value: float) -> Path:
    """A folder whose benchmark measures nothing and prints a value."""
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / "__main__.py").write_text(
        BENCHMARK.replace("VALUE", str(value))
    )
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    return folder


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose benchmark prints 3, beside a commit whose benchmark prints 2."""
    ours, theirs = checkout(tmp_path / "ours", 3), checkout(tmp_path / "theirs", 2)
    monkeypatch.setattr(_against, "ROOT", ours)
    monkeypatch.setattr(_against, "_git", lambda *_: "0123456789abcdef")
    monkeypatch.setattr(_against, "build", lambda _: theirs)
    return theirs


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, Any]]:
    main(["query", "--against", "some", "--turns", "2", *words])
    return [json.loads(text) for text in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("two")
def test_both_are_measured_and_the_ratio_printed(capsys) -> None:
    figure, whole = printed(capsys, "--dim", "4")
    assert (figure["value"], figure["peer_value"], figure["ratio"]) == (3, 2, 1.5)
    assert figure["peer"] == "0123456789ab"
    assert figure["settings"]["interval"] == [1.5, 1.5]
    assert figure["settings"]["sure"] == 0.5
    assert figure["settings"]["options"]["given"] == ["query", "--dim", "4"]
    assert figure["settings"]["options"]["path"] == str(_against.CLOCK)
    assert (whole["metric"], whole["unit"]) == ("CPU time", "s")
    assert whole["value"] > 0


def test_a_commit_is_given_its_own_options(two, tmp_path, monkeypatch) -> None:
    given: list[tuple[Path, list[str]]] = []
    monkeypatch.setattr(
        _against.Side,
        "measure",
        lambda side, *_: given.append((side.folder, list(side.words))) or [],
    )
    main(
        [
            "query",
            "--against",
            "some",
            "--turns",
            "2",
            "--dim",
            "4",
            "--there",
            "--factors '4 5'",
        ]
    )
    ours, theirs = (tmp_path / "ours", ["--dim", "4"]), (two, ["--factors", "4 5"])
    assert given == [ours, theirs, theirs, ours]


@pytest.mark.usefixtures("two")
def test_a_commit_is_measured_by_the_same_code(capsys) -> None:
    figure, _ = printed(capsys, "--same-code", "--clock", "wall")
    assert (figure["value"], figure["peer_value"]) == (3, 3)
    assert figure["settings"]["options"]["path"] == ""


def test_a_benchmark_that_fails_is_said(two, capfd) -> None:
    (two / "benchmarks" / "__main__.py").write_text(
        "raise SystemExit('no such option')"
    )
    with pytest.raises(SystemExit, match=r"query --dim 4 failed in .*theirs.*--there"):
        main(["query", "--against", "some", "--dim", "4"])
    assert "no such option" in capfd.readouterr().err


# --- figures -------------------------------------------------------------------------------------


def one(metric: str, value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "data": "d",
        "system": "s",
        "metric": metric,
        "value": value,
        "unit": "s",
        **more,
    }


def test_figures_are_matched_by_what_they_measure() -> None:
    """In the order of ours: one in both, twice alike; one without a number; one that is new."""
    rounds = [
        [
            [one("a", a), one("a", 10 * a), one("b", None), one("c", 7)],
            [one("b", 1), one("a", b), one("a", 5 * b)],
        ]
        for a, b in [(1, 2), (3, 3), (8, 2)]
    ]
    found = [
        (figure["metric"], figure["value"], figure["peer_value"])
        for figure in _against.figures(rounds)
    ]
    assert found == [("a", 3, 2), ("a", 30, 10), ("b", None, 1), ("c", 7, None)]
    first = next(iter(_against.figures(rounds)))
    assert first["interval"] == {"interval": [0.5, 4], "sure": 0.75}


@pytest.mark.parametrize(
    ("rounds", "cut"), [(1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (20, 5), (101, 40)]
)
def test_interval_is_the_narrowest_that_is_sure_enough(rounds: int, cut: int) -> None:
    """`cut` as tables of the sign test have it, from 6 on."""
    low, high, sure = _against.interval([float(n) for n in reversed(range(rounds))])
    assert (low, high) == (cut, rounds - 1 - cut)
    assert sure == pytest.approx(
        1 - 2 * sum(comb(rounds, n) for n in range(cut + 1)) / 2**rounds
    )
    assert (sure >= 0.95) == (rounds >= 6)


# --- what is built -------------------------------------------------------------------------------


def git(folder: Path, *words: str) -> str:
    own = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(
        ["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_commit_is_built_once_and_the_checkout_left_alone(
    tmp_path, monkeypatch
) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    (repository / "Makefile").write_text("bench: made\nmade:\n\techo old >> made\n")
    git(repository, "add", "."), git(repository, "commit", "-qm", "old")
    old = git(repository, "rev-parse", "HEAD")
    (repository / "Makefile").write_text("bench:\n\texit 1\n")
    git(repository, "commit", "-qam", "new")
    new = git(repository, "rev-parse", "HEAD")
    (repository / "Makefile").write_text("work that is not committed")
    monkeypatch.setattr(_against, "ROOT", repository)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, second = _against.build(old), _against.build(old)
    assert first == second
    assert (first / "made").read_text() == "old\n"
    assert git(repository, "rev-parse", "HEAD") == new
    assert git(repository, "status", "--porcelain") == "M Makefile"
    assert (repository / "Makefile").read_text() == "work that is not committed"


@pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(),
    reason="this system does not tell what processes use",
)
def test_the_clock_counts_what_is_started_and_what_leaves(tmp_path) -> None:
    (tmp_path / "burn.py").write_text(BURN)
    how = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(_against.CLOCK)}}
    done = subprocess.run(
        [sys.executable, "-c", FAMILY],
        **how,
        capture_output=True,
        text=True,
        check=True,
    )
    child, orphan = map(float, done.stdout.split())
    assert child > 0.2 - 0.02  # what has ended is counted in ticks of 0.01
    assert orphan > 0.2
