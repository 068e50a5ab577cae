-- The commands as SQL: each leaves a job for a worker (embsql --db ... worker) and answers with its number. What
-- became of it: SELECT status, result, error FROM embsql.jobs WHERE job_id = ...; a training's epochs are in
-- embsql.training_log() while it runs.

CREATE OR REPLACE FUNCTION embsql_internal.checked_options(options text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF json_typeof(CAST(options AS json)) = 'object' THEN
        RETURN options;
    END IF;
    RAISE invalid_text_representation;
EXCEPTION WHEN invalid_text_representation THEN
    RAISE EXCEPTION 'embsql: options must be a JSON object, for example {"dim": 64}, got %', coalesce(options, 'NULL');
END
$embsql$;

-- An argument that must be there: a job's words hold no NULL.
CREATE OR REPLACE FUNCTION embsql_internal.checked_text(argument text, given text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF given IS NULL THEN
        RAISE EXCEPTION 'embsql: % must be text, got NULL.', argument;
    END IF;
    RETURN given;
END
$embsql$;

-- Of the same thing asked for twice while it waits, both are given the one number. Where it reads sources, it is the same
-- only under the same role and search_path, which say what their names mean and what may be read.
CREATE OR REPLACE FUNCTION embsql_internal.dedup_key(command text, arguments text[], under text) RETURNS text
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT md5(CAST(ARRAY[CAST(session_user AS text), command, under] || arguments AS text))
$embsql$;

-- Leaves a job; who asked is who is logged in, whatever the caller says.
CREATE OR REPLACE FUNCTION embsql_internal.leave_job(
    command text, model text, arguments text[], sources jsonb, under text DEFAULT ''
) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
WITH made AS (
    INSERT INTO embsql.jobs AS job (
        command, model_name, arguments, sources, dedup_key, status, attempts, requested_by, enqueued_at, start_after
    )
    VALUES (
        command, embsql_internal.model_part(model), arguments, sources,
        embsql_internal.dedup_key(command, arguments, under),
        'queued', 0, session_user, embsql_internal.utc_now(), embsql_internal.utc_now()
    )
    ON CONFLICT (dedup_key) WHERE status = 'queued' DO UPDATE SET status = 'queued' -- so that there is a row to return
    RETURNING job.job_id
)
SELECT made.job_id FROM made CROSS JOIN LATERAL pg_notify('embsql_jobs', CAST(made.job_id AS text))
$embsql$;

-- The same for those who train, who may ask for nothing else.
CREATE OR REPLACE FUNCTION embsql_internal.leave_training(
    command text, model text, arguments text[], sources jsonb, under text DEFAULT ''
) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF embsql_internal.is_training(command) IS NOT TRUE THEN
        RAISE insufficient_privilege USING MESSAGE = format('embsql: %s is not for those who train to ask for.', command);
    END IF;
    PERFORM embsql_internal.check_model(embsql_internal.model_part(model));
    RETURN embsql_internal.leave_job(command, model, arguments, sources, under);
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.enqueue_under(command text, model text, arguments text[], path text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    reads CONSTANT text[] := embsql_internal.sources_of(command, arguments);
    under CONSTANT text := CASE WHEN reads = '{}' THEN '' ELSE CAST(ARRAY[CAST(current_user AS text), path] AS text) END;
    asked CONSTANT text := embsql_internal.dedup_key(command, arguments, under);
    sources jsonb;
    waiting bigint;
BEGIN
    SELECT job.job_id INTO waiting FROM embsql.jobs AS job WHERE job.dedup_key = asked AND job.status = 'queued';
    IF waiting IS NOT NULL THEN
        RETURN waiting;
    END IF;
    sources := embsql_internal.guard(reads, path);
    IF embsql_internal.is_training(command) THEN
        RETURN embsql_internal.leave_training(command, model, arguments, sources, under);
    END IF;
    RETURN embsql_internal.leave_job(command, model, arguments, sources, under);
END
$embsql$;

-- What a source's names mean is what they mean to the caller: this one's path is the caller's.
CREATE OR REPLACE FUNCTION embsql_internal.enqueue(command text, model text, arguments text[]) RETURNS bigint
LANGUAGE sql VOLATILE
RETURN embsql_internal.enqueue_under(command, model, arguments, current_setting('search_path'));

CREATE OR REPLACE FUNCTION embsql.train(model text, source text, algorithm text DEFAULT 'als', options text DEFAULT '{}')
RETURNS bigint
LANGUAGE sql VOLATILE
RETURN embsql_internal.enqueue(
    'train', model, ARRAY[
        embsql_internal.checked_name(model), embsql_internal.checked_text('source', source),
        embsql_internal.checked_text('algorithm', algorithm), embsql_internal.checked_options(options)
    ]
);
COMMENT ON FUNCTION embsql.train IS 'Trains a model on a SELECT and makes it live; options is JSON: the algorithm''s options and train''s own, for example {"dim": 64}. The number of the job; its result is run_id, status, why the gate refused.';

CREATE OR REPLACE FUNCTION embsql.evaluate(model text, options text DEFAULT '{}') RETURNS bigint
LANGUAGE sql VOLATILE
RETURN embsql_internal.enqueue('evaluate', model, ARRAY[
    embsql_internal.checked_text('model', model), embsql_internal.checked_options(options)
]);
COMMENT ON FUNCTION embsql.evaluate IS 'Measures a run by training its algorithm on a part of its interactions. The number of the job; its result is the figures as JSON.';

CREATE OR REPLACE FUNCTION embsql.cluster(
    model text, entity text DEFAULT 'item', k double precision DEFAULT NULL, clustering text DEFAULT 'default',
    labels text DEFAULT NULL, options text DEFAULT '{}'
) RETURNS bigint
LANGUAGE sql VOLATILE
RETURN embsql_internal.enqueue('cluster', model, ARRAY[
    embsql_internal.checked_text('model', model), embsql_internal.checked_text('entity', entity),
    coalesce(CAST(k AS text), ''), embsql_internal.checked_text('clustering', clustering),
    coalesce(labels, ''), embsql_internal.checked_options(options)
]);
COMMENT ON FUNCTION embsql.cluster IS 'Groups a run''s items or users, in place of an earlier clustering of that name; k by silhouette unless given, labels a SELECT of entity_id and label; options is JSON, for example {"normalize": false}. The number of the job; its result is run_id, clusters, members, silhouette.';

CREATE OR REPLACE FUNCTION embsql.project(
    model text, entity text DEFAULT 'item', method text DEFAULT 'pca', options text DEFAULT '{}'
) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.enqueue('project', model, ARRAY[
    embsql_internal.checked_text('model', model), embsql_internal.checked_text('entity', entity),
    embsql_internal.checked_text('method', method),
    embsql_internal.checked_options(options)
])
$embsql$;
COMMENT ON FUNCTION embsql.project IS 'Draws a map of a run''s items or users by pca, umap or tsne. The number of the job; its result is run_id, points, the run whose map it was turned onto.';

CREATE OR REPLACE FUNCTION embsql.register_embeddings(
    model text, items text, users text DEFAULT NULL, similarity text DEFAULT 'cosine'
)
RETURNS bigint
LANGUAGE sql VOLATILE
RETURN embsql_internal.enqueue('register_embeddings', model, ARRAY[
    embsql_internal.checked_name(model), embsql_internal.checked_text('items', items), coalesce(users, ''),
    embsql_internal.checked_text('similarity', similarity)
]);
COMMENT ON FUNCTION embsql.register_embeddings IS 'Makes vectors that were made elsewhere a run, as they are: items is a SELECT of item_id and embedding, users one of user_id and embedding. The number of the job; its result is the run_id and its status.';

CREATE OR REPLACE FUNCTION embsql.materialize(
    model text, k double precision DEFAULT 10, users boolean DEFAULT TRUE, items boolean DEFAULT TRUE
)
RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.enqueue('materialize', model, ARRAY[
    embsql_internal.checked_text('model', model), embsql_internal.checked_text('k', CAST(k AS text)),
    embsql_internal.checked_text('users', CAST(users AS text)),
    embsql_internal.checked_text('items', CAST(items AS text))
])
$embsql$;
COMMENT ON FUNCTION embsql.materialize IS 'Writes the k best items of every user into embsql.top_items, and the k nearest of every item into embsql.neighbors, in place of the run''s earlier ones. The number of the job; its result is run_id and how many rows of each.';

CREATE OR REPLACE FUNCTION embsql.promote(model text) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.enqueue('promote', model, ARRAY[embsql_internal.checked_text('model', model)])
$embsql$;
COMMENT ON FUNCTION embsql.promote IS 'Makes a run, for example shop@7, live. The number of the job; its result is the run_id.';

CREATE OR REPLACE FUNCTION embsql.rollback(model text) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.enqueue('rollback', model, ARRAY[embsql_internal.checked_text('model', model)])
$embsql$;
COMMENT ON FUNCTION embsql.rollback IS 'Makes the run live that was live before. The number of the job; its result is the run_id.';

CREATE OR REPLACE FUNCTION embsql.drop_run(model text) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.enqueue('drop_run', model, ARRAY[embsql_internal.checked_text('model', model)])
$embsql$;
COMMENT ON FUNCTION embsql.drop_run IS 'Removes a run, for example shop@7, and all its rows. The number of the job.';

CREATE OR REPLACE FUNCTION embsql.drop_model(model text, if_exists boolean DEFAULT FALSE) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.enqueue('drop_model', model, ARRAY[
    embsql_internal.checked_name(model), embsql_internal.checked_text('if_exists', CAST(if_exists AS text))
])
$embsql$;
COMMENT ON FUNCTION embsql.drop_model IS 'Removes a model with all its runs, the live one too. The number of the job; its result is how many runs there were.';

CREATE OR REPLACE FUNCTION embsql.forget(user_id anycompatible) RETURNS bigint
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.enqueue('forget', NULL, ARRAY[
    embsql_internal.checked_text('user_id', embsql.id_text(user_id))
])
$embsql$;
COMMENT ON FUNCTION embsql.forget IS 'Removes a person from every run. The number of the job; its result is the number of rows that went.';

-- Acts at once: what waits will not begin, what runs is asked to stop.
CREATE OR REPLACE FUNCTION embsql.cancel(model anycompatible) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    word CONSTANT text := CAST(model AS text);
    is_job CONSTANT boolean := word ~ '^[0-9]{1,18}$'; -- which is no model's name
    asked text[];
BEGIN
    IF is_job THEN
        asked := ARRAY(SELECT done.what FROM embsql_internal.request_stop(CAST(word AS bigint)) AS done);
    ELSE
        asked := ARRAY(SELECT done.what FROM embsql_internal.request_cancel(word) AS done);
    END IF;
    IF asked && ARRAY['trains', 'runs'] THEN
        RETURN 'asked to stop';
    ELSIF 'waited' = ANY (asked) THEN
        RETURN 'cancelled';
    ELSIF is_job THEN
        RAISE EXCEPTION 'embsql: job % neither waits nor runs, so there is nothing to cancel. See: SELECT job_id, command, status FROM embsql.jobs;',
            word;
    END IF;
    RAISE EXCEPTION 'embsql: model "%" is not being trained, so there is nothing to cancel.', word;
END
$embsql$;
COMMENT ON FUNCTION embsql.cancel IS 'Takes the jobs of a model, or the job of a number, off the queue, and asks who trains the model or does the job to stop, which they do within a few seconds.';
