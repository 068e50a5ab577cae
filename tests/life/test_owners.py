"""A model is whose made it, and what a trainer writes reaches nothing of somebody else's."""

from __future__ import annotations

import json
from contextlib import closing

import psycopg
import pytest

import embsql
from embsql import errors
from embsql.lifecycle import texts
from tests.house import QUICK, House

MINE = "SELECT owned_by FROM embsql.models WHERE model_name = %s"
BEGUN = """
    SELECT embsql_internal.take_lease('{model}', 'o', {run}, 'h', 1, NULL);
    SELECT embsql_internal.ensure_model('{model}');
    SELECT embsql_internal.begin_run({run}, '{model}', 'als', '{{}}', '', 1, '{{}}')
"""


def begun(house: House, who: str, model: str) -> int:
    """The number of a run that somebody has begun, whose lease is theirs."""
    ((run,),) = house.run(who, "SELECT embsql_internal.next_run()")
    house.run(who, BEGUN.format(model=model, run=run))
    return int(run)


# --- whose a model is ----------------------------------------------------------------------------


def test_who_makes_a_model_owns_it_and_gives_it_away(house: House) -> None:
    with (
        embsql.connect(house.as_("ann")) as ann,
        embsql.connect(house.as_("eve")) as eve,
    ):
        ann.train("shared", "events", **QUICK)
        assert house.run(None, MINE, "shared") == [("embsql_test_ann",)]
        makes = (
            lambda: eve.train("shared", "events", **QUICK),
            lambda: eve.cluster("shared", k=2),
            lambda: eve.project("shared"),
            lambda: eve.materialize("shared", k=2),
            lambda: eve.evaluate("shared"),
        )
        for make in makes:
            with pytest.raises(
                errors.PermissionDenied,
                match=r'change model "shared" of "embsql_test_ann"',
            ):
                make()
        ann.ask("SELECT embsql.set_owner('shared', 'embsql_trainer')")
        for make in makes:
            assert make()
    logged = "SELECT detail, done_by FROM embsql.events WHERE event = 'set_owner'"
    assert house.run(None, logged) == [("embsql_trainer", "embsql_test_ann")]


def test_an_admin_gives_away_what_is_somebody_else_s(house: House) -> None:
    begun(house, "ann", "left")
    house.run("adam", "SELECT embsql.set_owner('left', 'embsql_test_bob')")
    assert house.run(None, MINE, "left") == [("embsql_test_bob",)]
    for wrong, words in (
        ("'left', 'nobody_here'", "'nobody_here' is no role of this server"),
        ("'lefd', 'embsql_test_bob'", 'Did you mean "left"'),
    ):
        with pytest.raises(psycopg.errors.RaiseException, match=words):
            house.run("adam", f"SELECT embsql.set_owner({wrong})")


def test_a_worker_trains_for_who_asked(house: House) -> None:
    """The model is the asker's, and of a model of somebody else's no job is begun."""
    assert house.done(house.train("ann", "events", "asked")) == ("done", None)
    assert house.run(None, MINE, "asked") == [("embsql_test_ann",)]
    job = house.train("ann", "events", "asked", seed=8)
    house.run("adam", "SELECT embsql.set_owner('asked', 'embsql_test_bob')")
    status, error = house.done(job)
    assert (status, 'change model "asked" of "embsql_test_bob"' in str(error)) == (
        "failed",
        True,
    )


def test_a_set_of_cohorts_is_whose_made_it(house: House) -> None:
    made = "SELECT embsql.set_cohorts('tribes', ARRAY['1'], ARRAY['{}'])"
    house.run("ann", made.format("a"))
    house.run("ann", made.format("b"))
    with pytest.raises(
        psycopg.errors.InsufficientPrivilege, match='the cohorts "tribes" of some'
    ):
        house.run("eve", made.format("c"))
    assert house.run("adam", made.format("d")) == [(1,)]


