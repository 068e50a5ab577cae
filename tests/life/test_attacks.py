"""What somebody with one role tries in SQL leaves everything of others as it was, refused or
not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

import embsql
from tests.house import House, clear, furnish
from tests.worlds import known_run

MADE = """
    UPDATE embsql.models SET owned_by = 'embsql_test_ann';
    INSERT INTO embsql.run_records (
        run_id, model_name, algorithm, params, source_sql, seed, status, versions, started_at
    )
    SELECT 100 + n, 'compass', 'als', '{}', $$'events'$$, 1, 'ready', '{}', now()
    FROM generate_series(1, 8) AS t (n);
    INSERT INTO embsql.maps (run_id, entity_kind, method_name, entity_id, x, y)
    VALUES (1, 'item', 'pca', 'east', 0, 0);
    INSERT INTO embsql.top_items (run_id, user_id, rank, item_id, score)
    VALUES (1, 'ada', 1, 'east', 0), (1, 'stranger', 1, 'east', 0);
    INSERT INTO embsql.neighbors (run_id, entity, entity_id, rank, neighbor_id, score)
    VALUES (1, 'item', 'east', 1, 'west', 0);
    INSERT INTO embsql.metrics (run_id, split, segment, metric, k, value)
    VALUES (1, 'last', 'all', 'ndcg', 10, 0.5);
    CREATE FUNCTION public.state() RETURNS text LANGUAGE plpgsql AS $body$
    DECLARE
        part record;
        found text := '';
        content text;
    BEGIN
        FOR part IN
            SELECT c.oid::regclass AS name, c.relacl
            FROM pg_class AS c
            WHERE c.relnamespace IN ('embsql'::regnamespace, 'embsql_runs'::regnamespace)
                AND c.relkind = 'r'
            ORDER BY c.oid
        LOOP
            EXECUTE format(
                'SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM %s AS t', part.name
            )
            INTO content;
            found := concat(found, chr(10), part.name, ' ', part.relacl, ' ', content);
        END LOOP;
        RETURN concat(
            found,
            (SELECT string_agg(concat(f.prosrc, f.proacl, f.proowner), '' ORDER BY f.oid)
            FROM pg_proc AS f
            WHERE f.pronamespace IN ('embsql'::regnamespace, 'embsql_internal'::regnamespace)),
            (SELECT string_agg(concat(m.roleid, m.member), '' ORDER BY m.oid)
            FROM pg_auth_members AS m),
            (SELECT string_agg(concat(r.rolname, r.rolsuper), '' ORDER BY r.oid) FROM pg_roles AS r)
        );
    END $body$
"""


@pytest.fixture(scope="module")
def shop(new_database: Callable[[], str]) -> Iterator[House]:
    """A house in which ann has a model, what can be made of it, a job that waits, and cohorts."""
    address = new_database()
    furnish(address)
    house = House(address)
    with embsql.connect(address) as owner:
        known_run(owner)
    house.run(None, MADE)
    house.run("ann", "SELECT embsql.set_cohorts('tribes', ARRAY['1'], ARRAY['a'])")
    house.train("ann", "events", "compass")
    yield house
    house.close()
    clear(address)


STATE = "SELECT public.state()"
REFUSED = "refused"
REFUSALS = (  # not any error: what is misspelt fails too
    psycopg.errors.InsufficientPrivilege,
    psycopg.errors.RaiseException,
    psycopg.errors.NotNullViolation,
    psycopg.errors.NullValueNotAllowed,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.InvalidTextRepresentation,
)
LIVE = "(SELECT live_run FROM embsql.models WHERE model_name = 'compass')"
OLD = "(SELECT min(run_id) FROM embsql.runs WHERE model_name = 'compass')"
JOB = "(SELECT max(job_id) FROM embsql.jobs)"
STAGED = """
    DO $$
    DECLARE
        stage text := embsql_internal.open_stage('{kind}');
    BEGIN
        EXECUTE format('INSERT INTO %s SELECT * FROM embsql.{kind}', stage);
        EXECUTE format('UPDATE %s SET run_id = run_id', stage);
    EXCEPTION WHEN insufficient_privilege THEN
        EXECUTE format('INSERT INTO %s ({columns}) VALUES ({values})', stage);
        PERFORM embsql_internal.close_stage('{kind}', stage);
    END $$
