"""What happened since the last training counts: watched sources, fold-in, freshness, refresh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from click.testing import CliRunner

import embsql
from embsql.errors import (
    BadWeights,
    EmbsqlError,
    InvalidArgument,
    NotWatched,
    OtherTimes,
    Refused,
    RunWithoutTimes,
    SourceWithoutTimes,
)
from embsql.lifecycle import refresh as refreshing
from embsql.shells import worker
from embsql.shells.cli import main
from tests.conftest import ENGINES
from tests.house import EVENTS as EVENTS_OF_ALL
from tests.house import House

GROUPS, DIM = 3, 6
# u00 ... u29 meet items of their own group, i00 ... i08 with the user's number modulo three
EVENTS = [
    (f"u{u:02d}", f"i{(u % GROUPS) + GROUPS * ((u * 5 + n * n) % 7):02d}", n)
    for u in range(30)
    for n in range(5)
]
MAKE = "CREATE TABLE {} (user_id text, item_id text, event_time timestamp)"
FUTURE = "2999-01-01"


def insert(
    database: embsql.Database,
    *rows: tuple[str | None, str | None, str],
    to: str = "events",
) -> None:
    """Add events; the time is a day of 2026, or FUTURE."""
    for user, item, day in rows:
        database.engine.run(
            f"INSERT INTO {to} VALUES ($u, $i, CAST($t AS timestamp))",
            u=user,
            i=item,
            t=day,
        )


def caught_up(database: embsql.Database, model: str = "shop") -> None:
    """A server reads the table at each question; in a file what is new is read by a call."""
    if database.engine.embedded:
        database.watch(model)


def recommended(
    database: embsql.Database, user: str, **more: Any
) -> list[dict[str, Any]]:
    call = "SELECT * FROM embsql.recommend('shop', $u, k => 4)"
    return database.ask(call, u=user, **more).to_pylist()


def history(database: embsql.Database, user: str) -> list[str]:
    rows = database.engine.rows("SELECT item_id FROM events WHERE user_id = $u", u=user)
    return [row["item_id"] for row in rows]


@pytest.fixture(params=ENGINES)
def shop(request, tmp_path) -> Iterator[embsql.Database]:
    """A model `shop` of a table `events`, which it watches."""
    is_file = request.param == "duckdb"
    target = tmp_path / "shop.duckdb" if is_file else request.getfixturevalue("pg")
    with embsql.connect(target) as database:
        database.engine.run(MAKE.format("events"))
        rows = ", ".join(
            f"('{u}', '{i}', TIMESTAMP '2026-01-01 00:0{n}:00')" for u, i, n in EVENTS
        )
        database.engine.run(f"INSERT INTO events VALUES {rows}")
        database.train(
            "shop", "SELECT * FROM events", dim=DIM, epochs=6, progress=False
        )
        database.watch("shop", "events")
        yield database


def test_nothing_new_changes_nothing(shop: embsql.Database) -> None:
    before = recommended(shop, "u04")
    assert {row["source"] for row in before} == {"model"}
    shop.unwatch("shop")
    assert recommended(shop, "u04") == before


def test_what_a_known_user_did_since_counts_at_once(shop: embsql.Database) -> None:
    """The answer is that for the whole history, given in the call; what was bought is left out."""
    first = recommended(shop, "u04")[0]["item_id"]
    insert(shop, ("u04", first, "2026-02-01"), ("u04", "i02", "2026-02-02"))
    caught_up(shop)
    found = recommended(shop, "u04")
    assert first not in [row["item_id"] for row in found]
    assert {row["source"] for row in found} == {"fold_in"}
    right = shop.ask(
        "SELECT * FROM embsql.recommend_from('shop', $items, k => 4)",
        items=history(shop, "u04"),
    ).to_pylist()
    assert [row["item_id"] for row in found] == [row["item_id"] for row in right]
    scores = [row["score"] for row in right]
    np.testing.assert_allclose([row["score"] for row in found], scores, atol=1e-5)
    pair, ranked = (
        shop.ask(sql, i=found[0]["item_id"]).to_pylist()[0]["score"]
        for sql in (
            "SELECT embsql.score('shop', 'u04', $i) AS score",
            "SELECT score FROM embsql.rank_items('shop', 'u04', ARRAY[CAST($i AS text)])",
        )
    )
    assert pair == ranked == pytest.approx(found[0]["score"], abs=1e-6)
    assert {row["source"] for row in recommended(shop, "u05")} == {"model"}


def test_a_user_unknown_to_training_is_folded_in(shop: embsql.Database) -> None:
    assert recommended(shop, "new")[0]["source"] == "popular"
    insert(shop, ("new", "i00", "2026-02-01"), ("new", "i03", "2026-02-01"))
    caught_up(shop)
    found = recommended(shop, "new")
    assert found[0]["source"] == "fold_in"
    assert int(found[0]["item_id"][1:]) % GROUPS == 0  # of the group that they are of


def test_of_unknown_items_alone_there_is_nothing_to_fold(shop: embsql.Database) -> None:
    insert(shop, ("new", "brand-new", "2026-02-01"), (None, "i00", "2026-02-01"))
    caught_up(shop)
    assert recommended(shop, "new")[0]["source"] == "popular"
    found = shop.ask("SELECT * FROM embsql.freshness('shop')").to_pylist()[0]
    assert (found["events"], found["new_users"], found["new_items"]) == (1, 1, 1)
    assert found["staleness"] == 1.0


def test_many_new_events_call_for_a_refresh(shop: embsql.Database) -> None:
    ask = "SELECT value, command FROM embsql.advice('shop') WHERE reason = 'new_events'"
    assert shop.ask(ask).to_pylist() == []
    insert(
        shop, *((f"new{n}", "i00", "2026-02-01") for n in range(20) for _ in range(2))
    )
    caught_up(shop)
    assert shop.ask(ask).to_pylist() == [
        {"value": 20, "command": "embsql refresh shop"}
    ]
    shop.refresh("shop")
    caught_up(shop)
    assert shop.ask(ask).to_pylist() == []


def test_an_event_counts_from_its_time_on(shop: embsql.Database) -> None:
    insert(shop, ("u04", "i02", FUTURE))
    caught_up(shop)
    assert {row["source"] for row in recommended(shop, "u04")} == {"model"}


def test_freshness_says_how_far_the_run_is_behind(shop: embsql.Database) -> None:
    insert(
        shop,
        ("u04", "i02", "2026-02-01"),
        ("u04", "i02", "2026-02-02"),
        ("u04", "odd", "2026-02-03"),
        ("new", "i00", "2026-02-04"),
    )
    caught_up(shop)
    found = shop.ask("SELECT * FROM embsql.freshness('shop')").to_pylist()[0]
    shift = shop.engine.rows(
        "SELECT embsql.cosine_distance(u.embedding, embsql.fold_in('shop', $items)) AS shift "
        "FROM embsql.user_embedding('shop', ARRAY['u04']) AS u",
        items=history(shop, "u04"),
    )[0]["shift"]
    counts = {"events": 3, "users": 2, "new_users": 1, "items": 3, "new_items": 1}
    assert {name: found[name] for name in counts} == counts
    assert str(found["trained_until"]) == "2026-01-01 00:04:00"
    assert str(found["newest_event"]) == "2026-02-04 00:00:00"
    assert found["shift"] == pytest.approx(shift, abs=1e-5)
    assert found["user_share"] == pytest.approx(1 / 30)
    assert found["staleness"] == pytest.approx(1 / 3 + shift / 30, abs=1e-5)


def test_a_promotion_moves_what_is_new(shop: embsql.Database) -> None:
    insert(shop, ("u04", "i02", "2026-02-01"))
    shop.train("shop", "SELECT * FROM events", dim=DIM, epochs=6, progress=False)
    caught_up(shop)
    assert {row["source"] for row in recommended(shop, "u04")} == {"model"}
    shop.rollback("shop")
    caught_up(shop)
    assert {row["source"] for row in recommended(shop, "u04")} == {"fold_in"}


@pytest.mark.parametrize(
    "harm", ["DROP TABLE {}", "ALTER TABLE {} DROP COLUMN item_id"]
)
def test_a_source_that_is_gone_is_an_error_of_its_model_alone(
    shop: embsql.Database, harm: str
) -> None:
    shop.engine.run(MAKE.format("orders"))
    shop.engine.run("INSERT INTO orders SELECT * FROM events")
    shop.train("other", "SELECT * FROM orders", dim=DIM, epochs=1, progress=False)
    shop.watch("other", "orders")
    shop.engine.run(harm.format("orders"))
    insert(shop, ("new", "i00", "2026-02-01"))
    caught_up(shop)
    assert recommended(shop, "new")[0]["source"] == "fold_in"
    ask = "SELECT * FROM embsql.recommend('other', 'u04')"
    if shop.engine.embedded:  # what was read is there
        assert shop.ask(ask).num_rows
        with pytest.raises(EmbsqlError, match=r"orders|item_id"):
            shop.watch("other")
    else:
        with pytest.raises(Refused, match=r'model "other".*embsql\.watch\(\'other\''):
            shop.ask(ask)
    shop.watch("other", "events")
    assert shop.ask(ask).num_rows


def test_what_cannot_be_watched_says_why(shop: embsql.Database) -> None:
    insert(shop, ("u04", "i02", "2026-02-01"))
    with pytest.raises(EmbsqlError, match=r'"bought_at"|bought_at'):
        shop.watch("shop", "events", time_col="bought_at")
    shop.engine.run("CREATE TABLE bare AS SELECT user_id, item_id FROM events")
    with pytest.raises((SourceWithoutTimes, Refused), match="event_time"):
        shop.watch("shop", "bare")
    shop.train("timeless", "SELECT * FROM bare", dim=2, epochs=1, progress=False)
    with pytest.raises(RunWithoutTimes, match="Train it again"):
        shop.watch("timeless", "events")
    vectors = "SELECT DISTINCT item_id, ARRAY[1.0, 2.0] AS embedding FROM events"
    shop.register_embeddings("given", vectors)  # nothing that it was trained on
    with pytest.raises(RunWithoutTimes):
        shop.watch("given", "events")
    shop.train("other", "SELECT * FROM events", dim=2, epochs=1, progress=False)
    with pytest.raises(NotWatched, match="embsql watch other"):
        shop.watch("other")
    with pytest.raises(NotWatched):
        shop.refresh("other")
    with pytest.raises(InvalidArgument, match="read again"):
        shop.watch(
            "shop", pa.table({"user_id": ["a"], "item_id": ["b"], "event_time": [1]})
        )
    with pytest.raises(
        (InvalidArgument, Refused), match=r"both the users|another column"
    ):
        shop.watch("shop", "events", user_col="item_id")
    with pytest.raises(InvalidArgument, match="where its columns are named"):
        shop.watch("shop", time_col="event_time")
    caught_up(shop)  # what was watched is still
    assert {row["source"] for row in recommended(shop, "u04")} == {"fold_in"}


def test_columns_of_other_names_and_types(shop: embsql.Database) -> None:
    """Ids are texts as in training, the longest whole numbers too.

    A weight of 2 counts as two events, and one of 0 as none.
    """
    far = 9223372036854770000
    shop.engine.run(
        'CREATE TABLE "Odd ""Orders" AS SELECT CAST(substr(user_id, 2) AS integer) + '
        f"{far} AS who, "
        'CAST(CAST(substr(item_id, 2) AS bigint) AS char(8)) AS "What Was", 1.5 AS n, '
        "CAST(event_time AS timestamptz) AS at_time FROM events"
    )
    named = {
        "user_col": "who",
        "item_col": "What Was",
        "weight_col": "n",
        "time_col": "at_time",
    }
    source = '"Odd ""Orders"'
    shop.train(
        "odd", f"SELECT * FROM {source}", dim=DIM, epochs=6, progress=False, **named
    )
    shop.watch("odd", source, **named)
    shop.engine.run(
        f"INSERT INTO {source} VALUES ({far + 4}, '2', 3.0, '2026-03-01 00:00:00+00'), "
        f"({far + 5}, '2', 0.0, '2026-03-01 00:00:00+00')"
    )
    caught_up(shop, "odd")
    ask = "SELECT * FROM embsql.recommend('odd', {}, k => 3)"
    found = shop.ask(ask.format(far + 4)).to_pylist()
    assert found == shop.ask(ask.format(f"'{far + 4}'")).to_pylist()
    assert found[0]["source"] == "fold_in"
    assert "2" not in [row["item_id"] for row in found]
    past = shop.engine.rows(
        f'SELECT "What Was" AS i, n FROM {source} WHERE who = {far + 4}'
    )
    right = shop.engine.rows(
        "SELECT item_id FROM embsql.recommend_from('odd', $items, $weights, k => 3)",
        items=[row["i"].rstrip() for row in past],
        weights=[float(row["n"]) for row in past],
    )
    assert [row["item_id"] for row in found] == [row["item_id"] for row in right]
    for strange in (f"0{far + 4}", f"{far}0"):
        found = shop.ask(ask.format(f"'{strange}'")).to_pylist()
        assert found[0]["source"] == "popular"
    assert shop.ask(ask.format(far + 5)).to_pylist()[0]["source"] == "model"


def test_who_is_forgotten_is_not_kept_here(shop: embsql.Database) -> None:
    """The watched table is its owner's: once the person is gone there too, nobody knows them."""
    insert(shop, ("u04", "i02", "2026-02-01"), ("new", "i02", "2026-02-01"))
    caught_up(shop)
    for user in ("u04", "new"):
        shop.engine.run("DELETE FROM events WHERE user_id = $u", u=user)
        shop.forget(user)
        assert recommended(shop, user)[0]["source"] == "popular"