def test_nobody_takes_over_what_another_says_a_text_means(house: House) -> None:
    """The vector of a text is looked for among those of one's own encoder."""
    kept = "INSERT INTO {} (content, embedding) VALUES ('of a text', '[1]')"
    with psycopg.connect(house.as_("eve")) as eve:
        ((stage,),) = eve.execute(
            "SELECT embsql_internal.open_stage('text_vectors')"
        ).fetchall()
        eve.execute(kept.format(stage))
        eve.execute("SELECT embsql_internal.close_stage('text_vectors', %s)", [stage])
    found = {}
    for who in ("eve", "ann"):
        with embsql.connect(house.as_(who)) as database:
            found[who] = len(texts._lookup(database.engine, ["of a text"]))
    assert found == {"eve": 1, "ann": 0}


# --- what stays where it is ----------------------------------------------------------------------


def test_a_setting_is_no_statement(house: House) -> None:
    """What a caller sets stands in a statement that the owner runs."""
    run = begun(house, "eve", "indexed")
    noted = json.dumps({"items": 1, "users": 1, "dim": 2, "similarity": "dot"})
    house.run("eve", "SELECT embsql_internal.note_run(%s, %s::jsonb)", run, noted)
    house.run(
        "eve", "SELECT embsql_internal.open_partition('item_embeddings', %s)", run
    )
    evil = (
        "vector(2)) vector_cosine_ops);"
        " ALTER TABLE embsql.vector_indexes DROP CONSTRAINT vector_indexes_storage_check;"
        " GRANT embsql_owner TO embsql_test_eve; --"
    )
    with psycopg.connect(house.as_("eve")) as eve:
        eve.execute("SET embsql.index_above = '0'")
        eve.execute("SELECT set_config('embsql.index_storage', %s, FALSE)", [evil])
        with pytest.raises(
            psycopg.errors.RaiseException, match="must be vector or halfvec"
        ):
            eve.execute("SELECT embsql.build_indexes(%s)", [run])
    owns = "SELECT pg_has_role('embsql_test_eve', 'embsql_owner', 'MEMBER')"
    assert house.run(None, owns) == [(False,)]


