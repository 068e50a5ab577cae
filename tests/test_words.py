"""One term, one meaning: words that had others are refused as names, some in prose too.

What each is called now: docs/decisions/0022-the-fields-words.md.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from embsql import algorithms
from embsql.command_options import COMMANDS
from embsql.options import declared
from tests.conftest import ROOT

PYTHON = sorted((ROOT / "embsql").rglob("*.py"))
DEVELOPMENT = [
    path
    for folder in ("benchmarks", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
SQL = [
    path
    for folder in ("sql", "dbt_project/macros")
    for path in sorted((ROOT / folder).rglob("*.sql"))
    if path.parent.name != "schema"  # where the old names are changed into the new ones
]
OPTIONS = {
    "alpha0",
    "blocks",
    "calibration",
    "checkpoints",
    "clock",
    "disliked",
    "dynamic",
    "exponent",
    "heads",
    "ids",
    "layers",
    "least",
    "length",
    "liked",
    "memory",
    "neighbours",
    "nu",
    "popularity",
    "push",
    "raw",
    "separate",
    "steps",
    "tolerance",
    "tune",
    "user_dropout",
    "user_ids",
    "vectors",
    "walks",
    "weighted",
    "width",
    "within",
    "worth",
}
OBJECTS = {
    "as_exact",
    "biased",
    "blank_words",
    "explain_gate",
    "fingerprint",
    "forget_strangers",
    "forget_words",
    "gram",
    "hand_back",
    "history",
    "hold_run",
    "hold_runs",
    "indexed",
    "item_scales",
    "know_model",
    "likeness",
    "materialise",
    "no_such_run",
    "products",
    "rotated",
    "shrunk",
    "solvers",
    "squared_size",
    "together",
    "towards_orthogonal",
    "tower_words",
    "validations",
}
KEYS = {"curve0", "curve1", "met", "pull0", "usual", "unseen"}
IDENTIFIERS = {
    "alpha0",
    "beside",
    "curve0",
    "curve1",
    "heard",
    "met",
    "place",
    "pull0",
    "say",
    "told",
}
FAULTS = {"beside", "place"}  # tests/faults: a Place is where a try's database is put


@pytest.mark.parametrize("name", [*algorithms.names(), *(cls.name for cls in COMMANDS)])
def test_no_option_has_an_old_name(name: str) -> None:
    found = {cls.name: cls for cls in COMMANDS}.get(name) or algorithms.find(name)
    assert not {option.name for option in declared(found)} & OPTIONS


@pytest.mark.parametrize("path", SQL, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_object_or_key_in_sql_has_an_old_name(path: Path) -> None:
    text = re.sub(r"--.*", "", path.read_text(encoding="utf-8"))
    assert not set(re.findall(r"\bembsql(?:_internal)?\.([a-z_0-9]+)", text)) & OBJECTS
    assert not set(re.findall(r"\b[a-z_0-9]+\b", text)) & KEYS


@pytest.mark.parametrize(
    "path", PYTHON + DEVELOPMENT, ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_identifier_is_an_old_word(path: Path) -> None:
    found = {path.stem.removeprefix("test_")}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = (getattr(node, field, None) for field in ("id", "attr", "arg", "name"))
        found |= {name for name in names if isinstance(name, str)}
    allowed = FAULTS if path.parent.name == "faults" else set()
    assert not found & (IDENTIFIERS - allowed)


@pytest.mark.parametrize(
    "path", PYTHON + SQL, ids=lambda path: str(path.relative_to(ROOT))
)
def test_prose_has_no_idiom_of_our_own(path: Path) -> None:
    assert (
        re.findall(r"\b(?:beside|heard|met)\b", path.read_text(encoding="utf-8")) == []
    )


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_spelling_is_american(path: Path) -> None:
    british = (
        r"\w*(?:neighbour|normalis|materialis|centre|catalogue|recognis|factoris|randomis|colour)"
        r"\w*"
    )
    assert re.findall(british, path.read_text(encoding="utf-8"), re.IGNORECASE) == []