def test_a_refresh_is_a_run_with_new_users_folded_in(shop: embsql.Database) -> None:
    insert(
        shop,
        ("u04", "i02", "2026-02-01"),
        ("new", "i00", "2026-02-02"),
        ("new", "odd", "2026-02-03"),
        ("far", "odd", "2026-02-03"),
    )
    shop.cluster("shop", k=2)
    made = shop.refresh("shop")
    assert (made.users, made.new_users, made.new_items, made.retrained) == (
        2,
        1,
        1,
        False,
    )
    record = shop.engine.rows(
        "SELECT * FROM embsql.runs WHERE run_id = $r", r=made.run_id
    )[0]
    assert (record["status"], record["parent_run"], record["users"]) == ("live", 1, 31)
    assert (record["algorithm"], record["params"]) == tuple(
        shop.engine.rows("SELECT algorithm, params FROM embsql.runs WHERE run_id = 1")[
            0
        ].values()
    )
    for entity in ("user", "item"):
        ask = f"SELECT * FROM embsql.{entity}_embedding($m)"
        before, after = (
            {
                row.pop(f"{entity}_id"): row
                for row in shop.engine.rows(ask, m=f"shop@{run}")
            }
            for run in (1, made.run_id)
        )
        changed = {name for name in after if before.get(name) != after[name]}
        assert changed == ({"u04", "new"} if entity == "user" else set())
    for user in ("u04", "new"):
        right = shop.engine.rows(
            "SELECT embsql.fold_in('shop@1', $items) AS v", items=history(shop, user)
        )[0]["v"]
        mine = shop.engine.rows(
            "SELECT * FROM embsql.user_embedding('shop', $u)", u=[user]
        )
        np.testing.assert_allclose(mine[0]["embedding"], right, atol=1e-5)
        assert {row["source"] for row in recommended(shop, user)} == {"model"}
    assert shop.engine.rows("SELECT * FROM embsql.clusters('shop')")
    assert shop.refresh("shop").run_id == made.run_id  # nothing is new


