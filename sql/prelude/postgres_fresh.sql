-- What happened since a run was trained, read where it stands: in the table that embsql.watch was given, with the rights
-- of who asks (docs/decisions/0040). One model's table that is gone, or that somebody may not read, is an error of
-- questions about that model alone.

-- The table that a model watches, if who asks may read it; else an error.
CREATE OR REPLACE FUNCTION embsql_internal.watched_table(model text, source text) RETURNS regclass
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    relation regclass;
    kind "char";
    owner oid;
BEGIN
    relation := to_regclass(source);
    IF relation IS NULL THEN
        RAISE EXCEPTION 'embsql: table % is gone, where the new events of model "%" are. Name another: SELECT embsql.watch(%, ''orders''); or none: SELECT embsql.unwatch(%);',
            source, model, quote_literal(model), quote_literal(model);
    END IF;
    SELECT c.relkind, c.relowner INTO kind, owner FROM pg_class AS c WHERE c.oid = relation;
    IF kind NOT IN ('r', 'p', 'm', 'f') AND NOT (kind = 'v' AND EXISTS (
        -- a view's functions run as who reads it: its owner must be one whose functions everybody runs here anyway
        SELECT FROM pg_roles AS r
        JOIN pg_namespace AS home ON home.nspname = 'embsql'
        WHERE r.oid = owner AND (r.rolsuper OR r.oid = home.nspowner)
    )) THEN
        RAISE EXCEPTION 'embsql: % is no table, and model "%" watches one: a view could run functions of its owner''s as whoever asks. Name a table or a materialized view, or give the view to the owner of embsql.',
            source, model;
    END IF;
    RETURN relation;
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM embsql_internal.refuse_reading(model, source, split_part(source, '.', 1), 'USAGE ON SCHEMA');
END
$embsql$;

