-- What is written into embsql's tables is written by these functions, which run as the owner of the tables. They look
-- who is logged in, and whether he may: nobody else has the right to write there.

-- Who asked for what is done in this transaction: of a worker who asked for its job, else who is logged in.
CREATE OR REPLACE FUNCTION embsql_internal.asker() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT coalesce((
    SELECT job.requested_by
    FROM embsql.jobs AS job
    WHERE job.job_id = CAST(nullif(current_setting('embsql.job', TRUE), '') AS bigint)
        AND job.status = 'running' AND embsql_internal.serves(job.requested_by)
), session_user)
$embsql$;

-- As whom this session writes: who is logged in, or the role of theirs that was SET.
CREATE OR REPLACE FUNCTION embsql_internal.writer() RETURNS text
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT coalesce(nullif(current_setting('role'), 'none'), session_user)
$embsql$;

-- Whether who writes owns embsql, or has its owner's role.
CREATE OR REPLACE FUNCTION embsql_internal.owns() RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT pg_has_role(CAST(embsql_internal.writer() AS name), n.nspowner, 'MEMBER') FROM pg_namespace AS n WHERE n.nspname = 'embsql'
$embsql$;

-- Whether who asked decides what is live and what goes.
CREATE OR REPLACE FUNCTION embsql_internal.decides() RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.has_role(embsql_internal.asker(), 'embsql_admin')
$embsql$;

-- Whether a model is who asked's to train: his own, of a role that he has, new; or he decides.
CREATE OR REPLACE FUNCTION embsql_internal.may_train(model text) RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.decides() OR NOT EXISTS (
    SELECT FROM embsql.models AS m
    WHERE m.model_name = model AND embsql_internal.has_role(embsql_internal.asker(), m.owned_by) IS NOT TRUE
)
$embsql$;

