"""The shape of the house: who may import whom, and where heavy things come in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "embsql"
LAYERS = [  # each imports only from the ones before it; within a layer of strangers nobody imports another
    {"errors", "files", "macros", "processes", "stopping"}, {"data", "checkpoints"}, {"model", "options"},
    {"command_options", "stored"}, {"algorithms"}, {"engines"}, {"surface"},
    {"jobs", "metrics", "splits", "baselines", "sources"}, {"registry"}, {"forgetting"},
    {"prepare", "evaluate", "loaded"},
    {"tune", "given", "gate"}, {"plan"}, {"snapshot"}, {"measure"},
    {"train", "publish", "derive"}, {"materialise", "external"},
    {"progress", "table", "shop", "statement", "udf", "texts"}, {"bigquery"}, {"database"},
    {"demo", "worker", "plpython", "warm"}, {"dbt"}, {"cli"},
    {"__init__", "__main__"},
]  # fmt: skip
STRANGERS = {"algorithms", "engines", "surface"}
HEAVY = {"torch": {"algorithms"}, "numba": {"algorithms"}, "duckdb": {"engines"}, "psycopg": {"engines"},
         "safetensors": {"checkpoints"}, "sentence_transformers": {"texts"}, "sqlglot": {"surface"},
         "jinja2": {"surface"}, "rich": {"progress"}, "optuna": {"tune"}, "click": {"cli"}}  # fmt: skip
FILES = sorted(PACKAGE.rglob("*.py"))


def layer(name: str) -> int:
    return next(n for n, names in enumerate(LAYERS) if name in names)


def home(file: Path) -> str:
    """The room a file belongs to: its folder in the package, or its own name."""
    inside = file.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def imported(file: Path) -> set[str]:
    """Every module a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down(file: Path) -> None:
    here = home(file)
    rooms = {path.split(".")[1] for path in imported(file) if path.startswith("embsql.")}
    rooms = {room for room in rooms if (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").exists()} - {here}
    for room in rooms:
        assert layer(room) < layer(here), f"{here} imports {room}"
        assert not {room, here} <= STRANGERS, f"{here} and {room} are strangers"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_heavy_things_come_in_at_one_door(file: Path) -> None:
    for module in {path.split(".")[0] for path in imported(file)} & set(HEAVY):
        assert home(file) in HEAVY[module], f"{file.name} imports {module}"


def test_import_is_light() -> None:
    code = "import embsql, sys; print(*sorted({'torch', 'numba', 'sqlglot', 'jinja2', 'rich'} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""


def test_no_sql_is_built_from_text_outside_the_engine() -> None:
    for file in FILES:
        if home(file) != "engines":
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                text = ast.unparse(node) if isinstance(node, ast.JoinedStr) else ""
                assert not any(verb in text for verb in ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ")), text