def test_nobody_waits_in_a_table_for_a_run_to_come(house: House) -> None:
    """Whoever was let in under a run's number is let out when another run has it."""
    ((last,),) = house.run(None, "SELECT last_value FROM embsql.run_ids")
    run = last + 1
    house.run("eve", BEGUN.format(model="early", run=run))
    house.run("eve", "SELECT embsql_internal.open_partition('interactions', %s)", run)
    house.run("eve", "SELECT embsql_internal.drop_rows('run_records', %s)", run)
    house.run("eve", "SELECT embsql_internal.release_lease('early', 'o')")
    assert begun(house, "ann", "late") == run
    house.run("ann", "SELECT embsql_internal.open_partition('interactions', %s)", run)
    row = (
        f"INSERT INTO embsql_runs.interactions_{run} (run_id, user_id, item_id, "
        f"weight) VALUES ({run}, 'u', 'i', 1)"
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        house.run("eve", row)
    house.run("ann", row)


def test_no_table_is_made_for_a_run_that_is_not_begun(house: House) -> None:
    house.run(
        "eve", "SELECT embsql_internal.take_lease('never', 'o', 1000000, 'h', 1, NULL)"
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        house.run(
            "eve", "SELECT embsql_internal.open_partition('interactions', 1000000)"
        )


def test_nothing_of_a_run_is_left_behind_it(house: House) -> None:
    """Rows without their run would be found by no one who forgets a person."""
    run = begun(house, "eve", "half")
    row = {
        "run_id": run,
        "epoch": 1,
        "metric": "m",
        "value": 1,
        "logged_at": "2026-01-01",
    }
    house.run(
        "eve",
        "SELECT embsql_internal.note_row('training_log', %s::jsonb)",
        json.dumps(row),
    )
    house.run("eve", "SELECT embsql_internal.open_partition('interactions', %s)", run)
    house.run("eve", "SELECT embsql_internal.drop_rows('run_records', %s)", run)
    assert (
        house.run(None, "SELECT 1 FROM embsql.training_log WHERE run_id = %s", run)
        == []
    )
    marked = "SELECT part_name FROM embsql.leaving WHERE part_name = %s"
    assert house.run(None, marked, f"interactions_{run}")


def test_rows_that_come_late_are_looked_at_too(house: House) -> None:
    """What a second session still sends into a stage is waited for, and is among what is looked
    at.
    """
    with embsql.connect(house.as_("ann")) as ann:
        theirs = ann.train("theirs", "events", **QUICK).run_id
    mine = begun(house, "eve", "sly")
    row = "INSERT INTO {} (run_id, check_name, severity, affected) VALUES ({}, 'x', 'ok', 0)"
    with (
        closing(psycopg.connect(house.as_("eve"))) as late,
        closing(psycopg.connect(house.as_("eve"), autocommit=True)) as eve,
    ):
        ((stage,),) = eve.execute(
            "SELECT embsql_internal.open_stage('source_checks')"
        ).fetchall()
        eve.execute(row.format(stage, mine))
        late.execute(row.format(stage, theirs))
        eve.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable, match="LOCK TABLE"):
            eve.execute(
                "SELECT embsql_internal.close_stage('source_checks', %s)", [stage]
            )
        late.commit()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            eve.execute(
                "SELECT embsql_internal.close_stage('source_checks', %s)", [stage]
            )


def test_a_job_ends_although_somebody_stands_on_its_source(house: House) -> None:
    """A view of the asker's on the function that reads a source kept the worker from ending the
    job.
    """
    job = house.train("eve", "events", "wedged")
    reader = "SELECT value FROM embsql.jobs, jsonb_each_text(sources) WHERE job_id = %s"
    ((name,),) = house.run("eve", reader, job)
    house.run(
        "eve",
        f"CREATE VIEW workshop.wedge AS SELECT * "
        f'FROM embsql_sources."{name}"(NULL) AS x (a text, b oid)',
    )
    assert house.done(job) == ("done", None)


# --- what is read again as who made a run --------------------------------------------------------


def test_an_admin_does_not_change_what_is_read_as_another(house: House) -> None:
    """The SELECTs that a run remembers are run as who made it: nobody else writes them."""
    run = begun(house, "ann", "remembered")
    asked = 'SELECT embsql_internal.note_run(%s, \'{"params": "{}"}\')'
    assert house.run("adam", asked, run) == []


def test_a_run_that_comes_from_elsewhere_was_made_by_nobody_here(
    house: House, db
) -> None:
    """Neither the publisher nor a namesake runs as himself what somebody wrote in another
    database.
    """
    db.engine.run(
        "CREATE TABLE events AS SELECT i % 7 AS user_id, i % 5 AS item_id FROM range(100) AS t (i)"
    )
    features = "SELECT user_id, min(item_id) AS x FROM events GROUP BY user_id"
    run = db.train(
        "published",
        "events",
        algorithm="two_tower",
        epochs=1,
        dim=2,
        user_features=features,
    ).run_id
    db.engine.run("UPDATE embsql.run_records SET made_by = 'embsql_test_adam'")
    db.engine.run("UPDATE embsql.run_records SET run_id = $run", run=1000 + run)
    parts = (
        "item_embeddings",
        "user_embeddings",
        "training_log",
        "source_checks",
        *(() if db.engine.embedded else ("interactions",)),
    )
    for table in (*parts, "tower_features", "tower_layers"):
        db.engine.run(f"UPDATE embsql.{table} SET run_id = {1000 + run}")
    db.engine.run(f"UPDATE embsql.models SET live_run = {1000 + run}")
    with embsql.connect(house.as_("adam")) as adam:
        db.publish(house.as_("adam"), "published")
        with pytest.raises(errors.NotEvaluated, match="somebody else wrote"):
            adam.evaluate("published")
    assert house.run(None, MINE, "published") == [("embsql_test_adam",)]
