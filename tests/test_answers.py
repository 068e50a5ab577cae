"""Answers: shown as a table, taken by whatever reads Arrow."""

from __future__ import annotations

import sys

import duckdb
import pyarrow as pa
import pytest

import embsql
from embsql.api import answers
from embsql.errors import EmbsqlError, MissingExtra, NotConverted, UnknownModel

HOSTILE = "<img src=x onerror=alert(1)>"
EVENTS = "SELECT 1 AS user_id, 2 AS item_id UNION ALL SELECT 2, 3"


def answer(db: embsql.Database, rows: int = 2) -> embsql.Answer:
    return db.ask(
        "SELECT i AS n, 'item ' || i AS item_id FROM range($rows) AS t(i)", rows=rows
    )


def test_what_reads_arrow_reads_it(db) -> None:
    found = answer(db)
    expected = [{"n": 0, "item_id": "item 0"}, {"n": 1, "item_id": "item 1"}]
    assert pa.table(found).to_pylist() == found.to_pylist() == expected
    assert duckdb.sql("SELECT sum(n) AS n FROM found").fetchall() == [(1,)]
    assert (found.num_rows, len(found), found.column_names) == (2, 2, ["n", "item_id"])
    assert found["n"].to_pylist() == found.to_pydict()["n"] == [0, 1]
    assert found.to_arrow().num_rows == 2


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_a_data_frame(db, package) -> None:
    pytest.importorskip(package, reason=f"{package} is not installed")
    frame = getattr(answer(db), f"to_{package}")()
    assert list(frame.columns) == ["n", "item_id"]
    assert list(frame["item_id"]) == ["item 0", "item 1"]


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_without_the_package_an_extra_is_named(db, package, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"pip install 'embsql\[frames\]'"):
        getattr(answer(db), f"to_{package}")()


def test_what_a_library_has_no_type_for_is_said() -> None:
    def refuse() -> None:
        raise ValueError("no such type\nin a trace")

    with pytest.raises(NotConverted, match="no form in polars: no such type"):
        answers._converted("polars", refuse)


def test_it_is_printed_as_a_table(db) -> None:
    assert repr(answer(db)).splitlines() == [
        "n  item_id",
        "-  -------",
        "0  item 0",
        "1  item 1",
    ]
    assert repr(answer(db, 21)).splitlines()[-1] == "21 rows, the first 20 shown"
    assert repr(answer(db, 0)) == "(no rows)"


def test_a_notebook_shows_text_as_text(db) -> None:
    shown = db.ask('SELECT $id AS "<b>", 1.5 AS score', id=HOSTILE)._repr_html_()
    assert HOSTILE not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "<b>" not in shown
    assert 'text-align: right">1.5' in shown
    assert shown.endswith("<p>1 row</p>")
    assert answer(db, 1000)._repr_html_().count("<tr>") == 21
    assert "<p>1,000 rows, the first 20 shown</p>" in answer(db, 1000)._repr_html_()


def test_rows_are_gone_through_one_by_one(db) -> None:
    assert [row["item_id"] for row in answer(db)] == ["item 0", "item 1"]
    with pytest.raises(KeyError, match="no column 'nope', only n, item_id"):
        answer(db)["nope"]


@pytest.mark.parametrize(
    "value",
    ["'infinity'::TIMESTAMP", "TIMESTAMP '20000-01-01'", "DATE '0044-03-15 (BC)'"],
)
def test_times_that_python_has_none_for_are_shown_too(db, value) -> None:
    found = db.ask(f"SELECT {value} AS t, 5 AS n")
    assert "5" in repr(found).splitlines()[-1]
    assert ">5<" in found._repr_html_()


def test_a_terminal_is_not_told_what_to_do_by_an_id(db) -> None:
    shown = repr(db.ask("SELECT 'a' || chr(10) || 'b' || chr(27) || '[31m' AS item_id"))
    assert shown.splitlines()[2:] == [r"a\nb\x1b[31m"]


def test_two_columns_of_one_name_are_both_shown(db) -> None:
    found = db.ask("SELECT 1 AS a, 2 AS a")
    assert found._repr_html_().count("<td") == 2
    assert repr(found).splitlines()[-1] == "1  2"


def test_models_and_runs_are_methods_too(each) -> None:
    each.train("m", EVENTS, dim=2)
    assert each.models().to_pylist()[0]["model_name"] == "m"
    assert each.runs("m")["status"].to_pylist() == ["live"]
    with pytest.raises(UnknownModel):
        each.runs("absent")


def test_a_database_says_which_it_is(db) -> None:
    assert repr(db) == "<embsql database :memory:>"


def test_a_notebook_shows_an_error_as_its_sentence() -> None:
    error = EmbsqlError(message="no such model")
    assert error._render_traceback_() == ["EmbsqlError: no such model"]
