"""A file that the first version of the schema wrote: it is migrated when it is opened.

The file and its answers were made before anything had the names that it has now.
"""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

import embsql
from embsql import algorithms

FOLDER = Path(__file__).parent / "earlier"
ANSWERS = json.loads((FOLDER / "answers.json").read_text())
MODELS = ["plain", "rated", "spectral", "grams", "drawn", "solved"]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    path = tmp_path_factory.mktemp("earlier") / "file.duckdb"
    path.write_bytes(lzma.decompress((FOLDER / "file.duckdb.xz").read_bytes()))
    with embsql.connect(path) as database:
        yield database


@pytest.mark.parametrize("question", ANSWERS)
def test_it_answers_as_before(earlier, question: str) -> None:
    for found, wanted in zip(earlier.ask(question).to_pylist(), ANSWERS[question], strict=True):
        assert found.keys() == wanted.keys()
        for column, value in wanted.items():
            close = pytest.approx(value, abs=2e-5) if isinstance(value, float) else value
            assert found[column] == close


@pytest.mark.parametrize("model", MODELS)
def test_its_options_have_the_names_of_now(earlier, model: str) -> None:
    (run,) = earlier.ask(
        "SELECT algorithm, params FROM embsql.runs WHERE model_name = $model", model=model
    ).to_pylist()
    params = json.loads(run["params"])
    params.pop("item_features", None)
    algorithms.make(run["algorithm"], params)  # which refuses a name that it does not know


def test_nothing_has_an_earlier_name(earlier) -> None:
    made = {
        row["function_name"]
        for row in earlier.ask(
            "SELECT function_name FROM duckdb_functions() WHERE schema_name = 'embsql'"
        ).to_pylist()
    }
    with embsql.connect(":memory:") as fresh:
        now = fresh.ask(
            "SELECT function_name FROM duckdb_functions() WHERE schema_name = 'embsql'"
        ).to_pylist()
    assert made == {row["function_name"] for row in now}