-- Ends a question of who may not read what a model watches.
CREATE OR REPLACE FUNCTION embsql_internal.refuse_reading(model text, source text, thing text, privilege text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    RAISE EXCEPTION 'embsql: "%" may not read table %, where the new events of model "%" are. Let them: GRANT % % TO %;',
        current_user, source, model, privilege, thing, quote_ident(current_user);
END
$embsql$;

-- Ends a question of who may not select from what a run's model watches.
CREATE OR REPLACE FUNCTION embsql_internal.refuse_selecting(run bigint) RETURNS void
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.refuse_reading(kept.model_name, kept.source_sql, kept.source_sql, 'SELECT ON')
FROM embsql.run_records AS r
JOIN embsql.watches AS kept ON kept.model_name = r.model_name
WHERE r.run_id = run
$embsql$;

-- A column of a watched table: what it is called there, and its type. One that must be there and is not is an error.
-- Planned once: at each of a question's columns that would be most of its time.
CREATE OR REPLACE FUNCTION embsql_internal.watched_column(
    model text, relation regclass, wanted text, standard text, needed boolean, OUT name text, OUT type regtype
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
AS $embsql$
BEGIN
    SELECT a.attname, a.atttypid INTO name, type
    FROM pg_attribute AS a
    WHERE a.attrelid = relation AND a.attname = coalesce(wanted, standard) AND a.attnum > 0 AND NOT a.attisdropped;
    IF name IS NULL THEN
        SELECT a.attname, a.atttypid INTO name, type
        FROM pg_attribute AS a
        WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
            AND lower(a.attname) = lower(coalesce(wanted, standard))
        LIMIT 1;
    END IF;
    IF name IS NULL AND (needed OR wanted IS NOT NULL) THEN
        RAISE EXCEPTION 'embsql: table %, where the new events of model "%" are, has no column "%". Name the one that is meant: SELECT embsql.watch(%, %, ''{"%": "..."}'');',
            relation, model, coalesce(wanted, standard), quote_literal(model), quote_literal(CAST(relation AS text)),
            CASE standard WHEN 'event_time' THEN 'time' ELSE replace(standard, '_id', '') END || '_col';
    END IF;
END
$embsql$;

-- An error for ids of a type whose casts are somebody's functions: they would run as whoever asks.
CREATE OR REPLACE FUNCTION embsql_internal.check_id_type(model text, name text, type regtype) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF type NOT IN ( -- asked at every question
        'text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'smallint'::regtype, 'integer'::regtype,
        'bigint'::regtype, 'uuid'::regtype
    ) AND type <> CAST(embsql_internal.plain_type(type) AS regtype) THEN
        RAISE EXCEPTION 'embsql: column "%", the ids of new events of model "%", is of type %, which is none of PostgreSQL''s own. Watch a table that has it as text.',
            name, model, type;
    END IF;
END
$embsql$;

-- The condition on an id, $1, of a type: as itself where each value has one text, so that an index serves it.
CREATE OR REPLACE FUNCTION embsql_internal.id_condition(name text, type regtype) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT format(
    CASE
        WHEN type IN ('text'::regtype, 'varchar'::regtype) THEN 'given.%I = $1'
        WHEN type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype)
        THEN 'given.%I = CASE WHEN $1 ~ ''^(0|-?[1-9][0-9]{0,18})$'' THEN CASE
            WHEN CAST($1 AS numeric) BETWEEN -9223372036854775808 AND 9223372036854775807 THEN CAST($1 AS bigint)
        END END'
        WHEN type = 'uuid'::regtype
        THEN 'given.%I = CASE WHEN $1 ~ ''^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'' THEN CAST($1 AS uuid) END'
        ELSE 'embsql.id_text(given.%I) = $1'
    END, name
)
$embsql$;

-- A column of times as microseconds since 1970, or as the order that whole numbers are. Of another type an error.
CREATE OR REPLACE FUNCTION embsql_internal.time_expression(model text, name text, type regtype) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN
        RETURN format('CAST(given.%I AS bigint)', name);
    ELSIF type IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype) THEN
        RETURN format('CAST(extract(epoch FROM given.%I) * 1000000 AS bigint)', name);
    END IF;
    RAISE EXCEPTION 'embsql: column "%", by which model "%" knows new events, is of type %. It must be a date, a timestamp, or a whole number that puts events in order.',
        name, model, type;
END
$embsql$;

-- A column of weights as a number; without one every event counts 1. Of another type an error.
CREATE OR REPLACE FUNCTION embsql_internal.weight_expression(model text, name text, type regtype) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF name IS NULL THEN
        RETURN 'CAST(1 AS double precision)';
    ELSIF type = 'boolean'::regtype THEN
        RETURN format('CAST(CAST(given.%I AS integer) AS double precision)', name);
    ELSIF type IN (
        'smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'real'::regtype, 'double precision'::regtype,
        'numeric'::regtype
    ) THEN
        RETURN format('CAST(given.%I AS double precision)', name);
    END IF;
    RAISE EXCEPTION 'embsql: column "%", the weights of new events of model "%", is of type %. It must be a number.',
        name, model, type;
END
$embsql$;

-- The condition that an event is newer than a run, and has come: on the column itself, so that an index serves it.
CREATE OR REPLACE FUNCTION embsql_internal.newer_condition(name text, type regtype, newest bigint) RETURNS text
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT CASE
    WHEN type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN format('given.%I > %s', name, newest)
    WHEN type = 'timestamptz'::regtype THEN format(
        'given.%1$I > TIMESTAMPTZ %2$L AND given.%1$I <= clock_timestamp()', name,
        TIMESTAMPTZ 'epoch' + newest * INTERVAL '1 microsecond'
    )
    ELSE format(
        'given.%1$I > TIMESTAMP %2$L AND given.%1$I <= clock_timestamp() AT TIME ZONE ''UTC''', name,
        TIMESTAMP 'epoch' + newest * INTERVAL '1 microsecond'
    )
END
$embsql$;

