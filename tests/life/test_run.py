"""The life of a run: what readers see, what is skipped, what is kept, what goes."""

from __future__ import annotations

import json

import numpy as np
import pytest

import embsql
import embsql.errors
from embsql.engines.columns import quote
from embsql.errors import (
    BadModelName,
    BadOption,
    NoPreviousRun,
    ReadOnly,
    RunIsLive,
    RunNotReady,
    UnknownModel,
    UnknownRun,
)
from embsql.lifecycle.named_statements import query_named

SHOP = "SELECT user_id, item_id, weight, event_time FROM events"


@pytest.fixture
def shop(each: embsql.Database) -> embsql.Database:
    """A table of events in which even users like even items."""
    user = np.random.default_rng(0).integers(0, 60, 2000)
    each.engine.run(
        "CREATE TABLE events (user_id VARCHAR, item_id VARCHAR, weight FLOAT8, "
        "event_time TIMESTAMP)"
    )
    fill(each, user, np.random.default_rng(1).integers(0, 15, 2000) * 2 + user % 2)
    return each


def fill(db: embsql.Database, user: np.ndarray, item: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    db.engine.write(
        "events",
        {
            "user_id": [f"u{u}" for u in user],
            "item_id": [f"i{i}" for i in item],
            "weight": rng.integers(1, 4, 2000) * 1.0,
            "event_time": np.datetime64("2026-01-01", "us")
            + rng.integers(0, 10**12, 2000),
        },
        schema="main",
    )


def train(db: embsql.Database, **more: object) -> embsql.Run:
    return db.train("shop", SHOP, dim=8, epochs=3, **more)


def live(db: embsql.Database) -> int:
    return db.ask(
        "SELECT live_run FROM embsql.models() WHERE model_name = 'shop'"
    ).to_pylist()[0]["live_run"]


def statuses(db: embsql.Database) -> dict[int, str]:
    return {
        row["run_id"]: row["status"]
        for row in db.ask("SELECT run_id, status FROM embsql.runs('shop')").to_pylist()
    }


def test_from_select_to_answers(shop) -> None:
    run = train(shop)
    assert run.status == "live"
    assert live(shop) == run.run_id
    rows = shop.ask(
        "SELECT * FROM embsql.recommend('shop', 'u1', k => 4, exclude_seen => FALSE)"
    ).to_pylist()
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    assert all(int(row["item_id"][1:]) % 2 == 1 for row in rows)
    log = shop.ask(
        "SELECT epoch FROM embsql.training_log('shop') WHERE metric = 'loss'"
    ).to_pylist()
    assert [row["epoch"] for row in log] == [1, 2, 3]


def test_unchanged_input_is_not_trained_again(shop) -> None:
    first = train(shop)
    second = train(shop)
    assert (second.run_id, second.skipped, second.status) == (
        first.run_id,
        True,
        "live",
    )
    assert statuses(shop) == {first.run_id: "live"}
    assert not train(shop, force=True).skipped
    assert not train(shop, seed=7).skipped
    shop.engine.run("INSERT INTO events VALUES ('u1', 'i2', 1, NULL)")
    assert not train(shop, seed=7).skipped


def test_same_seed_same_bytes(shop) -> None:
    runs = [train(shop, force=True).run_id for _ in range(2)]
    sums = shop.ask(
        "SELECT DISTINCT checksum FROM embsql.runs WHERE run_id IN ($a, $b)",
        a=runs[0],
        b=runs[1],
    )
    assert sums.num_rows == 1


def test_promotion_is_a_stack(shop) -> None:
    one, two, three = (train(shop, seed=seed).run_id for seed in (1, 2, 3))
    assert statuses(shop) == {one: "retired", two: "retired", three: "live"}
    assert shop.rollback("shop") == two
    assert shop.rollback("shop") == one
    with pytest.raises(NoPreviousRun):
        shop.rollback("shop")
    assert live(shop) == one
    assert shop.promote(f"shop@{three}") == three
    assert shop.rollback("shop") == one


def test_a_pinned_run_answers_beside_the_live_one(shop) -> None:
    one, two = (train(shop, seed=seed).run_id for seed in (1, 2))
    ask = "SELECT score FROM embsql.similar_items($model, 'i2', k => 1)"
    pinned, current = (
        shop.ask(ask, model=model).to_pylist()[0]["score"]
        for model in (f"shop@{one}", "shop")
    )
    assert pinned != current
    assert current == shop.ask(ask, model=f"shop@{two}").to_pylist()[0]["score"]


def test_drop_run(shop) -> None:
    one, two = (train(shop, seed=seed).run_id for seed in (1, 2))
    with pytest.raises(RunIsLive):
        shop.drop_run(f"shop@{two}")
    shop.drop_run(f"shop@{one}")
    assert statuses(shop) == {two: "live"}
    for table in (
        "item_embeddings",
        "user_embeddings",
        "interactions",
        "training_log",
        "source_checks",
        "run_records",
    ):
        assert (
            shop.ask(
                f"SELECT 1 FROM embsql.{table} WHERE run_id = $run_id", run_id=one
            ).num_rows
            == 0
        )
    with pytest.raises(NoPreviousRun):
        shop.rollback("shop")


def test_the_view_and_the_question_say_the_same_of_a_run(shop) -> None:
    one, two, three = (train(shop, seed=seed).run_id for seed in (1, 2, 3))
    assert shop.rollback("shop") == two
    known = shop.ask("SELECT run_id, status FROM embsql.runs ORDER BY run_id")
    wanted = {one: "retired", two: "live", three: "retired"}
    assert {row["run_id"]: row["status"] for row in known.to_pylist()} == wanted
    assert statuses(shop) == wanted


def test_old_runs_are_collected(shop) -> None:
    for seed in range(12):
        train(shop, seed=seed)
    assert statuses(shop) == {
        run: "live" if run == 12 else "retired" for run in range(2, 13)
    }


def test_a_model_keeps_as_many_runs_as_it_is_asked_to(shop) -> None:
    """The oldest go, of those that were live and of others by themselves; the number stays with
    the model, and what is left is gone back to. An unchanged source changes it, too.
    """
    for seed in range(4):
        train(shop, seed=seed)
    shop.rollback("shop")
    assert train(shop, seed=9, keep=2).run_id == 5
    assert statuses(shop) == {2: "retired", 3: "retired", 4: "retired", 5: "live"}
    train(shop, seed=10)
    assert statuses(shop) == {3: "retired", 4: "retired", 5: "retired", 6: "live"}
    assert train(shop, seed=10, keep=1).skipped
    assert shop.rollback("shop") == 5
    with pytest.raises(NoPreviousRun):
        shop.rollback("shop")
    newest = train(shop, seed=11, keep=0).run_id
    assert statuses(shop) == {newest: "live"}
    with pytest.raises(
        BadOption, match="keep must be a whole number from 0 to 1000, or none"
    ):
        train(shop, keep=-1)


def test_forget_a_person(shop) -> None:
    train(shop, seed=1)
    train(shop, seed=2)
    assert shop.forget("u1") > 2
    assert (
        shop.ask(
            "SELECT * FROM embsql.user_embedding('shop', users => ARRAY['u1'])"
        ).num_rows
        == 0
    )
    assert (
        shop.ask("SELECT 1 FROM embsql.interactions WHERE user_id = 'u1'").num_rows == 0
    )
    assert shop.ask(
        "SELECT source FROM embsql.recommend('shop', 'u1', k => 1)"
    ).to_pylist() == [{"source": "popular"}]


def test_names_that_are_not_there(shop) -> None:
    train(shop)
    with pytest.raises(UnknownModel, match='Did you mean "shop"'):
        shop.promote("shp@1")
    with pytest.raises(UnknownRun):
        shop.promote("shop@99")
    with pytest.raises(UnknownRun):
        shop.promote("shop@x")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Shop",
        "1shop",
        "sh op",
        "shop'; DROP TABLE events; --",
        "🙂",
        "a" * 41,
        "shop@1",
    ],
)
def test_bad_model_names(shop, name: str) -> None:
    with pytest.raises(BadModelName):
        shop.train(name, SHOP)
    assert shop.ask("SELECT count(*) AS n FROM events").to_pylist() == [{"n": 2000}]


