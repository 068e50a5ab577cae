"""The shape of the house: who may import whom, and where heavy things come in."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import embsql

PACKAGE = Path(__file__).parent.parent / "embsql"
# single files, which say what things are; among these, too, each imports only from the ones before
# it
WORDS = {
    "errors": 0,
    "arrow": 0,
    "options": 1,
    "palette": 0,
    "plain_values": 0,
    "freed": 0,
    "fsync": 0,
    "processes": 0,
    "stopping": 0,
    "data": 2,
    "checkpoints": 2,
    "phases": 0,
    "run": 3,
    "command_options": 3,
}
FOLDERS = (  # each imports only from the ones before it
    "sqlfiles",
    "numeric",
    "features",
    "factorization",
    "skipgram",
    "algorithms",
    "nn",
    "engines",
    "sources",
    "evaluation",
    "distributed",
    "lifecycle",
    "derived",
    "report",
    "api",
    "shells",
    "dbt",
    "__init__",
    "__main__",
)
STRANGERS = {"algorithms", "engines", "sqlfiles"}  # none of these imports another
HEAVY = {
    "torch": {"nn", "factorization", "skipgram"},
    "numba": {"numeric"},
    "duckdb": {"engines"},
    "psycopg": {"engines"},
    "pyspark": {"engines"},
    "safetensors": {"checkpoints"},
    "sentence_transformers": {"lifecycle"},
    "sqlglot": {"sqlfiles"},
    "jinja2": {"sqlfiles", "report"},
    "rich": {"api", "shells"},
    "optuna": {"lifecycle"},
    "click": {"shells"},
    "matplotlib": {"api"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def layer(name: str) -> int:
    return WORDS[name] if name in WORDS else len(WORDS) + FOLDERS.index(name)


def home(file: Path) -> str:
    """The folder of the package that a file belongs to, or its own name."""
    inside = file.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else inside.stem


def module(file: Path) -> str:
    """The dotted name that a file is imported by."""
    return ".".join(
        ("embsql", *file.relative_to(PACKAGE).with_suffix("").parts)
    ).removesuffix(".__init__")


def imported(file: Path) -> set[str]:
    """Every module a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {
                node.module
            }
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down(file: Path) -> None:
    here = home(file)
    rooms = {
        path.split(".")[1] for path in imported(file) if path.startswith("embsql.")
    }
    rooms = {
        room
        for room in rooms
        if (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").exists()
    } - {here}
    for room in rooms:
        assert layer(room) < layer(here), f"{here} imports {room}"
        assert not {room, here} <= STRANGERS, f"{here} and {room} are strangers"


def test_nothing_imports_in_a_circle() -> None:
    """Also within a folder, and for types alone."""
    modules = {module(file): file for file in FILES}
    arrows = {
        name: modules.keys() & imported(file) - {"embsql", name}
        for name, file in modules.items()
    }
    while arrows:
        ends = {name for name, targets in arrows.items() if not targets & arrows.keys()}
        assert ends, f"a circle in {sorted(arrows)}"
        arrows = {name: targets for name, targets in arrows.items() if name not in ends}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_what_is_private_to_a_folder_stays_there(file: Path) -> None:
    for name in imported(file):
        parts = name.split(".")
        private = any(part.startswith("_") and part != "__main__" for part in parts)
        assert not (parts[0] == "embsql" and private) or parts[1] == home(file), (
            f"{file.name} imports {name}"
        )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_heavy_things_come_in_at_one_door(file: Path) -> None:
    for module in {path.split(".")[0] for path in imported(file)} & set(HEAVY):
        assert home(file) in HEAVY[module], f"{file.name} imports {module}"


OPENED = "import embsql; embsql.connect('shop.duckdb').close()"
COMPILERS = {"torch", "numba", "sqlglot", "jinja2", "rich", "scipy"}
ARROW_AND_NUMBERS = {"duckdb", "pyarrow", "numpy"}


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import embsql", COMPILERS | ARROW_AND_NUMBERS | {"importlib.metadata"}),
        (
            "from embsql.shells.cli import main; main(['--help'], standalone_mode=False)",
            COMPILERS | ARROW_AND_NUMBERS,
        ),
        (OPENED, COMPILERS | {"pyarrow", "numpy", "filelock", "click"}),
    ],
    ids=["import", "help", "a file that is there"],
)
def test_what_is_not_used_is_not_imported(
    code: str, absent: set[str], tmp_path: Path
) -> None:
    python = [sys.executable, "-c"]
    subprocess.run([*python, OPENED], cwd=tmp_path, check=True)
    loaded = f"import sys; {code}; print(*sys.modules, sep='\\n')"
    answer = subprocess.run(
        [*python, loaded], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert not absent & set(answer.stdout.split("\n"))


def test_what_is_public_is_there() -> None:
    assert set(embsql.__all__) <= set(dir(embsql))
    assert all(hasattr(embsql, name) for name in embsql.__all__)
    assert not hasattr(embsql, "tensors")


def test_no_sql_is_built_from_text_outside_the_engine() -> None:
    for file in FILES:
        if home(file) != "engines":
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                text = ast.unparse(node) if isinstance(node, ast.JoinedStr) else ""
                assert not any(
                    verb in text
                    for verb in ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ")
                ), text