"""

TRAINER = [
    # what is made of somebody else's runs
    f"SELECT embsql_internal.clear_rows('clusters', {LIVE}, 'item', 'default')",
    f"SELECT embsql_internal.clear_rows('cluster_members', {LIVE}, 'item', 'default')",
    f"SELECT embsql_internal.clear_rows('maps', {LIVE}, 'item', 'pca')",
    f"SELECT embsql_internal.clear_rows('metrics', {LIVE}, NULL, split) FROM embsql.metrics",
    f"SELECT embsql_internal.drop_rows('top_items', {LIVE})",
    f"SELECT embsql_internal.drop_rows('neighbors', {LIVE})",
    f"SELECT embsql_internal.delete_orphaned_top_items('top_items', {LIVE})",
    STAGED.format(
        kind="maps",
        columns="run_id, entity_kind, entity_id, method_name, x, y",
        values=f"{LIVE}, ''item'', ''strange'', ''pca'', 0, 0".replace(
            "'compass'", "''compass''"
        ),
    ),
    STAGED.format(
        kind="top_items",
        columns="run_id, user_id, rank, item_id, score",
        values=f"{LIVE}, ''strange'', 1, ''i'', 0".replace("'compass'", "''compass''"),
    ),
    "SELECT embsql.evaluate('compass')",
    "SELECT embsql.cluster('compass')",
    "SELECT embsql.project('compass')",
    "SELECT embsql.materialize('compass')",
    "SELECT embsql.train('compass', 'events')",
    "SELECT embsql.register_embeddings('compass', 'SELECT 1 AS item_id, ARRAY[1, 2] AS embedding')",
    "SELECT embsql_internal.leave_training('cluster', 'compass@1', ARRAY['compass'], '{}')",
    # runs, models, leases, jobs of others
    f"SELECT embsql_internal.lock_run({LIVE})",
    f"SELECT embsql_internal.lock_runs(ARRAY[{LIVE}])",
    f"SELECT embsql_internal.lock_runs(ARRAY[NULL, {LIVE}])",
    f"SELECT embsql_internal.drop_rows('run_records', {OLD})",
    f"SELECT embsql_internal.drop_rows('run_records', {LIVE})",
    f"SELECT embsql_internal.drop_rows('forgotten', {LIVE})",
    "SELECT embsql_internal.take_lease('compass', 'eve', 100000, 'h', 1, NULL)",
    f"SELECT embsql_internal.begin_run({LIVE}, 'compass', 'als', '{{}}', '', 1, '{{}}')",
    "SELECT embsql_internal.begin_run(100000, 'compass', 'als', '{}', '', 1, '{}')",
    f'SELECT embsql_internal.note_run({LIVE}, \'{{"error": "x"}}\')',
    f"SELECT embsql_internal.note_row('gates', jsonb_build_object('run_id', {LIVE}))",
    f"SELECT embsql_internal.open_partition('interactions', {LIVE})",
    f"SELECT embsql_internal.attach_partition('interactions', {LIVE})",
    f"SELECT embsql.build_indexes({LIVE})",
    f"SELECT embsql_internal.redact('error', {LIVE})",
    f"SELECT embsql_internal.forget_rows('interactions', ARRAY[{LIVE}], '1')",
    f"SELECT embsql_internal.point('compass', {OLD}, '{{}}', {LIVE})",
    "SELECT embsql.cancel('compass')",
    "SELECT * FROM embsql_internal.request_cancel('compass')",
    f"SELECT embsql_internal.give_up({JOB})",
    f"SELECT embsql_internal.note_job({JOB}, NULL, 0, 'done', NULL, NULL, NULL, TRUE)",
    "SELECT * FROM embsql_internal.claim_job('eve')",
    "SELECT * FROM embsql_internal.release_claims('eve', 'h', 1, NULL)",
    f"SELECT * FROM embsql_internal.open_sources({JOB})",
    f"SET embsql.job = '1'; SELECT embsql_internal.lock_run({LIVE})",
    "SELECT embsql.set_owner('compass', 'embsql_test_eve')",
    "SELECT embsql.set_cohorts('tribes', ARRAY['1'], ARRAY['b'])",
    f"SELECT embsql_internal.log_event('compass', {LIVE}, 'promote', 'I did')",
    f"SELECT embsql_internal.log_event('compass', {LIVE}, 'evaluate', 'I did')",
    "SELECT embsql_internal.log_event('nothing', 1, 'promote', 'I did')",
    "SELECT embsql_internal.log_event('', NULL, 'forget', '')",
    # no value at all
    f"SELECT embsql_internal.point('compass', NULL, NULL, {LIVE})",
    "SELECT embsql_internal.point(NULL, NULL, NULL, NULL)",
    "SELECT embsql_internal.log_event(NULL, NULL, NULL, NULL)",
    "SELECT embsql_internal.log_event(NULL, 1, 'evaluate', NULL)",
    f"SELECT embsql_internal.drop_rows(NULL, {LIVE})",
    "SELECT embsql_internal.drop_rows('run_records', NULL)",
    f"SELECT embsql_internal.clear_rows(NULL, {LIVE}, NULL, NULL)",
    "SELECT embsql_internal.forget_rows('interactions', NULL, '1')",
    f"SELECT embsql_internal.forget_rows(NULL, ARRAY[{LIVE}], '1')",
    "SELECT embsql_internal.note_run(NULL, NULL)",
    "SELECT embsql_internal.note_row('training_log', '{}')",
    "SELECT embsql_internal.note_row(NULL, NULL)",
    "SELECT embsql_internal.open_partition('interactions', NULL)",
    "SELECT embsql_internal.attach_partition(NULL, NULL)",
    "SELECT embsql_internal.close_stage(NULL, NULL)",
    "SELECT embsql_internal.close_stage('events', 'embsql.events')",
    "SELECT embsql_internal.close_stage('models', 'embsql.cohorts')",
    "SELECT embsql_internal.take_lease(NULL, 'x', 1000001, 'h', 1, NULL)",
    "SELECT embsql_internal.ensure_model(NULL)",
    "SELECT embsql_internal.set_keep(NULL, NULL)",
    "SELECT embsql_internal.abandon_runs('compass', NULL)",
    "SELECT embsql_internal.leave_training(NULL, NULL, NULL, NULL)",
    "SELECT embsql.set_owner(NULL, NULL)",
    "SELECT embsql.set_owner('compass', NULL)",
    "SELECT embsql.set_cohorts(NULL, NULL, NULL)",
    "SELECT embsql_internal.request_cancel(NULL)",
    # names that hide embsql's
    "CREATE TEMP TABLE runs AS TABLE embsql.runs;"
    f" SELECT embsql_internal.drop_rows('run_records', {LIVE})",
    "CREATE TEMP TABLE leases AS SELECT 'compass' AS model_name, 'o' AS owner; "
    "SET search_path = pg_temp, embsql;"
    f" SELECT embsql_internal.open_partition('interactions', {LIVE})",
    "CREATE FUNCTION pg_temp.decides() RETURNS boolean LANGUAGE sql RETURN TRUE; "
    "SET search_path = pg_temp;"
    f" SELECT embsql_internal.lock_run({LIVE})",
    "CREATE FUNCTION workshop.same(text, text) RETURNS boolean LANGUAGE sql RETURN TRUE;"
    " CREATE OPERATOR workshop.= (LEFTARG = text, RIGHTARG = text, FUNCTION = workshop.same);"
    " SET search_path = workshop, pg_catalog; SELECT embsql_internal.lock_run(1)",
    "CREATE FUNCTION workshop.format(text, text) RETURNS text LANGUAGE sql "
    "RETURN 'x; DROP TABLE embsql.events';"
    " SET search_path = workshop, pg_catalog;"
    f" SELECT embsql_internal.drop_rows('top_items', {LIVE})",
    "CREATE DOMAIN workshop.word AS text; "
    "SELECT embsql_internal.point(CAST('compass' AS workshop.word), NULL, '{}', NULL)",
    # what only the owner does
    "SET ROLE embsql_owner",
    f"SET ROLE embsql_admin; SELECT embsql_internal.lock_run({LIVE})",
    "SET SESSION AUTHORIZATION embsql_owner",
    "GRANT embsql_admin TO embsql_test_eve",
    "ALTER ROLE embsql_test_eve SUPERUSER",
    "REASSIGN OWNED BY embsql_owner TO embsql_test_eve",
    "CREATE VIEW workshop.mine AS TABLE embsql.models; UPDATE workshop.mine SET live_run = NULL",
    "CREATE RULE gone AS ON INSERT TO embsql.events DO INSTEAD NOTHING",
    "CREATE POLICY mine ON embsql.interactions USING (FALSE)",
    "DO $$ BEGIN LOCK TABLE embsql.run_records IN ACCESS EXCLUSIVE MODE; END $$",
    "CREATE OR REPLACE FUNCTION embsql_internal.decides() RETURNS boolean LANGUAGE sql RETURN TRUE",
    "CREATE FUNCTION embsql_internal.asker(integer) RETURNS text LANGUAGE sql RETURN 'adam'",
    "ALTER FUNCTION embsql_internal.asker() SECURITY INVOKER",
    "GRANT EXECUTE ON FUNCTION embsql_internal.remove_model TO embsql_test_eve",
    "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION embsql_internal.stay_local()",
    "SELECT setval('embsql.run_ids', 1)",
    "SELECT embsql.protect(NULL)",
    "SELECT embsql_internal.make_partition('interactions', 1)",
    "SELECT embsql_internal.join_partition('interactions', 1)",
    f"SELECT embsql_internal.shut_partition('interactions_' || {LIVE})",
    "COPY embsql.events FROM PROGRAM 'echo 1'",
]
READER = [
    "TABLE embsql.jobs",
    "TABLE embsql.events",
    "TABLE embsql.leases",
    "SELECT salt, person FROM embsql.forgotten",
    f"SELECT embsql.evaluate('compass'), {LIVE}",
    "SELECT embsql.train('mine', 'SELECT 1 AS user_id, 2 AS item_id')",
    "SELECT embsql_internal.enqueue('train', 'mine', ARRAY['mine', 'x', 'als', '{}'])",
    "SELECT embsql.cancel('compass')",
    "SELECT embsql_internal.asker()",
    "SELECT embsql_internal.next_run()",
    "SELECT embsql_internal.drop_unread()",
    "SELECT embsql.set_cohorts('mine', '{}', '{}')",
    "SELECT embsql.set_owner('compass', 'embsql_reader')",
    "SELECT embsql_internal.open_stage('metrics')",
    "SELECT embsql_internal.oldest_snapshot()",
    "SELECT embsql_internal.follow_run()",
    "CREATE FUNCTION embsql_sources.mine() RETURNS integer LANGUAGE sql RETURN 1",
    "SET ROLE embsql_trainer; SELECT embsql_internal.next_run()",
    "SET embsql.job = '1'; SELECT embsql_internal.log_event('compass', 1, 'evaluate', '')",
]
ADMIN = [
    "SELECT embsql_internal.forget_in_jobs('als')",
    "SELECT embsql_internal.forget_in_jobs('events')",
    "SELECT embsql_internal.forget_in_jobs(NULL)",
    "SELECT embsql_internal.forget_selects(NULL, 'events')",
    f'SELECT embsql_internal.note_run({LIVE}, \'{{"error": "x"}}\')',
    "SELECT embsql_internal.note_row("
    f"'training_log', jsonb_build_object('run_id', {LIVE}, 'epoch', 1))",
    "SELECT embsql_internal.begin_run(100000, 'compass', 'als', '{}', '', 1, '{}')",
    "SELECT embsql_internal.drop_rows('events', 1)",
    "DELETE FROM embsql.events",
    f"SELECT * FROM embsql_internal.open_sources({JOB})",
]
WORKER = [
    "UPDATE embsql.jobs SET requested_by = 'embsql_test_adam'",
    f"SELECT * FROM embsql_internal.open_sources({JOB})",
    f"SET embsql.job = '1'; SELECT embsql_internal.note_run({LIVE}, '{{\"error\": \"x\"}}')",
    "SET embsql.job = 'x'; SELECT embsql_internal.remove_model('compass')",
    f"SELECT embsql_internal.note_job({JOB}, 'w', 1, 'done', NULL, NULL, NULL, TRUE)",
    "INSERT INTO embsql.events (logged_at, model_name, event) VALUES (now(), 'compass', 'x')",
    "SET ROLE embsql_owner",
]
ACTS = {"eve": TRAINER, "rita": READER, "adam": ADMIN, "wendy": WORKER}


@pytest.mark.parametrize("who", ACTS)
def test_nothing_of_others_is_changed(shop: House, who: str) -> None:
    """Refused, or done to no effect; a reader is not told either."""
    had_an_effect = []
    with psycopg.connect(shop.as_(who), autocommit=True) as session:
        before = shop.run(None, STATE)
        for act in ACTS[who]:
            answer = attempted(session, act)
            if answer != REFUSED and (who == "rita" or shop.run(None, STATE) != before):
                had_an_effect.append(act)
                before = shop.run(None, STATE)
    assert had_an_effect == []


def attempted(session: psycopg.Connection[Any], act: str) -> str:
    """How one ends who tries: one transaction, whatever it consists of."""
    try:
        return session.execute(act).statusmessage or ""
    except REFUSALS:
        return REFUSED
    finally:
        session.execute("RESET ALL; RESET ROLE; DISCARD TEMP")