-- The SELECT of the rows with two ids and a weight that a run's model watches and the run has not seen, of all users or
-- of $1; NULL where nothing is watched.
CREATE OR REPLACE FUNCTION embsql_internal.newer_query(run bigint, of_one boolean) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
AS $embsql$
DECLARE
    kept record;
    relation regclass;
    person record;
    item record;
    amount record;
    moment record;
BEGIN
    SELECT w.*, r.newest_event INTO kept
    FROM embsql.run_records AS r
    JOIN embsql.watches AS w ON w.model_name = r.model_name
    WHERE r.run_id = run AND r.newest_event IS NOT NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    relation := embsql_internal.watched_table(kept.model_name, kept.source_sql);
    person := embsql_internal.watched_column(kept.model_name, relation, kept.user_col, 'user_id', TRUE);
    item := embsql_internal.watched_column(kept.model_name, relation, kept.item_col, 'item_id', TRUE);
    IF person.name = item.name THEN
        RAISE EXCEPTION 'embsql: column "%" of table % cannot be both the users and the items of new events of model "%". Name another as item_col.',
            item.name, relation, kept.model_name;
    END IF;
    PERFORM embsql_internal.check_id_type(kept.model_name, id.name, id.type)
    FROM (VALUES (person.name, person.type), (item.name, item.type)) AS id (name, type);
    amount := embsql_internal.watched_column(kept.model_name, relation, kept.weight_col, 'weight', FALSE);
    moment := embsql_internal.watched_column(kept.model_name, relation, kept.time_col, 'event_time', TRUE);
    RETURN format(
        'SELECT known.* FROM (
            SELECT nullif(embsql.id_text(given.%I), %L) AS user_id, nullif(embsql.id_text(given.%I), %L) AS item_id,
                %s AS weight, %s AS event_time
            FROM %s AS given
            WHERE %s AND %s
        ) AS known
        WHERE known.user_id IS NOT NULL AND known.item_id IS NOT NULL',
        person.name, '', item.name, '',
        embsql_internal.weight_expression(kept.model_name, amount.name, amount.type),
        embsql_internal.time_expression(kept.model_name, moment.name, moment.type), relation,
        embsql_internal.newer_condition(moment.name, moment.type, kept.newest_event),
        CASE WHEN of_one THEN embsql_internal.id_condition(person.name, person.type) ELSE 'TRUE' END
    );
END
$embsql$;

-- The SELECT of the events among those rows: without weights that training refuses, which are not finite, or negative
-- and no ratings, and as there a weight of zero is no event, and may be a rating.
CREATE OR REPLACE FUNCTION embsql_internal.fresh_query(run bigint, of_one boolean) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    query CONSTANT text := embsql_internal.newer_query(run, of_one);
BEGIN
    RETURN 'SELECT known.* FROM (' || query || ') AS known WHERE '
        || CASE
            WHEN embsql_internal.is_rated(run) THEN 'abs(known.weight) <= 3.4028234e38' -- NaN is greater
            ELSE 'known.weight BETWEEN 1e-37 AND 3.4028234e38'
        END;
END
$embsql$;

-- The events that a run has not seen, of all users or of one.
CREATE OR REPLACE FUNCTION embsql_internal.fresh_events(run bigint, person text DEFAULT NULL)
RETURNS TABLE (user_id text, item_id text, weight double precision, event_time bigint)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    query CONSTANT text := embsql_internal.fresh_query(run, person IS NOT NULL);
BEGIN
    IF query IS NOT NULL THEN
        RETURN QUERY EXECUTE query USING person;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM embsql_internal.refuse_selecting(run);
END
$embsql$;

-- An error where the newest time of what a run's model watches counts in another unit than the run's: all events would
-- be new, or none. Units differ by a thousand or more, and a time since 1970 is large in each; small numbers may be any
-- order.
CREATE OR REPLACE FUNCTION embsql_internal.check_time_unit(run bigint) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    kept record;
    relation regclass;
    moment record;
    found bigint;
    larger bigint;
