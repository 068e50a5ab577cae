"""What somebody asks for is done with the rights of who asked: nobody gets more by asking than he
has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

import embsql
from embsql import errors
from embsql.algorithms.als import ALS
from embsql.lifecycle import candidates, train
from embsql.lifecycle.plan import Plan
from embsql.sources import source as sources
from tests.house import QUICK, SECRET, House

QUICK_SVD = {"dim": 2}

# --- a source is read with the rights of who asked -----------------------------------------------


def test_what_somebody_may_read_is_read(house: House) -> None:
    assert house.done(house.train("ann", "events")) == ("done", None)
    assert house.done(house.train("bob", "secret", "bobs")) == ("done", None)
    assert house.run(
        None,
        "SELECT count(*) FROM pg_proc WHERE pronamespace = 'embsql_sources'::regnamespace",
    ) == [(0,)]


WAYS = {
    "source": lambda house: house.train("ann", "secret"),
    "SELECT": lambda house: house.train(
        "ann", "SELECT user_id, item_id FROM public.secret"
    ),
    "test": lambda house: house.train(
        "ann", "events", evaluate=True, test="SELECT * FROM secret"
    ),
    "features": lambda house: house.ask(
        "ann",
        "train('m', 'events', 'fusion', %s)",
        json.dumps(
            {"item_features": "SELECT DISTINCT item_id, user_id AS x FROM secret"}
        ),
    ),
    "graph": lambda house: house.ask(
        "ann",
        "train('m', 'events', 'node2vec', %s)",
        json.dumps(
            {
                "dim": 2,
                "epochs": 1,
                "graph": "SELECT item_id AS source_node, 1 AS target_node FROM secret",
            }
        ),
    ),
    "evaluate": lambda house: house.ask(
        "ann", "evaluate('bobs', %s)", json.dumps({"test": "SELECT * FROM secret"})
    ),
    "labels": lambda house: house.ask(
        "ann",
        "cluster('bobs', k => 2, labels => 'SELECT item_id AS entity_id, "
        "user_id AS label FROM secret')",
    ),
    "items": lambda house: house.ask(
        "ann",
        "register_embeddings('m', 'SELECT user_id AS item_id, "
        "ARRAY[1, 2] AS embedding FROM secret')",
    ),
    "users": lambda house: house.ask(
        "ann",
        "register_embeddings('m', 'SELECT 1 AS item_id, ARRAY[1, 2] AS embedding', %s)",
        "SELECT user_id, ARRAY[1, 2] AS embedding FROM secret",
    ),
}


@pytest.mark.parametrize("read_by", WAYS)
def test_nobody_reads_a_table_through_the_worker(house: House, read_by: str) -> None:
    house.done(house.train("bob", "secret", "bobs"))
    house.run("bob", "SELECT embsql.set_owner('bobs', 'embsql_trainer')")
    status, error = house.done(WAYS[read_by](house))
    assert status == "failed"
    assert "permission denied for table secret" in str(error)
    assert SECRET not in str(error)


def test_what_a_run_remembers_is_not_run_for_somebody_else(house: House) -> None:
    """A SELECT for features was written by who trained: nobody who measures the run later runs it
    as himself.
    """
    features = "SELECT user_id, min(item_id) AS x FROM events GROUP BY user_id"
    with (
        embsql.connect(house.as_("ann")) as trainer,
        embsql.connect(house.address) as owner,
    ):
        trainer.train(
            "remembers",
            "events",
            algorithm="two_tower",
            user_features=features,
            epochs=1,
            **QUICK_SVD,
        )
        with pytest.raises(errors.NotEvaluated, match="somebody else wrote"):
            owner.evaluate("remembers")
        assert trainer.evaluate("remembers")
    _, error = house.done(house.ask("adam", "evaluate('remembers')"))
    assert "somebody else wrote" in str(error)


EVIL = """
    CREATE OR REPLACE FUNCTION workshop.evil() RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        {what};
        RETURN 1;
    END $$
