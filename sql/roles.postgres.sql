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

-- So that embsql.oldest_snapshot sees how old those of all sessions are; without it tables of removed runs are emptied,
-- and stay while others are connected.
DO $embsql$
BEGIN
    GRANT pg_read_all_stats TO embsql_owner;
EXCEPTION WHEN insufficient_privilege THEN
    NULL;
END
$embsql$;

-- Who has what. The owner of a partitioned table is who may attach a partition to it: the trainer. Of the tables behind
-- runs it takes some at a time, since each is locked: `install --roles` runs this until none is left.
DO $embsql$
DECLARE
    thing record;
BEGIN
    FOR thing IN
        SELECT format('%s embsql.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname) AS name,
            CASE c.relkind WHEN 'p' THEN 'embsql_trainer' ELSE 'embsql_owner' END AS owner
        FROM pg_class AS c
        WHERE c.relnamespace = 'embsql'::regnamespace AND c.relkind IN ('r', 'p', 'S')
            AND NOT EXISTS (
                SELECT FROM pg_depend AS d -- an identity's sequence goes with its table
                WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i'
            )
        UNION ALL
        SELECT format('ROUTINE %s', f.oid::regprocedure), 'embsql_owner'
        FROM pg_proc AS f
        WHERE f.pronamespace = 'embsql'::regnamespace
        UNION ALL
        SELECT 'SCHEMA embsql', 'embsql_owner'
        UNION ALL
        SELECT 'SCHEMA embsql_runs', 'embsql_trainer'
        UNION ALL
        (
            SELECT format('TABLE embsql_runs.%I', c.relname), 'embsql_trainer'
            FROM pg_class AS c
            WHERE c.relnamespace = 'embsql_runs'::regnamespace AND c.relkind = 'r'
                AND c.relowner <> 'embsql_trainer'::regrole
            LIMIT 200
        )
        UNION ALL
        SELECT 'SCHEMA embsql_sources', 'embsql_owner'
    LOOP
        EXECUTE format('ALTER %s OWNER TO %I', thing.name, thing.owner);
    END LOOP;
END
$embsql$;

REVOKE ALL ON SCHEMA embsql, embsql_runs, embsql_sources FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA embsql FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA embsql FROM PUBLIC;

GRANT USAGE ON SCHEMA embsql TO embsql_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA embsql TO embsql_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA embsql TO embsql_reader;

-- What a reader may not: see who trains, who was forgotten, what was asked for and by whom; write; command.
REVOKE ALL ON embsql.leases, embsql.events, embsql.jobs, embsql.forgotten, embsql.leaving FROM embsql_reader;
GRANT SELECT (run_id) ON embsql.forgotten TO embsql_reader; -- whether a run can be read
REVOKE ALL ON FUNCTION
    embsql.open_partition, embsql.attach_partition, embsql.drop_partition, embsql.drop_unread, embsql.oldest_snapshot,
    embsql.build_indexes, embsql.build_index, embsql.forget_statistics,
    embsql.enqueue, embsql.enqueue_under, embsql.leave_job, embsql.leave_training, embsql.guard, embsql.open_sources,
    embsql.drop_sources, embsql.train, embsql.cancel, embsql.evaluate, embsql.promote, embsql.rollback, embsql.drop_run,
    embsql.drop_model, embsql.forget, embsql.cluster, embsql.project, embsql.materialise, embsql.register_embeddings,
    embsql.protect
FROM embsql_reader;

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA embsql TO embsql_trainer;
REVOKE INSERT, UPDATE, DELETE ON embsql.migrations, embsql.surface FROM embsql_trainer;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA embsql TO embsql_trainer;
GRANT EXECUTE ON FUNCTION
    embsql.open_partition, embsql.attach_partition, embsql.drop_partition, embsql.drop_unread, embsql.oldest_snapshot,
    embsql.build_indexes, embsql.build_index, embsql.forget_statistics,
    embsql.enqueue, embsql.enqueue_under, embsql.leave_training, embsql.guard, embsql.open_sources,
    embsql.train, embsql.cancel, embsql.evaluate, embsql.cluster, embsql.project,
    embsql.materialise, embsql.register_embeddings
TO embsql_trainer;
-- Where those who ask for a training leave what reads its sources.
GRANT USAGE, CREATE ON SCHEMA embsql_sources TO embsql_trainer;

GRANT EXECUTE ON FUNCTION
    embsql.leave_job, embsql.promote, embsql.rollback, embsql.drop_run, embsql.drop_model, embsql.forget
TO embsql_admin;

-- Who trains sees everybody, also where embsql.protect was there before the roles.
SELECT embsql.protect(f.sees) FROM embsql.protected_by() AS f (sees) WHERE f.sees IS NOT NULL;
