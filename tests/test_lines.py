"""A line does one thing, a public name is one module's."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from statistics import mean

from tests.conftest import ROOT

FILES = sorted((ROOT / "embsql").rglob("*.py"))
OWNERS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
LIMIT = 100


def lines_of_docstrings(tree: ast.Module) -> set[int]:
    documented = (
        n for n in ast.walk(tree) if isinstance(n, OWNERS) and ast.get_docstring(n)
    )
    strings = (node.body[0] for node in documented)
    return {
        line
        for s in strings
        for line in range(s.lineno, (s.end_lineno or s.lineno) + 1)
    }


def nodes_of_lines() -> list[int]:
    """How many nodes of the syntax tree begin on each line of code, least first."""
    found: list[int] = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        documented = lines_of_docstrings(tree)
        starts = Counter(n.lineno for n in ast.walk(tree) if hasattr(n, "lineno"))
        for number, line in enumerate(text.splitlines(), 1):
            if (
                line.strip()
                and not line.strip().startswith("#")
                and number not in documented
            ):
                found.append(starts[number])
    return sorted(found)


def test_lines_are_not_dense() -> None:
    nodes = nodes_of_lines()
    assert mean(nodes) <= 5.5
    assert nodes[len(nodes) * 9 // 10] <= 12


def test_no_line_is_long() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LIMIT
    ]
    assert long == []


def test_a_public_name_is_one_modules() -> None:
    where: dict[str, set[str]] = defaultdict(set)
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(
                node, ast.FunctionDef | ast.ClassDef
            ) and not node.name.startswith("_"):
                where[node.name].add(str(path.relative_to(ROOT)))
    assert {name: files for name, files in where.items() if len(files) > 1} == {}
