"""The first minute: the demo on its own shop and on a stranger's file."""

from __future__ import annotations

import re
import shlex
import sys

import pytest
from click.testing import CliRunner

import embsql
from embsql.errors import MissingExtra
from embsql.shells import demo_data
from embsql.shells.cli import main
from embsql.shells.demo import guess, own_server, run_demo, train_towers


def test_the_shop_is_the_same_every_time() -> None:
    first, second = (demo_data.generate_shop(customers=50) for _ in range(2))
    assert first[0].equals(second[0])
    assert first[1].equals(second[1])


def test_nothing_is_sold_before_it_is_launched() -> None:
    items, orders = demo_data.generate_shop(customers=200)
    launched = {row["item_id"]: row["launched_on"] for row in items.to_pylist()}
    assert all(
        row["ordered_at"].date() >= launched[row["item_id"]]
        for row in orders.to_pylist()
    )


def test_ten_questions_on_the_shop(tmp_path, capsys) -> None:
    said: list[str] = []
    run_demo(str(tmp_path / "shop.duckdb"), None, {}, said.append)
    shown = re.findall(r"^demo \d+\.\d s (\w+)", capsys.readouterr().err, re.M)
    # Measuring may be over before anybody looks: a phase has a line if it lasts half a second.
    assert {"reading", "training"} <= set(shown)
    text = "\n".join(said)
    assert [number for number in range(1, 11) if f"\n{number}. " in text] == list(
        range(1, 11)
    )
    assert "(no rows)" not in text
    model, popular = re.search(r"ndcg@10 (\S+) \(popular (\S+)\)", text).groups()
    assert float(model) > 2 * float(popular)
    (train,) = re.findall(r"^ +embsql (--db .* train .*)$", text, re.M)
    assert CliRunner().invoke(main, shlex.split(train)).exit_code == 0
    with embsql.connect(tmp_path / "shop.duckdb", read_only=True) as database:
        (run,) = database.ask(
            "SELECT DISTINCT run_id FROM embsql.live_map "
            "WHERE model_name = 'demo' AND cluster_id IS NOT NULL"
        )["run_id"].to_pylist()
        newest = database.runs("demo")["run_id"].to_pylist()[0]
        (profiles,) = database.ask(
            "SELECT example FROM embsql.questions WHERE name = 'cohort_profiles'"
        )["example"].to_pylist()
        assert database.ask(profiles.rstrip(";")).num_rows == 3
    assert run == newest, "the pictures of the demo are there after the next training"


def test_without_torch_the_towers_leave_no_failed_run(db, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra):
        train_towers(db, "towers")
    assert db.ask("SELECT * FROM embsql.models()").num_rows == 0


def test_ten_questions_in_postgresql() -> None:
    said: list[str] = []
    with own_server() as address:
        run_demo(address, None, {}, said.append)
    text = "\n".join(said)
    assert [number for number in range(1, 11) if f"\n{number}. " in text] == list(
        range(1, 11)
    )
    assert "(no rows)" not in text
    assert "embsql.train(" in text


def test_ten_questions_on_a_file(tmp_path) -> None:
    path = tmp_path / "plays.csv"
    lines = [
        f"{n % 40},{n * 7 % 23 if n % 3 else n % 5},{1 + n % 3},2026-01-{1 + n % 28:02d}"
        for n in range(3000)
    ]
    path.write_text("client_no,track,plays,played_at\n" + "\n".join(lines))
    database = str(tmp_path / "d.duckdb")
    words = ["--db", database, "demo", "--data", str(path), "--algorithm", "svd"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert (
        "user_col = client_no, item_col = track, weight_col = plays, time_col = played_at"
        in done.output
    )
    with embsql.connect(database) as trained:
        assert trained.models()["algorithm"].to_pylist() == ["svd"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (
            ["user_id", "movie_id", "rating", "rated_at", "exact"],
            ["user_id", "movie_id", "rating", "rated_at"],
        ),
        (
            ["invoice_no", "stock_code", "quantity", "invoice_date", "customer_id"],
            ["customer_id", "stock_code", "quantity", "invoice_date"],
        ),
        (["user", "item", "position"], ["user", "item", None, "position"]),
        (["a", "b"], [None, None, None, None]),
    ],
)
def test_guessing_columns(columns: list[str], expected: list[str | None]) -> None:
    found = guess(columns)
    assert [
        found.get(option)
        for option in ("user_col", "item_col", "weight_col", "time_col")
    ] == expected
