"""The pages say what is so: they are current, complete, linked, and what they tell a reader to type
works.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import duckdb
import pytest

import embsql
from embsql import algorithms, errors, options
from embsql.api import commands
from embsql.shells import cli, demo
from embsql.sqlfiles import files, questions
from tests.conftest import real
from tests.docs.pages import PAGES, ROOT, Reader, shows_answers

WRITTEN = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)
NOTEBOOKS = sorted((ROOT / "examples").glob("*/*.ipynb"))
GENERATED = (
    "docs/sql.md",
    "docs/algorithms.md",
    "docs/errors.md",
    "docs/cli.md",
    "docs/README.md",
    "README.md",
)


def load(path: Path) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def build() -> ModuleType:
    return load(ROOT / "docs" / "build.py")


@pytest.fixture(scope="session")
def built(build) -> dict[str, str]:
    return {
        page.relative_to(ROOT).as_posix(): text for page, text in build.pages().items()
    }


@pytest.fixture(scope="session")
def demo_file(tmp_path_factory) -> Path:
    """What `make demo` leaves behind."""
    path = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    demo.run_demo(str(path), None, {}, lambda _: None)
    with embsql.connect(path) as database:
        database.cluster("demo"), database.project("demo")
        database.train(
            "demo_tuned",
            "shop_orders",
            n_trials=2,
            dim=[4, 8],
            epochs=4,
            progress=False,
            **demo.SHOP,
        )
    return path


@pytest.fixture(scope="module")
def plain(demo_file, tmp_path_factory) -> Iterator[duckdb.DuckDBPyConnection]:
    """The demo's database, with fewer customers, as a client sees it that knows nothing of
    embsql.
    """
    path = Path(shutil.copy(demo_file, tmp_path_factory.mktemp("plain")))
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM embsql.user_embeddings WHERE user_id > 'c0500'")
    with duckdb.connect(str(path), read_only=True) as connection:
        yield connection


@pytest.fixture
def folder(demo_file, tmp_path, monkeypatch) -> Path:
    shutil.copy(demo_file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def thin(path: Path) -> None:
    """Leave some of the customers to what is trained anew, where no page shows what comes of it."""
    with duckdb.connect(str(path)) as connection:
        gone = connection.execute(
            "DELETE FROM shop_orders WHERE customer_id > 'c0500'"
        ).fetchall()
    assert gone > [(0,)]


@pytest.fixture
def shop_database(postgres, monkeypatch) -> Iterator[None]:
    """postgresql:///shop, which the pages write."""
    import psycopg
    from psycopg import conninfo

    for word, value in conninfo.conninfo_to_dict(postgres).items():
        monkeypatch.setenv(f"PG{word.upper()}", str(value))
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE shop")
        yield
        admin.execute("DROP DATABASE shop WITH (FORCE)")


# --- the reference -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GENERATED)
def test_generated_page_is_current(build, built, name: str) -> None:
    assert not build.stale(ROOT / name, built[name]), "run: make docs"


def test_check_notices_a_changed_page(build, tmp_path) -> None:
    page = tmp_path / "page.md"
    assert build.stale(page, "text")
    page.write_text("text\n| mug-01 | 0.123 |")
    assert not build.stale(page, "text\n| mug-02 | 0.124 |")
    assert build.stale(page, "other text\n| mug-01 | 0.123 |")
    assert build.stale(page, "text\n| tea-01 | 0.123 |")


def test_check_has_a_usage(build, capsys) -> None:
    assert build.main(["--wrong"]) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.parametrize("name", questions.questions())
def test_question_is_documented(built, name: str) -> None:
    assert f"### {name}\n" in built["docs/sql.md"]
    assert f"embsql.{questions.questions()[name].signature}" in built["docs/sql.md"]
    assert f"[`{name}`](docs/sql.md#{name})" in built["README.md"]


@pytest.mark.parametrize("name", questions.questions())
def test_example_has_an_answer(built, name: str) -> None:
    after = built["docs/sql.md"].split(f"### {name}\n")[1].split("\n### ")[0]
    assert len(re.findall(r"^\|", after, re.MULTILINE)) >= 3, (
        "a head, a rule and at least one row"
    )


@pytest.mark.parametrize("name", questions.questions())
def test_question_needs_no_python(plain, name: str) -> None:
    assert plain.sql(
        questions.questions()[name].example.replace("'shop", "'demo")
    ).fetchall()


@pytest.mark.parametrize("name", commands.EMBEDDED)
def test_command_in_sql_is_documented(built, name: str) -> None:
    assert f"CALL embsql.{name}(" in built["docs/sql.md"]