BEGIN
    SELECT w.*, r.newest_event INTO kept
    FROM embsql.run_records AS r
    JOIN embsql.watches AS w ON w.model_name = r.model_name
    WHERE r.run_id = run;
    relation := embsql_internal.watched_table(kept.model_name, kept.source_sql);
    moment := embsql_internal.watched_column(kept.model_name, relation, kept.time_col, 'event_time', TRUE);
    EXECUTE format(
        'SELECT %s FROM %s AS given WHERE %s ORDER BY given.%I DESC LIMIT 1',
        embsql_internal.time_expression(kept.model_name, moment.name, moment.type), relation,
        embsql_internal.come_condition(moment.name, moment.type), moment.name
    ) INTO found;
    larger := greatest(abs(found), abs(kept.newest_event));
    IF found IS NOT NULL AND larger >= 100000000 AND larger / 300 > least(abs(found), abs(kept.newest_event)) THEN
        RAISE EXCEPTION 'embsql: the newest time of what model "%" is to watch is %, and of what its run % was trained on %: their units differ, so all events would be new, or none. A timestamp is read as microseconds since 1970. Watch a table that has them as training read them, for example in a column GENERATED ALWAYS AS (...) STORED, or train the model on this one.',
            kept.model_name, found, run, kept.newest_event;
    END IF;
END
$embsql$;

-- The condition that a time is there and has come, on the column itself.
CREATE OR REPLACE FUNCTION embsql_internal.come_condition(name text, type regtype) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT CASE
    WHEN type IN ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype) THEN format('given.%I IS NOT NULL', name)
    WHEN type = 'timestamptz'::regtype
    THEN format('given.%1$I > ''-infinity'' AND given.%1$I <= clock_timestamp()', name)
    ELSE format('given.%1$I > ''-infinity'' AND given.%1$I <= clock_timestamp() AT TIME ZONE ''UTC''', name)
END
$embsql$;

