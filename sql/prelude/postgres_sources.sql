-- A job's sources are read with the rights of who asked for it. Whoever asks makes, in the transaction of asking, a
-- function of the source that runs as its owner: inside one PostgreSQL lets nobody change who he is. The worker calls
-- it in a transaction that is read-only and ends by ROLLBACK (docs/decisions/0015).

-- What a column's type is without anybody's own types, whose casts would run as who reads: a domain's base, else text.
-- Of the types that are shorter when they are named without a length, text too.
CREATE OR REPLACE FUNCTION embsql_internal.plain_type(type oid) RETURNS oid
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
WITH RECURSIVE domains AS (
    SELECT t.oid, t.typtype, t.typbasetype FROM pg_type AS t WHERE t.oid = type
    UNION ALL
    SELECT t.oid, t.typtype, t.typbasetype FROM domains AS d JOIN pg_type AS t ON t.oid = d.typbasetype
)
SELECT coalesce(
    (
        SELECT t.oid
        FROM domains AS d
        JOIN pg_type AS t ON t.oid = d.oid
        WHERE d.typtype <> 'd' AND t.typtype IN ('b', 'r', 'm')
            AND coalesce(nullif(t.typelem, 0), t.oid) NOT IN ('bpchar'::regtype, 'bit'::regtype)
            AND (t.typnamespace = 'pg_catalog'::regnamespace OR EXISTS (
                SELECT FROM pg_depend AS part
                JOIN pg_extension AS extension ON extension.oid = part.refobjid AND extension.extname = 'vector'
                WHERE part.classid = 'pg_type'::regclass AND part.objid = t.oid AND part.deptype = 'e'
            ))
    ),
    (SELECT 'text[]'::regtype FROM domains AS d JOIN pg_type AS t ON t.oid = d.oid WHERE t.typcategory = 'A' LIMIT 1),
    'text'::regtype
)
$embsql$;

