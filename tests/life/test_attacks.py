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
    INSERT INTO embsql.runs (
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
            FROM pg_proc AS f WHERE f.pronamespace = 'embsql'::regnamespace),
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
        stage text := embsql.open_stage('{kind}');
    BEGIN
        EXECUTE format('INSERT INTO %s SELECT * FROM embsql.{kind}', stage);
        EXECUTE format('UPDATE %s SET run_id = run_id', stage);
    EXCEPTION WHEN insufficient_privilege THEN
        EXECUTE format('INSERT INTO %s ({columns}) VALUES ({values})', stage);
        PERFORM embsql.close_stage('{kind}', stage);
    END $$
"""

TRAINER = [
    # what is made of somebody else's runs
    f"SELECT embsql.clear_rows('clusters', {LIVE}, 'item', 'default')",
    f"SELECT embsql.clear_rows('cluster_members', {LIVE}, 'item', 'default')",
    f"SELECT embsql.clear_rows('maps', {LIVE}, 'item', 'pca')",
    f"SELECT embsql.clear_rows('metrics', {LIVE}, NULL, split) FROM embsql.metrics",
    f"SELECT embsql.drop_rows('top_items', {LIVE})",
    f"SELECT embsql.drop_rows('neighbors', {LIVE})",
    f"SELECT embsql.delete_orphaned_top_items('top_items', {LIVE})",
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
    "SELECT embsql.leave_training('cluster', 'compass@1', ARRAY['compass'], '{}')",
    # runs, models, leases, jobs of others
    f"SELECT embsql.lock_run({LIVE})",
    f"SELECT embsql.lock_runs(ARRAY[{LIVE}])",
    f"SELECT embsql.lock_runs(ARRAY[NULL, {LIVE}])",
    f"SELECT embsql.drop_rows('runs', {OLD})",
    f"SELECT embsql.drop_rows('runs', {LIVE})",
    f"SELECT embsql.drop_rows('forgotten', {LIVE})",
    "SELECT embsql.take_lease('compass', 'eve', 100000, 'h', 1, NULL)",
    f"SELECT embsql.begin_run({LIVE}, 'compass', 'als', '{{}}', '', 1, '{{}}')",
    "SELECT embsql.begin_run(100000, 'compass', 'als', '{}', '', 1, '{}')",
    f'SELECT embsql.note_run({LIVE}, \'{{"error": "x"}}\')',
    f"SELECT embsql.note_row('gates', jsonb_build_object('run_id', {LIVE}))",
    f"SELECT embsql.open_partition('interactions', {LIVE})",
    f"SELECT embsql.attach_partition('interactions', {LIVE})",
    f"SELECT embsql.build_indexes({LIVE})",
    f"SELECT embsql.redact('error', {LIVE})",
    f"SELECT embsql.forget_rows('interactions', ARRAY[{LIVE}], '1')",
    f"SELECT embsql.point('compass', {OLD}, '{{}}', {LIVE})",
    "SELECT embsql.cancel('compass')",
    "SELECT * FROM embsql.request_cancel('compass')",
    f"SELECT embsql.give_up({JOB})",
    f"SELECT embsql.note_job({JOB}, NULL, 0, 'done', NULL, NULL, NULL, TRUE)",
    "SELECT * FROM embsql.claim_job('eve')",
    "SELECT * FROM embsql.release_claims('eve', 'h', 1, NULL)",
    f"SELECT * FROM embsql.open_sources({JOB})",
    f"SET embsql.job = '1'; SELECT embsql.lock_run({LIVE})",
    "SELECT embsql.set_owner('compass', 'embsql_test_eve')",
    "SELECT embsql.set_cohorts('tribes', ARRAY['1'], ARRAY['b'])",
    f"SELECT embsql.log_event('compass', {LIVE}, 'promote', 'I did')",
    f"SELECT embsql.log_event('compass', {LIVE}, 'evaluate', 'I did')",
    "SELECT embsql.log_event('nothing', 1, 'promote', 'I did')",
    "SELECT embsql.log_event('', NULL, 'forget', '')",
    # no value at all
    f"SELECT embsql.point('compass', NULL, NULL, {LIVE})",
    "SELECT embsql.point(NULL, NULL, NULL, NULL)",
    "SELECT embsql.log_event(NULL, NULL, NULL, NULL)",
    "SELECT embsql.log_event(NULL, 1, 'evaluate', NULL)",
    f"SELECT embsql.drop_rows(NULL, {LIVE})",
    "SELECT embsql.drop_rows('runs', NULL)",
    f"SELECT embsql.clear_rows(NULL, {LIVE}, NULL, NULL)",
    "SELECT embsql.forget_rows('interactions', NULL, '1')",
    f"SELECT embsql.forget_rows(NULL, ARRAY[{LIVE}], '1')",
    "SELECT embsql.note_run(NULL, NULL)",
    "SELECT embsql.note_row('training_log', '{}')",
    "SELECT embsql.note_row(NULL, NULL)",
    "SELECT embsql.open_partition('interactions', NULL)",
    "SELECT embsql.attach_partition(NULL, NULL)",
    "SELECT embsql.close_stage(NULL, NULL)",
    "SELECT embsql.close_stage('events', 'embsql.events')",
    "SELECT embsql.close_stage('models', 'embsql.cohorts')",
    "SELECT embsql.take_lease(NULL, 'x', 1000001, 'h', 1, NULL)",
    "SELECT embsql.ensure_model(NULL)",
    "SELECT embsql.abandon_runs('compass', NULL)",
    "SELECT embsql.leave_training(NULL, NULL, NULL, NULL)",
    "SELECT embsql.set_owner(NULL, NULL)",
    "SELECT embsql.set_owner('compass', NULL)",
    "SELECT embsql.set_cohorts(NULL, NULL, NULL)",
    "SELECT embsql.request_cancel(NULL)",
    # names that hide embsql's
    f"CREATE TEMP TABLE runs AS TABLE embsql.runs; SELECT embsql.drop_rows('runs', {LIVE})",
    "CREATE TEMP TABLE leases AS SELECT 'compass' AS model_name, 'o' AS owner; "
    "SET search_path = pg_temp, embsql;"
    f" SELECT embsql.open_partition('interactions', {LIVE})",
    "CREATE FUNCTION pg_temp.decides() RETURNS boolean LANGUAGE sql RETURN TRUE; "
    "SET search_path = pg_temp;"
    f" SELECT embsql.lock_run({LIVE})",
    "CREATE FUNCTION workshop.same(text, text) RETURNS boolean LANGUAGE sql RETURN TRUE;"
    " CREATE OPERATOR workshop.= (LEFTARG = text, RIGHTARG = text, FUNCTION = workshop.same);"
    " SET search_path = workshop, pg_catalog; SELECT embsql.lock_run(1)",
    "CREATE FUNCTION workshop.format(text, text) RETURNS text LANGUAGE sql "
    "RETURN 'x; DROP TABLE embsql.events';"
    f" SET search_path = workshop, pg_catalog; SELECT embsql.drop_rows('top_items', {LIVE})",
    "CREATE DOMAIN workshop.word AS text; "
    "SELECT embsql.point(CAST('compass' AS workshop.word), NULL, '{}', NULL)",
    # what only the owner does
    "SET ROLE embsql_owner",
    f"SET ROLE embsql_admin; SELECT embsql.lock_run({LIVE})",
    "SET SESSION AUTHORIZATION embsql_owner",
    "GRANT embsql_admin TO embsql_test_eve",
    "ALTER ROLE embsql_test_eve SUPERUSER",
    "REASSIGN OWNED BY embsql_owner TO embsql_test_eve",
    "CREATE VIEW workshop.mine AS TABLE embsql.models; UPDATE workshop.mine SET live_run = NULL",
    "CREATE RULE gone AS ON INSERT TO embsql.events DO INSTEAD NOTHING",
    "CREATE POLICY mine ON embsql.interactions USING (FALSE)",
    "DO $$ BEGIN LOCK TABLE embsql.runs IN ACCESS EXCLUSIVE MODE; END $$",
    "CREATE OR REPLACE FUNCTION embsql.decides() RETURNS boolean LANGUAGE sql RETURN TRUE",
    "CREATE FUNCTION embsql.asker(integer) RETURNS text LANGUAGE sql RETURN 'adam'",
    "ALTER FUNCTION embsql.asker() SECURITY INVOKER",
    "GRANT EXECUTE ON FUNCTION embsql.remove_model TO embsql_test_eve",
    "CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION embsql.stay_local()",
    "SELECT setval('embsql.run_ids', 1)",
    "SELECT embsql.protect(NULL)",
    "SELECT embsql.make_partition('interactions', 1)",
    "SELECT embsql.join_partition('interactions', 1)",
    f"SELECT embsql.shut_partition('interactions_' || {LIVE})",
    "COPY embsql.events FROM PROGRAM 'echo 1'",
]
READER = [
    "TABLE embsql.jobs",
    "TABLE embsql.events",
    "TABLE embsql.leases",
    "SELECT salt, person FROM embsql.forgotten",
    f"SELECT embsql.evaluate('compass'), {LIVE}",
    "SELECT embsql.train('mine', 'SELECT 1 AS user_id, 2 AS item_id')",
    "SELECT embsql.enqueue('train', 'mine', ARRAY['mine', 'x', 'als', '{}'])",
    "SELECT embsql.cancel('compass')",
    "SELECT embsql.asker()",
    "SELECT embsql.next_run()",
    "SELECT embsql.drop_unread()",
    "SELECT embsql.set_cohorts('mine', '{}', '{}')",
    "SELECT embsql.set_owner('compass', 'embsql_reader')",
    "SELECT embsql.open_stage('metrics')",
    "SELECT embsql.oldest_snapshot()",
    "SELECT embsql.follow_run()",
    "CREATE FUNCTION embsql_sources.mine() RETURNS integer LANGUAGE sql RETURN 1",
    "SET ROLE embsql_trainer; SELECT embsql.next_run()",
    "SET embsql.job = '1'; SELECT embsql.log_event('compass', 1, 'evaluate', '')",
]
ADMIN = [
    "SELECT embsql.forget_in_jobs('als')",
    "SELECT embsql.forget_in_jobs('events')",
    "SELECT embsql.forget_in_jobs(NULL)",
    "SELECT embsql.forget_selects(NULL, 'events')",
    f'SELECT embsql.note_run({LIVE}, \'{{"error": "x"}}\')',
    f"SELECT embsql.note_row('training_log', jsonb_build_object('run_id', {LIVE}, 'epoch', 1))",
    "SELECT embsql.begin_run(100000, 'compass', 'als', '{}', '', 1, '{}')",
    "SELECT embsql.drop_rows('events', 1)",
    "DELETE FROM embsql.events",
    f"SELECT * FROM embsql.open_sources({JOB})",
]
WORKER = [
    "UPDATE embsql.jobs SET requested_by = 'embsql_test_adam'",
    f"SELECT * FROM embsql.open_sources({JOB})",
    f"SET embsql.job = '1'; SELECT embsql.note_run({LIVE}, '{{\"error\": \"x\"}}')",
    "SET embsql.job = 'x'; SELECT embsql.remove_model('compass')",
    f"SELECT embsql.note_job({JOB}, 'w', 1, 'done', NULL, NULL, NULL, TRUE)",
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