-- How many rows that a run has not seen count for nothing, since training would refuse their weights.
CREATE OR REPLACE FUNCTION embsql_internal.refused_events(run bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    query CONSTANT text := embsql_internal.newer_query(run, FALSE);
    found bigint := 0;
BEGIN
    IF query IS NOT NULL THEN
        EXECUTE 'SELECT count(*) FROM (' || query || ') AS known WHERE '
            || CASE
                WHEN embsql_internal.is_rated(run) THEN 'abs(known.weight) <= 3.4028234e38 IS NOT TRUE'
                ELSE 'known.weight BETWEEN -1e-37 AND 3.4028234e38 IS NOT TRUE'
            END
        INTO found;
    END IF;
    RETURN found;
EXCEPTION WHEN insufficient_privilege THEN
    PERFORM embsql_internal.refuse_selecting(run);
END
$embsql$;

-- How many pairs of user and item are new to a run; NULL for who may not read what is watched.
CREATE OR REPLACE FUNCTION embsql_internal.new_pairs(run bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    query CONSTANT text := embsql_internal.fresh_query(run, FALSE);
    found bigint := 0;
BEGIN
    IF query IS NOT NULL THEN
        EXECUTE 'SELECT count(*) FROM (SELECT DISTINCT new.user_id, new.item_id FROM (' || query || ') AS new) AS pair'
        INTO found;
    END IF;
    RETURN found;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN NULL;
END
$embsql$;

-- Whether a run was trained on ratings.
CREATE OR REPLACE FUNCTION embsql_internal.is_rated(run bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT EXISTS (
    SELECT FROM embsql.fold_in_settings AS solver
    WHERE solver.run_id = run AND CAST(solver.settings AS json) ->> 'global_mean' IS NOT NULL
)
$embsql$;

-- A user's events that a run has not seen, one weight for each item as in training: their sum, of ratings their mean.
CREATE OR REPLACE FUNCTION embsql_internal.fresh_history(
    run bigint, person text, OUT items text[], OUT weights double precision[]
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
AS $embsql$
DECLARE
    rated CONSTANT boolean := embsql_internal.is_rated(run);
BEGIN
    SELECT array_agg(pair.item_id ORDER BY pair.item_id), array_agg(pair.weight ORDER BY pair.item_id)
    INTO items, weights
    FROM (
        SELECT event.item_id, CASE WHEN rated THEN avg(event.weight) ELSE sum(event.weight) END AS weight
        FROM embsql_internal.fresh_events(run, person) AS event
        GROUP BY event.item_id
    ) AS pair;
END
$embsql$;

-- What a user did, as the run was trained on it.
CREATE OR REPLACE FUNCTION embsql_internal.trained_history(
    run bigint, person text, OUT items text[], OUT weights double precision[]
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    SELECT array_agg(past.item_id), array_agg(past.weight) INTO items, weights
    FROM embsql.interactions AS past
    WHERE past.run_id = run AND past.user_id = person;
END
$embsql$;

-- What a run's network reads of a user: what it has kept in its order, then the events that it has
-- not seen by time.
CREATE OR REPLACE FUNCTION embsql_internal.sequence_of(
    run bigint, person text, OUT items text[], OUT moments timestamp[]
)
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT
    array_agg(event.item_id ORDER BY event.ordinal),
    array_agg(embsql_internal.moment(event.event_time) ORDER BY event.ordinal)
FROM (
    SELECT
        one.item_id, one.event_time,
        row_number() OVER (ORDER BY one.position, one.event_time, one.item_id) AS ordinal
    FROM (
        SELECT past.item_id, past.event_time, past.position
        FROM embsql.histories AS past
        WHERE past.run_id = run AND past.user_id = person
        UNION ALL
        SELECT fresh.item_id, fresh.event_time, NULL -- which is behind all numbers
        FROM embsql_internal.fresh_events(run, person) AS fresh
    ) AS one
) AS event
$embsql$;

-- All that a user did, as the run takes a history: in order for a network, else pairs with these
-- new ones behind them.
CREATE OR REPLACE FUNCTION embsql_internal.whole_history(
    run bigint, person text, new_items text[], new_weights double precision[],
    OUT items text[], OUT weights double precision[], OUT moments timestamp[]
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF EXISTS (SELECT FROM embsql.networks AS network WHERE network.run_id = run) THEN
        SELECT event.items, event.moments INTO items, moments
        FROM embsql_internal.sequence_of(run, person) AS event;
        RETURN;
    END IF;
    SELECT past.items || new_items, past.weights || new_weights INTO items, weights
    FROM embsql_internal.trained_history(run, person) AS past;
END
$embsql$;

-- Whether a run's model watches anything; planned once.
CREATE OR REPLACE FUNCTION embsql_internal.is_watched(run bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan
AS $embsql$
BEGIN
    RETURN EXISTS (
        SELECT FROM embsql.run_records AS r JOIN embsql.watches AS w ON w.model_name = r.model_name WHERE r.run_id = run
    );
END
$embsql$;

-- The events of a user until an instant, as a run's network reads them: what it has kept in its order, then what is new.
CREATE OR REPLACE FUNCTION embsql_internal.events_until(
    run bigint, person text, until timestamp, OUT items text[], OUT moments timestamp[]
)
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT array_agg(event.item_id ORDER BY event.ordinal), array_agg(event.moment ORDER BY event.ordinal)
FROM embsql_internal.sequence_of(run, person) AS whole
CROSS JOIN LATERAL unnest(whole.items, whole.moments) WITH ORDINALITY AS event (item_id, moment, ordinal)
WHERE event.moment <= until
$embsql$;

-- The pairs of a user until an instant, those of newer events behind them.
CREATE OR REPLACE FUNCTION embsql_internal.pairs_until(
    run bigint, person text, until timestamp, OUT items text[], OUT weights double precision[]
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    SELECT array_agg(pair.item_id), array_agg(pair.weight) INTO items, weights
    FROM (
        SELECT past.item_id, CAST(past.weight AS double precision) AS weight
        FROM embsql.interactions AS past
        WHERE past.run_id = run AND past.user_id = person AND embsql_internal.moment(past.last_time) <= until
        UNION ALL
        SELECT
            event.item_id,
            CASE WHEN embsql_internal.is_rated(run) THEN avg(event.weight) ELSE sum(event.weight) END
        FROM embsql_internal.fresh_events(run, person) AS event
        WHERE embsql_internal.moment(event.event_time) <= until
        GROUP BY event.item_id
    ) AS pair;
END
$embsql$;

-- Why a run's rows do not know what a user had done by an instant; NULL where they do.
CREATE OR REPLACE FUNCTION embsql_internal.unknown_as_of(run bigint, person text, until timestamp) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
RETURN (
SELECT CASE
    WHEN abs(coalesce(record.newest_event, 0)) NOT BETWEEN 1e14 AND 1e16 AND EXISTS ( -- microseconds
        SELECT FROM embsql.interactions AS past WHERE past.run_id = run AND past.user_id = person
    )
    THEN ', whose events have no moments: train it from a source whose event_time is a timestamp or a date'
    WHEN coalesce(network.kind, 'gru_distinct') = 'gru_distinct' -- which have a pair's last event alone
        AND coalesce(finding.affected, 1) > 0 AND EXISTS (
        SELECT FROM embsql.interactions AS past
        WHERE past.run_id = run AND past.user_id = person AND embsql_internal.moment(past.last_time) > until
    )
    THEN ', which keeps the last time alone of a pair that came several times: train gru4rec, sasrec or bert4rec, '
        'which keep events'
    WHEN network.max_length <= (
        SELECT CASE WHEN min(embsql_internal.moment(past.event_time)) > until THEN count(*) END
        FROM embsql.histories AS past
        WHERE past.run_id = run AND past.user_id = person
    )
    THEN ' before the events that it keeps of them, the latest: train with a larger max_length'
END
FROM embsql.run_records AS record
LEFT JOIN embsql.networks AS network ON network.run_id = record.run_id
LEFT JOIN embsql.source_checks AS finding
    ON finding.run_id = record.run_id AND finding.check_name = 'repeated pairs'
WHERE record.run_id = run
);
END
$embsql$;

-- What a user had done until an instant, in one row: events for a network, or pairs with their weights; and all that was seen
-- by then. What a run's rows cannot know is an error.
CREATE OR REPLACE FUNCTION embsql_internal.history_as_of(
    run bigint, person text, instant timestamp,
    OUT items text[], OUT weights double precision[], OUT moments timestamp[], OUT seen text[]
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    until CONSTANT timestamp := coalesce(instant, 'infinity');
    why CONSTANT text := embsql_internal.unknown_as_of(run, person, until);
BEGIN
    IF why IS NOT NULL THEN
        RAISE EXCEPTION 'embsql: what a user had done by a moment is not known of run %', (
            SELECT concat(record.model_name, '@', run, why) FROM embsql.run_records AS record WHERE record.run_id = run
        );
    END IF;
    SELECT past.items, past.weights INTO items, weights FROM embsql_internal.pairs_until(run, person, until) AS past;
    seen := coalesce(items, ARRAY[]::text[]);
    IF EXISTS (SELECT FROM embsql.networks AS network WHERE network.run_id = run) THEN
        weights := NULL;
        SELECT past.items, past.moments INTO items, moments
        FROM embsql_internal.events_until(run, person, until) AS past;
        seen := seen || coalesce(items, ARRAY[]::text[]);
    END IF;
END
$embsql$;

-- Who a user is to a run now, in one row: what the newest events make of them, else what was trained. All is NULL of whom
-- nothing is known; source is sequence, fold_in or model.
CREATE OR REPLACE FUNCTION embsql_internal.user_state(
    run bigint, person text,
    OUT embedding vector, OUT norm real, OUT bias real, OUT fresh_items text[], OUT source text
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    fresh record;
    now record;
BEGIN
    SELECT trained.embedding, trained.norm, trained.bias INTO embedding, norm, bias
    FROM embsql_internal.user_vector(run, person) AS trained;
    source := 'model';
    IF person IS NULL OR NOT embsql_internal.is_watched(run) THEN
        RETURN;
    END IF;
    fresh := embsql_internal.fresh_history(run, person);
    IF fresh.items IS NULL THEN
        RETURN;
    END IF;
    fresh_items := fresh.items;
    SELECT made.embedding, made.bias, made.source INTO now
    FROM embsql_internal.whole_history(run, person, fresh.items, fresh.weights) AS history
    CROSS JOIN LATERAL embsql_internal.history_vector(
        run, history.items, history.weights, history.moments
    ) AS made;
    IF now.embedding IS NOT NULL THEN
        embedding := now.embedding;
        norm := vector_norm(now.embedding);
        bias := now.bias;
        source := now.source;
    END IF;
END
$embsql$;

-- The users with events that a run has not seen; a hundred of them, always the same, with the vector that they have now.
CREATE OR REPLACE FUNCTION embsql_internal.fresh_users(run bigint)
RETURNS TABLE (user_id text, items text[], events bigint, newest_event bigint, embedding vector)
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
WITH active AS (
    SELECT
        event.user_id, array_agg(DISTINCT event.item_id) AS items, max(event.event_time) AS newest_event,
        row_number() OVER (ORDER BY md5(event.user_id)) AS ordinal
    FROM embsql_internal.fresh_events(run) AS event
    GROUP BY event.user_id
)
SELECT
    active.user_id, active.items, CAST(cardinality(active.items) AS bigint), active.newest_event,
    CASE WHEN active.ordinal <= 100 THEN (
        SELECT CASE WHEN now.source <> 'model' THEN now.embedding END
        FROM embsql_internal.user_state(run, active.user_id) AS now
    ) END
FROM active
$embsql$;

-- Whoever may ask goes on asking, also where rights were granted by hand: questions of before call what is new here.
DO $embsql$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT format('EXECUTE ON FUNCTION %s', f.oid::regprocedure) AS what, CAST(CAST(entry.grantee AS regrole) AS text) AS asks
        FROM pg_proc AS asked
        CROSS JOIN LATERAL aclexplode(asked.proacl) AS entry
        JOIN pg_proc AS f ON f.pronamespace = 'embsql_internal'::regnamespace
        WHERE asked.oid = 'embsql.live_run(text)'::regprocedure AND entry.grantee <> 0 AND f.proname IN (
            'watched_table', 'refuse_reading', 'refuse_selecting', 'watched_column', 'check_id_type', 'id_condition',
            'time_expression', 'weight_expression', 'newer_condition', 'newer_query', 'fresh_query', 'refused_events', 'new_pairs', 'fresh_events',
            'is_rated', 'is_watched', 'fresh_history', 'trained_history', 'sequence_of', 'whole_history', 'user_state', 'fresh_users', 'moment',
            'events_until', 'pairs_until', 'unknown_as_of', 'history_as_of'
        )
        UNION ALL
        SELECT
            'SELECT ON embsql.watches',
            CASE entry.grantee WHEN 0 THEN 'PUBLIC' ELSE CAST(CAST(entry.grantee AS regrole) AS text) END
        FROM pg_class AS records
        CROSS JOIN LATERAL aclexplode(records.relacl) AS entry
        WHERE records.oid = 'embsql.run_records'::regclass AND entry.privilege_type = 'SELECT'
    LOOP
        EXECUTE format('GRANT %s TO %s', granted.what, granted.asks);
    END LOOP;
END
$embsql$;