-- A source as one SELECT: as it stands, or of the table or function that it names.
CREATE OR REPLACE FUNCTION embsql_internal.one_select(source text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT CASE
    WHEN bare.text ~ '^\w+(\.\w+){0,2}$' THEN 'SELECT * FROM ' || (
        SELECT string_agg(quote_ident(name.part), '.' ORDER BY name.ordinal)
        FROM unnest(string_to_array(lower(bare.text), '.')) WITH ORDINALITY AS name (part, ordinal)
    )
    WHEN regexp_replace(bare.text, '--[^\n]*|/\*.*?\*/', ' ', 'g') ~* '^[\s(]*(SELECT|WITH|VALUES|TABLE)\M' THEN bare.text
    ELSE 'SELECT * FROM ' || bare.text
END
FROM (SELECT regexp_replace(source, '^\s+|[\s;]+$', '', 'g') AS text) AS bare
$embsql$;

-- The body of such a function: of the columns wanted their values, in plain types; of NULL the names and types of all.
-- A cursor takes one SELECT, and no other statement.
CREATE OR REPLACE FUNCTION embsql_internal.reader_of(source text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT format($body$
DECLARE
    source CONSTANT text := %L;
    nothing CONSTANT text := format(
        '(SELECT) AS one LEFT JOIN (SELECT * FROM (%%s) AS given LIMIT 0) AS given ON TRUE', source
    );
    looked refcursor;
    shape record;
    names text[];
    types oid[];
BEGIN
    OPEN looked NO SCROLL FOR EXECUTE 'SELECT given.* FROM ' || nothing;
    FETCH looked INTO shape;
    CLOSE looked;
    names := ARRAY(
        SELECT known.name FROM json_object_keys(row_to_json(shape)) WITH ORDINALITY AS known (name, ordinal)
        GROUP BY known.name HAVING count(*) = 1 ORDER BY min(known.ordinal)
    );
    EXECUTE (
        SELECT format(
            'SELECT ARRAY[%%s]::oid[] FROM %%s', string_agg(format('pg_typeof(given.%%I)::oid', known.name), ', ' ORDER BY known.ordinal), nothing
        )
        FROM unnest(names) WITH ORDINALITY AS known (name, ordinal)
    ) INTO types;
    IF wanted IS NULL THEN
        RETURN QUERY SELECT known.name, known.type FROM unnest(names, types) AS known (name, type);
        RETURN;
    END IF;
    RETURN QUERY EXECUTE (
        SELECT format('SELECT %%s FROM (%%s) AS given', string_agg(format(
            CASE
                WHEN known.type = embsql_internal.plain_type(known.type) THEN 'given.%%I'
                ELSE 'CAST(given.%%I AS %%s)'
            END,
            asked.name, format_type(embsql_internal.plain_type(known.type), NULL)
        ), ', ' ORDER BY asked.ordinal), source)
        FROM unnest(wanted) WITH ORDINALITY AS asked (name, ordinal)
        LEFT JOIN unnest(names, types) AS known (name, type) ON known.name = asked.name
    );
END
$body$, E'\n' || embsql_internal.one_select(source) || E'\n')
$embsql$;

-- JSON as an object; of what is none, an empty one.
CREATE OR REPLACE FUNCTION embsql_internal.as_object(options text) RETURNS json
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    RETURN CASE json_typeof(CAST(options AS json)) WHEN 'object' THEN CAST(options AS json) ELSE '{}' END;
EXCEPTION WHEN data_exception THEN
    RETURN '{}';
END
$embsql$;

-- The SELECTs among options.
CREATE OR REPLACE FUNCTION embsql_internal.selects_in(options text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
SELECT option.value #>> '{}'
FROM json_each(embsql_internal.as_object(options)) AS option
WHERE option.key IN ('test', 'user_features', 'item_features', 'graph', 'labels') AND json_typeof(option.value) = 'string'
$embsql$;

-- Those that a run remembers, for which its algorithm is trained anew: of a run that who asks has made.
CREATE OR REPLACE FUNCTION embsql_internal.selects_of(model text) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT embsql_internal.selects_in(run.params)
FROM embsql.run_records AS run
LEFT JOIN embsql.models AS m ON m.model_name = run.model_name
WHERE run.model_name = embsql_internal.model_part(model) AND run.made_by = session_user
    AND run.run_id = CASE WHEN strpos(model, '@') = 0 THEN m.live_run ELSE embsql_internal.run_part(model) END
$embsql$;

-- What a command reads: among its words, and what is trained anew to measure by.
CREATE OR REPLACE FUNCTION embsql_internal.sources_of(command text, arguments text[]) RETURNS text[]
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
WITH given AS (
    SELECT CASE command WHEN 'train' THEN arguments[4] WHEN 'evaluate' THEN arguments[2] WHEN 'cluster' THEN arguments[6] END AS options
)
SELECT coalesce(array_agg(DISTINCT asked.source), '{}')
FROM (
    SELECT arguments[2] AS source WHERE command IN ('train', 'register_embeddings')
    UNION ALL
    SELECT arguments[3] WHERE command = 'register_embeddings'
    UNION ALL
    SELECT arguments[5] WHERE command = 'cluster'
    UNION ALL
    SELECT format(what_is_new.source, arguments[1])
    FROM (VALUES
        ('SELECT event.* FROM embsql_internal.fresh_events(embsql.live_run(%L)) AS event'),
        ('SELECT fresh.staleness FROM embsql.freshness(%L) AS fresh')
    ) AS what_is_new (source)
    WHERE command = 'refresh'
    UNION ALL
    SELECT embsql_internal.selects_in(given.options) FROM given
    UNION ALL
    SELECT embsql_internal.selects_of(arguments[1])
    FROM given
    WHERE CASE command
        WHEN 'evaluate' THEN embsql_internal.as_object(given.options) ->> 'test' IS NULL
        WHEN 'train' THEN coalesce(embsql_internal.as_object(given.options) ->> 'evaluate', 'false') <> 'false'
        WHEN 'refresh' THEN TRUE
    END
) AS asked
WHERE asked.source ~ '\S'
$embsql$;

-- Makes the functions of some sources, whose names mean what they mean under a search_path: source -> name. Only who
-- owns embsql may call them, and let others.
CREATE OR REPLACE FUNCTION embsql_internal.guard(sources text[], path text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    made jsonb := '{}';
    statements text[] := '{}';
    statement text;
    source text;
    name text;
BEGIN
    FOREACH source IN ARRAY sources LOOP
        name := replace(CAST(gen_random_uuid() AS text), '-', '');
        made := made || jsonb_build_object(source, name);
        statements := statements || ARRAY[
            format(
                'CREATE FUNCTION embsql_sources.%I(wanted text[]) RETURNS SETOF record
                LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT AS %L',
                name, embsql_internal.reader_of(source)
            ),
            format('REVOKE ALL ON FUNCTION embsql_sources.%I(text[]) FROM PUBLIC', name),
            format(
                'GRANT EXECUTE ON FUNCTION embsql_sources.%I(text[]) TO %s WITH GRANT OPTION',
                name, (SELECT CAST(n.nspowner AS regrole) FROM pg_namespace AS n WHERE n.nspname = 'embsql')
            )
        ];
    END LOOP;
    PERFORM set_config('search_path', concat_ws(', ', nullif(path, ''), 'pg_temp'), TRUE); -- until this function ends
    FOREACH statement IN ARRAY statements LOOP
        EXECUTE statement;
    END LOOP;
    RETURN made;
END
$embsql$;

-- Whether somebody has a role of embsql's, or owns it.
CREATE OR REPLACE FUNCTION embsql_internal.has_role(somebody text, role text) RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT EXISTS (
    SELECT FROM pg_roles AS asked
    JOIN pg_roles AS r ON pg_has_role(asked.oid, r.oid, 'MEMBER')
    WHERE asked.rolname = somebody AND (r.rolname = role OR r.oid = (
        SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'embsql'
    ))
)
$embsql$;

-- Whether this session may do what someone asked for: its own jobs, or those of all as embsql_worker and the owner.
CREATE OR REPLACE FUNCTION embsql_internal.serves(asker text) RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT asker = session_user OR embsql_internal.has_role(session_user, 'embsql_worker')
$embsql$;

-- Lets this session call the functions of a job's sources until its transaction ends, which must be by ROLLBACK. A
-- function belongs to whoever made it, who could still change what it runs as: the GRANT keeps its row from being
-- changed until then, and only then is it looked at.
CREATE OR REPLACE FUNCTION embsql_internal.open_sources(job bigint) RETURNS TABLE (source text, reader text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    asker text;
BEGIN
    SELECT j.requested_by INTO asker FROM embsql.jobs AS j WHERE j.job_id = job AND j.status = 'running';
    IF embsql_internal.serves(asker) IS NOT TRUE THEN
        RAISE EXCEPTION 'embsql: job % is not for "%" to do.', job, session_user;
    END IF;
    FOR source, reader IN
        SELECT pair.key, pair.value
        FROM embsql.jobs AS j
        CROSS JOIN LATERAL jsonb_each_text(j.sources) AS pair
        WHERE j.job_id = job
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION embsql_sources.%I(text[]) TO %I', reader, session_user);
        IF NOT EXISTS (
            SELECT FROM pg_proc AS f
            WHERE f.oid = to_regprocedure(format('embsql_sources.%I(text[])', reader))
                AND f.prosecdef AND pg_has_role(asker, f.proowner, 'MEMBER')
        ) THEN
            RAISE EXCEPTION 'embsql: % is no longer what "%" asked with.', reader, asker;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$embsql$;

-- The functions of a job go when it is over, if they are those of who asked: names of others may have been given.
CREATE OR REPLACE FUNCTION embsql_internal.drop_sources() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '1s'
AS $embsql$
DECLARE
    reader text;
BEGIN
    FOR reader IN
        SELECT pair.value
        FROM jsonb_each_text(OLD.sources) AS pair
        JOIN pg_proc AS f ON f.oid = to_regprocedure(format('embsql_sources.%I(text[])', pair.value))
        WHERE pg_has_role(OLD.requested_by, f.proowner, 'MEMBER')
    LOOP
        BEGIN
            EXECUTE format('DROP FUNCTION IF EXISTS embsql_sources.%I(text[])', reader);
        EXCEPTION WHEN dependent_objects_still_exist OR lock_not_available THEN
            NULL; -- its owner stands on it: the job is over all the same, and the function is theirs to drop
        END;
    END LOOP;
    NEW.sources := '{}';
    RETURN NEW;
END
$embsql$;

CREATE OR REPLACE TRIGGER drop_sources BEFORE UPDATE OF status ON embsql.jobs
FOR EACH ROW WHEN (OLD.sources <> '{}' AND NEW.status IN ('done', 'failed', 'cancelled'))
EXECUTE FUNCTION embsql_internal.drop_sources();

-- What those who train may ask for; the rest is for those who decide what is live and what goes.
CREATE OR REPLACE FUNCTION embsql_internal.is_training(command text) RETURNS boolean
LANGUAGE sql IMMUTABLE
RETURN command IN ('train', 'refresh', 'evaluate', 'register_embeddings', 'cluster', 'project', 'materialize');