def test_a_failed_run_changes_nothing_for_readers(shop) -> None:
    first = train(shop)
    before = shop.ask("SELECT * FROM embsql.recommend('shop', 'u1')").to_pylist()
    shop.engine.run("UPDATE events SET weight = -1 WHERE user_id = 'u3'")
    with pytest.raises(embsql.errors.BadWeights):
        train(shop)
    failed = shop.ask(
        "SELECT run_id, status, error FROM embsql.runs('shop') LIMIT 1"
    ).to_pylist()[0]
    assert failed["status"] == "failed"
    assert "negative" in failed["error"]
    assert live(shop) == first.run_id
    assert (
        shop.ask("SELECT * FROM embsql.recommend('shop', 'u1')").to_pylist() == before
    )
    assert (
        shop.ask(
            "SELECT 1 FROM embsql.item_embeddings WHERE run_id = $n", n=failed["run_id"]
        ).num_rows
        == 0
    )
    with pytest.raises(RunNotReady):
        shop.promote(f"shop@{failed['run_id']}")
    report = shop.ask(
        "SELECT \"check\" FROM embsql.validation('shop') WHERE severity = 'error'"
    ).to_pylist()
    assert report == [{"check": "negative weight"}]


def test_a_caller_keeps_the_transaction(tmp_path) -> None:
    import duckdb

    con = duckdb.connect(str(tmp_path / "own.duckdb"))
    con.execute(
        "CREATE TABLE events AS SELECT 'u' || i % 9 AS user_id, "
        "'i' || i % 7 AS item_id FROM range(200) t(i)"
    )
    embsql.register(con)
    con.begin()
    con.execute("INSERT INTO events VALUES ('late', 'i1'), ('late', 'i2')")
    with embsql.connect(con) as database:
        run = database.train("mine", "events", dim=4)
    con.rollback()
    assert con.execute("SELECT count(*) FROM events").fetchall() == [(200,)]
    users = con.execute("SELECT users FROM embsql.models()").fetchall()
    assert users == [(10,)], (
        "the caller's own uncommitted rows are part of the caller's source"
    )
    assert run.status == "live"
    con.close()


