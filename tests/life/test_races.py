"""Two at the same run: one comes second and is told so, and no question is answered with
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import psycopg
import pytest

import embsql
from embsql.errors import (
    LiveRunGone,
    NoPreviousRun,
    OthersWrite,
    RunIsLive,
    RunNotReady,
    UnknownRun,
)
from embsql.lifecycle import leases, publish, registry, removal
from embsql.lifecycle.named_statements import execute_named, query_named
from tests.worlds import run_of

EVENTS = (
    "SELECT 'u' || i % 9 AS user_id, 'i' || i * 31 % 7 AS item_id "
    "FROM generate_series(1, 60) AS t(i)"
)
VECTORS = np.eye(4, 2, dtype=np.float32) + 1
ASK = "SELECT item_id FROM embsql.similar_items('m', 'i0001', k => 2)"


@pytest.fixture
def world(each: embsql.Database) -> embsql.Database:
    """A model `m` with runs 1, 2 and 3, of which 3 is live."""
    for run_id in (1, 2, 3):
        run_of(each, run_id, "m", VECTORS, VECTORS)
    assert registry.next_run(each.engine) == 4, (
        "or a training would take the number of a run that is gone"
    )
    return each


@pytest.fixture
def other(world: embsql.Database) -> Iterator[embsql.Database]:
    with embsql.connect(world.engine.second()) as database:
        yield database


def live(database: embsql.Database) -> dict[str, Any]:
    return dict(registry.model(database.engine, "m"))


def before(
    monkeypatch: pytest.MonkeyPatch,
    module: ModuleType,
    name: str,
    happens: Callable[[], object],
) -> None:
    """Let something happen, once, just before a function of a module does its work."""
    function, left = getattr(module, name), [happens]

    def late(*given: Any, **more: Any) -> Any:
        if left:
            left.pop()()
        return function(*given, **more)

    monkeypatch.setattr(module, name, late)


# --- promote and drop ----------------------------------------------------------------------------


def test_what_is_dropped_meanwhile_is_not_made_live(world, other, monkeypatch) -> None:
    before(monkeypatch, registry, "lock_run", lambda: other.drop_run("m@1"))
    with pytest.raises(RunNotReady, match='run 1 of model "m" is gone'):
        world.promote("m@1")
    assert live(world) == {"live_run": 3, "earlier_runs": [2]}
    assert world.ask(ASK).num_rows == 2


def test_what_is_made_live_meanwhile_is_not_dropped(world, other, monkeypatch) -> None:
    before(monkeypatch, removal, "_drop", lambda: other.promote("m@1"))
    with pytest.raises(RunIsLive):
        world.drop_run("m@1")
    assert live(world) == {"live_run": 1, "earlier_runs": [2, 3]}
    assert world.ask(ASK).num_rows == 2


def test_what_is_made_live_meanwhile_is_not_collected(
    world, other, monkeypatch
) -> None:
    world.engine.run("UPDATE embsql.models SET keep_runs = 0")
    found = removal._collectable(world.engine, "m")
    assert found == [1, 2]
    asked = [found]

    def collectable(*given: Any) -> list[int]:
        if asked:
            other.promote("m@1")
            return asked.pop()
        rows = query_named(given[0], "collectable", model_name=given[1])
        return [row["run_id"] for row in rows]

    monkeypatch.setattr(removal, "_collectable", collectable)
    removal.collect_garbage(world.engine, "m")
    assert live(world)["live_run"] == 1
    assert world.ask(ASK).num_rows == 2


def test_what_is_dropped_meanwhile_is_not_rolled_back_to(
    world, other, monkeypatch
) -> None:
    before(monkeypatch, registry, "lock_run", lambda: other.drop_run("m@2"))
    assert world.rollback("m") == 1
    assert live(world) == {"live_run": 1, "earlier_runs": []}
    with pytest.raises(NoPreviousRun):
        world.rollback("m")


def test_promote_and_drop_change_the_same_row(world, other) -> None:
    """So that a database lets only one of them go on."""
    if not world.engine.embedded:
        other.engine.run("SET lock_timeout = '10ms'")
    with world.engine.transaction():
        registry.lock_run(world.engine, "m", 1)
        with pytest.raises(Exception, match=r"[Cc]onflict|lock timeout") as refused:
            execute_named(other.engine, "lock_runs", runs=[1])
    assert other.engine.conflict(refused.value), "and whoever is refused tries again"


def test_where_another_always_comes_first_nothing_is_written(
    world, other, monkeypatch
) -> None:
    monkeypatch.setattr(leases, "TRIES", 2)
    if not world.engine.embedded:
        other.engine.run("SET lock_timeout = '10ms'")
    with world.engine.transaction():
        registry.lock_run(world.engine, "m", 1)
        with pytest.raises(OthersWrite, match="each of 2 tries"):
            other.forget("u0001")
    assert other.forget("u0001")


@pytest.mark.parametrize("first", ["lock_run", "drop_run"])
def test_who_began_before_another_was_done_is_refused_too(db, first: str) -> None:
    """DuckDB takes a row for changed only where a value becomes another; PostgreSQL shows what the
    first did.
    """
    run_of(db, 1, "m", VECTORS, VECTORS)

    def second() -> None:
        with embsql.connect(db.engine.second()) as other, db.engine.transaction():
            db.ask("SELECT * FROM embsql.runs")  # its snapshot begins
            with other.engine.transaction():
                execute_named(other.engine, "lock_runs", runs=[1])
                execute_named(other.engine, first, run_id=1)
            execute_named(db.engine, "lock_runs", runs=[1])

    with pytest.raises(Exception, match=r"[Cc]onflict") as refused:
        second()
    assert db.engine.conflict(refused.value)


# --- what is live is gone ------------------------------------------------------------------------


def gone(database: embsql.Database, run_id: int) -> None:
    """As an earlier version left it when a promotion and a removal met."""
    for name in ("user_embeddings", "item_embeddings", "run"):
        execute_named(database.engine, f"drop_{name}", run_id=run_id)


def test_a_live_run_that_is_gone_is_reported_with_a_remedy(world) -> None:
    gone(world, 3)
    train = {"dim": 2, "epochs": 1, "progress": False}
    says = 'model "m" says that run 3 is live, which is gone. Make another live: '
    for attempt in (
        lambda: world.train("m", EVENTS, **train),
        lambda: world.train(
            "m", EVENTS, algorithm="item2vec", warm_start=True, force=True, **train
        ),
        lambda: world.train("m", EVENTS, evaluate=True, **train),
        lambda: world.evaluate("m"),
        lambda: world.materialize("m"),
        lambda: world.publish("postgresql://nowhere", "m"),
    ):
        with pytest.raises(LiveRunGone) as refusal:
            attempt()
        assert str(refusal.value) == f"{says}embsql promote m@2"
    command = "CALL" if world.engine.embedded else "SELECT"
    with pytest.raises(Exception, match="is live, which is gone") as refusal:
        world.sql(ASK)
    assert f"{says}{command} embsql.promote('m@2');" in str(refusal.value)
    assert world.promote("m@2") == 2
    assert live(world) == {"live_run": 2, "earlier_runs": [1]}
    assert world.ask(ASK).num_rows == 2


def test_nothing_else_is_finished(world) -> None:
    for run_id in (1, 2, 3):
        gone(world, run_id)
    train = {"dim": 2, "epochs": 1, "progress": False}
    with pytest.raises(
        LiveRunGone,
        match="Nothing else of it is finished: embsql drop-model m, and train it again",
    ):
        world.train("m", EVENTS, **train)
    with pytest.raises(
        Exception, match=r"Nothing else of it is finished: .* embsql.drop_model\('m'\)"
    ):
        world.sql(ASK)
    with pytest.raises(NoPreviousRun):
        world.rollback("m")
    world.drop_model("m")
    assert world.train("m", EVENTS, **train).status == "live"


def test_what_is_dropped_while_it_is_published_is_not_live_there(
    world, other, monkeypatch
) -> None:
    """Its tables are read one after the other: those that were empty by then would be no error."""
    columns = publish._columns

    def late(rows: Any) -> Any:
        if "source_sql" in rows.column_names:  # the run's own row
            other.drop_run("m@1")
        return columns(rows)

    monkeypatch.setattr(publish, "_columns", late)
    with embsql.connect(":memory:") as there:
        with pytest.raises(UnknownRun):
            publish.publish(world.engine, there.engine.second(), ["m@1"])
        assert there.ask("SELECT 1 AS n FROM embsql.runs").num_rows == 0


# --- readers under their snapshot ----------------------------------------------------------------

PARTS = (
    "SELECT relname FROM pg_class "
    "WHERE relnamespace = 'embsql_runs'::regnamespace AND relname ~ '_3$'"
)


@pytest.fixture
def served(new_database) -> Iterator[embsql.Database]:
    with embsql.connect(new_database()) as database:
        for run_id in (1, 2, 3):
            run_of(database, run_id, "m", VECTORS, VECTORS)
        yield database


def test_a_reader_keeps_its_version(served) -> None:
    """It has touched no table of the run, and holds no lock: only its snapshot says that it may
    read it.
    """
    with psycopg.connect(served.engine.second()) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert reader.execute("SELECT live_run FROM embsql.models()").fetchall() == [
            (3,)
        ]
        served.promote("m@2")
        served.drop_run("m@3")
        assert (
            served.ask(
                "SELECT 1 AS n FROM embsql.item_embeddings WHERE run_id = 3"
            ).num_rows
            == 0
        )
        assert len(reader.execute(ASK).fetchall()) == 2
        assert (
            len(
                reader.execute(
                    "SELECT * FROM embsql.similar_items('m@3', 'i0001', k => 2)"
                ).fetchall()
            )
            == 2
        )
        removal.sweep(served.engine)
        assert served.ask(PARTS).num_rows == 2
    removal.sweep(served.engine)
    assert (
        served.ask(PARTS).num_rows
        == served.ask("SELECT * FROM embsql.leaving").num_rows
        == 0
    )


def test_nobody_reads_so_it_goes_at_once(served) -> None:
    served.promote("m@2")
    with psycopg.connect(served.engine.second()) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        served.drop_run(
            "m@3"
        )  # before the reader's first question, which is when its snapshot begins
        assert served.ask(PARTS).num_rows == 0
        with pytest.raises(psycopg.Error, match="has no finished run to read"):
            reader.execute("SELECT * FROM embsql.similar_items('m@3', 'i0001')")


def test_a_removal_that_was_killed_ends_with_the_next_call(served, monkeypatch) -> None:
    served.promote("m@2")
    with monkeypatch.context() as killed:
        killed.setattr(removal, "sweep", lambda _: None)
        served.drop_run("m@3")
    assert served.ask(PARTS).num_rows == 2
    with pytest.raises(UnknownRun):
        served.drop_run("m@3")
    assert (
        served.ask(PARTS).num_rows
        == served.ask("SELECT * FROM embsql.leaving").num_rows
        == 0
    )


def test_a_removal_that_is_not_committed_drops_nothing(served) -> None:
    served.promote("m@2")

    def interrupted() -> None:
        with served.engine.transaction():
            removal.drop_run(served.engine, "m@3")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (
        served.ask(
            "SELECT * FROM embsql.similar_items('m@3', 'i0001', k => 2)"
        ).num_rows
        == 2
    )
    with served.engine.transaction():  # as a worker does it
        removal.drop_run(served.engine, "m@3")
        assert served.ask(PARTS).num_rows == 2
    removal.sweep(served.engine)
    assert served.ask(PARTS).num_rows == 0


def test_a_number_that_comes_back_has_its_own_rows(served) -> None:
    with psycopg.connect(served.engine.second()) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT * FROM embsql.models()")
        served.promote("m@2")
        served.drop_run("m@3")
        run_of(served, 3, "m", VECTORS[:2], VECTORS[:2])
        assert (
            len(reader.execute("SELECT * FROM embsql.item_embedding('m')").fetchall())
            == 4
        )
    removal.sweep(served.engine)
    assert (
        served.ask(
            "SELECT 1 AS n FROM embsql.item_embeddings WHERE run_id = 3"
        ).num_rows
        == 2
    )
    assert served.ask("SELECT * FROM embsql.leaving").num_rows == 0


def test_sessions_that_are_not_shown_may_read(served) -> None:
    """Whoever is not shown what the sessions of others do takes them for as old as can be."""
    served.engine.run("CREATE ROLE embsql_unseeing NOLOGIN")
    served.engine.run(
        "ALTER FUNCTION embsql_internal.oldest_snapshot OWNER TO embsql_unseeing"
    )
    try:
        with psycopg.connect(served.engine.second()) as idle:
            idle.execute("SELECT 1")
            idle.commit()
            asked = "SELECT embsql_internal.oldest_snapshot() AS age"
            assert served.ask(asked).to_pylist() == [{"age": 2147483647}]
    finally:
        served.engine.run(
            "ALTER FUNCTION embsql_internal.oldest_snapshot OWNER TO CURRENT_USER"
        )
        served.engine.run("DROP ROLE embsql_unseeing")
