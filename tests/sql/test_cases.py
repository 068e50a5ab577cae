"""The table of SQL cases: every question's answers on vectors whose answers are known by hand."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest

from embsql.sqlfiles import questions

FILES = sorted((Path(__file__).parent / "cases").glob("*.sql"))


def cases() -> list[Any]:
    """(question, expected rows as text) of every case: a comment names it, --= lines are the
    rows.
    """
    found = []
    for file in FILES:
        for block in re.split(r"\n\s*\n", file.read_text(encoding="utf-8").strip()):
            lines = block.splitlines()
            sql = "\n".join(line for line in lines if not line.startswith("--"))
            rows = [line[4:].split(" | ") for line in lines if line.startswith("--=")]
            found.append(pytest.param(sql, rows, id=lines[0][3:]))
    return found


def same(found: Any, expected: str) -> bool:
    """Whether a value is what the case says, floats to 1e-6."""
    if isinstance(found, float) and expected != "NULL":
        return math.isclose(found, float(expected), abs_tol=1e-6)
    return ("NULL" if found is None else str(found)) == expected


@pytest.mark.parametrize(("sql", "expected"), cases())
def test_case(known, sql: str, expected: list[list[str]]) -> None:
    rows = [list(row.values()) for row in known.ask(sql).to_pylist()]
    assert len(rows) == len(expected), rows
    for row, wanted in zip(rows, expected, strict=True):
        assert len(row) == len(wanted)
        assert all(
            same(value, text) for value, text in zip(row, wanted, strict=True)
        ), (row, wanted)


@pytest.mark.parametrize("name", questions.questions())
def test_every_question_has_a_case(name: str) -> None:
    assert any(f"embsql.{name}(" in file.read_text(encoding="utf-8") for file in FILES)
