"""The package as it is handed out; needs no dbt."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import embsql
from embsql.shells import cli, dbt
from tests.conftest import ROOT

PACKAGE = ROOT / "dbt_project"
OWN = PACKAGE / "integration_tests"  # the project of the package's own tests
NUMBERS = "(SELECT CAST(n AS INTEGER) AS n FROM range(200) AS given(n))"


def test_package_is_where_the_command_says() -> None:
    said = CliRunner().invoke(cli.main, ["dbt", "path"]).output.strip()
    assert (Path(said) / "dbt_project.yml").exists()
    assert Path(said) == PACKAGE == dbt.package_path()


def test_one_macro_one_file_and_each_says_what_it_does() -> None:
    for path in (PACKAGE / "macros").rglob("*.sql"):
        text = path.read_text()
        assert text.startswith("{#-"), f"{path.name} does not begin with what it does"
        made = set(
            re.findall(r"{%-? *(?:macro|test|materialization) (?:\w+__)?(\w+)", text)
        )
        assert made == {path.stem}, path.name


def test_every_macro_is_used_by_a_project() -> None:
    files = [
        path
        for path in PACKAGE.rglob("*")
        if path.suffix in (".sql", ".yml") and "dbt_packages" not in path.parts
    ]
    operations = {"promote", "rollback", "drop_run", "forget", "evaluate", "embedding"}
    for path in (PACKAGE / "macros").rglob("*.sql"):
        others = "\n".join(other.read_text() for other in files if other != path)
        code = re.sub(r"{#.*?#}", "", others, flags=re.DOTALL)
        assert path.stem in operations or re.search(rf"embsql\.{path.stem}\b", code), (
            f"nothing uses {path.stem}"
        )


@pytest.fixture(scope="module")
def islands():
    """A run of the project's interactions, evaluated."""
    source = (
        (OWN / "models" / "islands.sql")
        .read_text()
        .replace("{{ ref('numbers') }}", NUMBERS)
    )
    with embsql.connect(":memory:") as database:
        database.train(
            "shop", source, algorithm="svd", dim=2, evaluate=True, gate=False
        )
        yield database


@pytest.mark.parametrize("question", ["evaluation", "validation", "embedding_health"])
def test_the_project_expects_as_many_figures_as_a_run_has(
    islands, question: str
) -> None:
    """These grow with embsql, and the project itself is built where dbt is only."""
    with (OWN / "seeds" / "expected_answers.csv").open() as lines:
        expected = {
            row["question"]: int(row["answers"]) for row in csv.DictReader(lines)
        }
    assert (
        islands.ask(f"SELECT * FROM embsql.{question}('shop')").num_rows
        == expected[question]
    )