@pytest.mark.parametrize("name", algorithms.names())
def test_algorithm_is_documented(built, name: str) -> None:
    text = built["docs/algorithms.md"].split(f"## {name}\n")[1]
    for option in options.declared(algorithms.find(name)):
        assert option.reason, f"{name}.{option.name} has no reason behind it"
        assert f"| `{option.name}` |" in text


def test_error_is_documented(built) -> None:
    classes = [
        name
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if cls.__module__ == errors.__name__
    ]
    for name in set(classes) - {"EmbsqlError"}:
        assert f"### {name}\n\n> " in built["docs/errors.md"], name


@pytest.mark.parametrize("name", cli.main.commands)
def test_cli_command_is_documented_and_has_help(built, name: str) -> None:
    assert f"## {name}\n" in built["docs/cli.md"]
    assert cli.main.commands[name].help


# --- what is written by hand ---------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs(folder, page: Path, monkeypatch, request) -> None:
    if page.name == "postgres.md":
        request.getfixturevalue("shop_database")
    if page.parent.parent.name == "examples":
        shutil.copytree(page.parent, folder / page.parent.relative_to(ROOT))
    if page.parent.name == "movielens":
        monkeypatch.setenv(
            "EMBSQL_DATA", str(real("ml1m", "interactions.parquet").parents[1])
        )
    if not shows_answers(page):
        thin(folder / "demo.duckdb")
    Reader(folder).read(page)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs(notebook: Path, tmp_path: Path) -> None:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    pytest.importorskip("matplotlib", reason="its plot needs matplotlib")
    assert not any(cell["outputs"] for cell in code), "outputs age; keep none"
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join("".join(cell["source"]) for cell in code))
    runpy.run_path(str(script))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles
    }


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not link.startswith(("http", "mailto:")):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{link} leads nowhere"
            assert not anchor or anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_names_only_questions_that_exist(page: Path) -> None:
    calls = set(
        re.findall(
            r"\bembsql\.(\w+)\((?=['\"$]|\w+ =>)", page.read_text(encoding="utf-8")
        )
    )
    python = set(dir(embsql)) | {"live_run"}
    only_postgres = re.findall(
        r"FUNCTION embsql\.(\w+)",
        files.read_sql("commands/postgres_protect.sql")
        + files.read_sql("prelude/postgres_writing.sql"),
    )
    assert calls <= {
        *questions.questions(),
        *commands.EMBEDDED,
        *python,
        *only_postgres,
    }


def test_readme_begins_with_the_two_commands() -> None:
    first = re.findall(
        r"^\$ (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert first[:2] == ["make demo", "make test"]


def test_map_of_the_folder_is_true() -> None:
    text = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .split("## Map of the folder")[1]
        .split("\n## ")[0]
    )
    folders = re.findall(r"^\| `(.+?)` \|", text, re.MULTILINE)
    assert len(folders) > 5
    assert all((ROOT / folder).is_dir() for folder in folders)


def test_every_page_is_reachable() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        own = page.relative_to(ROOT / "docs").as_posix()
        assert own in index or own in {"README.md", "benchmarks.md"}, own


def test_every_page_is_in_the_site() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {
        str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")
    }
    assert {page for page in pages if page not in navigation} == set()


MADE = re.compile(
    r"(?:MACRO|FUNCTION|TABLE|VIEW|SEQUENCE|RENAME TO)(?: IF NOT EXISTS)? (?:embsql\w*\.)?(\w+)"
    r"|WHEN '(\w+)' THEN"  # a setting's default
    r"|{% (?:macro|test) (\w+)\("
)
FILES = {
    "duckdb",
    "tower_",
}  # embsql.duckdb is a file in examples, embsql.tower_* names several


def names_there_are() -> set[str]:
    """What may stand behind embsql. : objects of SQL, settings, macros of dbt, modules, Python."""
    sources = [*ROOT.glob("sql/**/*.sql"), *ROOT.glob("dbt_project/**/*.sql")]
    found = {
        name
        for path in sources
        for match in MADE.findall(path.read_text())
        for name in match
    }
    found |= {path.name.split(".")[0] for path in ROOT.glob("sql/questions/*/*.sql")}
    found |= {path.name.split(".")[0] for path in ROOT.glob("sql/views/*.sql")}
    found |= {path.stem for path in (ROOT / "embsql").iterdir()}
    return found | set(dir(embsql)) | FILES


def test_every_name_in_prose_exists() -> None:
    there = names_there_are()
    pages = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("dbt_project/*.md"),
    ]
    for page in pages:
        named = re.findall(
            r"(?<![\w/.@-])embsql(?:_internal)?\.([a-z_]\w*)",
            page.read_text(encoding="utf-8"),
        )
        assert set(named) - there == set(), page.name
