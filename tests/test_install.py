"""What a stranger gets: the wheel in a clean environment, the oldest DuckDB, a client without
Python.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import embsql
from tests.conftest import ROOT

SQL = ("arguments", "capture", "cases", "diagnostics", "drift", "fold_in")
ON_THE_OLDEST = (  # what a call means there, and the engine; the rest by hand: CONTRIBUTING.md
    *(f"tests/sql/test_{name}.py" for name in SQL),
    "tests/engines/test_contract.py",
    *(f"tests/life/test_{name}.py" for name in ("earlier", "run", "faults")),
)
OLDEST = "1.5.5"  # of the DuckDB versions that are supported
TRY = """
import embsql, duckdb
from pathlib import Path
assert "site-packages" in embsql.__file__
with embsql.connect("try.duckdb") as db:
    source = "SELECT i % 97 AS user_id, (i * 31) % 53 AS item_id FROM range(5000) t(i)"
    db.train("m", source, algorithm="svd", dim=4)
    found = db.ask("SELECT * FROM embsql.similar_items('m', '3', k => 2)")
    print(duckdb.__version__, found.num_rows)
"""


ABOUT = """
import importlib.metadata, importlib.resources
about = importlib.metadata.metadata("embsql")
typed = importlib.resources.files("embsql") / "py.typed"
print(about["License-Expression"], about["License-File"], typed.name if typed.is_file() else "")
"""


def run(*command: object, cwd: Path = ROOT, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


PIP = (sys.executable, "-m", "pip")
INSTALL = ("install", "-q", "--no-compile")


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    """The Python of an environment with nothing but the wheel and the oldest DuckDB.

    The wheel is made of the source distribution, as `python -m build` makes it.
    """
    folder = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder)
    (source,) = folder.glob("*.tar.gz")
    run(*PIP, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source)
    venv.create(folder / "env")
    python = folder / "env" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    constraints = folder / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    constraints.write_text(
        "\n".join(line for line in lines if not line.startswith("duckdb"))
    )
    run(
        *PIP,
        "--python",
        python,
        *INSTALL,
        "-c",
        constraints,
        wheel,
        f"duckdb=={OLDEST}",
    )
    return python


def test_the_wheel_carries_everything(clean, tmp_path) -> None:
    assert run(clean, "-c", TRY, cwd=tmp_path, PYTHONPATH="").split() == [OLDEST, "2"]
    assert "CREATE OR REPLACE MACRO" in run(
        clean.parent / "embsql", "render", cwd=tmp_path, PYTHONPATH=""
    )
    about = run(clean, "-c", ABOUT, cwd=tmp_path, PYTHONPATH="")
    assert about.split() == ["Apache-2.0", "LICENSE", "py.typed"]


def test_every_case_on_the_oldest_duckdb(tmp_path) -> None:
    """In this environment, whose compiled loops are shared, with the oldest DuckDB before its
    own.
    """
    run(*PIP, *INSTALL, "--no-deps", "--target", tmp_path, f"duckdb=={OLDEST}")
    version = "import duckdb; print(duckdb.__version__)"
    assert run(sys.executable, "-c", version, PYTHONPATH=str(tmp_path)).split() == [
        OLDEST
    ]
    pytest_ = (
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-k",
        "not postgres",
    )
    assert "passed" in run(*pytest_, *ON_THE_OLDEST, PYTHONPATH=str(tmp_path))


def test_a_client_without_python_reads_the_file(tmp_path) -> None:
    path = tmp_path / "plain.duckdb"
    with embsql.connect(str(path)) as database:
        database.train(
            "m",
            "SELECT i % 97 AS user_id, (i * 31) % 53 AS item_id FROM range(5000) t(i)",
            dim=4,
        )
        here = database.ask(
            "SELECT * FROM embsql.recommend('m', '5', k => 3, exclude_seen => FALSE)"
        ).to_pylist()
    client = Path(sys.executable).parent / "duckdb"
    question = "SELECT * FROM embsql.recommend('m', '5', k => 3, exclude_seen => FALSE)"
    there = json.loads(run(client, "-readonly", "-json", path, "-c", question))
    assert [row["item_id"] for row in there] == [row["item_id"] for row in here]
    assert run(client, "--version").startswith("v1.5")