"""
ESCAPES = {
    "to read": "PERFORM 1 FROM secret",
    "to become the worker": "RESET ROLE; PERFORM 1 FROM secret",
    "to become another": "SET ROLE embsql_owner",
    "to write": "INSERT INTO workshop.diary VALUES (1)",
    "to write again": "SET TRANSACTION READ WRITE; INSERT INTO workshop.diary VALUES (1)",
    "to write by setting": "PERFORM set_config('transaction_read_only', 'off', FALSE); "
    "DELETE FROM workshop.diary",
    "to command": "CREATE TABLE workshop.mine (x integer)",
    "to commit": "COMMIT",
}


@pytest.mark.parametrize("what", ESCAPES)
def test_a_function_in_a_source_gets_nothing(house: House, what: str) -> None:
    house.run("ann", "CREATE TABLE IF NOT EXISTS workshop.diary (x integer)")
    house.run("ann", EVIL.format(what=ESCAPES[what]))
    before = house.run(None, "SELECT count(*) FROM pg_class")
    status, _ = house.done(
        house.train(
            "ann",
            "SELECT user_id, item_id + 0 * workshop.evil() AS item_id FROM events",
        )
    )
    assert status == "failed"
    assert house.run("ann", "TABLE workshop.diary") == []
    assert house.run(None, "SELECT count(*) FROM pg_class") == before


def test_who_a_function_is_run_as(house: House) -> None:
    loud = "RAISE EXCEPTION USING MESSAGE = current_user, ERRCODE = 'feature_not_supported'"
    house.run("ann", EVIL.format(what=loud))
    _, error = house.done(
        house.train("ann", "SELECT user_id, workshop.evil() AS item_id FROM events")
    )
    assert "embsql_test_ann" in str(error)


def test_a_type_of_ones_own_casts_as_its_owner(house: House) -> None:
    """A cast is a function: of a type of somebody's own it would be called where the column is made
    text.
    """
    house.run("ann", "CREATE TYPE workshop.mood AS ENUM ('1', '2')")
    house.run("ann", EVIL.format(what="PERFORM 1 FROM secret"))
    body = "SELECT workshop.evil()::text"
    house.run(
        "ann",
        f"CREATE FUNCTION workshop.spelled(workshop.mood) RETURNS text LANGUAGE sql AS '{body}'",
    )
    house.run(
        "ann",
        "CREATE CAST (workshop.mood AS text) WITH FUNCTION workshop.spelled(workshop.mood)",
    )
    source = "SELECT '1'::workshop.mood AS user_id, item_id FROM events"
    status, error = house.done(house.train("ann", source))
    assert (status, "permission denied" in str(error)) == ("failed", True)


def test_a_function_that_is_changed_is_not_called(house: House) -> None:
    """Its owner turns the function of a source into one that runs as its caller."""
    job = house.train("ann", "SELECT user_id, item_id FROM secret")
    ((name,),) = house.run(
        "ann",
        "SELECT value FROM embsql.jobs, jsonb_each_text(sources) WHERE job_id = %s",
        job,
    )
    house.run("ann", f'ALTER FUNCTION embsql_sources."{name}"(text[]) SECURITY INVOKER')
    assert "no longer what" in str(house.done(job)[1])


def test_a_function_cannot_be_changed_while_it_is_read(house: House) -> None:
    job = house.train("ann", "events", "later")
    house.run(None, "UPDATE embsql.jobs SET status = 'running' WHERE job_id = %s", job)
    with psycopg.connect(house.as_("wendy")) as reader:
        ((_, name),) = reader.execute(
            "SELECT * FROM embsql_internal.open_sources(%s)", [job]
        ).fetchall()
        house.run("ann", "SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            house.run(
                "ann",
                f'ALTER FUNCTION embsql_sources."{name}"(text[]) SECURITY INVOKER',
            )
        reader.rollback()
    house.run(
        None, "UPDATE embsql.jobs SET status = 'cancelled' WHERE job_id = %s", job
    )


def test_only_its_worker_may_call_it(house: House) -> None:
    job = house.train("bob", "secret", "bobs", seed=7)
    ((name,),) = house.run(
        None,
        "SELECT value FROM embsql.jobs, jsonb_each_text(sources) WHERE job_id = %s",
        job,
    )
    for who in ("ann", "adam", "wendy"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            house.run(
                who,
                f'SELECT * FROM embsql_sources."{name}"(NULL) AS x (name text, type oid)',
            )
    with pytest.raises(psycopg.Error, match="not for"):
        house.run("ann", "SELECT * FROM embsql_internal.open_sources(%s)", job)
    assert house.done(job)[0] == "done"


def test_one_select_and_no_more(house: House) -> None:
    house.run("ann", "CREATE TABLE IF NOT EXISTS workshop.kept (x integer)")
    for source in (
        "SELECT 1 AS user_id, 2 AS item_id) AS x; "
        "DROP TABLE workshop.kept; SELECT * FROM (SELECT 1",
        "SELECT 1 AS user_id; DROP TABLE workshop.kept",
        "DELETE FROM workshop.kept",
        "'); DROP TABLE workshop.kept; --",
        "WITH x AS (DELETE FROM workshop.kept RETURNING 1) SELECT 1 AS user_id, 2 AS item_id",
        "events'), $body$ $embsql$",
    ):
        assert house.done(house.train("ann", source))[0] == "failed"
    assert house.run("ann", "TABLE workshop.kept") == []


def test_names_mean_what_they_mean_to_the_caller(house: House) -> None:
    house.run(
        "bob", "CREATE TABLE workshop.mine AS SELECT user_id, item_id FROM events"
    )
    house.run("bob", "SET search_path = workshop")
    job = house.train("bob", "mine", "bobs", seed=3)
    house.run("bob", "RESET search_path")
    assert house.done(job) == ("done", None)
    assert "does not exist" in str(
        house.done(house.train("bob", "mine", "bobs", seed=4))[1]
    )


def test_types_come_through(house: House) -> None:
    """Each type a column may have is read as it is where nobody stands between."""
    source = """
        SELECT lpad(item_id::text, 3)::char(5) AS user_id, item_id::numeric(6, 2) AS item_id,
            timestamptz '2026-01-01' + user_id * interval '1 day' AS event_time,
            1.5::real AS weight,
            '(1,2)'::point AS p
        FROM events
    """
    with embsql.connect(house.address) as database:
        mine = database.train("direct", source, **QUICK)
        assert house.done(house.train("ann", source, "guarded")) == ("done", None)
        hashes = database.ask(
            "SELECT DISTINCT source_hash FROM embsql.runs WHERE model_name IN ('direct', 'guarded')"
        )
    assert mine.status == "live"
    assert hashes.num_rows == 1


def test_a_schema_that_a_dump_left_behind_is_made_anew(house: House) -> None:
    house.run(None, "DROP SCHEMA embsql_sources CASCADE")
    with embsql.connect(house.address) as database:
        assert database.install()
    assert house.done(house.train("ann", "events", "anew")) == ("done", None)


# --- what stands in an error ---------------------------------------------------------------------

QUOTING = {
    "a cast": "SELECT CAST(user_id AS integer) AS user_id, item_id FROM secret",
    "an id twice": None,
    "a weight": "SELECT user_id, item_id, -1 AS weight FROM secret",
    "an id too long": "SELECT repeat(user_id, 200) AS user_id, item_id FROM secret",
    "text as a weight": "SELECT item_id AS user_id, item_id, user_id AS weight FROM secret",
    "text as a time": "SELECT item_id AS user_id, item_id, user_id AS event_time FROM secret",
}


@pytest.mark.parametrize("what", QUOTING)
def test_no_row_stands_in_an_error_that_others_read(house: House, what: str) -> None:
    if QUOTING[what]:
        job = house.train("bob", QUOTING[what], "bobs")
    else:
        items = "SELECT user_id AS item_id, ARRAY[1, 2] AS embedding FROM secret"
        job = house.ask("bob", "register_embeddings('bobs', %s)", items)
    status, error = house.done(job)
    assert status == "failed"
    assert SECRET not in str(error)
    assert (
        house.run(
            None, "SELECT 1 FROM embsql.runs AS r WHERE r::text LIKE %s", f"%{SECRET}%"
        )
        == []
    )


def test_who_trains_sees_the_row_himself(house: House) -> None:
    with (
        embsql.connect(house.as_("bob")) as database,
        pytest.raises(errors.SourceFailed, match=SECRET),
    ):
        database.train("bobs", QUOTING["a cast"], **QUICK)


# --- a trainer trains, and nothing more ----------------------------------------------------------

FORBIDDEN = [
    "SELECT embsql_internal.enqueue('forget', NULL, ARRAY['1'])",
    "SELECT embsql_internal.enqueue('drop_run', 'm', ARRAY['m@1'])",
    "SELECT embsql_internal.enqueue('promote', 'm', ARRAY['m@1'])",
    "SELECT embsql_internal.leave_training('forget', NULL, ARRAY['1'], '{}')",
    "SELECT embsql_internal.leave_job('forget', NULL, ARRAY['1'], '{}')",
    "SELECT embsql.forget(1)",
    "SELECT embsql.drop_model('m')",
    "SELECT embsql_internal.forget_rows('interactions', ARRAY[live_run], '1') FROM embsql.models"
    " WHERE model_name = 'm'",
    "SELECT embsql_internal.forget_rows('cohorts', '{}', '1')",
    "SELECT embsql_internal.forget_in_jobs('1')",
    "SELECT embsql_internal.forget_selects(ARRAY[live_run], '1') FROM embsql.models"
    " WHERE model_name = 'm'",
    "SELECT embsql_internal.note_forgotten('salt', 'person')",
    "SELECT embsql_internal.note_cleared('{}', '{}')",
    "SELECT embsql_internal.hold_trainings()",
    "SELECT embsql_internal.forget_statistics('{}', '1')",
    "SELECT embsql_internal.redact('examples', 0)",
    "SELECT embsql_internal.drop_rows('forgotten', 0)",
    "SELECT embsql_internal.remove_model('m')",
    "SELECT embsql_internal.drop_partition('interactions', 1)",
    "SELECT embsql_internal.point('m', NULL, '{}', "
    "(SELECT live_run FROM embsql.models WHERE model_name = 'm'))",
    "SELECT embsql_internal.drop_rows('run_records', live_run) FROM embsql.models AS m"
    " WHERE m.model_name = 'm'",
    "SELECT embsql_internal.log_event('m', 1, 'forget', '')",
    "SELECT embsql_internal.begin_run(999, 'm', 'als', '{}', '', 1, '{}')",
    "SELECT embsql_internal.ensure_model('mine')",
    "SELECT embsql_internal.set_keep('m', 0)",
    "SELECT embsql_internal.abandon_runs('m', 0)",
    "SELECT embsql_internal.note_row('training_log', '{\"run_id\": 1}')",
    "SELECT embsql_internal.note_row('jobs', '{\"run_id\": 1}')",
    "SELECT embsql_internal.open_partition('interactions', 1)",
    "SELECT embsql.build_indexes(1)",
    "SELECT embsql_internal.take_lease("
    "'m', 'x', (SELECT max(run_id) FROM embsql.runs), 'h', 1, NULL)",
    "SELECT embsql_internal.open_stage('run_records')",
    "SELECT embsql_internal.open_stage('jobs')",
    "SELECT embsql_internal.close_stage('metrics', 'workshop.mine')",
    "SELECT embsql_internal.open_sources(1)",
    "CREATE TABLE embsql_runs.item_embeddings_999 (x integer)",
]


@pytest.mark.parametrize("call", FORBIDDEN)
def test_what_a_trainer_may_not_call(house: House, call: str) -> None:
    if not house.run(
        None,
        "SELECT 1 FROM embsql.models WHERE model_name = 'm' AND live_run IS NOT NULL",
    ):
        house.done(house.train("ann", "events"))
    tables = (
        "SELECT m::text FROM embsql.models AS m "
        "UNION ALL SELECT e::text FROM embsql.events AS e ORDER BY 1"
    )
    before = house.run(None, tables)
    refused = (psycopg.errors.InsufficientPrivilege, psycopg.errors.RaiseException)
    with pytest.raises(refused):  # not any error: a call that is misspelt fails too
        house.run("eve", call)
    assert house.run(None, tables) == before


@pytest.mark.parametrize("who", ["ann", "adam", "wendy"])
def test_nobody_but_the_owner_writes_into_a_table(house: House, who: str) -> None:
    tables = house.run(
        None,
        """
        SELECT c.oid::regclass::text, a.attname
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = 1
        WHERE c.relnamespace IN ('embsql'::regnamespace, 'embsql_runs'::regnamespace)
            AND c.relkind IN ('r', 'p')
    """,
    )
    assert len(tables) > 30
    for table, column in tables:
        writes = (
            f"INSERT INTO {table} DEFAULT VALUES",
            f"UPDATE {table} SET {column} = DEFAULT",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"DROP TABLE {table}",
            f"CREATE TRIGGER t BEFORE INSERT ON {table}"
            " EXECUTE FUNCTION embsql_internal.drop_sources()",
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        )
        for write in writes:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                house.run(who, write)


def test_who_asked_is_who_is_logged_in(house: House) -> None:
    house.run("eve", "SET embsql.job = '1'")
    job = house.train("eve", "events", "eves")
    assert house.run(
        None, "SELECT requested_by FROM embsql.jobs WHERE job_id = %s", job
    ) == [("embsql_test_eve",)]
    assert house.done(job)[0] == "done"
    made = "SELECT DISTINCT made_by FROM embsql.runs WHERE model_name = 'eves'"
    assert house.run(None, made) == [("embsql_test_eve",)]
    done = "SELECT done_by FROM embsql.events WHERE model_name = 'eves'"
    assert house.run(None, done) == [("embsql_test_eve",)]
    with embsql.connect(house.as_("eve")) as database:
        database.train("eves", "events", seed=9, **QUICK)
    assert house.run(None, f"{done} OFFSET 1") == [("embsql_test_eve",)]


def test_who_asked_is_set_for_a_transaction(house: House) -> None:
    """Nothing stays in a session, and a session that was lost does not change who asked."""
    job = house.train("ann", "events", "acted")
    running = "UPDATE embsql.jobs SET status = 'running' WHERE job_id = %s"
    house.run(None, running, job)
    asked, left = (
        "SELECT embsql_internal.asker() AS who",
        "SELECT current_setting('embsql.job', TRUE)",
    )
    with embsql.connect(house.as_("wendy")) as database:
        engine = database.engine
        engine.act_for(job)
        assert engine.ask(asked).to_pylist() == [{"who": "embsql_test_ann"}]
        assert engine._own.execute(left).fetchall() in ([("",)], [(None,)])
        with engine.transaction():
            assert engine.ask(asked).to_pylist() == [{"who": "embsql_test_ann"}]
        engine._own.close()
        assert engine.ask(asked).to_pylist() == [{"who": "embsql_test_ann"}]
    house.run(None, running.replace("running", "cancelled"), job)


def test_a_connection_lost_before_a_source_is_read_is_no_fault_of_the_source(
    house: House,
) -> None:
    job = house.train("ann", "events", "lost")
    running = "UPDATE embsql.jobs SET status = 'running' WHERE job_id = %s"
    house.run(None, running, job)
    waiting = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE query LIKE '%open_sources%' AND wait_event_type = 'Lock'
    """
    with (
        psycopg.connect(house.address) as admin,
        psycopg.connect(house.address, autocommit=True) as other,
        embsql.connect(house.as_("wendy")) as database,
        ThreadPoolExecutor(1) as pool,
    ):
        database.engine.act_for(job)
        admin.execute("LOCK TABLE embsql.jobs")
        asked = pool.submit(database.engine.describe, "events")
        while not other.execute(waiting).fetchall():
            assert not asked.done()
        admin.rollback()
        with pytest.raises(errors.ConnectionLost):
            asked.result()
    house.run(None, running.replace("running", "cancelled"), job)


