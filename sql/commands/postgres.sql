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

-- Acts at once: which table is meant is found under the caller's search_path, and it is read, so that what is wrong with
-- it is said now.
CREATE OR REPLACE FUNCTION embsql_internal.watch_under(model text, source text, columns jsonb, path text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    run CONSTANT bigint := embsql.live_run(embsql_internal.checked_name(model));
    strange text;
BEGIN
    IF (SELECT r.newest_event FROM embsql.run_records AS r WHERE r.run_id = run) IS NULL THEN
        RAISE EXCEPTION 'embsql: run % of model "%" does not say when its newest event was, by which others would be new: it was trained without times, or by an earlier version. Train it again on a source with event_time (or time_col), with force where nothing else changed',
            run, model;
    END IF;
    SELECT min(known.name) INTO strange
    FROM jsonb_object_keys(columns) AS known (name)
    WHERE known.name NOT IN ('user_col', 'item_col', 'weight_col', 'time_col');
    IF strange IS NOT NULL THEN
        RAISE EXCEPTION 'embsql: watch has no option "%". It has user_col, item_col, weight_col and time_col.', strange;
    END IF;
    IF source IS NULL AND columns <> '{}' THEN
        RAISE EXCEPTION 'embsql: columns of model "%" are named without a source. Name it too: SELECT embsql.watch(%, ''events'', %);',
            model, quote_literal(model), quote_literal(CAST(columns AS text));
    END IF;
    IF source IS NULL THEN
        SELECT kept.source_sql, to_jsonb(kept) INTO source, columns FROM embsql.watches AS kept WHERE kept.model_name = model;
    ELSE
        source := embsql_internal.full_name(source, path);
    END IF;
    IF source IS NULL THEN
        RAISE EXCEPTION 'embsql: model "%" watches no source of new events. Name one: SELECT embsql.watch(%, ''events'');',
            model, quote_literal(model);
    END IF;
    PERFORM embsql_internal.put_watch(model, source, columns);
    PERFORM event.item_id FROM embsql_internal.fresh_events(run) AS event LIMIT 1;
    PERFORM embsql_internal.check_time_unit(run);
    RETURN 'watches ' || source;
END
$embsql$;

-- A table's name with its schema, as it is meant under a search_path. An error for what is no table that others see.
CREATE OR REPLACE FUNCTION embsql_internal.full_name(source text, path text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    own CONSTANT text := current_setting('search_path');
    relation regclass;
    found text;
BEGIN
    BEGIN
        PERFORM set_config('search_path', path, TRUE);
        relation := pg_catalog.to_regclass(source);
    EXCEPTION WHEN syntax_error OR invalid_name OR feature_not_supported OR insufficient_privilege THEN
        NULL; -- a SELECT, or a schema that is not the caller's to see
    END;
    PERFORM pg_catalog.set_config('search_path', own, TRUE);
    SELECT format('%I.%I', n.nspname, c.relname) INTO found
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = relation AND c.relpersistence <> 't';
    IF found IS NULL THEN
        RAISE EXCEPTION 'embsql: % is no table that you and others see. Name the one that new events go to, for example shop.events: a question reads it by an index on its users.',
            quote_literal(source);
    END IF;
    RETURN found;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql.watch(model text, source text DEFAULT NULL, options text DEFAULT '{}') RETURNS text
LANGUAGE sql VOLATILE
RETURN embsql_internal.watch_under(
    model, source, CAST(embsql_internal.checked_options(options) AS jsonb), current_setting('search_path')
);
COMMENT ON FUNCTION embsql.watch IS 'Lets events count that are newer than the live run: source is the name of the table that they go to, options is JSON with the names of its columns, for example {"time_col": "ordered_at"}. Acts at once.';

CREATE OR REPLACE FUNCTION embsql.unwatch(model text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM embsql.newest_run(model);
    PERFORM embsql_internal.drop_watch(model);
    RETURN 'watches nothing';
END
$embsql$;
COMMENT ON FUNCTION embsql.unwatch IS 'Answers about a model from its runs alone again. Acts at once.';

CREATE OR REPLACE FUNCTION embsql.refresh(model text, options text DEFAULT '{}') RETURNS bigint
LANGUAGE sql VOLATILE
RETURN embsql_internal.enqueue('refresh', model, ARRAY[
    embsql_internal.checked_name(model), embsql_internal.checked_options(options)
]);
COMMENT ON FUNCTION embsql.refresh IS 'Makes a run of the live one in which the users of the watched table''s new events are folded in; with {"retrain_after": 0.1} a training, where embsql.freshness says more. The number of the job; its result is run_id, users, new_users, new_items, retrained.';