-- Whether this session's user holds the lease under which a run is trained; the owner of embsql needs none.
CREATE OR REPLACE FUNCTION embsql_internal.trains(run bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT EXISTS (
    SELECT FROM embsql.leases AS held
    JOIN embsql.run_records AS r ON r.run_id = held.run_id AND r.model_name = held.model_name
    WHERE held.run_id = run AND held.held_by = session_user
) OR embsql_internal.owns()
$embsql$;

-- Whether a run's rows may be written: by who trains it, or decides.
CREATE OR REPLACE FUNCTION embsql_internal.may_write(run bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.trains(run) OR embsql_internal.decides()
$embsql$;

-- Whether a run may go: who trains removes his own unfinished one, and of his models what has too many newer ones after
-- it.
CREATE OR REPLACE FUNCTION embsql_internal.may_drop(run bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.decides() OR embsql_internal.trains(run) AND EXISTS (
    SELECT FROM embsql.run_records AS r WHERE r.run_id = run AND r.status = 'training'
) OR EXISTS (
    SELECT FROM embsql.run_records AS r
    JOIN embsql.models AS m ON m.model_name = r.model_name
    WHERE r.run_id = run AND r.status <> 'training' AND r.run_id IS DISTINCT FROM m.live_run
        AND embsql_internal.may_train(r.model_name)
        AND m.keep_runs <= (
            SELECT count(*)
            FROM embsql.run_records AS newer
            WHERE newer.model_name = r.model_name AND newer.run_id > r.run_id AND newer.status <> 'training'
                AND (newer.status = 'ready') = (r.status = 'ready') AND newer.run_id IS DISTINCT FROM m.live_run
        )
)
$embsql$;

-- Ends what somebody may not do.
CREATE OR REPLACE FUNCTION embsql_internal.allow(allowed boolean, what text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF allowed IS NOT TRUE THEN
        RAISE insufficient_privilege
        USING MESSAGE = format('permission denied for "%s" to %s', embsql_internal.asker(), what);
    END IF;
END
$embsql$;

-- Ends what is done to a model of somebody else's.
CREATE OR REPLACE FUNCTION embsql_internal.check_model(model text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM embsql_internal.allow(embsql_internal.may_train(model), format(
        'change model "%1$s" of "%2$s". Who owns it, or an admin, lets you: SELECT embsql.set_owner(''%1$s'', ''%3$s'')',
        model, (SELECT m.owned_by FROM embsql.models AS m WHERE m.model_name = model), embsql_internal.asker()
    ));
END
$embsql$;

-- Ends what is done to a run of a model of somebody else's.
CREATE OR REPLACE FUNCTION embsql_internal.check_run(run bigint) RETURNS void
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.check_model(r.model_name) FROM embsql.run_records AS r WHERE r.run_id = run
$embsql$;

-- Gives a model to somebody, or to a role that several have.
CREATE OR REPLACE FUNCTION embsql.set_owner(model text, owner text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM embsql_internal.check_model(model);
    IF NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = owner) THEN
        RAISE EXCEPTION 'embsql: % is no role of this server, so no model can be its own. See: SELECT rolname FROM pg_roles;',
            quote_nullable(owner);
    END IF;
    UPDATE embsql.models AS m SET owned_by = owner WHERE m.model_name = model;
    IF NOT FOUND THEN
        PERFORM embsql_internal.raise_no_run(model);
    END IF;
    INSERT INTO embsql.events (logged_at, model_name, event, detail, done_by)
    VALUES (embsql_internal.utc_now(), model, 'set_owner', owner, embsql_internal.asker());
END
$embsql$;
COMMENT ON FUNCTION embsql.set_owner IS 'Gives a model to a role: its members train it, and change what is made of its runs. For who owns it, or an admin.';

-- Takes a job that waits off the queue, and asks the worker that has it to stop: for who asked for it, who may ask for it
-- too, and who decides. No row for a job that is over.
CREATE OR REPLACE FUNCTION embsql_internal.request_stop(job bigint) RETURNS TABLE (what text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(
    embsql_internal.decides() OR j.requested_by = session_user
    OR embsql_internal.is_training(j.command) AND embsql_internal.may_train(j.model_name),
    format('cancel job %s of "%s"', j.job_id, j.requested_by)
)
FROM embsql.jobs AS j
WHERE j.job_id = job;
UPDATE embsql.jobs AS j
SET cancelled = TRUE,
    status = CASE j.status WHEN 'queued' THEN 'cancelled' ELSE j.status END,
    finished_at = CASE j.status WHEN 'queued' THEN embsql_internal.utc_now() END,
    arguments = CASE WHEN j.status = 'queued' AND (j.command = 'forget' OR j.outlived) THEN '{}' ELSE j.arguments END
WHERE j.job_id = job AND j.status IN ('queued', 'running')
RETURNING CASE j.status WHEN 'cancelled' THEN 'waited' ELSE 'runs' END
$embsql$;

-- Leases.

CREATE OR REPLACE FUNCTION embsql_internal.next_run() RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT nextval('embsql.run_ids')
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.take_lease(
    model text, owner text, run bigint, host text, pid integer, process text
)
RETURNS SETOF boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.check_model(model);
SELECT embsql_internal.allow(
    NOT EXISTS (SELECT FROM embsql.run_records AS r WHERE r.run_id = run), 'train a run that there is'
);
INSERT INTO embsql.leases AS held (
    model_name, owner, run_id, host, pid, process, held_by, cancelled, heartbeat_at, expires_at
)
VALUES (
    model, owner, run, host, pid, process, session_user, FALSE, embsql_internal.utc_now(), embsql_internal.utc_now() + INTERVAL '60 seconds'
)
ON CONFLICT (model_name) DO UPDATE SET
    owner = excluded.owner, run_id = excluded.run_id, host = excluded.host, pid = excluded.pid,
    process = excluded.process, held_by = excluded.held_by, cancelled = FALSE, heartbeat_at = excluded.heartbeat_at,
    expires_at = excluded.expires_at
WHERE held.expires_at < embsql_internal.utc_now()
RETURNING TRUE
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.beat_lease(model text, owner text) RETURNS SETOF boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
UPDATE embsql.leases AS held
SET heartbeat_at = embsql_internal.utc_now(), expires_at = embsql_internal.utc_now() + INTERVAL '60 seconds'
WHERE held.model_name = model AND held.owner = beat_lease.owner AND held.held_by = session_user
RETURNING TRUE
$embsql$;

-- Who finds that a holder is gone can say so of his own processes only; of others' the lease ends after a minute.
CREATE OR REPLACE FUNCTION embsql_internal.release_lease(model text, owner text) RETURNS SETOF boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DELETE FROM embsql.leases AS held
WHERE held.model_name = model AND held.owner = release_lease.owner
    AND (held.held_by = session_user OR embsql_internal.decides())
RETURNING TRUE
$embsql$;

-- What a job that is over keeps of what it was asked with: nothing of whom it was to forget, or who was forgotten
-- meanwhile.
CREATE OR REPLACE FUNCTION embsql_internal.arguments_kept(job embsql.jobs) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT CASE WHEN job.command = 'forget' OR job.outlived THEN '{}' ELSE job.arguments END
$embsql$;

-- Takes a model's jobs off the queue, and asks who trains it, and workers that have a job of it, to stop.
CREATE OR REPLACE FUNCTION embsql_internal.request_cancel(model text) RETURNS TABLE (what text)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.check_model(model);
WITH held AS (
    UPDATE embsql.leases AS held
    SET cancelled = TRUE
    WHERE held.model_name = model AND held.expires_at >= embsql_internal.utc_now()
    RETURNING held.run_id
)
SELECT 'trains' FROM held
UNION ALL
SELECT asked.what
FROM embsql.jobs AS job
CROSS JOIN LATERAL embsql_internal.request_stop(job.job_id) AS asked
WHERE job.model_name = model AND job.status IN ('queued', 'running')
    AND (embsql_internal.is_training(job.command) OR embsql_internal.decides())
$embsql$;

-- A run.

CREATE OR REPLACE FUNCTION embsql_internal.checked_name(model text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF (model ~ '^[a-z][a-z0-9_]{0,39}$') IS NOT TRUE THEN
        RAISE EXCEPTION 'embsql: % is not a model name. A name starts with a lower-case letter and has at most 40 lower-case letters, digits and underscores, for example shop_2026.',
            quote_nullable(model);
    END IF;
    RETURN model;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.ensure_model(model text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides() OR EXISTS (
    SELECT FROM embsql.leases AS held WHERE held.model_name = model AND held.held_by = session_user
), 'make a model that he does not train');
INSERT INTO embsql.models (model_name, live_run, earlier_runs, updated_at, owned_by)
VALUES (embsql_internal.checked_name(model), NULL, '{}', embsql_internal.utc_now(), embsql_internal.asker())
ON CONFLICT (model_name) DO NOTHING
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.set_keep(model text, keep integer) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides() OR EXISTS (
    SELECT FROM embsql.leases AS held WHERE held.model_name = model AND held.held_by = session_user
), 'say how many runs a model keeps that he does not train');
UPDATE embsql.models AS m SET keep_runs = keep WHERE m.model_name = model
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.abandon_runs(model text, run bigint) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(EXISTS (
    SELECT FROM embsql.leases AS held
    WHERE held.model_name = model AND held.run_id = run AND held.held_by = session_user
), 'end the runs of a model that he does not train');
UPDATE embsql.run_records AS r
SET status = 'failed', held = r.held + 1, error = 'the trainer died: its lease expired',
    finished_at = embsql_internal.utc_now()
WHERE r.model_name = model AND r.status = 'training' AND r.run_id <> run
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.begin_run(
    run bigint, model text, algorithm text, params text, source_sql text, seed bigint, versions text
) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.owns() OR EXISTS (
    SELECT FROM embsql.leases AS held
    WHERE held.model_name = model AND held.run_id = run AND held.held_by = session_user
), 'begin a run without its lease');
INSERT INTO embsql.run_records (
    run_id, model_name, algorithm, params, source_sql, seed, status, versions, started_at, made_by
)
VALUES (
    run, model, algorithm, params, source_sql, seed, 'training', versions, embsql_internal.utc_now(), embsql_internal.asker()
)
$embsql$;

-- Changes columns of a run that is trained, and nothing of one that is finished but why its gate refused it. Who decides
-- changes none: what a run remembers of its sources is read again as who made it.
CREATE OR REPLACE FUNCTION embsql_internal.note_run(run bigint, noted jsonb) RETURNS SETOF boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    row embsql.run_records;
BEGIN
    IF embsql_internal.trains(run) IS NOT TRUE THEN
        RETURN; -- the lease is another's
    END IF;
    row := jsonb_populate_record(NULL::embsql.run_records, noted);
    RETURN QUERY UPDATE embsql.run_records AS r
    SET status = coalesce(row.status, r.status),
        held = r.held + 1,
        algorithm = coalesce(row.algorithm, r.algorithm),
        params = coalesce(row.params, r.params),
        source_hash = coalesce(row.source_hash, r.source_hash),
        dim = coalesce(row.dim, r.dim),
        similarity = coalesce(row.similarity, r.similarity),
        users = coalesce(row.users, r.users),
        items = coalesce(row.items, r.items),
        interactions = coalesce(row.interactions, r.interactions),
        checksum = coalesce(row.checksum, r.checksum),
        error = coalesce(row.error, r.error),
        user_col = coalesce(row.user_col, r.user_col),
        item_col = coalesce(row.item_col, r.item_col),
        weight_col = coalesce(row.weight_col, r.weight_col),
        time_col = coalesce(row.time_col, r.time_col),
        newest_event = coalesce(row.newest_event, r.newest_event),
        parent_run = coalesce(row.parent_run, r.parent_run),
        finished_at = CASE WHEN row.status IS NULL THEN r.finished_at ELSE embsql_internal.utc_now() END
    WHERE r.run_id = run AND (r.status = 'training' OR noted - 'error' = '{}')
        AND coalesce(row.status, 'ready') IN ('ready', 'failed', 'cancelled')
    RETURNING TRUE;
END
$embsql$;

-- One row of a table about a run that is trained.
CREATE OR REPLACE FUNCTION embsql_internal.note_row(kind text, noted jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM embsql_internal.allow(
        kind IN ('training_log', 'trials', 'gates') AND embsql_internal.trains(CAST(noted ->> 'run_id' AS bigint)),
        'write about a run that he does not train'
    );
    EXECUTE format('INSERT INTO embsql.%1$I SELECT (jsonb_populate_record(NULL::embsql.%1$I, $1)).*', kind) USING noted;
END
$embsql$;

-- Why a candidate was chosen for a run that is trained, or was not.
CREATE OR REPLACE FUNCTION embsql_internal.judge_trial(run bigint, number integer, is_chosen boolean, why text)
RETURNS SETOF boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
UPDATE embsql.trials AS t
SET chosen = is_chosen, reason = why
WHERE embsql_internal.trains(run) AND t.run_id = run AND t.trial = number
RETURNING TRUE
$embsql$;

-- Which phase a run is in that is trained, and what each has taken. It never waits: who forgets a person may hold the
-- run, and a trainer that waits shows no signs of life.
CREATE OR REPLACE FUNCTION embsql_internal.log_phase(run bigint, phase text, phase_seconds text) RETURNS SETOF boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
UPDATE embsql.run_records AS r
SET phase = log_phase.phase, phase_seconds = log_phase.phase_seconds
WHERE embsql_internal.trains(run) AND r.run_id = (
    SELECT known.run_id FROM embsql.run_records AS known WHERE known.run_id = run FOR UPDATE SKIP LOCKED
)
RETURNING TRUE
$embsql$;

-- Moves what is live, if nobody moved it meanwhile: who decides to any run, who trains to the run that he has finished.
CREATE OR REPLACE FUNCTION embsql_internal.point(model text, live bigint, earlier bigint[], expected bigint) RETURNS SETOF boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF NOT embsql_internal.decides() THEN
        PERFORM embsql_internal.allow(EXISTS (
            SELECT FROM embsql.leases AS held
            JOIN embsql.run_records AS r ON r.run_id = held.run_id
            WHERE held.run_id = live AND held.held_by = session_user
                AND held.model_name = model AND r.model_name = model AND r.status = 'ready'
        ), 'decide what is live');
        SELECT array_remove(array_remove(m.earlier_runs || m.live_run, live), NULL) INTO earlier
        FROM embsql.models AS m
        WHERE m.model_name = model;
    END IF;
    RETURN QUERY UPDATE embsql.models AS m
    SET live_run = live, earlier_runs = earlier, updated_at = embsql_internal.utc_now()
    WHERE m.model_name = model AND m.live_run IS NOT DISTINCT FROM expected
    RETURNING TRUE;
END
$embsql$;

-- When the live run was made so.
CREATE OR REPLACE FUNCTION embsql_internal.mark_promoted(run bigint) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.check_run(run);
UPDATE embsql.run_records AS r
SET promoted_at = embsql_internal.utc_now()
FROM embsql.models AS m
WHERE r.run_id = run AND m.model_name = r.model_name AND m.live_run = run
$embsql$;

-- One line of the audit trail, which is only ever added to: who trains writes down what he did with runs of his models.
CREATE OR REPLACE FUNCTION embsql_internal.log_event(model text, run bigint, event text, detail text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.check_model(model);
SELECT embsql_internal.allow(embsql_internal.decides() OR EXISTS (
    SELECT FROM embsql.run_records AS r
    JOIN embsql.models AS m ON m.model_name = r.model_name
    WHERE r.run_id = run AND r.model_name = model
        AND (event IN ('evaluate', 'cluster', 'project', 'materialize') OR event = 'promote' AND m.live_run = run)
), 'write down ' || event);
INSERT INTO embsql.events (logged_at, model_name, run_id, event, detail, done_by)
VALUES (embsql_internal.utc_now(), model, run, event, detail, embsql_internal.asker())
$embsql$;

-- Keeps others from a finished run while something is made of it; no row once the run is gone.
CREATE OR REPLACE FUNCTION embsql_internal.lock_run(run bigint) RETURNS SETOF boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.check_run(run);
UPDATE embsql.run_records AS r SET held = r.held + 1 WHERE r.run_id = run AND r.status = 'ready' RETURNING TRUE
$embsql$;

-- Keeps others from runs while they are changed.
CREATE OR REPLACE FUNCTION embsql_internal.lock_runs(runs bigint[]) RETURNS SETOF boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.check_run(asked.run) FROM unnest(runs) AS asked (run);
UPDATE embsql.run_records AS r SET held = r.held + 1 WHERE r.run_id = ANY (runs) RETURNING TRUE
$embsql$;

-- Where a model's new events are. For who decides: from then on whoever asks reads that table, and its row-level policies
-- are functions of its owner's.
CREATE OR REPLACE FUNCTION embsql_internal.put_watch(model text, source text, columns jsonb) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides(), 'say what a model watches');
INSERT INTO embsql.watches AS kept (model_name, source_sql, user_col, item_col, weight_col, time_col, watched_at)
VALUES (
    model, source, columns ->> 'user_col', columns ->> 'item_col', columns ->> 'weight_col', columns ->> 'time_col',
    embsql_internal.utc_now()
)
ON CONFLICT (model_name) DO UPDATE SET
    source_sql = excluded.source_sql, user_col = excluded.user_col, item_col = excluded.item_col,
    weight_col = excluded.weight_col, time_col = excluded.time_col, watched_at = excluded.watched_at
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.drop_watch(model text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides(), 'say what a model watches');
DELETE FROM embsql.watches AS kept WHERE kept.model_name = model
$embsql$;

-- Rows that go.

-- All rows of a run in one of the tables that hold its parts; of `run_records` in all of them, so that nothing of a run is left
-- behind where nobody looks for it any more.
CREATE OR REPLACE FUNCTION embsql_internal.drop_rows(kind text, run bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    parts CONSTANT text[] := ARRAY[
        'training_log', 'metrics', 'source_checks', 'trials', 'gates', 'graph_edges', 'fold_in_settings', 'item_gramian', 'item_weights',
        'tower_features', 'tower_layers', 'networks', 'network_layers', 'item_first_times', 'histories', 'clusters',
        'cluster_members', 'maps', 'top_items', 'neighbors', 'forgotten'
    ];
    part text;
BEGIN
    PERFORM embsql_internal.allow( -- no others: the audit trail and leases have a run_id too
        kind = 'run_records' OR kind = ANY (parts), 'drop rows of ' || kind
    );
    IF kind IN ('top_items', 'neighbors') THEN
        PERFORM embsql_internal.check_run(run);
    ELSE
        PERFORM embsql_internal.allow(
            embsql_internal.may_drop(run) OR kind = 'forgotten' AND embsql_internal.may_write(run), 'drop a run'
        );
    END IF;
    IF kind = 'run_records' THEN
        PERFORM embsql_internal.drop_partition(large.kind, run)
        FROM unnest(ARRAY['item_embeddings', 'user_embeddings', 'interactions']) AS large (kind);
        UPDATE embsql.models AS m SET earlier_runs = array_remove(m.earlier_runs, run)
        WHERE embsql_internal.contains(m.earlier_runs, run);
    END IF;
    FOREACH part IN ARRAY CASE kind WHEN 'run_records' THEN parts || kind ELSE ARRAY[kind] END LOOP
        EXECUTE format('DELETE FROM embsql.%I WHERE run_id = $1', part) USING run;
    END LOOP;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.remove_model(model text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides(), 'drop a model');
DELETE FROM embsql.models AS m WHERE m.model_name = model
$embsql$;

-- What is made anew of a finished run: figures on a split, a clustering, a map.
CREATE OR REPLACE FUNCTION embsql_internal.clear_rows(kind text, run bigint, entity text, name text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM embsql_internal.check_run(run);
    IF kind = 'metrics' THEN
        DELETE FROM embsql.metrics AS m WHERE m.run_id = run AND m.split = name;
    ELSIF kind = 'maps' THEN
        DELETE FROM embsql.maps AS m WHERE m.run_id = run AND m.entity_kind = entity AND m.method_name = name;
    ELSIF kind = 'clusters' THEN
        DELETE FROM embsql.clusters AS c
        WHERE c.run_id = run AND c.entity_kind = entity AND c.clustering_name = name;
    ELSIF kind = 'cluster_members' THEN
        DELETE FROM embsql.cluster_members AS c
        WHERE c.run_id = run AND c.entity_kind = entity AND c.clustering_name = name;
    END IF;
END
$embsql$;

-- Rows of people who were forgotten while the rows were made. The run is written into the statement: where it is a
-- parameter, a plan may lock the tables of every run.
CREATE OR REPLACE FUNCTION embsql_internal.delete_orphaned_top_items(kind text, run bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    side text := CASE kind
        WHEN 'top_items' THEN 'TRUE'
        WHEN 'neighbors' THEN 'made.entity = ''user'''
        ELSE 'made.entity_kind = ''user'''
    END;
    id text;
BEGIN
    PERFORM embsql_internal.check_run(run);
    FOREACH id IN ARRAY CASE
        WHEN kind = 'top_items' THEN ARRAY['user_id']
        WHEN kind = 'neighbors' THEN ARRAY['entity_id', 'neighbor_id']
        WHEN kind IN ('cluster_members', 'maps') THEN ARRAY['entity_id']
        ELSE '{}'
    END LOOP
        EXECUTE format(
            'DELETE FROM embsql.%1$I AS made
            WHERE made.run_id = %2$s AND %3$s AND NOT EXISTS (
                SELECT FROM embsql.user_embeddings AS person
                WHERE person.run_id = %2$s AND person.user_id = made.%4$I
            )', kind, run, side, id
        );
    END LOOP;
    IF kind = 'cluster_members' THEN
        UPDATE embsql.clusters AS found SET size = counted.size, radius = counted.radius
        FROM (
            SELECT
                one.clustering_name, one.cluster_id, count(member.entity_id) AS size,
                coalesce(sqrt(avg(member.distance * member.distance)), 0) AS radius
            FROM embsql.clusters AS one
            LEFT JOIN embsql.cluster_members AS member
                ON member.run_id = one.run_id AND member.entity_kind = one.entity_kind
                AND member.clustering_name = one.clustering_name AND member.cluster_id = one.cluster_id
            WHERE one.run_id = run AND one.entity_kind = 'user'
            GROUP BY one.clustering_name, one.cluster_id
        ) AS counted
        WHERE found.run_id = run AND found.entity_kind = 'user' AND found.clustering_name = counted.clustering_name
            AND found.cluster_id = counted.cluster_id AND found.size <> counted.size;
    END IF;
END
$embsql$;

-- Forgetting. Who decides forgets; who trains leaves those out of his run who were forgotten while it was made.

-- Notes a person for every run that has rows, or will have, and has jobs remember that somebody goes.
CREATE OR REPLACE FUNCTION embsql_internal.note_forgotten(salt text, person text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides(), 'forget a person');
INSERT INTO embsql.forgotten (run_id, salt, person)
SELECT r.run_id, note_forgotten.salt, note_forgotten.person
FROM embsql.run_records AS r
WHERE r.status IN ('training', 'ready')
ON CONFLICT (run_id, person) DO NOTHING
$embsql$;

-- Keeps runs that are being made from ending meanwhile, and has jobs remember it.
CREATE OR REPLACE FUNCTION embsql_internal.hold_trainings() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides(), 'forget a person');
UPDATE embsql.jobs AS j SET outlived = TRUE WHERE j.status = 'running' AND j.command <> 'forget';
UPDATE embsql.run_records AS r SET held = r.held + 1 WHERE r.status = 'training'
$embsql$;

-- A person's rows of one kind in some runs; how many went, or were blanked.
CREATE OR REPLACE FUNCTION embsql_internal.forget_rows(kind text, runs bigint[], person text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    gone bigint;
BEGIN
    PERFORM embsql_internal.allow(embsql_internal.decides() OR kind <> 'cohorts' AND NOT EXISTS (
        SELECT FROM unnest(runs) AS asked (run) WHERE NOT embsql_internal.may_write(asked.run)
    ), 'forget a person');
    IF kind = 'cohorts' THEN
        DELETE FROM embsql.cohorts AS c WHERE c.user_id = person;
    ELSIF kind = 'labels' THEN
        UPDATE embsql.clusters AS c SET label = NULL
        WHERE c.run_id = ANY (runs) AND c.entity_kind = 'user' AND c.label = person;
    ELSIF kind = 'examples' THEN
        UPDATE embsql.source_checks AS v SET example = NULL
        WHERE v.run_id = ANY (runs) AND strpos(v.example, person) > 0;
    ELSIF kind = 'neighbors' THEN
        DELETE FROM embsql.neighbors AS n
        WHERE n.run_id = ANY (runs) AND n.entity = 'user' AND (n.entity_id = person OR n.neighbor_id = person);
    ELSIF kind = 'shares' THEN
        UPDATE embsql.clusters AS found SET
            size = found.size - 1,
            radius = coalesce(sqrt(
                greatest(0, found.size * found.radius * found.radius - member.distance * member.distance)
                / nullif(found.size - 1, 0)
            ), 0)
        FROM embsql.cluster_members AS member
        WHERE member.run_id = ANY (runs) AND member.entity_kind = 'user' AND member.entity_id = person
            AND found.run_id = member.run_id AND found.entity_kind = member.entity_kind
            AND found.clustering_name = member.clustering_name AND found.cluster_id = member.cluster_id;
        RETURN 0; -- no row went
    ELSIF kind IN ('cluster_members', 'maps') THEN
        EXECUTE format(
            'DELETE FROM embsql.%I WHERE run_id = ANY ($1) AND entity_kind = ''user'' AND entity_id = $2', kind
        ) USING runs, person;
    ELSIF kind IN ('top_items', 'user_embeddings', 'interactions', 'histories') THEN
        EXECUTE format('DELETE FROM embsql.%I WHERE run_id = ANY ($1) AND user_id = $2', kind) USING runs, person;
    END IF;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$embsql$;

-- A message of an error without a person's id, where it is quoted or called a user's.
CREATE OR REPLACE FUNCTION embsql_internal.message_without(message text, person text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    named text;
    form text;
BEGIN
    FOREACH named IN ARRAY ARRAY[person, replace(person, '''', ''''''), trim('"' FROM CAST(to_json(person) AS text))] LOOP
        FOREACH form IN ARRAY ARRAY['''%s''', '"%s"', '\"%s\"', 'user %s,'] LOOP
            message := replace(message, format(form, named), format(form, 'forgotten'));
        END LOOP;
    END LOOP;
    RETURN message;
END
$embsql$;

-- Whether an id is a whole string of a SELECT; without an id, whether there is any string.
CREATE OR REPLACE FUNCTION embsql_internal.select_names(source text, person text) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT CASE
    WHEN person IS NULL THEN source ~ '[''$]'
    ELSE source ~ format('(^|[^''])''%s''($|[^''])', regexp_replace(replace(person, '''', ''''''), '(\W)', '\\\1', 'g'))
        OR source ~ format('\$(\w*)\$%s\$\1\$', regexp_replace(person, '(\W)', '\\\1', 'g'))
END
$embsql$;

-- Options with a mark, which nothing can run, in place of every SELECT that names a person; all else letter by letter.
CREATE OR REPLACE FUNCTION embsql_internal.options_without(options text, person text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT CASE WHEN bool_or(option.named) THEN '{' || string_agg(
    CAST(to_json(option.key) AS text) || ': ' || CASE WHEN option.named THEN '{"forgotten": true}' ELSE option.value END,
    ', ' ORDER BY option.ordinal
) || '}' ELSE options END
FROM (
    SELECT
        one.key, CAST(one.value AS text) AS value, one.ordinal,
        one.key IN ('user_features', 'item_features', 'graph', 'users', 'labels', 'test')
            AND json_typeof(one.value) = 'string' AND embsql_internal.select_names(one.value #>> '{}', person) AS named
    FROM json_each(embsql_internal.as_object(options)) WITH ORDINALITY AS one (key, value, ordinal)
) AS option
$embsql$;

-- A SELECT, or a mark in its place.
CREATE OR REPLACE FUNCTION embsql_internal.select_without(source text, person text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT CASE
    WHEN embsql_internal.select_names(source, person) THEN '-- a SELECT that named somebody who was forgotten'
    ELSE source
END
$embsql$;

-- What a job was asked with.
CREATE OR REPLACE FUNCTION embsql_internal.arguments_without(arguments text[], person text) RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT ARRAY(
    SELECT embsql_internal.select_without(embsql_internal.options_without(given.word, person), person)
    FROM unnest(arguments) WITH ORDINALITY AS given (word, ordinal)
    ORDER BY given.ordinal
)
$embsql$;

-- Blanks a person's id in what went wrong, and marks SELECTs of jobs that name it; those of a job that is not
-- over are kept until it is. It finds them by itself: who may call it can write nothing of his own there.
CREATE OR REPLACE FUNCTION embsql_internal.forget_in_jobs(person text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides(), 'forget a person');
UPDATE embsql.run_records AS r SET error = embsql_internal.message_without(r.error, person)
WHERE r.error <> embsql_internal.message_without(r.error, person);
UPDATE embsql.gates AS g SET reason = embsql_internal.message_without(g.reason, person)
WHERE g.reason <> embsql_internal.message_without(g.reason, person);
UPDATE embsql.trials AS t SET error = embsql_internal.message_without(t.error, person)
WHERE t.error <> embsql_internal.message_without(t.error, person);
UPDATE embsql.jobs AS j SET
    error = embsql_internal.message_without(j.error, person),
    outlived = j.outlived OR j.status IN ('queued', 'running'),
    arguments = CASE WHEN j.status IN ('queued', 'running') THEN j.arguments ELSE embsql_internal.arguments_without(j.arguments, person) END
WHERE j.error <> embsql_internal.message_without(j.error, person)
    OR j.arguments <> embsql_internal.arguments_without(j.arguments, person)
$embsql$;

-- Whether a run has rows of a person. The run is written into the statement: where it is a parameter, a plan may lock
-- the tables of every run.
CREATE OR REPLACE FUNCTION embsql_internal.holds(run bigint, person text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    found boolean;
BEGIN
    EXECUTE format(
        'SELECT EXISTS (SELECT FROM embsql.user_embeddings AS u WHERE u.run_id = %1$s AND u.user_id = $1)
            OR EXISTS (SELECT FROM embsql.interactions AS i WHERE i.run_id = %1$s AND i.user_id = $1)', run
    ) INTO found USING person;
    RETURN found;
END
$embsql$;

-- Marks SELECTs that name a person as gone, of those among some runs that hold the person or came to nothing.
CREATE OR REPLACE FUNCTION embsql_internal.forget_selects(runs bigint[], person text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides() OR NOT EXISTS (
    SELECT FROM unnest(runs) AS asked (run) WHERE NOT embsql_internal.may_write(asked.run)
), 'forget a person');
UPDATE embsql.run_records AS r SET
    params = embsql_internal.options_without(r.params, person),
    source_sql = embsql_internal.select_without(r.source_sql, person)
WHERE r.run_id = ANY (runs) AND person IS NOT NULL
    AND (r.source_sql <> embsql_internal.select_without(r.source_sql, person) OR r.params <> embsql_internal.options_without(r.params, person))
    AND CASE WHEN r.status IN ('training', 'ready') THEN embsql_internal.holds(r.run_id, person) ELSE TRUE END
$embsql$;

-- Some runs no longer hold a person.
CREATE OR REPLACE FUNCTION embsql_internal.note_cleared(runs bigint[], people text[]) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.allow(embsql_internal.decides(), 'forget a person');
DELETE FROM embsql.forgotten AS f WHERE f.run_id = ANY (runs) AND f.person = ANY (people)
$embsql$;

-- Blanks what runs say that ended, or end, after somebody was forgotten: whoever wrote it does not know whom.
CREATE OR REPLACE FUNCTION embsql_internal.redact(kind text, run bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM embsql_internal.allow(embsql_internal.may_write(run), 'write about a run that he does not train');
    IF kind = 'examples' THEN
        UPDATE embsql.source_checks AS v SET example = NULL
        WHERE v.run_id = run AND v.run_id IN (SELECT gone.run_id FROM embsql.forgotten AS gone);
    ELSIF kind = 'error' THEN
        UPDATE embsql.run_records AS r SET error = 'not kept, since somebody was forgotten meanwhile, whom it may name'
        WHERE r.run_id = run AND r.run_id IN (SELECT gone.run_id FROM embsql.forgotten AS gone);
    END IF;
END
$embsql$;

-- Nothing is left to be done in runs that failed, once they give no examples, and no SELECT is kept that may name who
-- was forgotten meanwhile.
CREATE OR REPLACE FUNCTION embsql_internal.drop_ended() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
UPDATE embsql.source_checks AS v SET example = NULL
WHERE v.example IS NOT NULL AND v.run_id IN (
    SELECT f.run_id
    FROM embsql.forgotten AS f
    JOIN embsql.run_records AS r ON r.run_id = f.run_id AND r.status NOT IN ('training', 'ready')
);
UPDATE embsql.run_records AS r SET
    params = embsql_internal.options_without(r.params, NULL),
    source_sql = embsql_internal.select_without(r.source_sql, NULL)
WHERE r.status NOT IN ('training', 'ready') AND r.run_id IN (SELECT gone.run_id FROM embsql.forgotten AS gone);
DELETE FROM embsql.forgotten AS f
WHERE f.run_id IN (SELECT r.run_id FROM embsql.run_records AS r WHERE r.status NOT IN ('training', 'ready'))
$embsql$;

-- A set of cohorts takes the place of the one of that name, if that was made by who asks, or a role of theirs.
CREATE OR REPLACE FUNCTION embsql_internal.put_cohorts(cohort_set text, users text[], cohorts text[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    made bigint;
BEGIN
    IF coalesce(cardinality(users), 0) <> coalesce(cardinality(cohorts), 0) THEN
        RAISE EXCEPTION 'embsql: % users with % cohorts: give every user one cohort, or NULL to leave them out',
            coalesce(cardinality(users), 0), coalesce(cardinality(cohorts), 0);
    END IF;
    PERFORM embsql_internal.allow(embsql_internal.decides() OR NOT EXISTS (
        SELECT FROM (
            SELECT DISTINCT c.made_by FROM embsql.cohorts AS c WHERE c.cohort_set = put_cohorts.cohort_set
        ) AS there
        WHERE embsql_internal.has_role(embsql_internal.asker(), there.made_by) IS NOT TRUE
    ), format('replace the cohorts "%s" of somebody else', put_cohorts.cohort_set));
    DELETE FROM embsql.cohorts AS c WHERE c.cohort_set = put_cohorts.cohort_set;
    INSERT INTO embsql.cohorts (cohort_set, user_id, cohort, made_by)
    SELECT put_cohorts.cohort_set, pair.person, pair.cohort, embsql_internal.asker()
    FROM unnest(users, cohorts) AS pair (person, cohort)
    WHERE pair.person IS NOT NULL AND pair.cohort IS NOT NULL;
    GET DIAGNOSTICS made = ROW_COUNT;
    RETURN made;
END
$embsql$;

-- Ids become text here, as who calls: a type of the caller's own may have casts.
CREATE OR REPLACE FUNCTION embsql.set_cohorts(cohort_set text, users anycompatiblearray, cohorts text[]) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.put_cohorts(cohort_set, embsql_internal.id_texts(users), cohorts)
$embsql$;
COMMENT ON FUNCTION embsql.set_cohorts IS 'Says who is in which cohort of a set, in place of the set of that name: users and cohorts are two lists side by side. How many rows there are.';

-- A run's large rows: who trains the run may fill its partitions until they are attached, and who decides again. Who was
-- let in for an earlier run of that number is let out.
CREATE OR REPLACE FUNCTION embsql_internal.shut_partition(part text) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    let_in text;
BEGIN
    FOR let_in IN
        SELECT quote_ident(r.rolname)
        FROM pg_class AS c
        CROSS JOIN LATERAL aclexplode(c.relacl) AS entry
        JOIN pg_roles AS r ON r.oid = entry.grantee
        WHERE c.oid = to_regclass(format('embsql_runs.%I', part))
            AND entry.privilege_type = 'INSERT' AND entry.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE INSERT ON embsql_runs.%I FROM %s', part, let_in);
    END LOOP;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.open_partition(kind text, run bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    part text := format('%s_%s', kind, run);
    filled boolean := EXISTS (
        SELECT FROM pg_inherits AS i WHERE i.inhrelid = to_regclass(format('embsql_runs.%I', part))
    ) AND NOT EXISTS (SELECT FROM embsql.leaving AS l WHERE l.part_name = part);
BEGIN
    PERFORM embsql_internal.allow(
        kind IN ('item_embeddings', 'user_embeddings', 'interactions') AND embsql_internal.may_write(run),
        'write a run that he does not train'
    );
    PERFORM embsql_internal.make_partition(kind, run);
    PERFORM embsql_internal.shut_partition(part);
    IF NOT embsql_internal.owns() AND (NOT filled OR embsql_internal.decides()) THEN
        EXECUTE format('GRANT INSERT ON embsql_runs.%I TO %I', part, embsql_internal.writer());
    END IF;
    RETURN part;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.attach_partition(kind text, run bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM embsql_internal.allow(embsql_internal.may_write(run), 'write a run that he does not train');
    PERFORM embsql_internal.shut_partition(format('%s_%s', kind, run));
    PERFORM embsql_internal.join_partition(kind, run);
END
$embsql$;

-- What a run is made of another by: its rows, but for some users, whose rows are then written anew.
CREATE OR REPLACE FUNCTION embsql_internal.copy_rows(kind text, run bigint, parent bigint, users text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    part CONSTANT text := embsql_internal.open_partition(kind, run); -- looks who may
    rest CONSTANT text := CASE kind
        WHEN 'interactions' THEN 'item_id, weight, last_time' ELSE 'embedding, norm, bias, interactions'
    END;
BEGIN
    PERFORM embsql_internal.allow(kind IN ('interactions', 'user_embeddings'), 'copy rows of ' || kind);
    PERFORM embsql_internal.check_run(parent);
    EXECUTE format(
        'INSERT INTO embsql_runs.%1$I (run_id, user_id, %2$s)
        SELECT %3$s, past.user_id, %2$s
        FROM embsql.%4$I AS past
        WHERE past.run_id = %5$s AND NOT EXISTS (SELECT FROM unnest($1) AS gone (id) WHERE gone.id = past.user_id)',
        part, rest, run, kind, parent
    ) USING users;
END
$embsql$;

-- The histories of the other, but for some users.
CREATE OR REPLACE FUNCTION embsql_internal.copy_histories(
    run bigint, parent bigint, users text[]
) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM embsql_internal.allow(
        embsql_internal.may_write(run), 'write a run that he does not train'
    );
    PERFORM embsql_internal.check_run(parent);
    INSERT INTO embsql.histories (run_id, user_id, position, item_id, event_time)
    SELECT run, past.user_id, past.position, past.item_id, past.event_time
    FROM embsql.histories AS past
    WHERE past.run_id = parent AND NOT EXISTS (
        SELECT FROM unnest(users) AS gone (id) WHERE gone.id = past.user_id
    );
END
$embsql$;

-- All items of the other, with how many users each has in the run, whose interactions are there.
CREATE OR REPLACE FUNCTION embsql_internal.copy_items(run bigint, parent bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    part CONSTANT text := embsql_internal.open_partition('item_embeddings', run);
BEGIN
    PERFORM embsql_internal.check_run(parent);
    EXECUTE format(
        'INSERT INTO embsql_runs.%1$I (run_id, item_id, embedding, norm, bias, interactions)
        SELECT %2$s, item.item_id, item.embedding, item.norm, item.bias, coalesce(counted.users, 0)
        FROM embsql.item_embeddings AS item
        LEFT JOIN (
            SELECT pair.item_id, count(*) AS users
            FROM embsql.interactions AS pair
            WHERE pair.run_id = %2$s
            GROUP BY pair.item_id
        ) AS counted ON counted.item_id = item.item_id
        WHERE item.run_id = %3$s',
        part, run, parent
    );
    PERFORM embsql_internal.attach_partition('item_embeddings', run);
END
$embsql$;

-- Bulk rows: COPY goes into a table of its own, which nobody reads, and which this session's user may fill.

-- Where rows for a table are to be sent: the table itself for who owns it, else a new one, in this transaction.
CREATE OR REPLACE FUNCTION embsql_internal.open_stage(kind text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    stage text := format('embsql_runs.%I', 'stage_' || kind || '_' || replace(CAST(gen_random_uuid() AS text), '-', ''));
BEGIN
    IF embsql_internal.owns() THEN
        RETURN format('embsql.%I', kind);
    END IF;
    PERFORM embsql_internal.allow(kind IN (
        'training_log', 'metrics', 'source_checks', 'fold_in_settings', 'item_gramian', 'item_weights', 'graph_edges', 'tower_features',
        'tower_layers', 'networks', 'network_layers', 'item_first_times', 'histories', 'clusters', 'cluster_members', 'maps',
        'top_items', 'neighbors', 'text_vectors'
    ) OR embsql_internal.decides() AND kind IN ('run_records', 'trials', 'gates'), 'write into ' || kind);
    EXECUTE format('CREATE UNLOGGED TABLE %s (LIKE embsql.%I INCLUDING DEFAULTS)', stage, kind);
    EXECUTE format('GRANT INSERT ON %s TO %I', stage, embsql_internal.writer());
    RETURN stage;
END
$embsql$;

-- Takes the rows over: those of a run that its user trains, or what is made of a finished one of his models. Of whom they
-- are no row says: a run that comes from elsewhere was made by nobody here.
CREATE OR REPLACE FUNCTION embsql_internal.close_stage(kind text, stage text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    strange boolean;
BEGIN
    IF stage = format('embsql.%I', kind) THEN
        RETURN; -- they are there
    END IF;
    PERFORM embsql_internal.allow( -- its name says which table's rows it was opened for
        stage ~ ('^embsql_runs\.stage_' || kind || '_[0-9a-f]{32}$'), format('take rows of %s from %s', kind, stage)
    );
    EXECUTE format('REVOKE ALL ON %s FROM %I', stage, embsql_internal.writer());
    EXECUTE format('LOCK TABLE %s', stage); -- whoever still writes into it has ended: what is looked at is what is taken
    IF kind <> 'text_vectors' THEN
        EXECUTE format(
            'SELECT EXISTS (
                SELECT FROM (SELECT DISTINCT run_id FROM %s) AS sent
                LEFT JOIN embsql.run_records AS r
                    ON r.run_id = sent.run_id AND r.status = ''ready'' AND $1
                        AND embsql_internal.may_train(r.model_name)
                WHERE r.run_id IS NULL AND NOT embsql_internal.may_write(sent.run_id)
            )', stage
        ) INTO strange USING kind IN ('metrics', 'clusters', 'cluster_members', 'maps', 'top_items', 'neighbors');
        PERFORM embsql_internal.allow(NOT strange, 'write rows of a run that he does not train');
    END IF;
    IF kind IN ('run_records', 'text_vectors') THEN
        EXECUTE format('UPDATE %s SET made_by = $1', stage)
        USING CASE kind WHEN 'text_vectors' THEN embsql_internal.asker() END;
    END IF;
    EXECUTE format('INSERT INTO embsql.%I SELECT * FROM %s', kind, stage);
    EXECUTE format('DROP TABLE %s', stage);
END
$embsql$;

-- The queue, as a worker sees it. A job is a worker's as long as worker and attempts are what they were when it claimed
-- it: whoever has lost a job changes nothing of it.

CREATE OR REPLACE FUNCTION embsql_internal.claim_job(worker text)
RETURNS TABLE (job_id bigint, command text, model_name text, arguments text[], attempts integer)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
WITH next AS (
    SELECT job.job_id
    FROM embsql.jobs AS job
    WHERE job.status IN ('queued', 'running')
        AND CASE job.status
            WHEN 'queued' THEN job.start_after <= embsql_internal.utc_now()
            ELSE job.heartbeat_at < embsql_internal.utc_now() - INTERVAL '60 seconds'
        END
        AND embsql_internal.serves(job.requested_by)
        AND NOT EXISTS (
            SELECT FROM embsql.jobs AS other
            WHERE other.model_name = job.model_name
                AND other.job_id <> job.job_id
                AND other.status = 'running'
                AND other.command IN ('train', 'refresh', 'evaluate')
                AND job.command IN ('train', 'refresh', 'evaluate')
        )
    ORDER BY job.job_id
    LIMIT 1
    FOR UPDATE OF job SKIP LOCKED
)
UPDATE embsql.jobs AS job
SET status = 'running', worker = claim_job.worker, attempts = job.attempts + 1,
    dedup_key = NULL, -- the same asked for from now on is a new job, and neither stands in the other's way if this one is queued again
    started_at = embsql_internal.utc_now(), heartbeat_at = embsql_internal.utc_now()
FROM next
WHERE job.job_id = next.job_id
RETURNING job.job_id, job.command, job.model_name, job.arguments, job.attempts
$embsql$;

-- What this transaction does is done for who asked for a job. Not this session: behind a pooler the next one in it may
-- do another's.
CREATE OR REPLACE FUNCTION embsql_internal.act_for(job bigint) RETURNS void
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $embsql$
SELECT set_config('embsql.job', CAST(job AS text), TRUE)
$embsql$;

-- Whether who asked may still ask for a command. Rights that were taken away since then count.
CREATE OR REPLACE FUNCTION embsql_internal.check_rights(command text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM embsql_internal.allow(
        embsql_internal.has_role(embsql_internal.asker(), CASE WHEN embsql_internal.is_training(command) THEN 'embsql_trainer' ELSE 'embsql_admin' END),
        'ask for ' || command
    );
END
$embsql$;

-- Changes a job that is a worker's: NULL leaves what there is. Of whom it was to forget, or who
-- was forgotten meanwhile, it keeps nothing in the end.
CREATE OR REPLACE FUNCTION embsql_internal.note_job(
    job bigint, worker text, attempts integer, status text, result text[], error text, wait interval, counts boolean
) RETURNS SETOF boolean
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
UPDATE embsql.jobs AS j
SET status = coalesce(note_job.status, j.status),
    heartbeat_at = CASE WHEN note_job.status IS NULL THEN embsql_internal.utc_now() ELSE j.heartbeat_at END,
    result = coalesce(note_job.result, j.result),
    error = CASE
        WHEN note_job.status IS NULL THEN j.error
        WHEN NOT j.outlived OR note_job.error IS NULL THEN note_job.error
        WHEN note_job.status <> 'queued' THEN 'not kept, since somebody was forgotten meanwhile, whom it may name'
    END,
    attempts = j.attempts - CASE WHEN counts THEN 0 ELSE 1 END,
    start_after = coalesce(embsql_internal.utc_now() + wait, j.start_after),
    finished_at = CASE WHEN note_job.status IN ('done', 'failed', 'cancelled') THEN embsql_internal.utc_now() END,
    arguments = CASE
        WHEN note_job.status IN ('done', 'failed', 'cancelled') THEN embsql_internal.arguments_kept(j)
        ELSE j.arguments
    END
WHERE j.job_id = job AND j.worker = note_job.worker AND j.attempts = note_job.attempts AND j.status = 'running'
    AND embsql_internal.serves(j.requested_by)
RETURNING TRUE
$embsql$;

-- All that a worker has when it is asked to stop goes back, for another to begin at once; that was no attempt.
CREATE OR REPLACE FUNCTION embsql_internal.release_claims(worker text, host text, pid integer, process text)
RETURNS SETOF bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
WITH given AS (
    UPDATE embsql.jobs AS j
    SET status = 'queued', attempts = j.attempts - 1, start_after = embsql_internal.utc_now()
    WHERE j.worker = release_claims.worker AND j.status = 'running' AND embsql_internal.serves(j.requested_by)
    RETURNING j.job_id, j.model_name
), released AS ( -- a training interrupted in the middle of a statement could not do it itself
    DELETE FROM embsql.leases AS held
    USING given
    WHERE held.model_name = given.model_name AND held.host = release_claims.host AND held.pid = release_claims.pid
        AND held.process = release_claims.process AND held.held_by = session_user
)
SELECT given.job_id FROM given CROSS JOIN LATERAL pg_notify('embsql_jobs', CAST(given.job_id AS text))
$embsql$;

-- Takes a job that waits off the queue: who asked for it, or who decides.
CREATE OR REPLACE FUNCTION embsql_internal.give_up(job bigint) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
UPDATE embsql.jobs AS j
SET status = 'cancelled', finished_at = embsql_internal.utc_now(), arguments = embsql_internal.arguments_kept(j)
WHERE j.job_id = job AND j.status = 'queued' AND (j.requested_by = session_user OR embsql_internal.decides())
$embsql$;