def test_a_trainer_serves_only_himself(house: House) -> None:
    theirs = house.train("bob", "secret", "bobs", seed=11)
    own = house.train("ann", "events", "anns")
    assert house.done(own, "ann")[0] == "done"
    assert house.run(
        None, "SELECT status FROM embsql.jobs WHERE job_id = %s", theirs
    ) == [("queued",)]
    for call in (
        "give_up(%s)",
        "note_job(%s, NULL, 0, 'failed', NULL, NULL, NULL, TRUE)",
    ):
        house.run("ann", f"SELECT embsql_internal.{call}", theirs)
    assert house.done(theirs)[0] == "done"


def test_what_was_taken_away_is_not_done(house: House) -> None:
    job = house.ask("adam", "forget('1')")
    house.run(None, "REVOKE embsql_admin FROM embsql_test_adam")
    try:
        status, error = house.done(job)
        assert (status, "permission denied" in str(error)) == ("failed", True)
    finally:
        house.run(None, "GRANT embsql_admin TO embsql_test_adam")
    assert house.done(house.ask("adam", "forget('1')"))[0] == "done"


def test_a_lease_is_its_holders(house: House) -> None:
    """While one trains, another can neither write the run, nor end it, nor take what he has."""
    ((run,),) = house.run("ann", "SELECT embsql_internal.next_run()")
    house.run(
        "ann", "SELECT embsql_internal.take_lease('held', 'o', %s, 'h', 1, NULL)", run
    )
    house.run("ann", "SELECT embsql_internal.ensure_model('held')")
    house.run(
        "ann",
        "SELECT embsql_internal.begin_run(%s, 'held', 'als', '{}', '', 1, '{}')",
        run,
    )
    for call in (
        "embsql_internal.open_partition('interactions', %s)",
        "embsql_internal.drop_rows('run_records', %s)",
        "embsql.build_indexes(%s)",
        "embsql_internal.note_row('training_log', jsonb_build_object('run_id', %s))",
        "embsql_internal.take_lease('held', 'x', 1000000 + %s, 'h', 1, NULL)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            house.run("eve", f"SELECT {call}", run)
    for call in (
        "release_lease('held', 'o')",
        "beat_lease('held', 'o')",
        f"log_phase({run}, 'training', '')",
        f"judge_trial({run}, 1, TRUE, '')",
    ):
        assert house.run("eve", f"SELECT embsql_internal.{call}") == []
    assert (
        house.run(
            "eve", 'SELECT embsql_internal.note_run(%s, \'{"status": "failed"}\')', run
        )
        == []
    )
    assert (
        house.run(
            "ann", 'SELECT embsql_internal.note_run(%s, \'{"status": "live"}\')', run
        )
        == []
    )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        house.run(
            "ann", "SELECT embsql_internal.point('held', %s, '{}', NULL)", run
        )  # it is not finished
    rows_of_others = ("events", "leases", "leaving", "jobs", "models", "migrations")
    house.run(
        "ann", "SELECT embsql_internal.log_event('held', %s, 'evaluate', '')", run
    )
    for who, kind in (
        (who, kind) for who in ("ann", "adam") for kind in rows_of_others
    ):
        with pytest.raises(
            psycopg.errors.InsufficientPrivilege, match=f"drop rows of {kind}"
        ):
            house.run(who, "SELECT embsql_internal.drop_rows(%s, %s)", kind, run)
    logged = "SELECT event, done_by FROM embsql.events WHERE run_id = %s"
    assert house.run(None, logged, run) == [("evaluate", "embsql_test_ann")]
    assert house.run("ann", "SELECT embsql_internal.release_lease('held', 'o')") == [
        (True,)
    ]


def test_a_partition_is_filled_once(house: House) -> None:
    """What has been attached is nobody's to change, and rows of another run do not fit in."""
    with embsql.connect(house.as_("ann")) as database:
        run = database.train("filled", "events", **QUICK).run_id
    for table in ("interactions", "item_embeddings", "user_embeddings"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            house.run(
                "ann",
                f"INSERT INTO embsql_runs.{table}_{run} SELECT * FROM embsql.{table}",
            )


def test_an_admin_decides(house: House) -> None:
    with (
        embsql.connect(house.as_("ann")) as trainer,
        embsql.connect(house.as_("adam")) as admin,
    ):
        first = trainer.train("decided", "events", seed=1, **QUICK).run_id
        second = trainer.train("decided", "events", seed=2, **QUICK).run_id
        for refused in (
            lambda: trainer.rollback("decided"),
            lambda: trainer.promote(f"decided@{first}"),
            lambda: trainer.drop_run(f"decided@{first}"),
            lambda: trainer.forget("1"),
        ):
            with pytest.raises(errors.PermissionDenied):
                refused()
        assert admin.rollback("decided") == first
        admin.drop_run(f"decided@{second}")
        assert admin.forget("3") > 0
        admin.drop_model("decided")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        house.run("adam", "DELETE FROM embsql.events")


def test_everything_a_trainer_makes_of_a_run(house: House) -> None:
    with embsql.connect(house.as_("ann")) as database:
        database.train("made", "events", evaluate=True, gate=False, **QUICK)
        database.cluster("made", k=2)
        database.project("made")
        database.materialize("made", k=2)
        assert database.evaluate("made")
        tuned = database.train(
            "made",
            "events",
            evaluate=True,
            gate=False,
            n_trials=2,
            dim=[2, 3],
            epochs=1,
        )
        assert tuned.status == "live"
        for seed in range(3, 11):
            database.train("made", "events", seed=seed, **QUICK)
        assert (
            database.ask("SELECT count(*) AS n FROM embsql.runs('made')").to_pylist()[
                0
            ]["n"]
            < 12
        )
    assert house.run(
        "ann", "SELECT embsql.set_cohorts('s', ARRAY['1', '2'], ARRAY['a', NULL])"
    ) == [(1,)]
    assert house.run(
        "ann", "SELECT count(*) FROM pg_class WHERE relname LIKE 'stage%'"
    ) == [(0,)]


def test_a_trainer_lets_auto_choose(house: House, monkeypatch) -> None:
    monkeypatch.setattr(candidates, "EVIDENCE", candidates.EVIDENCE[:1])
    with embsql.connect(house.as_("ann")) as database:
        run = database.train("chosen", "events", algorithm="auto", dim=2)
        asked = "SELECT reason FROM embsql.trials('chosen') WHERE best"
        (row,) = database.ask(asked).to_pylist()
    assert run.status == "live"
    assert row["reason"] == "chosen: its ndcg@10 is the best of 1"


def test_an_unfinished_stage_is_gone(house: House) -> None:
    with psycopg.connect(house.as_("ann")) as connection:
        ((stage,),) = connection.execute(
            "SELECT embsql_internal.open_stage('metrics')"
        ).fetchall()
        connection.rollback()
    assert house.run("ann", "SELECT to_regclass(%s)", stage) == [(None,)]


def test_nobody_takes_away_what_reads_the_sources_of_another(house: House) -> None:
    theirs = house.train("bob", "secret", "bobs", seed=12)
    reader = "SELECT value FROM embsql.jobs, jsonb_each_text(sources) WHERE job_id = %s"
    ((name,),) = house.run(None, reader, theirs)
    leave = "leave_training('train', 'eves', ARRAY['eves', 'x', 'als', '{}'], %s)"
    asked = f"SELECT embsql_internal.give_up(embsql_internal.{leave})"
    house.run("eve", asked, json.dumps({"x": name}))
    assert house.run(None, "SELECT count(*) FROM pg_proc WHERE proname = %s", name) == [
        (1,)
    ]
    assert house.done(theirs)[0] == "done"


def test_a_stage_is_for_rows_of_one_table(house: House) -> None:
    with psycopg.connect(house.as_("ann")) as connection:
        ((stage,),) = connection.execute(
            "SELECT embsql_internal.open_stage('training_log')"
        ).fetchall()
        with pytest.raises(
            psycopg.errors.InsufficientPrivilege, match="take rows of events from"
        ):
            connection.execute(
                "SELECT embsql_internal.close_stage('events', %s)", [stage]
            )


PEOPLE = """
    SELECT 'p' || i % 9 AS user_id, 'i' || i % 7 AS item_id FROM generate_series(1, 30) AS t (i)
"""


def trained(
    database: embsql.Database, model: str, meanwhile: Callable[[], None]
) -> int:
    """Train; after the first epoch something happens. The number of the run."""

    def listen(epoch: int, _: dict[str, float]) -> None:
        if epoch == 1:
            meanwhile()

    plan = Plan(model, sources.source(PEOPLE, "source"), ALS(dim=2, epochs=2))
    return int(train.train_model(database.engine, plan, listen).run_id or 0)


def test_who_is_forgotten_while_a_trainer_trains_is_in_nothing_of_it(
    house: House,
) -> None:
    """The trainer leaves them out of his own run, although he may forget nobody."""
    with (
        embsql.connect(house.as_("ann")) as ann,
        embsql.connect(house.as_("adam")) as adam,
    ):
        run = trained(ann, "meanwhile", lambda: adam.forget("p3") and None)
        ann.materialize("meanwhile", k=2)
    for table in ("user_embeddings", "interactions", "top_items"):
        held = (
            f"SELECT DISTINCT user_id "
            f"FROM embsql.{table} WHERE run_id = %s AND user_id IN ('p3', 'p4')"
        )
        assert house.run(None, held, run) == [("p4",)]
    assert (
        house.run(None, "SELECT 1 FROM embsql.forgotten WHERE run_id = %s", run) == []
    )


def test_a_training_of_a_trainers_that_fails_names_nobody_who_was_forgotten(
    house: House,
) -> None:
    def forget() -> None:
        with embsql.connect(house.as_("adam")) as adam:
            adam.forget("p3")
        raise errors.EmbsqlError(message="user p3: something")

    with (
        embsql.connect(house.as_("ann")) as ann,
        pytest.raises(errors.EmbsqlError, match="p3"),
    ):
        trained(ann, "fails", forget)
    ended = "SELECT run_id, status, error FROM embsql.runs WHERE model_name = 'fails'"
    ((run, status, error),) = house.run(None, ended)
    assert (status, "p3" in error) == ("failed", False)
    assert (
        house.run(None, "SELECT 1 FROM embsql.forgotten WHERE run_id = %s", run) == []
    )
