-- What PostgreSQL says in its own way: a run's large rows are partitions, and commands wait in a queue.

-- damages: what was installed and no longer finds what it stands on; installing again mends it
SELECT 'schema embsql_runs is gone' AS reason
WHERE to_regnamespace('embsql_runs') IS NULL
UNION ALL
SELECT 'pgvector has moved to schema ' || quote_ident(home.nspname)
FROM pg_proc AS f
JOIN pg_extension AS extension ON extension.extname = 'vector'
JOIN pg_namespace AS home ON home.oid = extension.extnamespace
WHERE f.pronamespace = to_regnamespace('embsql') AND f.proname = 'live_run'
    AND NOT 'search_path=pg_catalog, ' || quote_ident(home.nspname) || ', pg_temp' = ANY (f.proconfig)

-- lost: what no answer needs and a dump may leave behind; installing again makes it anew
SELECT 'schema embsql_sources is gone' AS reason WHERE to_regnamespace('embsql_sources') IS NULL

-- has_ml: whether the schema ml has embsql's functions
SELECT 1 AS found
FROM pg_proc AS f
JOIN pg_namespace AS home ON home.oid = f.pronamespace
WHERE home.nspname = 'ml' AND f.proname = 'training_info'
    AND starts_with(obj_description(f.oid, 'pg_proc'), 'training_info(model text)')

-- not_handed_over: tables behind runs that `install --roles` has still to give to those who train
SELECT c.relname AS name
FROM pg_class AS c
WHERE c.relnamespace = 'embsql_runs'::regnamespace AND c.relkind = 'r' AND c.relowner <> 'embsql_trainer'::regrole

-- drop_item_embeddings: part of dropping a run
SELECT embsql.drop_partition('item_embeddings', $run_id)

-- drop_user_embeddings: part of dropping a run
SELECT embsql.drop_partition('user_embeddings', $run_id)

-- drop_interactions: part of dropping a run
SELECT embsql.drop_partition('interactions', $run_id)

-- drop_unread: partitions of runs that are gone, as soon as nobody can read them
SELECT embsql.drop_unread()

-- forget_statistics: a person among the values that the server has noted of tables
SELECT embsql.forget_statistics(CAST($runs AS bigint[]), $user_id)

-- request_cancel: takes a model's jobs off the queue, and asks its trainer to stop
WITH waiting AS (
    UPDATE embsql.jobs AS job
    SET status = 'cancelled', finished_at = embsql.utc_now()
    WHERE job.model_name = $model_name AND job.status = 'queued'
    RETURNING job.job_id
), held AS (
    UPDATE embsql.leases AS held
    SET cancelled = TRUE
    WHERE held.model_name = $model_name AND held.expires_at >= embsql.utc_now()
    RETURNING held.run_id
)
SELECT waiting.job_id FROM waiting UNION ALL SELECT held.run_id FROM held

-- hold_trainings: keeps runs that are being made from ending meanwhile, and has jobs remember it
WITH heard AS (
    UPDATE embsql.jobs SET outlived = TRUE WHERE status = 'running' AND command <> 'forget'
)
UPDATE embsql.runs SET held = held + 1 WHERE status = 'training'

-- forget_words_jobs: where a job names a person; the words of one that is not over are kept until it is
UPDATE embsql.jobs SET
    error = replace(error, $named, $blank),
    outlived = outlived OR status IN ('queued', 'running'),
    words = CASE WHEN status IN ('queued', 'running') THEN words ELSE ARRAY(
        SELECT replace(given.word, $named, $blank)
        FROM unnest(words) WITH ORDINALITY AS given (word, place)
        ORDER BY given.place
    ) END
WHERE strpos(concat(error, array_to_string(words, ' ')), $named) > 0