def test_a_temporary_table_is_a_source() -> None:
    import duckdb

    con = duckdb.connect()
    con.execute(
        "CREATE TEMP TABLE mine AS SELECT i % 9 AS user_id, i % 7 AS item_id FROM range(200) t(i)"
    )
    with embsql.connect(con) as database:
        assert database.train("mine", "mine", dim=4).status == "live"
    assert con.execute(
        "SELECT count(*) FROM embsql.similar_items('mine', 3, k => 2)"
    ).fetchall() == [(2,)]
    con.close()


def test_read_only_reads(tmp_path) -> None:
    path = str(tmp_path / "shop.duckdb")
    with embsql.connect(path) as database:
        database.engine.run(
            "CREATE TABLE events AS SELECT i % 9 AS user_id, i % 7 AS item_id FROM range(200) t(i)"
        )
        database.train("shop", "events", dim=4)
    with embsql.connect(path, read_only=True) as database:
        assert (
            database.ask(
                "SELECT * FROM embsql.recommend('shop', '3', k => 2, exclude_seen => FALSE)"
            ).num_rows
            == 2
        )
        assert (
            database.ask(
                "SELECT * FROM embsql.similar_items('shop', '3', k => 2)"
            ).num_rows
            == 2
        )
        with pytest.raises(ReadOnly):
            database.train("shop", "events", dim=4)


def test_another_split_is_measured_although_nothing_changed(shop) -> None:
    first = train(shop, evaluate=True, gate=False)
    assert train(shop, evaluate=True, gate=False, split="last").skipped
    other = train(shop, evaluate=True, gate=False, split="random")
    assert not other.skipped
    with pytest.raises(
        embsql.errors.BadOption, match="split must be auto or last or time or random"
    ):
        train(shop, evaluate=True, split="odd")
    assert other.run_id != first.run_id


def test_the_gate_keeps_what_is_live(shop) -> None:
    """A model that learned noise by heart does not beat popular items: it stays ready, and says
    why.
    """
    shop.engine.run("DELETE FROM events")
    rng = np.random.default_rng(3)
    fill(shop, rng.integers(0, 60, 2000), rng.integers(0, 30, 2000))
    run = train(shop, evaluate=True, split="random", reg=0.005)
    assert run.status == "ready"
    assert "does not beat the popularity baseline" in run.refused
    assert shop.ask("SELECT live_run FROM embsql.models()").to_pylist() == [
        {"live_run": None}
    ]
    error = shop.ask("SELECT error FROM embsql.runs('shop')").to_pylist()[0]["error"]
    assert error == run.refused
    assert shop.promote(f"shop@{run.run_id}") == run.run_id


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"threads": 0}, "threads must be a whole number from 1"),
        ({"device": "gpu"}, "device must be"),
        ({"k": ()}, "k must be"),
        ({"gate_tolerance": 2.0}, "gate_tolerance must be"),
    ],
)
def test_arguments_that_make_no_sense(shop, more: dict[str, object], says: str) -> None:
    with pytest.raises(embsql.errors.InvalidArgument, match=says):
        train(shop, **more)


def test_one_k_will_do(shop) -> None:
    assert "ndcg@5" in train(shop, evaluate=True, gate=False, k=5).metrics


@pytest.mark.parametrize("name", ["embsql", "embsql_internal"])
def test_a_name_that_hides_a_schema_is_refused(tmp_path, name: str) -> None:
    says = rf"hides the schema {name}\b"
    with pytest.raises(embsql.errors.CannotOpen, match=says):
        embsql.connect(tmp_path / f"{name}.duckdb")
    import duckdb

    with duckdb.connect() as caller:
        caller.execute(f"ATTACH ':memory:' AS {quote(name)}")
        with pytest.raises(embsql.errors.CannotOpen, match=says):
            embsql.connect(caller)


def test_a_missing_folder_is_reported(tmp_path) -> None:
    with pytest.raises(embsql.errors.CannotOpen):
        embsql.connect(tmp_path / "nowhere" / "shop.duckdb")


def test_what_the_data_decide_is_written_down(shop: embsql.Database) -> None:
    """Given by name they make the same bytes, and nothing is left to the data."""
    found = []
    for model, given in (("asked", {}), ("given", None)):
        options = found[0]["defaults"] if given is None else given
        run = shop.train(model, SHOP, dim=4, epochs=2, progress=False, **options)
        (record,) = query_named(shop.engine, "run_record", run_id=run.run_id)
        found.append(json.loads(record["params"]) | {"checksum": record["checksum"]})
    asked, given = found
    assert sorted(asked["defaults"]) == ["reg", "unobserved_weight"]
    assert asked["reg"] is None
    assert given | {"defaults": None} == asked | asked["defaults"] | {"defaults": None}
    assert "defaults" not in given
