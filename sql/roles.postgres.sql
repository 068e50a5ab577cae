-- Roles that cannot log in; grant them to those who can. embsql_owner has the tables and functions, embsql_trainer
-- writes runs (and may do all that a reader may), embsql_admin also decides what is live and what goes, embsql_reader
-- asks. embsql_worker does what all of them ask for. Running this again changes nothing.

DO $embsql$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY[
        'embsql_owner', 'embsql_worker', 'embsql_admin', 'embsql_trainer', 'embsql_reader'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
END
$embsql$;

DO $embsql$
BEGIN
    IF NOT pg_has_role('embsql_admin', 'embsql_reader', 'MEMBER') THEN -- who may not grant roles may still install
        GRANT embsql_reader TO embsql_trainer;
        GRANT embsql_trainer TO embsql_admin;
    END IF;
    IF NOT pg_has_role('embsql_worker', 'embsql_admin', 'MEMBER') THEN
        GRANT embsql_admin TO embsql_worker;
    END IF;
END
$embsql$;

-- So that embsql_internal.oldest_snapshot sees how old those of all sessions are; without it tables of removed runs are
-- emptied, and stay while others are connected.
DO $embsql$
BEGIN
    GRANT pg_read_all_stats TO embsql_owner;
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END
$embsql$;

-- Who has what: the owner everything. What others write they write through functions that run as the owner. Of the
-- tables behind runs it takes some at a time, since each is locked: `install --roles` runs this until none is left.
DO $embsql$
DECLARE
    thing record;
BEGIN
    FOR thing IN
        SELECT format('%s embsql.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname) AS name,
            'embsql_owner' AS owner
        FROM pg_class AS c
        WHERE c.relnamespace = 'embsql'::regnamespace AND c.relkind IN ('r', 'p', 'S', 'v')
            AND NOT EXISTS (
                SELECT FROM pg_depend AS d -- an identity's sequence goes with its table
                WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i'
            )
        UNION ALL
        SELECT format('ROUTINE %s', f.oid::regprocedure), 'embsql_owner'
        FROM pg_proc AS f
        WHERE f.pronamespace IN ('embsql'::regnamespace, 'embsql_internal'::regnamespace)
        UNION ALL
        SELECT 'SCHEMA embsql', 'embsql_owner'
        UNION ALL
        SELECT 'SCHEMA embsql_internal', 'embsql_owner'
        UNION ALL
        SELECT 'SCHEMA embsql_runs', 'embsql_owner'
        UNION ALL
        (
            SELECT format('TABLE embsql_runs.%I', c.relname), 'embsql_owner'
            FROM pg_class AS c
            WHERE c.relnamespace = 'embsql_runs'::regnamespace AND c.relkind = 'r'
                AND c.relowner <> 'embsql_owner'::regrole
            LIMIT 200
        )
        UNION ALL
        SELECT 'SCHEMA embsql_sources', 'embsql_owner'
    LOOP
        EXECUTE format('ALTER %s OWNER TO %I', thing.name, thing.owner);
    END LOOP;
END
$embsql$;

REVOKE ALL ON SCHEMA embsql, embsql_internal, embsql_runs, embsql_sources FROM PUBLIC, embsql_trainer;
REVOKE ALL ON ALL TABLES IN SCHEMA embsql FROM PUBLIC, embsql_trainer;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA embsql FROM PUBLIC, embsql_trainer;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA embsql, embsql_internal FROM PUBLIC, embsql_trainer, embsql_admin;

GRANT USAGE ON SCHEMA embsql, embsql_internal TO embsql_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA embsql TO embsql_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA embsql, embsql_internal TO embsql_reader;

-- What a reader may not: see who trains, who was forgotten, what was asked for and by whom; write; command.
REVOKE ALL ON embsql.leases, embsql.events, embsql.jobs, embsql.forgotten, embsql.leaving FROM embsql_reader;
GRANT SELECT (run_id) ON embsql.forgotten TO embsql_reader; -- whether a run can be read
REVOKE ALL ON FUNCTION
    embsql_internal.open_partition, embsql_internal.attach_partition, embsql_internal.make_partition,
    embsql_internal.join_partition, embsql_internal.drop_partition, embsql.build_indexes, embsql_internal.build_index,
    embsql_internal.enqueue, embsql.train, embsql.cancel, embsql.evaluate, embsql.promote, embsql.rollback,
    embsql.drop_run, embsql.drop_model, embsql.forget, embsql.cluster, embsql.project, embsql.materialize,
    embsql.register_embeddings, embsql.set_cohorts, embsql.set_owner, embsql.protect, embsql.watch, embsql.unwatch,
    embsql_internal.watch_under, embsql.refresh
FROM embsql_reader;
DO $embsql$
DECLARE
    f regprocedure;
BEGIN
    FOR f IN
        SELECT p.oid FROM pg_proc AS p
        WHERE p.pronamespace IN ('embsql'::regnamespace, 'embsql_internal'::regnamespace)
            AND (p.prosecdef OR p.proname = 'train_here')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM embsql_reader', f);
    END LOOP;
    FOR f IN SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = 'embsql'::regnamespace AND p.proname = 'train_here' LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO embsql_trainer', f);
    END LOOP;
END
$embsql$;

GRANT SELECT ON ALL TABLES IN SCHEMA embsql TO embsql_trainer;
GRANT EXECUTE ON FUNCTION
    -- what is asked for
    embsql_internal.enqueue, embsql_internal.leave_training, embsql.train, embsql.cancel, embsql.evaluate,
    embsql.cluster, embsql.project, embsql.materialize, embsql.register_embeddings, embsql_internal.give_up,
    embsql_internal.request_cancel, embsql_internal.request_stop, embsql.set_cohorts, embsql_internal.put_cohorts,
    embsql.set_owner, embsql.refresh,
    -- how it is done
    embsql_internal.asker, embsql_internal.next_run, embsql_internal.take_lease, embsql_internal.beat_lease,
    embsql_internal.release_lease, embsql_internal.ensure_model, embsql_internal.set_keep,
    embsql_internal.abandon_runs,
    embsql_internal.begin_run, embsql_internal.note_run, embsql_internal.note_row, embsql_internal.log_phase,
    embsql_internal.judge_trial,
    embsql_internal.open_partition, embsql_internal.attach_partition, embsql_internal.copy_rows,
    embsql_internal.copy_items, embsql_internal.copy_histories, embsql.build_indexes,
    embsql_internal.open_stage, embsql_internal.close_stage,
    embsql_internal.point, embsql_internal.mark_promoted, embsql_internal.log_event,
    embsql_internal.lock_run, embsql_internal.lock_runs, embsql_internal.clear_rows, embsql_internal.drop_rows,
    embsql_internal.drop_unread, embsql_internal.delete_orphaned_top_items, embsql_internal.forget_rows,
    embsql_internal.forget_selects, embsql_internal.redact, embsql_internal.drop_ended,
    -- what a worker does, for itself or, as embsql_worker, for all
    embsql_internal.claim_job, embsql_internal.note_job, embsql_internal.release_claims, embsql_internal.open_sources
TO embsql_trainer;
-- Where runs are written and, by those who ask for a training, what reads its sources.
GRANT USAGE ON SCHEMA embsql_runs TO embsql_trainer;
GRANT USAGE, CREATE ON SCHEMA embsql_sources TO embsql_trainer;

GRANT EXECUTE ON FUNCTION
    embsql.watch, embsql_internal.watch_under, embsql_internal.put_watch, embsql.unwatch, embsql_internal.drop_watch,
    embsql_internal.leave_job, embsql.promote, embsql.rollback, embsql.drop_run, embsql.drop_model, embsql.forget,
    embsql_internal.remove_model, embsql_internal.hold_trainings, embsql_internal.note_forgotten,
    embsql_internal.note_cleared, embsql_internal.forget_in_jobs, embsql_internal.forget_statistics
TO embsql_admin;

-- Who trains sees everybody, also where embsql.protect was there before the roles.
SELECT embsql.protect(f.sees) FROM embsql.protected_by() AS f (sees) WHERE f.sees IS NOT NULL;