def test_a_rollback_while_a_refresh_reads(
    shop: embsql.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is new to one run is not folded into another: each event counts once."""
    insert(shop, ("u04", "i02", "2026-02-01"))
    shop.refresh("shop")
    insert(shop, ("u04", "i05", "2026-02-02"))
    moves = iter((shop.rollback, str, str))
    read = refreshing.fresh_pairs

    def moved(*given: Any) -> Any:
        next(moves)("shop")
        return read(*given)

    monkeypatch.setattr(refreshing, "fresh_pairs", moved)
    made = shop.refresh("shop")
    rows = shop.engine.rows(
        "SELECT item_id, weight FROM embsql.interactions WHERE run_id = $r AND user_id = 'u04'",
        r=made.run_id,
    )
    found = {row["item_id"]: row["weight"] for row in rows}
    assert found == Counter(history(shop, "u04"))
    monkeypatch.undo()
    assert shop.refresh("shop").run_id == made.run_id  # nothing is left


def test_a_run_without_times_is_not_refreshed(shop: embsql.Database) -> None:
    """To one of an earlier version, or trained without, all would be new that it knows already."""
    shop.train(
        "shop", "SELECT user_id, item_id FROM events", dim=2, epochs=1, progress=False
    )
    for retrain_after in (None, 0.0):
        with pytest.raises(RunWithoutTimes, match="run 2 of"):
            shop.refresh("shop", retrain_after=retrain_after)
    assert {row["source"] for row in recommended(shop, "u04")} == {"model"}


def test_a_refresh_trains_where_the_run_is_stale(shop: embsql.Database) -> None:
    """On all there is: also what an earlier refresh could not fold in."""
    insert(shop, ("new", "odd", "2026-02-03"), ("new", "i00", "2026-02-03"))
    shop.refresh("shop", retrain_after=0.9)
    insert(shop, *((f"u{n:02d}", "later", "2026-02-04") for n in range(5)))
    made = shop.refresh("shop", retrain_after=0.5)
    assert made.retrained
    items = {
        row["item_id"]
        for row in shop.engine.rows("SELECT * FROM embsql.item_embedding('shop')")
    }
    assert {"odd", "later"} <= items
    assert shop.engine.rows(
        "SELECT source_sql FROM embsql.runs WHERE status = 'live'"
    ) == [{"source_sql": "SELECT * FROM events"}]


@pytest.mark.parametrize("shop", ["duckdb"], indirect=True)
def test_a_file_is_watched_by_sql_and_command_line(
    shop: embsql.Database, tmp_path
) -> None:
    insert(shop, ("u04", "i02", "2026-02-01"))
    found = shop.ask("CALL embsql.watch('shop')").to_pylist()
    assert found == [
        {"run_id": 1, "events": 1, "users": 1, "new_users": 0, "new_items": 0}
    ]
    shop.ask("COPY events TO $file (HEADER)", file=str(tmp_path / "events.csv"))
    shop.close()
    calls = (
        ["watch", "shop", "--source", str(tmp_path / "events.csv")],
        ["refresh", "shop"],
        ["unwatch", "shop"],
    )
    for call in calls:
        result = CliRunner().invoke(
            main, ["--db", str(tmp_path / "shop.duckdb"), *call]
        )
        assert result.exit_code == 0, result.output
    with embsql.connect(tmp_path / "shop.duckdb", read_only=True) as database:
        assert database.engine.rows("SELECT live_run FROM embsql.models()") == [
            {"live_run": 2}
        ]
        assert {row["source"] for row in recommended(database, "u04")} == {"model"}


@pytest.mark.parametrize("shop", ["duckdb"], indirect=True)
def test_a_file_that_is_read_answers_without_the_source(
    shop: embsql.Database, tmp_path
) -> None:
    """The source may be of a schema of its own, or of another file that is not attached later."""
    shop.engine.run(f"ATTACH '{tmp_path / 'far.duckdb'}' AS far; CREATE SCHEMA far.s")
    shop.engine.run("CREATE TABLE far.s.events AS SELECT * FROM events")
    shop.watch("shop", "far.s.events")
    insert(shop, ("u04", "i02", "2026-02-01"), to="far.s.events")
    caught_up(shop)
    shop.close()
    with embsql.connect(tmp_path / "shop.duckdb", read_only=True) as database:
        assert recommended(database, "u04")[0]["source"] == "fold_in"


@pytest.mark.parametrize("shop", ["postgres"], indirect=True)
def test_the_doctor_looks_at_what_is_watched(shop: embsql.Database) -> None:
    def found() -> list[tuple[str, str]]:
        rows = shop.doctor().to_pylist()
        return [
            (row["finding"], row["remedy"])
            for row in rows
            if "events are" in row["finding"]
        ]

    ((finding, remedy),) = found()
    assert "has no index" in finding
    shop.engine.run(remedy)
    assert found() == []
    shop.engine.run("DROP TABLE events")
    ((finding, remedy),) = found()
    assert "is gone" in finding
    assert remedy == "embsql unwatch shop"
    shop.unwatch("shop")
    assert found() == []


@pytest.mark.parametrize("shop", ["postgres"], indirect=True)
def test_a_job_says_what_is_wrong_with_the_watched_table(
    shop: embsql.Database, pg: str
) -> None:
    shop.engine.run("DROP TABLE events")
    shop.engine.rows("SELECT embsql.refresh('shop')")
    worker.run(pg, once=True, log=str)
    (job,) = shop.engine.rows("SELECT status, error FROM embsql.jobs")
    assert job["status"] == "failed"
    assert job["error"].startswith("table public.events is gone")


@pytest.mark.parametrize("shop", ["postgres"], indirect=True)
def test_a_server_reads_one_table_by_its_index(shop: embsql.Database) -> None:
    """What an index on users serves is looked up by it, and an index of vectors is used as ever."""
    shop.engine.run("CREATE INDEX ON events (user_id)")
    query = shop.engine.rows("SELECT embsql_internal.fresh_query(1, TRUE) AS q")[0]["q"]
    with shop.engine.transaction():
        shop.engine.run("SET LOCAL enable_seqscan = off")
        plan = shop.engine.rows("EXPLAIN " + query.replace("$1", "'u04'"))
    assert any("Index Cond: (user_id = 'u04'" in row["QUERY PLAN"] for row in plan)
    for source in ("SELECT 1", "nowhere", "events; DROP TABLE events"):
        with pytest.raises(Refused, match="is no table that you and others see"):
            shop.watch("shop", source)
    with pytest.raises(Refused, match="no option"):
        shop.ask("""SELECT embsql.watch('shop', 'events', '{"colour": "red"}')""")
    with pytest.raises(Refused, match="named without a source"):
        shop.ask("""SELECT embsql.watch('shop', options => '{"time_col": "day"}')""")


def test_rights_are_those_of_who_asks(house: House) -> None:
    """The watched table is read as who asks; who decides what is live names it, nobody else."""
    house.run(
        None,
        "CREATE TABLE orders AS SELECT user_id, item_id, TIMESTAMP '2026-01-01' AS event_time "
        f"FROM ({EVENTS_OF_ALL}) AS e; GRANT SELECT ON orders TO embsql_test_ann",
    )
    assert house.done(house.train("ann", "SELECT * FROM orders", "ours")) == (
        "done",
        None,
    )
    house.run(None, "GRANT SELECT ON orders TO embsql_test_adam")
    assert house.ask("adam", "watch('ours', 'orders')") == "watches public.orders"
    house.run(
        None, "INSERT INTO orders VALUES (3, 4, '2026-02-01'), (77, 4, '2026-02-01')"
    )
    ask = "SELECT source FROM embsql.recommend('ours', 77, k => 1)"
    assert house.run("ann", ask) == [("fold_in",)]
    with pytest.raises(
        psycopg.Error, match=r"GRANT SELECT ON public\.orders TO embsql_test_rita"
    ):
        house.run("rita", ask)
    advised = "SELECT count(*) FROM embsql.advice('ours') WHERE reason <> 'new_events'"
    assert house.run("rita", advised) > [(0,)]  # what she may not read is left out
    house.run(None, "GRANT SELECT ON orders TO embsql_test_rita")
    assert house.run("rita", ask) == [("fold_in",)]
    house.run(None, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    assert house.run("rita", ask) == [("popular",)]
    house.run(None, "ALTER TABLE orders DISABLE ROW LEVEL SECURITY")
    for name in ("rita", "ann"):
        with pytest.raises(psycopg.Error, match="permission denied"):
            house.ask(name, "watch('ours', 'events')")
    house.run(
        "ann",
        "CREATE VIEW workshop.mine AS SELECT * FROM orders; "
        "GRANT SELECT ON workshop.mine TO PUBLIC",
    )
    with pytest.raises(psycopg.Error, match="a view could run functions"):
        house.ask("adam", "watch('ours', 'workshop.mine')")
    # how stale it is, is read as who asked too, not as the worker
    call = """refresh('ours', '{"retrain_after": 1}')"""
    done = house.done(house.ask("ann", call))
    assert done == ("done", None), done
    assert house.run("rita", ask) == [("model",)]


def test_times_of_another_unit_are_refused(shop: embsql.Database) -> None:
    """Seconds where training read moments: all events would be new, or none."""
    moment = "extract(epoch FROM event_time)"
    shop.engine.run(
        f"CREATE TABLE seconds AS SELECT user_id, item_id, CAST({moment} AS bigint) AS event_time "
        "FROM events"
    )
    with pytest.raises((OtherTimes, Refused), match="their units differ"):
        shop.watch("shop", "seconds")
    shop.train("other", "SELECT * FROM seconds", dim=2, epochs=1, progress=False)
    with pytest.raises((OtherTimes, Refused), match="their units differ"):
        shop.watch("other", "events")
    shop.watch("other", "seconds")
    insert(shop, ("u04", "i02", "2026-02-01"))
    caught_up(shop)  # what was refused is not watched
    assert {row["source"] for row in recommended(shop, "u04")} == {"fold_in"}


@pytest.mark.parametrize("shop", ["postgres"], indirect=True)
def test_weights_that_training_refuses_count_for_nothing(shop: embsql.Database) -> None:
    shop.engine.run(
        "CREATE TABLE weighted AS SELECT *, CAST(1 AS double precision) AS weight FROM events"
    )
    shop.watch("shop", "weighted")
    for item, weight in (
        ("i02", "-1"),
        ("i05", "NaN"),
        ("i08", "Infinity"),
        ("i01", "0"),
    ):
        shop.engine.run(
            "INSERT INTO weighted VALUES "
            "('u04', $i, '2026-02-01', CAST($w AS double precision))",
            i=item,
            w=weight,
        )
    assert {row["source"] for row in recommended(shop, "u04")} == {"model"}
    ask = "SELECT events, refused_events FROM embsql.freshness('shop')"
    assert shop.engine.rows(ask) == [{"events": 0, "refused_events": 3}]


def test_rows_without_a_weight_are_counted(shop: embsql.Database) -> None:
    """They count for nothing, in a training too, whose report says so."""
    shop.engine.run(
        "CREATE TABLE weighted AS SELECT *, CAST(1 AS double precision) AS weight FROM events"
    )
    late = "CAST('2026-02-01' AS timestamp)"
    shop.engine.run(f"INSERT INTO weighted VALUES ('u04', 'i02', {late}, NULL)")
    shop.watch("shop", "weighted")
    ask = "SELECT events, refused_events FROM embsql.freshness('shop')"
    assert shop.engine.rows(ask) == [{"events": 0, "refused_events": 1}]
    assert shop.refresh("shop").users == 0
    shop.engine.run(f"INSERT INTO weighted VALUES ('u05', 'i02', {late}, 1)")
    caught_up(shop)
    assert shop.engine.rows(ask) == [{"events": 1, "refused_events": 1}]
    assert shop.refresh("shop").users == 1
    caught_up(shop)
    assert shop.engine.rows(ask) == [{"events": 0, "refused_events": 0}]


@pytest.mark.parametrize("shop", ["duckdb"], indirect=True)
def test_a_refresh_reports_what_it_found(shop: embsql.Database) -> None:
    shop.engine.run(
        "CREATE TABLE weighted AS SELECT *, CAST(1 AS double precision) AS weight FROM events"
    )
    shop.watch("shop", "weighted")
    insert_weighted = (
        "INSERT INTO weighted VALUES ('u04', 'i02', TIMESTAMP '2026-02-01', $w)"
    )
    report = (
        "SELECT \"check\", rows FROM embsql.validation('shop') "
        "WHERE severity IN ('error', 'warning')"
    )
    for weight in (1.0, None, -1.0):
        shop.engine.run(insert_weighted, w=weight)
    with pytest.raises(BadWeights, match=r"negative: 1, .* weight -1\.0"):
        shop.refresh("shop")
    refused = {"check": "negative weight", "rows": 1}
    missing = {"check": "missing weight", "rows": 1}
    assert shop.engine.rows(report) == [refused, missing]
    shop.engine.run("DELETE FROM weighted WHERE weight < 0")
    assert shop.refresh("shop").users == 1
    assert shop.engine.rows(report) == [missing]


@pytest.mark.parametrize("shop", ["duckdb"], indirect=True)
def test_a_file_is_watched_by_its_whole_path(
    shop: embsql.Database, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert(shop, ("u04", "i02", "2026-02-01"))
    shop.ask("COPY events TO $file (HEADER)", file=str(tmp_path / "events.csv"))
    monkeypatch.chdir(tmp_path)
    shop.watch("shop", "events.csv")
    monkeypatch.chdir("/")
    assert shop.watch("shop").events == 1
