-- The primitives every question is written with: the same names and the same answers on every engine.
-- Bodies after RETURN are resolved when they are made; the others keep the search_path they were made under.

-- Vectors. A zero vector has no direction: its cosine is NULL, never a number.

CREATE OR REPLACE FUNCTION embsql.inner_product(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN inner_product(a, b);

CREATE OR REPLACE FUNCTION embsql.vector_norm(a vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN vector_norm(a);

-- Cosine from norms that are already known: what the embedding tables keep with every vector.
CREATE OR REPLACE FUNCTION embsql_internal.cosine(a vector, norm_a double precision, b vector, norm_b double precision)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN inner_product(a, b) / nullif(norm_a * norm_b, 0);

CREATE OR REPLACE FUNCTION embsql.cosine_similarity(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN inner_product(a, b) / nullif(vector_norm(a) * vector_norm(b), 0);

CREATE OR REPLACE FUNCTION embsql.cosine_distance(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 1 - inner_product(a, b) / nullif(vector_norm(a) * vector_norm(b), 0);

CREATE OR REPLACE FUNCTION embsql.euclidean_distance(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN l2_distance(a, b);

-- The vector's direction, a vector of length 1.
CREATE OR REPLACE FUNCTION embsql.unit_vector(a vector) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE WHEN vector_norm(a) > 0 THEN l2_normalize(a) END;

-- The same under Spark's names. Vectors of different lengths are an error.
CREATE OR REPLACE FUNCTION embsql.vector_inner_product(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN inner_product(a, b);

CREATE OR REPLACE FUNCTION embsql.vector_cosine_similarity(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN inner_product(a, b) / nullif(vector_norm(a) * vector_norm(b), 0);

CREATE OR REPLACE FUNCTION embsql.vector_l2_distance(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN l2_distance(a, b);

-- The mean of a column of vectors: pgvector's own, by this name.
CREATE OR REPLACE AGGREGATE embsql.vector_avg(vector) (
    sfunc = vector_accum, stype = double precision[], finalfunc = vector_avg, combinefunc = vector_combine,
    initcond = '{0}', parallel = safe
);

-- Lists, text and time.

-- Two lists side by side, as rows; what has no id is left out.
CREATE OR REPLACE FUNCTION embsql_internal.zip_lists(ids text[], labels text[]) RETURNS TABLE (id text, label text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF coalesce(cardinality(ids), 0) <> coalesce(cardinality(labels), 0) THEN
        RAISE EXCEPTION 'embsql: % ids with % labels: give every id one label, or NULL to leave it out',
            coalesce(cardinality(ids), 0), coalesce(cardinality(labels), 0);
    END IF;
    RETURN QUERY SELECT pair.id, pair.label FROM unnest(ids, labels) AS pair (id, label) WHERE pair.id IS NOT NULL;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.contains(list text[], element text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN element = ANY (list);

CREATE OR REPLACE FUNCTION embsql_internal.contains(list bigint[], element bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN element = ANY (list);

-- An id of any type as text, by the rule of a source's ids (embsql/engines/_postgres_columns.py): what is equal is one.
-- Not in the planner's language: it would try the casts of other types on a constant.
CREATE OR REPLACE FUNCTION embsql_internal.id_text_of(id anyelement) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT
SET extra_float_digits = 1 SET datestyle = 'ISO, MDY' SET timezone = 'UTC' SET intervalstyle = 'postgres' SET bytea_output = 'hex'
AS $embsql$
DECLARE
    type regtype := pg_typeof(id);
    base regtype;
    word text := CAST(id AS text);
    bound double precision;
BEGIN
    LOOP -- a domain is what it was made from: so the server describes a source's columns
        SELECT this.typbasetype INTO base FROM pg_type AS this WHERE this.oid = type AND this.typtype = 'd';
        EXIT WHEN base IS NULL;
        type := base;
    END LOOP;
    bound := CASE type WHEN 'real'::regtype THEN 16777216 ELSE 9007199254740992 END;
    IF type IN ('real'::regtype, 'double precision'::regtype) THEN
        IF word = 'NaN' THEN
            RETURN NULL;
        ELSIF abs(CAST(word AS double precision)) >= bound THEN
            RAISE EXCEPTION 'embsql: the id % is a floating-point number, where whole numbers are not told apart from % on: give it as text or BIGINT',
                word, CAST(bound AS bigint);
        ELSIF CAST(word AS double precision) = trunc(CAST(word AS double precision)) THEN
            RETURN CAST(CAST(CAST(word AS double precision) AS bigint) AS text);
        END IF;
    ELSIF type = 'numeric'::regtype THEN
        RETURN CAST(trim_scale(nullif(CAST(word AS numeric), 'NaN')) AS text);
    ELSIF type = 'bytea'::regtype THEN
        RETURN encode(CAST(word AS bytea), 'hex');
    ELSIF type IN ('date'::regtype, 'timestamp'::regtype) THEN
        RETURN replace(to_jsonb(id) #>> '{}', 'T', ' ');
    ELSIF type = 'timestamptz'::regtype THEN
        RETURN replace(to_jsonb(CAST(word AS timestamptz) AT TIME ZONE 'UTC') #>> '{}', 'T', ' ') || '+00';
    ELSIF type = 'json'::regtype THEN -- as it was written: jsonb would put keys and digits in another form
        RETURN CAST(word AS json) #>> '{}';
    ELSIF type = 'jsonb'::regtype THEN
        RETURN CAST(word AS jsonb) #>> '{}';
    END IF;
    RETURN word;
END
$embsql$;

-- What the caller's settings cannot change is written here: setting others costs more than that.
CREATE OR REPLACE FUNCTION embsql.id_text(id anyelement) RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF pg_typeof(id) IN (
        'text'::regtype, 'varchar'::regtype, 'smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'uuid'::regtype
    ) THEN
        RETURN CAST(id AS text);
    END IF;
    RETURN embsql_internal.id_text_of(id);
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.id_texts(ids anyarray) RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF ids IS NULL OR pg_typeof(ids) IN ('text[]'::regtype, 'varchar[]'::regtype) THEN
        RETURN CAST(ids AS text[]);
    END IF;
    RETURN ARRAY(
        SELECT embsql.id_text(one.id) FROM unnest(ids) WITH ORDINALITY AS one (id, ordinal) ORDER BY one.ordinal ASC
    );
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.four_decimals(value double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN to_char(value, 'FM9999999990.0000');

CREATE OR REPLACE FUNCTION embsql_internal.utc_now() RETURNS timestamp
LANGUAGE sql VOLATILE RETURN clock_timestamp() AT TIME ZONE 'UTC';

CREATE OR REPLACE FUNCTION embsql_internal.model_part(model text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN split_part(model, '@', 1);

CREATE OR REPLACE FUNCTION embsql_internal.run_part(model text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN model ~ '^[^@]*@[0-9]{1,18}$' THEN CAST(split_part(model, '@', 2) AS bigint) END;

-- How alike two words are, from 0 to 1: the share of pairs of neighboring letters they have in common (Dice).
CREATE OR REPLACE FUNCTION embsql_internal.bigram_similarity(a text, b text) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT 2.0 * count(*) / nullif(length(a) + length(b) - 2, 0)
    FROM (
        SELECT substr(a, n, 2) AS pair FROM generate_series(1, length(a) - 1) AS n
        INTERSECT ALL
        SELECT substr(b, n, 2) AS pair FROM generate_series(1, length(b) - 1) AS n
    ) AS shared;
END;

-- How many rows k asks for, a number of any type: NULL for NULL, and as good as all for one beyond whole numbers.
CREATE OR REPLACE FUNCTION embsql_internal.row_limit(k double precision) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN k IS NOT NULL THEN CAST(round(CAST(greatest(-1, least(k, 1e15)) AS numeric)) AS bigint) END;

-- Which run a model's name means.

CREATE OR REPLACE FUNCTION embsql_internal.raise_no_run(model text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    asked text := coalesce(embsql_internal.model_part(model), '');
    close text;
    finished bigint;
    gone bigint;
BEGIN
    IF EXISTS (SELECT FROM embsql.models AS m WHERE m.model_name = model) THEN
        SELECT max(r.run_id) INTO finished FROM embsql.run_records AS r WHERE r.model_name = model AND r.status = 'ready';
        SELECT m.live_run INTO gone FROM embsql.models AS m WHERE m.model_name = model;
        IF gone IS NOT NULL THEN
            RAISE EXCEPTION 'embsql: model "%" says that run % is live, which is gone. %', model, gone, CASE
                WHEN finished IS NULL
                THEN format('Nothing else of it is finished: SELECT embsql.drop_model(''%s''); and train it again', model)
                ELSE format('Make another live: SELECT embsql.promote(''%s@%s'');', model, finished)
            END;
        END IF;
        IF finished IS NULL THEN
            RAISE EXCEPTION 'embsql: model "%" has no live run, and no finished one to promote. Train it; what became of earlier runs: SELECT * FROM embsql.runs(''%'');',
                model, model;
        END IF;
        RAISE EXCEPTION 'embsql: model "%" has no live run, but run % is finished: read it as ''%@%'', see why it is not live with SELECT * FROM embsql.gate(''%@%''); or make it live with SELECT embsql.promote(''%@%'');',
            model, finished, model, finished, model, finished, model, finished;
    END IF;
    IF EXISTS (SELECT FROM embsql.forgotten AS gone WHERE gone.run_id = embsql_internal.run_part(model)) THEN
        RAISE EXCEPTION 'embsql: run % of model "%" still holds somebody who is being forgotten. Ask again in a moment; if that was interrupted, forget the same person once more: embsql forget ID',
            embsql_internal.run_part(model), asked;
    END IF;
    IF EXISTS (SELECT FROM embsql.models AS m WHERE m.model_name = asked) THEN
        RAISE EXCEPTION 'embsql: "%" has no finished run to read. See: SELECT * FROM embsql.runs(''%'');', model, asked;
    END IF;
    SELECT m.model_name INTO close
    FROM embsql.models AS m
    WHERE embsql_internal.bigram_similarity(m.model_name, asked) > 0.5
    ORDER BY embsql_internal.bigram_similarity(m.model_name, asked) DESC, m.model_name
    LIMIT 1;
    RAISE EXCEPTION 'embsql: no model named "%".% See: SELECT * FROM embsql.models();',
        asked, coalesce(' Did you mean "' || close || '"?', '');
END
$embsql$;

-- The run, if the tables behind it are there and were loaded. A dump of schema embsql alone leaves them behind, and what
-- was not restored would else be no rows. Catalogs are read, because a reader may not look into embsql_runs; a table
-- that was emptied later (embsql.forget) has been analyzed, one that was never loaded has not.
CREATE OR REPLACE FUNCTION embsql_internal.complete_run(run bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    missing text;
BEGIN
    SELECT string_agg(format('embsql_runs.%s_%s', part.kind, run), ', ' ORDER BY part.kind) INTO missing
    FROM embsql.run_records AS r
    CROSS JOIN LATERAL (
        VALUES ('item_embeddings', r.items), ('user_embeddings', r.users), ('interactions', r.interactions)
    ) AS part (kind, rows)
    WHERE r.run_id = run AND part.rows > 0 AND NOT EXISTS (
        SELECT FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'embsql_runs' AND c.relname = part.kind || '_' || run
            AND (c.reltuples >= 0 OR pg_relation_size(c.oid) > 0)
    );
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'embsql: run % is not all here: % is missing or empty. Restore schema embsql_runs as well as embsql (pg_dump --schema=embsql --schema=embsql_internal --schema=embsql_runs), or train again with force.',
            run, missing;
    END IF;
    -- So that a transaction looks once. Not a session: a pooler hands it on to somebody else.
    PERFORM set_config('embsql_internal.complete_run', CAST(run AS text), TRUE);
    RETURN run;
END
$embsql$;

-- 'shop' is the live run, 'shop@7' is run 7 of shop. Anything else raises and says what to do.
CREATE OR REPLACE FUNCTION embsql.live_run(model text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    found bigint;
BEGIN
    IF strpos(model, '@') = 0 THEN
        SELECT r.run_id INTO found
        FROM embsql.models AS m
        JOIN embsql.run_records AS r ON r.run_id = m.live_run
        WHERE m.model_name = model;
    ELSE
        SELECT r.run_id INTO found
        FROM embsql.run_records AS r
        WHERE r.run_id = embsql_internal.run_part(model) AND r.model_name = embsql_internal.model_part(model)
            AND r.status = 'ready'
            AND NOT EXISTS (SELECT FROM embsql.forgotten AS gone WHERE gone.run_id = r.run_id);
    END IF;
    IF CAST(found AS text) <> coalesce(current_setting('embsql_internal.complete_run', TRUE), '') THEN
        PERFORM embsql_internal.complete_run(found);
    END IF;
    RETURN coalesce(found, embsql_internal.raise_no_run(model));
END
$embsql$;

-- The newest run whatever its state, so that a log can be read while it is written.
CREATE OR REPLACE FUNCTION embsql.newest_run(model text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    found bigint;
BEGIN
    SELECT max(r.run_id) INTO found
    FROM embsql.run_records AS r
    WHERE r.model_name = embsql_internal.model_part(model)
        AND (strpos(model, '@') = 0 OR r.run_id = embsql_internal.run_part(model));
    RETURN coalesce(found, embsql_internal.raise_no_run(model));
END
$embsql$;

-- The question of this name among the names of all; NULL for NULL. Any other is an error, which says which is meant.
CREATE OR REPLACE FUNCTION embsql_internal.known_question(asked text, names text[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    close text;
BEGIN
    IF asked IS NULL OR asked = ANY (names) THEN
        RETURN asked;
    END IF;
    SELECT known.name INTO close
    FROM unnest(names) AS known (name)
    WHERE embsql_internal.bigram_similarity(known.name, asked) > 0.5
    ORDER BY embsql_internal.bigram_similarity(known.name, asked) DESC, known.name
    LIMIT 1;
    RAISE EXCEPTION 'embsql: no question named "%".% See: SELECT question, example FROM embsql.help();',
        asked, coalesce(' Did you mean "' || close || '"?', '');
END
$embsql$;

-- A run's maps and clusterings, which are made of it later: the run, where it has the one that is asked for. Who may
-- see some users only is not refused those of users: there may be one of others.

CREATE OR REPLACE FUNCTION embsql_internal.mapped_run(model text, entity text, method text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    run bigint := embsql.live_run(model);
BEGIN
    IF NOT EXISTS (
        SELECT FROM embsql.maps AS p WHERE p.run_id = run AND p.entity_kind = entity AND p.method_name = method
    ) AND NOT (entity = 'user' AND row_security_active('embsql.maps')) THEN
        PERFORM embsql_internal.refuse_derived(model, run, entity, 'map by ' || method, (
            SELECT string_agg(DISTINCT p.entity_kind || ' ' || p.method_name, ', ') FROM embsql.maps AS p WHERE p.run_id = run
        ), 'project', 'method', method);
    END IF;
    RETURN run;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.clustered_run(model text, entity text, clustering text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    run bigint := embsql.live_run(model);
BEGIN
    IF NOT EXISTS (
        SELECT FROM embsql.clusters AS c
        WHERE c.run_id = run AND c.entity_kind = entity AND c.clustering_name = clustering
    ) AND NOT (entity = 'user' AND row_security_active('embsql.clusters')) THEN
        PERFORM embsql_internal.refuse_derived(model, run, entity, 'clustering "' || clustering || '"', (
            SELECT string_agg(DISTINCT c.entity_kind || ' ' || c.clustering_name, ', ')
            FROM embsql.clusters AS c
            WHERE c.run_id = run
        ), 'cluster', 'clustering', clustering);
    END IF;
    RETURN run;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.refuse_derived(
    model text, run bigint, entity text, what text, made text, command text, option text, name text
) RETURNS void
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF entity IS NULL OR entity NOT IN ('item', 'user') THEN
        RAISE EXCEPTION 'embsql: entity is item or user, got %', coalesce('"' || entity || '"', 'NULL');
    END IF;
    IF option = 'method' AND coalesce(name, '') NOT IN ('pca', 'umap', 'tsne') THEN
        RAISE EXCEPTION 'embsql: method is pca, umap or tsne, got %', coalesce('"' || name || '"', 'NULL');
    END IF;
    IF name IS NULL THEN
        RAISE EXCEPTION 'embsql: % is the name of one, got NULL', option;
    END IF;
    RAISE EXCEPTION 'embsql: run % of model "%" has no % of its %s%. Make it: SELECT embsql.%(%, entity => ''%'', % => %); or in a shell: embsql % % --entity % --% ''%''; or in Python: db.%("%", entity="%", %=%)',
        run, embsql_internal.model_part(model), what, entity, coalesce('; it has: ' || made, ''),
        command, quote_literal(model), entity, option, quote_literal(name),
        command, model, entity, option, replace(name, '''', '''"''"'''),
        command, model, entity, option, to_json(name);
END
$embsql$;

-- How a user vector and an item vector make a score in a run: its dot product plus the biases, or the cosine.
CREATE OR REPLACE FUNCTION embsql_internal.run_score(
    similarity text,
    a vector, norm_a double precision, bias_a double precision,
    b vector, norm_b double precision, bias_b double precision
) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE similarity
    WHEN 'cosine' THEN inner_product(a, b) / nullif(norm_a * norm_b, 0)
    ELSE inner_product(a, b) + bias_a + bias_b
END;

-- What is kept of one run. PostgreSQL locks all partitions of a table when it plans for any run:
-- so whatever reads a table of many runs is planned for the run at hand, with its number as a
-- literal or, as here, each time anew.

CREATE OR REPLACE FUNCTION embsql_internal.item_vector(
    run bigint, item text, OUT embedding vector, OUT norm real, OUT bias real
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    SELECT i.embedding, i.norm, i.bias INTO embedding, norm, bias
    FROM embsql.item_embeddings AS i
    WHERE i.run_id = run AND i.item_id = item;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.user_vector(
    run bigint, person text, OUT embedding vector, OUT norm real, OUT bias real
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    SELECT u.embedding, u.norm, u.bias INTO embedding, norm, bias
    FROM embsql.user_embeddings AS u
    WHERE u.run_id = run AND u.user_id = person;
END
$embsql$;

-- The vectors of a run as lists of numbers, which every driver knows.
CREATE OR REPLACE FUNCTION embsql_internal.item_lists(run bigint)
RETURNS TABLE (entity_id text, embedding real[], norm double precision, bias double precision)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    RETURN QUERY
    SELECT i.item_id, CAST(i.embedding AS real[]), CAST(i.norm AS double precision), CAST(i.bias AS double precision)
    FROM embsql.item_embeddings AS i
    WHERE i.run_id = run;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.user_lists(run bigint)
RETURNS TABLE (entity_id text, embedding real[], norm double precision, bias double precision)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    RETURN QUERY
    SELECT u.user_id, CAST(u.embedding AS real[]), CAST(u.norm AS double precision), CAST(u.bias AS double precision)
    FROM embsql.user_embeddings AS u
    WHERE u.run_id = run;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.items_of(run bigint, person text) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    RETURN ARRAY(
        SELECT past.item_id
        FROM embsql.interactions AS past
        WHERE past.run_id = run AND past.user_id = person
    );
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.users_of(run bigint, item text) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    RETURN ARRAY(
        SELECT past.user_id
        FROM embsql.interactions AS past
        WHERE past.run_id = run AND past.item_id = item
    );
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.known_items(run bigint, ids text[])
RETURNS TABLE (item_id text, embedding vector, bias real)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    RETURN QUERY
    SELECT i.item_id, i.embedding, i.bias
    FROM embsql.item_embeddings AS i
    WHERE i.run_id = run AND i.item_id = ANY (ids);
END
$embsql$;

-- Nearest neighbors. Below so many rows (embsql.index_above) a run is read whole, which is exact; above it has HNSW
-- indexes. Change a setting for a session, a role or a database: ALTER DATABASE shop SET embsql.index_above = '20000'.

CREATE OR REPLACE FUNCTION embsql_internal.setting(name text) RETURNS text
LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('embsql.' || name, TRUE), ''), CASE name
    WHEN 'index_above' THEN '50000'   -- rows; measured, see docs/benchmarks.md
    WHEN 'index_storage' THEN 'vector' -- or halfvec: less memory; taken above 2,000 dimensions in any case
END);

-- A vector with its bias as one more dimension: its dot product with (query, 1) is the score. HNSW on that product
-- keeps more of the true neighbors than any reduction to a distance (docs/decisions/0007).
CREATE OR REPLACE FUNCTION embsql_internal.append_bias(embedding vector, bias real) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN embedding || CAST(ARRAY[bias] AS vector);

-- The expression an index is built on, which a query must repeat to be served by it.
CREATE OR REPLACE FUNCTION embsql_internal.index_expression(built embsql.vector_indexes) RETURNS text
LANGUAGE sql STABLE
RETURN CASE (built).metric
    WHEN 'cosine' THEN format('(embedding::%s(%s))', (built).storage, (built).dim)
    ELSE format('(embsql_internal.append_bias(embedding, bias)::%s(%s))', (built).storage, (built).dim + 1)
END;

-- What an index is asked with: the vector at length 1, which puts rows in the same order. As it came it may be too large
-- for halfvec, or so small that nothing of it is left.
CREATE OR REPLACE FUNCTION embsql_internal.index_query(to_vector vector, how text) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE how
    WHEN 'cosine' THEN l2_normalize(to_vector)
    ELSE embsql_internal.append_bias(
        l2_normalize(to_vector), CAST(least(1 / nullif(vector_norm(to_vector), 0), 65504) AS real)
    )
END;

-- The k rows of a run best for a vector, as (id, score); the caller puts them in order. how: cosine, or dot for the
-- dot product plus the row's bias plus `plus`. Exactly k whenever k rows are left after `without` and `among`:
-- the index is asked first, and when it gives fewer the run is read whole.
CREATE OR REPLACE FUNCTION embsql_internal.nearest(
    entity text, run bigint, to_vector vector, how text, plus double precision, k bigint,
    without text[], among text[] DEFAULT NULL
) RETURNS TABLE (id text, score double precision)
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT
SET hnsw.iterative_scan = strict_order
SET hnsw.ef_search = 40
AS $embsql$
DECLARE
    built embsql.vector_indexes;
    query text;
    ids text[];
    scores double precision[];
BEGIN
    k := greatest(k, 0); -- of NULL too: no rows
    query := format(
        CASE how
            WHEN 'cosine' THEN 'SELECT %1$I AS id, embsql_internal.cosine(embedding, norm, $1, $2) AS score'
            ELSE 'SELECT %1$I AS id, embsql.inner_product(embedding, $1) + bias + $2 AS score'
        END
        || ' FROM embsql.%2$I WHERE run_id = %3$s AND %1$I <> ALL ($3)'
        || CASE WHEN among IS NOT NULL THEN ' AND %1$I = ANY ($5)' ELSE '' END,
        entity || '_id', entity || '_embeddings', run
    );
    IF how = 'cosine' THEN
        plus := embsql.vector_norm(to_vector);
    END IF;
    SELECT v.* INTO built
    FROM embsql.vector_indexes AS v
    WHERE v.run_id = run AND v.entity = nearest.entity AND v.metric = how AND among IS NULL AND k BETWEEN 1 AND 400;
    IF FOUND THEN
        PERFORM set_config('hnsw.ef_search', CAST(least(1000, greatest(100, 4 * k)) AS text), TRUE);
        EXECUTE format(
            'SELECT array_agg(best.id), array_agg(best.score) FROM (%s ORDER BY %s %s $6::%s LIMIT $4) AS best',
            query, embsql_internal.index_expression(built), CASE how WHEN 'cosine' THEN '<=>' ELSE '<#>' END,
            built.storage
        )
        INTO ids, scores
        USING to_vector, plus, without, k, among,
            embsql_internal.index_query(to_vector, how);
        IF cardinality(ids) = k THEN
            RETURN QUERY SELECT * FROM unnest(ids, scores);
            RETURN;
        END IF;
    END IF;
    RETURN QUERY EXECUTE query || ' ORDER BY score DESC NULLS LAST, id LIMIT $4' USING to_vector, plus, without, k, among;
END
$embsql$;

-- The k most popular items of a run, for whom there is no vector to ask with.
CREATE OR REPLACE FUNCTION embsql_internal.popular(run bigint, k bigint, without text[], among text[])
RETURNS TABLE (id text, score double precision)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    -- i.interactions has an index; interactions alone would be the column of the answer, which has none
    RETURN QUERY EXECUTE format(
        'SELECT i.item_id, CAST(i.interactions AS double precision) FROM embsql.item_embeddings AS i
        WHERE i.run_id = %s AND i.item_id <> ALL ($1) AND ($2 IS NULL OR i.item_id = ANY ($2))
        ORDER BY i.interactions DESC, i.item_id LIMIT greatest($3, 0)', run
    ) USING without, among, k;
END
$embsql$;

-- Partitions: a run's rows stand alone until they are written and whole.

CREATE OR REPLACE FUNCTION embsql_internal.make_partition(kind text, run bigint) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    part text := format('%s_%s', kind, run);
BEGIN
    IF to_regclass(format('embsql_runs.%I', part)) IS NULL THEN
        EXECUTE format('CREATE TABLE embsql_runs.%I (LIKE embsql.%I INCLUDING CONSTRAINTS INCLUDING STORAGE)', part, kind);
        EXECUTE format('ALTER TABLE embsql_runs.%I ADD CONSTRAINT one_run CHECK (run_id = %s)', part, run);
        IF NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = to_regclass(format('embsql.%I', kind)) AND i.indisprimary) THEN
            EXECUTE format('ALTER TABLE embsql_runs.%I REPLICA IDENTITY FULL', part);
        END IF;
        EXECUTE format('ALTER TABLE embsql_runs.%I OWNER TO %s', part, (
            SELECT c.relowner::regrole FROM pg_class AS c WHERE c.oid = to_regclass(format('embsql.%I', kind))
        )); -- on a subscriber, where somebody else runs this
        IF EXISTS (SELECT FROM pg_publication AS p WHERE p.pubviaroot) THEN
            -- what is loaded before is no row of the table's to a subscriber
            PERFORM embsql_internal.join_partition(kind, run);
        END IF;
    ELSIF EXISTS (SELECT FROM embsql.leaving AS l WHERE l.part_name = part) THEN -- an earlier run had that number
        EXECUTE format('DELETE FROM embsql_runs.%I', part);
        DELETE FROM embsql.leaving AS l WHERE l.part_name = part;
    END IF;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.join_partition(kind text, run bigint) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    part regclass := format('embsql_runs.%I', format('%s_%s', kind, run));
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = part) THEN
        EXECUTE format('ALTER TABLE embsql.%I ATTACH PARTITION %s FOR VALUES IN (%s)', kind, part, run);
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT one_run', part);
    END IF;
    IF EXISTS (SELECT FROM pg_class AS c WHERE c.oid = part AND c.reltuples <= 0) THEN
        EXECUTE format('ANALYZE %s', part);
    END IF;
END
$embsql$;

-- Marks a partition of a run that goes in this transaction; embsql_internal.drop_unread drops it.
CREATE OR REPLACE FUNCTION embsql_internal.drop_partition(kind text, run bigint) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
BEGIN
    DELETE FROM embsql.vector_indexes AS v WHERE v.run_id = run AND kind = v.entity || '_embeddings';
    INSERT INTO embsql.leaving AS l (part_name, marked, emptied)
    SELECT c.relname, pg_current_xact_id(), FALSE
    FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('embsql_runs') AND c.relname = format('%s_%s', kind, run)
    ON CONFLICT (part_name) DO UPDATE SET marked = excluded.marked, emptied = FALSE;
END
$embsql$;

-- How many transactions ago the oldest snapshot was taken that somebody may still read this database with: a session,
-- a replica that says so (hot_standby_feedback), or a prepared transaction. NULL where nobody reads; as old as can be
-- where this server does not show the sessions of others to the owner of this function (pg_read_all_stats does).
CREATE OR REPLACE FUNCTION embsql_internal.oldest_snapshot() RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
BEGIN
    PERFORM pg_stat_clear_snapshot(); -- or the whole transaction would see what it first saw
    RETURN (
        SELECT max(reader.age)
        FROM (
            SELECT CASE WHEN a.query = '<insufficient privilege>' THEN 2147483647 ELSE age(a.backend_xmin) END AS age
            FROM pg_stat_activity AS a
            WHERE a.pid <> pg_backend_pid()
                AND (a.datname = current_database() OR a.backend_type = 'walsender')
            UNION ALL
            SELECT age(s.xmin) FROM pg_replication_slots AS s
            UNION ALL
            SELECT age(p.transaction) FROM pg_prepared_xacts AS p WHERE p.database = current_database()
        ) AS reader
    );
END
$embsql$;

-- Drops marked partitions that no snapshot from before the mark can read; how many. Of the others the rows are deleted,
-- which those snapshots do not see, and the empty partition goes with a later run. Readers never wait long: a
-- partition that cannot be locked soon is one of the others.
CREATE OR REPLACE FUNCTION embsql_internal.drop_unread() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET lock_timeout = '100ms'
AS $embsql$
DECLARE
    parts embsql.leaving[] := ARRAY(
        SELECT l FROM embsql.leaving AS l ORDER BY l.part_name LIMIT 100 FOR UPDATE SKIP LOCKED
    );
    oldest integer := embsql_internal.oldest_snapshot(); -- after the marks were read: whoever begins now sees them
    part embsql.leaving;
    dropped integer := 0;
BEGIN
    FOREACH part IN ARRAY parts LOOP
        BEGIN
            IF pg_visible_in_snapshot(part.marked, pg_current_snapshot())
                AND age(CAST(part.marked AS xid)) > coalesce(oldest, -1)
            THEN
                EXECUTE format('DROP TABLE IF EXISTS embsql_runs.%I', part.part_name);
                DELETE FROM embsql.leaving AS l WHERE l.part_name = part.part_name;
                dropped := dropped + 1;
                CONTINUE;
            END IF;
        EXCEPTION WHEN lock_not_available THEN
            NULL; -- somebody reads its table
        END;
        IF NOT part.emptied AND to_regclass(format('embsql_runs.%I', part.part_name)) IS NOT NULL THEN
            EXECUTE format('DELETE FROM embsql_runs.%I', part.part_name);
            UPDATE embsql.leaving AS l SET emptied = TRUE WHERE l.part_name = part.part_name;
        END IF;
    END LOOP;
    RETURN dropped;
END
$embsql$;

-- A subscriber of logical replication is given rows and no tables. These triggers are asleep (REPLICA) wherever rows are
-- written, and awake where they arrive by replication: a run that arrives opens its partitions, and one that goes marks
-- them, to be dropped when a later one comes or goes.
CREATE OR REPLACE FUNCTION embsql_internal.follow_run() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    kind text;
BEGIN
    PERFORM embsql_internal.drop_unread();
    FOREACH kind IN ARRAY ARRAY['item_embeddings', 'user_embeddings', 'interactions'] LOOP
        IF TG_OP = 'INSERT' THEN
            PERFORM embsql_internal.make_partition(kind, NEW.run_id);
            PERFORM embsql_internal.join_partition(kind, NEW.run_id);
        ELSE
            PERFORM embsql_internal.drop_partition(kind, OLD.run_id);
        END IF;
    END LOOP;
    RETURN NULL;
END
$embsql$;
CREATE OR REPLACE TRIGGER follow_run AFTER INSERT OR DELETE ON embsql.run_records
FOR EACH ROW EXECUTE FUNCTION embsql_internal.follow_run();
ALTER TABLE embsql.run_records ENABLE REPLICA TRIGGER follow_run;

-- What is installed here and which partitions leave, no other database says; the trigger above may.
CREATE OR REPLACE FUNCTION embsql_internal.stay_local() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
BEGIN
    RETURN CASE WHEN pg_trigger_depth() > 1 THEN coalesce(NEW, OLD) END;
END
$embsql$;
DO $embsql$
DECLARE
    local_table text;
BEGIN
    FOREACH local_table IN ARRAY ARRAY['migrations', 'surface', 'leaving'] LOOP
        EXECUTE format(
            'CREATE OR REPLACE TRIGGER stay_local BEFORE INSERT OR UPDATE OR DELETE ON embsql.%I
            FOR EACH ROW EXECUTE FUNCTION embsql_internal.stay_local()', local_table
        );
        EXECUTE format('ALTER TABLE embsql.%I ENABLE REPLICA TRIGGER stay_local', local_table);
    END LOOP;
END
$embsql$;

-- The server notes the most common values of columns, and some more, for everybody who may read the table. Of tables
-- where one of those is a person who was forgotten it notes them anew; how many.
CREATE OR REPLACE FUNCTION embsql_internal.forget_statistics(runs bigint[], person text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    noted record;
    times integer := 0;
BEGIN
    PERFORM embsql_internal.allow(embsql_internal.decides(), 'forget a person');
    FOR noted IN
        SELECT DISTINCT s.schemaname, s.tablename
        FROM pg_stats AS s
        WHERE NOT s.inherited -- those would look at every run
            AND (
                s.schemaname = 'embsql'
                OR s.schemaname = 'embsql_runs' AND CAST(substring(s.tablename FROM '\d+$') AS bigint) = ANY (runs)
            )
            AND person = ANY (
                CAST(CAST(s.most_common_vals AS text) AS text[]) || CAST(CAST(s.histogram_bounds AS text) AS text[])
                || CAST(CAST(s.most_common_elems AS text) AS text[])
            )
    LOOP
        EXECUTE format('ANALYZE %I.%I', noted.schemaname, noted.tablename);
        times := times + 1;
    END LOOP;
    RETURN times;
END
$embsql$;

-- Lets this transaction build an index in so many bytes: what does not fit is built several times as slowly. At most a
-- quarter of what the server says it caches in, but 256 MB in any case; never less than was set.
CREATE OR REPLACE FUNCTION embsql_internal.allow_memory(needed bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    allowed bigint := pg_size_bytes(current_setting('effective_cache_size')) / 4;
    taken bigint := greatest(least(needed, allowed), pg_size_bytes('256MB'));
BEGIN
    IF pg_size_bytes(current_setting('maintenance_work_mem')) < taken THEN
        PERFORM set_config('maintenance_work_mem', format('%skB', taken / 1024), TRUE);
    END IF;
END
$embsql$;

-- Whether halfvec holds one side of a run: it refuses numbers above 65,504, and of a vector whose entries are far below
-- 0.0001 it keeps few digits or none.
CREATE OR REPLACE FUNCTION embsql_internal.fits_halfvec(record embsql.run_records, entity text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    fits boolean;
BEGIN
    EXECUTE format(
        'SELECT bool_and(greatest(v.norm, abs(v.bias)) <= 65504 AND (v.norm = 0 OR v.norm >= 0.0001 * sqrt($2)))
        FROM embsql.%I AS v WHERE v.run_id = $1', entity || '_embeddings'
    ) INTO fits USING record.run_id, record.dim;
    RETURN fits IS NOT FALSE;
END
$embsql$;

-- The approximate indexes that a run is large enough for. One whose numbers halfvec does not hold is indexed as vector,
-- which pgvector does up to 2,000 dimensions, a bias being one of them; above, it is read whole.
CREATE OR REPLACE FUNCTION embsql_internal.wanted_indexes(record embsql.run_records) RETURNS SETOF embsql.vector_indexes
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT record.run_id, side.entity, metric,
    CASE WHEN half.fits THEN 'halfvec' ELSE 'vector' END, record.dim
FROM unnest(ARRAY['item', 'user'], ARRAY[record.items, record.users]) AS side (entity, rows)
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN record.dim > 1999 OR embsql_internal.setting('index_storage') = 'halfvec'
        THEN embsql_internal.fits_halfvec(record, side.entity)
    END AS fits
) AS half
CROSS JOIN unnest(ARRAY['cosine', 'dot']) AS metric
WHERE side.rows > CAST(embsql_internal.setting('index_above') AS bigint)
    AND record.dim <= 3999 -- pgvector indexes no longer ones
    AND (record.dim <= 1999 OR half.fits)
    AND metric IN ('cosine', record.similarity)
$embsql$;

-- Whether the table behind a run has that index, valid or not.
CREATE OR REPLACE FUNCTION embsql_internal.has_index(built embsql.vector_indexes) RETURNS boolean
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT EXISTS (
    SELECT
    FROM pg_index AS i
    JOIN pg_opclass AS operators ON operators.oid = i.indclass[0]
    WHERE i.indrelid = to_regclass(format('embsql_runs.%I', format('%s_embeddings_%s', (built).entity, (built).run_id)))
        AND operators.opcname = (built).storage || CASE (built).metric WHEN 'cosine' THEN '_cosine_ops' ELSE '_ip_ops' END
)
$embsql$;

-- The approximate indexes of a run, where it is large enough, those that it has left as they are; how many there are.
CREATE OR REPLACE FUNCTION embsql.build_indexes(run bigint) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $embsql$
DECLARE
    record embsql.run_records;
    built embsql.vector_indexes;
BEGIN
    PERFORM embsql_internal.allow(embsql_internal.may_write(run), 'write a run that he does not train');
    -- a caller's word, in the owner's statement
    IF embsql_internal.setting('index_storage') NOT IN ('vector', 'halfvec') THEN
        RAISE EXCEPTION 'embsql: embsql.index_storage must be vector or halfvec, got %. Leave it out: RESET embsql.index_storage;',
            quote_literal(embsql_internal.setting('index_storage'));
    END IF;
    SELECT r.* INTO STRICT record FROM embsql.run_records AS r WHERE r.run_id = run;
    PERFORM embsql_internal.allow_memory(greatest(record.items, record.users) * (4 * record.dim + 750));
    FOR built IN
        SELECT wanted.* FROM embsql_internal.wanted_indexes(record) AS wanted WHERE NOT embsql_internal.has_index(wanted)
    LOOP
        PERFORM embsql_internal.build_index(built);
        INSERT INTO embsql.vector_indexes SELECT (built).* ON CONFLICT DO NOTHING; -- one that was dropped is known
    END LOOP;
    RETURN (SELECT count(*) FROM embsql.vector_indexes AS v WHERE v.run_id = run);
END
$embsql$;
COMMENT ON FUNCTION embsql.build_indexes IS 'Builds the approximate indexes that a run is large enough for and has not; how many there are.';

CREATE OR REPLACE FUNCTION embsql_internal.build_index(built embsql.vector_indexes) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    statement text := format(
        'CREATE INDEX ON embsql_runs.%I USING hnsw (%s %s) WITH (ef_construction = 200)', -- 64 loses one question in 150
        format('%s_embeddings_%s', (built).entity, (built).run_id),
        embsql_internal.index_expression(built),
        (built).storage || CASE (built).metric WHEN 'cosine' THEN '_cosine_ops' ELSE '_ip_ops' END
    );
BEGIN
    EXECUTE statement;
EXCEPTION WHEN disk_full OR insufficient_resources THEN -- too little shared memory for parallel workers, as in a container
    PERFORM set_config('max_parallel_maintenance_workers', '0', TRUE);
    EXECUTE statement;
END
$embsql$;

-- People and cohorts.

-- Users of a list, of those a run has a direction of: each once, with its vector at length 1.
CREATE OR REPLACE FUNCTION embsql_internal.known_users(run bigint, ids text[])
RETURNS TABLE (user_id text, direction vector)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    RETURN QUERY
    SELECT u.user_id, embsql.unit_vector(u.embedding)
    FROM embsql.user_embeddings AS u
    WHERE u.run_id = run AND u.norm > 0 AND u.user_id = ANY (ids);
END
$embsql$;

-- Who is in the cohorts of a set, each once in each, with the direction a run has of them, or NULL.
CREATE OR REPLACE FUNCTION embsql_internal.cohort_members(run bigint, name text)
RETURNS TABLE (cohort text, user_id text, direction vector)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    RETURN QUERY
    SELECT c.cohort, c.user_id, embsql.unit_vector(u.embedding)
    FROM (SELECT DISTINCT m.cohort, m.user_id FROM embsql.cohorts AS m WHERE m.cohort_set = name) AS c
    LEFT JOIN embsql.user_embeddings AS u ON u.run_id = run AND u.user_id = c.user_id AND u.norm > 0;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.x_ln_x(x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN CASE WHEN x > 0 THEN x * ln(x) ELSE 0 END;

-- Two runs. A matrix is the list of its rows.

-- What both runs have a direction of, at length 1. ordinal puts each kind in an order that has nothing to do with the
-- vectors: the first so many are a fixed sample.
CREATE OR REPLACE FUNCTION embsql_internal.shared_vectors(run_a bigint, run_b bigint)
RETURNS TABLE (entity text, entity_id text, ordinal bigint, direction_a vector, direction_b vector)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $embsql$
BEGIN
    RETURN QUERY
    SELECT
        pair.entity,
        pair.entity_id,
        row_number() OVER (PARTITION BY pair.entity ORDER BY md5(pair.entity_id)),
        embsql.unit_vector(pair.embedding_a),
        embsql.unit_vector(pair.embedding_b)
    FROM (
        SELECT 'item' AS entity, a.item_id AS entity_id, a.embedding AS embedding_a, b.embedding AS embedding_b
        FROM embsql.item_embeddings AS a
        JOIN embsql.item_embeddings AS b ON b.item_id = a.item_id
        WHERE a.run_id = run_a AND b.run_id = run_b AND a.norm > 0 AND b.norm > 0
        UNION ALL
        SELECT 'user', a.user_id, a.embedding, b.embedding
        FROM embsql.user_embeddings AS a
        JOIN embsql.user_embeddings AS b ON b.user_id = a.user_id
        WHERE a.run_id = run_a AND b.run_id = run_b AND a.norm > 0 AND b.norm > 0
    ) AS pair;
END
$embsql$;

-- The inner products of the rows of one matrix with those of another: x times the transpose of y.
CREATE OR REPLACE FUNCTION embsql_internal.matmul_transposed(x vector[], y vector[]) RETURNS vector[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT array_agg(line.entries ORDER BY line.n)
    FROM (
        SELECT of_x.n, CAST(array_agg(inner_product(of_x.entries, of_y.entries) ORDER BY of_y.n) AS vector) AS entries
        FROM unnest(x) WITH ORDINALITY AS of_x (entries, n)
        CROSS JOIN unnest(y) WITH ORDINALITY AS of_y (entries, n)
        GROUP BY of_x.n
    ) AS line
);

CREATE OR REPLACE FUNCTION embsql_internal.transposed(x vector[]) RETURNS vector[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT array_agg(line.entries ORDER BY line.ordinal)
    FROM (
        SELECT entry.ordinal, CAST(array_agg(entry.value ORDER BY of_x.n) AS vector) AS entries
        FROM unnest(x) WITH ORDINALITY AS of_x (entries, n)
        CROSS JOIN LATERAL unnest(CAST(of_x.entries AS real[])) WITH ORDINALITY AS entry (value, ordinal)
        GROUP BY entry.ordinal
    ) AS line
);

CREATE OR REPLACE FUNCTION embsql_internal.frobenius_norm_squared(x vector[]) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (SELECT sum(inner_product(of_x, of_x)) FROM unnest(x) AS of_x);

-- Every entry divided by a number, as doubles: pgvector's product refuses what is too small for a float, which is 0.
CREATE OR REPLACE FUNCTION embsql_internal.scale_matrix(x vector[], size double precision) RETURNS vector[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT array_agg(CAST(ARRAY(
        SELECT entry.value / size
        FROM unnest(CAST(of_x.entries AS real[])) WITH ORDINALITY AS entry (value, ordinal)
        ORDER BY entry.ordinal
    ) AS vector) ORDER BY of_x.n)
    FROM unnest(x) WITH ORDINALITY AS of_x (entries, n)
);

CREATE OR REPLACE FUNCTION embsql_internal.matvec(a vector, matrix vector[]) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT CAST(array_agg(inner_product(of_matrix.entries, a) ORDER BY of_matrix.n) AS vector)
    FROM unnest(matrix) WITH ORDINALITY AS of_matrix (entries, n)
);

-- 1.5 I - 0.5 x x': what Newton and Schulz multiply x with.
CREATE OR REPLACE FUNCTION embsql_internal.newton_schulz_step(x vector[]) RETURNS vector[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT array_agg(line.entries ORDER BY line.n)
    FROM (
        SELECT of_x.n, CAST(array_agg(
            CASE WHEN of_x.n = of_y.n THEN 1.5 ELSE 0 END - 0.5 * inner_product(of_x.entries, of_y.entries) ORDER BY of_y.n
        ) AS vector) AS entries
        FROM unnest(x) WITH ORDINALITY AS of_x (entries, n)
        CROSS JOIN unnest(x) WITH ORDINALITY AS of_y (entries, n)
        GROUP BY of_x.n
    ) AS line
);

-- The matrix that turns vectors of one run onto those of another, with the least sum of squares over what both have:
-- the orthogonal factor of m, the sum of b a' (Schoenemann, 1966), which Newton and Schulz's iteration finds by
-- products alone (Higham, Functions of Matrices, 2008, chapter 8). It ends when a step adds nothing to the squared
-- size, which goes towards the number of dimensions that have a counterpart.
CREATE OR REPLACE FUNCTION embsql_internal.alignment(run_a bigint, run_b bigint) RETURNS vector[]
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    columns_a vector[];
    columns_b vector[];
    m vector[];
    across vector[];
    factor vector[];
    size double precision;
    before double precision := 0;
BEGIN
    SELECT
        embsql_internal.transposed(array_agg(s.direction_a ORDER BY s.entity, s.ordinal)),
        embsql_internal.transposed(array_agg(s.direction_b ORDER BY s.entity, s.ordinal))
    INTO columns_a, columns_b
    FROM embsql_internal.shared_vectors(run_a, run_b) AS s
    WHERE s.ordinal <= 5000; -- of each kind: columns longer than 16,000 are no vectors
    m := embsql_internal.matmul_transposed(columns_b, columns_a);
    m := embsql_internal.scale_matrix(m, coalesce(nullif(sqrt(embsql_internal.frobenius_norm_squared(m)), 0), 1)); -- 0 where all cancels out
    across := embsql_internal.transposed(m);
    FOR step IN 1..60 LOOP
        size := embsql_internal.frobenius_norm_squared(m);
        EXIT WHEN size IS NULL OR size <= before + 1e-6;
        before := size;
        factor := embsql_internal.newton_schulz_step(m);
        m := embsql_internal.matmul_transposed(factor, across);
        across := embsql_internal.matmul_transposed(across, factor);
    END LOOP;
    RETURN m;
END
$embsql$;

-- Folding in: the user vector of a history, as the run's training would make it (embsql.fold_in_settings says how).

-- Items and their weights as rows, weighed as in training: one whose weight is NULL is left out, and so is one of 0
-- unless weights are ratings; one that is not finite is an error, and so is a negative one unless weights are ratings.
-- Without weights all are NULL. Lists of different lengths are an error.
CREATE OR REPLACE FUNCTION embsql_internal.zip_history(asked text[], amounts double precision[], rated boolean)
RETURNS TABLE (item_id text, weight double precision)
LANGUAGE plpgsql IMMUTABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    wrong record;
BEGIN
    IF coalesce(cardinality(asked), 0) <> cardinality(amounts) THEN
        RAISE EXCEPTION 'embsql: % items with % weights: give every item one weight, or none at all',
            coalesce(cardinality(asked), 0), cardinality(amounts);
    END IF;
    SELECT entry.* INTO wrong
    FROM unnest(asked, amounts) AS entry (item, amount)
    WHERE abs(entry.amount) > 3e38 OR entry.amount < 0 AND NOT rated -- NaN is more than any number
    ORDER BY abs(entry.amount) DESC
    LIMIT 1;
    IF abs(wrong.amount) > 3e38 THEN
        RAISE EXCEPTION 'embsql: the list of weights holds NaN or infinity, or a number beyond those (%): a weight is finite, at most 3e38',
            wrong.amount;
    END IF;
    IF wrong.amount < 0 THEN
        RAISE EXCEPTION 'embsql: item "%" has the negative weight %, and this model was not trained on ratings: leave the item out, or give a weight of 0 or more',
            wrong.item, wrong.amount;
    END IF;
    RETURN QUERY
    SELECT entry.item, entry.amount
    FROM unnest(asked, amounts) AS entry (item, amount)
    WHERE amounts IS NULL OR rated AND entry.amount IS NOT NULL OR entry.amount > 0;
END
$embsql$;

-- What a run makes of a history, in one row. Its vector x solves A x = sum of pulls * vectors, where
-- A = unobserved_weight * gram + ridge * identity + sum of curves * vector vector'; without gram A is the identity.
-- ids are the known items in order, bias is the user's. Without amounts every item counts what one meeting does.
CREATE OR REPLACE FUNCTION embsql_internal.fold_in_system(of_run bigint, asked text[], amounts double precision[])
RETURNS TABLE (
    kind text, bias double precision, ids text[], weights double precision[], vectors vector[],
    curves double precision[], pulls double precision[], unobserved_weight double precision, ridge double precision, gram vector[]
)
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
WITH how AS (
    SELECT record.run_id, record.items, coalesce(solver.kind, 'mean') AS kind, n.*
    FROM embsql.run_records AS record
    LEFT JOIN embsql.fold_in_settings AS solver ON solver.run_id = record.run_id
    LEFT JOIN LATERAL json_to_record(CAST(solver.settings AS json)) AS n (
        global_mean double precision, bias_damping double precision, default_rating double precision, weight_scale double precision,
        confidence_offset double precision, confidence_scale double precision, target_offset double precision, unobserved_weight double precision,
        reg double precision, reg_exponent double precision, n_columns double precision
    ) ON TRUE
    WHERE record.run_id = $1
),
numbers AS (
    SELECT
        how.run_id, how.kind, how.global_mean AS global_mean, how.bias_damping AS bias_damping, coalesce(how.default_rating, 1) AS default_rating,
        coalesce(how.weight_scale, 1) AS weight_scale, coalesce(how.confidence_offset, 0) AS confidence_offset, coalesce(how.confidence_scale, 0) AS confidence_scale,
        coalesce(how.target_offset, 0) AS target_offset, how.unobserved_weight AS unobserved_weight, how.unobserved_weight * coalesce(how.n_columns, how.items) AS mass, how.reg AS reg, how.reg_exponent AS reg_exponent
    FROM how
),
collected AS ( -- bare are the times an item is given without a weight
    SELECT
        entry.item_id, coalesce(sum(entry.weight), 0) AS total, count(*) AS times,
        count(*) - count(entry.weight) AS bare
    FROM how
    CROSS JOIN LATERAL embsql_internal.zip_history($2, $3, how.global_mean IS NOT NULL) AS entry
    GROUP BY entry.item_id
),
known AS ( -- an item given twice counts with both weights, one rated twice with the mean
    SELECT
        numbers.*, collected.item_id, item.embedding, item.bias AS item_bias, coalesce(part.scale, 1) AS part,
        (collected.total + collected.bare * numbers.default_rating) / CASE WHEN numbers.global_mean IS NULL THEN 1 ELSE collected.times END AS weight
    FROM numbers
    CROSS JOIN collected
    -- the subquery, since lists that do not fit are an error also where no item is known
    JOIN embsql_internal.known_items($1, ARRAY(SELECT entry.item_id FROM collected AS entry)) AS item
        ON item.item_id = collected.item_id
    LEFT JOIN embsql.item_weights AS part ON part.run_id = numbers.run_id AND part.item_id = item.item_id
),
rested AS ( -- what a rating leaves to the user and the vectors; the weight itself where nothing was rated
    SELECT known.*, known.weight * known.part - coalesce(known.global_mean + known.item_bias, 0) AS rest FROM known
),
person AS (
    SELECT
        rested.*,
        coalesce(sum(rested.rest) OVER () / (count(*) OVER () + rested.bias_damping), 0) AS own,
        CASE WHEN rested.kind = 'mean' THEN nullif(sum(rested.weight) OVER (), 0) ELSE 1 END AS whole
    FROM rested
),
evidence AS (
    SELECT person.*, person.weight_scale * (person.rest - person.own) / person.whole AS amount
    FROM person
    WHERE person.whole IS NOT NULL
)
SELECT
    max(evidence.kind) AS kind,
    max(evidence.own + coalesce(evidence.global_mean, 0)) AS bias,
    array_agg(evidence.item_id ORDER BY evidence.item_id) AS ids,
    array_agg(CAST(evidence.weight AS double precision) ORDER BY evidence.item_id) AS weights,
    array_agg(evidence.embedding ORDER BY evidence.item_id) AS vectors,
    array_agg(evidence.confidence_offset + evidence.confidence_scale * evidence.amount ORDER BY evidence.item_id) AS curves,
    array_agg(evidence.target_offset + evidence.amount ORDER BY evidence.item_id) AS pulls,
    max(evidence.unobserved_weight) AS unobserved_weight,
    max(evidence.reg) * pow(sum(evidence.confidence_offset + evidence.confidence_scale * evidence.amount) + max(evidence.mass), max(evidence.reg_exponent)) AS ridge,
    (
        SELECT array_agg(line.entries ORDER BY line.position)
        FROM embsql.item_gramian AS line
        JOIN how ON how.run_id = line.run_id
    ) AS gram
FROM evidence
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.scaled(factor double precision, a vector) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CAST(array_fill(CAST(factor AS real), ARRAY[vector_dims(a)]) AS vector) * a;

-- The sum of amounts * vectors.
CREATE OR REPLACE FUNCTION embsql_internal.weighted_sum(vectors vector[], amounts double precision[]) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT sum(embsql_internal.scaled(pair.amount, pair.one)) FROM unnest(vectors, amounts) AS pair (one, amount);
END;

-- x of A x = b, A being the matrix of embsql_internal.fold_in_system, by conjugate gradients from zero: until what is
-- left is a millionth of b. As many steps as b is long would do if nothing were rounded; pgvector's numbers want more
-- of them.
CREATE OR REPLACE FUNCTION embsql_internal.solve(
    gram vector[], unobserved_weight double precision, ridge double precision, vectors vector[], curves double precision[], b vector
) RETURNS vector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    x vector;
    r vector := b; -- what is left of b
    p vector := b; -- the direction of the step
    q vector;      -- A p
    size double precision := inner_product(b, b);
    goal double precision := 1e-12 * size;
    before double precision;
BEGIN
    IF gram IS NULL OR vectors IS NULL OR b IS NULL THEN -- of a history of nothing there is nothing to solve
        RETURN b;
    END IF;
    x := embsql_internal.scaled(0, b);
    FOR step IN 1 .. 4 * vector_dims(b) LOOP
        EXIT WHEN size <= goal;
        SELECT CAST(array_agg(unobserved_weight * inner_product(line.entries, p) ORDER BY line.ordinal) AS vector) + embsql_internal.scaled(ridge, p) INTO q
        FROM unnest(gram) WITH ORDINALITY AS line (entries, ordinal);
        SELECT q + sum(embsql_internal.scaled(pair.curve * inner_product(pair.one, p), pair.one)) INTO q
        FROM unnest(vectors, curves) AS pair (one, curve);
        x := x + embsql_internal.scaled(size / inner_product(p, q), p);
        r := r - embsql_internal.scaled(size / inner_product(p, q), q);
        before := size;
        size := inner_product(r, r);
        p := r + embsql_internal.scaled(size / before, p);
    END LOOP;
    RETURN x;
END
$embsql$;

-- A time of an event as a moment in UTC; NULL beyond what has one.
CREATE OR REPLACE FUNCTION embsql_internal.moment(microseconds bigint) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN abs(microseconds) < 200000000000000000 THEN TIMESTAMP 'epoch' + microseconds * INTERVAL '1 microsecond'
END;

-- Between the vectors of tables and those that are computed with: the same thing where the engine has only one kind.
CREATE OR REPLACE FUNCTION embsql_internal.as_vector(a vector) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN a;

CREATE OR REPLACE FUNCTION embsql_internal.as_double(a vector) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN a;

-- A caller's vector. NaN and infinity are an error, pgvector's own; one that is so long that its products with others may
-- be either is ours.
CREATE OR REPLACE FUNCTION embsql_internal.finite_vector(a vector) RETURNS vector
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF inner_product(a, a) = 'Infinity' THEN
        RAISE EXCEPTION 'embsql: the vector holds NaN or infinity, or is longer than 1.8e19';
    END IF;
    RETURN a;
END
$embsql$;

-- A caller's vector as it came: pgvector's types, arrays of numbers, rows of them, and text like '[1,2]', '{1,2}'
-- or '{"1","2"}'. All but pgvector's own pass through text, in which a float has all its digits.
CREATE OR REPLACE FUNCTION embsql_internal.vector_from(a vector) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN a;

CREATE OR REPLACE FUNCTION embsql_internal.vector_from(a anycompatible) RETURNS vector
LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT SET extra_float_digits = 1
AS $embsql$ SELECT CAST(translate(CAST(a AS text), '{}()"', '[][]') AS vector) $embsql$;

-- Towers: the vector of a newcomer, of what is known of them, as the run's tower would make it (embsql.tower_features).

-- A number as it is written, in days since 1970 for a time.
CREATE OR REPLACE FUNCTION embsql_internal.tower_number(kind text, word text) RETURNS double precision
LANGUAGE sql STABLE
RETURN CASE kind
    WHEN 'time' THEN extract(epoch FROM CAST(word AS timestamp)) / 86400
    ELSE CAST(word AS double precision)
END;

-- What is said of a feature, as rows: several tags or items, the words of a text, one of all else.
CREATE OR REPLACE FUNCTION embsql_internal.feature_tokens(kind text, said json) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT entry.value
    FROM json_array_elements_text(CASE
        WHEN kind NOT IN ('tags', 'items', 'text') OR kind <> 'text' AND json_typeof(said) <> 'array' THEN json_build_array(said)
        WHEN kind = 'text' THEN to_json(regexp_split_to_array(lower(said #>> '{}'), '[ \t\n\r!-/:-@\[-`{-~]+'))
        ELSE said
    END) AS entry (value)
    WHERE entry.value IS NOT NULL;
END;

-- The features as JSON. Raises for a run without this tower, for what is no JSON object, and for a name the tower does
-- not know; that of the id may stand there.
CREATE OR REPLACE FUNCTION embsql_internal.known_features(of_run bigint, side text, features text) RETURNS json
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    known text[] := ARRAY(
        SELECT part.feature
        FROM embsql.tower_features AS part
        WHERE part.run_id = of_run AND part.entity = side AND part.value IS NULL
        ORDER BY part.feature
    );
    parsed json;
    strange text;
BEGIN
    IF cardinality(known) = 0 THEN
        RAISE EXCEPTION 'embsql: run % makes no % vectors of features. Train two_tower with %_features => ''SELECT %_id, ...''',
            of_run, side, side, side;
    END IF;
    BEGIN
        parsed := features;
        IF json_typeof(parsed) <> 'object' THEN
            RAISE invalid_text_representation;
        END IF;
    EXCEPTION WHEN invalid_text_representation THEN
        RAISE EXCEPTION 'embsql: features must be a JSON object, for example {"country": "DE", "age": 31}, got %', features;
    END;
    SELECT min(name COLLATE "C") INTO strange
    FROM json_object_keys(parsed) AS name
    WHERE name <> ALL (known) AND name <> side || '_id';
    IF strange IS NOT NULL THEN
        RAISE EXCEPTION 'embsql: this model knows no % feature "%". It knows: %',
            side, strange, array_to_string(array_remove(known, ''), ', ');
    END IF;
    RETURN parsed;
END
$embsql$;

-- The vector of features (a JSON object) in one row, and how many of them the tower knew the value of.
CREATE OR REPLACE FUNCTION embsql_internal.tower(
    of_run bigint, side text, features text, OUT embedding vector, OUT known bigint
)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    parsed json := embsql_internal.known_features(of_run, side, features);
    next_layer integer := 2;
    above vector;
BEGIN
    WITH declared AS (
        SELECT part.feature, part.kind, part.embedding, parsed -> part.feature AS said
        FROM embsql.tower_features AS part
        WHERE part.run_id = of_run AND part.entity = side AND part.value IS NULL
    ),
    words AS (
        SELECT DISTINCT declared.feature, declared.kind, word
        FROM declared
        CROSS JOIN LATERAL embsql_internal.feature_tokens(declared.kind, declared.said) AS word
    ),
    matched AS (
        SELECT
            words.feature, part.embedding,
            CASE
                WHEN words.kind IN ('number', 'time')
                THEN greatest(-4, least(4, (
                    embsql_internal.tower_number(words.kind, words.word) - part.center
                ) / part.scale))
                WHEN words.kind = 'items' THEN 1.0 / count(*) OVER alike
                ELSE 1 / sqrt(count(*) OVER alike)
            END AS factor
        FROM words
        JOIN embsql.tower_features AS part
            ON part.run_id = of_run AND part.entity = side AND part.feature = words.feature
            AND part.value = CASE WHEN words.kind IN ('number', 'time') THEN '' ELSE words.word END
        WINDOW alike AS (PARTITION BY words.feature)
    ),
    parts AS (
        SELECT matched.feature, embsql_internal.scaled(matched.factor, matched.embedding) AS part FROM matched
        UNION ALL
        SELECT declared.feature, declared.embedding
        FROM declared
        WHERE declared.feature NOT IN (SELECT matched.feature FROM matched)
    )
    SELECT sum(parts.part), (SELECT count(DISTINCT matched.feature) FROM matched) INTO embedding, known FROM parts;
    LOOP
        SELECT CAST(array_agg(inner_product(line.weights, active.x) + line.bias ORDER BY line.position) AS vector) INTO above
        FROM embsql.tower_layers AS line
        CROSS JOIN (
            SELECT CAST(array_agg(greatest(e.entry, 0) ORDER BY e.ordinal) AS vector) AS x
            FROM unnest(CAST(embedding AS real[])) WITH ORDINALITY AS e (entry, ordinal)
        ) AS active
        WHERE line.run_id = of_run AND line.entity = side AND line.layer = next_layer;
        EXIT WHEN above IS NULL;
        embedding := above;
        next_layer := next_layer + 1;
    END LOOP;
    IF (SELECT run.similarity FROM embsql.run_records AS run WHERE run.run_id = of_run) = 'cosine' THEN
        embedding := embsql.unit_vector(embedding);
    END IF;
END
$embsql$;

-- Sequence networks: the state after a history, as the run's network would make it. Vectors are in
-- order of their events; a map is an array of its rows, and one of their biases.

-- One over the standard deviation of each vector: layer norm, the rest of which is in the weights
-- behind it, whose rows sum to zero and so take the mean away (embsql/nn/network_rows.py).
CREATE OR REPLACE FUNCTION embsql_internal.normalized(vectors vector[]) RETURNS vector[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
SELECT ARRAY(
    SELECT embsql_internal.scaled(1 / sqrt((
        SELECT var_pop(entry) FROM unnest(CAST(event.x AS real[])) AS entry
    ) + 1e-5), event.x)
    FROM unnest(vectors) AS event (x)
)
$embsql$;

-- Vectors through a map of a run's layer: one for each of them.
CREATE OR REPLACE FUNCTION embsql_internal.linear(
    run bigint, of_layer integer, of_part text, vectors vector[]
) RETURNS vector[]
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    lines vector[];
    biases double precision[];
BEGIN
    SELECT
        array_agg(line.weights ORDER BY line.position), array_agg(line.bias ORDER BY line.position)
    INTO lines, biases
    FROM embsql.network_layers AS line
    WHERE line.run_id = run AND line.layer = of_layer AND line.part = of_part;
    RETURN ARRAY(
        SELECT CAST(ARRAY(
            SELECT inner_product(line.weights, event.x) + line.bias
            FROM unnest(lines, biases) AS line (weights, bias)
        ) AS vector)
        FROM unnest(vectors) AS event (x)
    );
END
$embsql$;

-- exp refuses what is too large for a number
CREATE OR REPLACE FUNCTION embsql_internal.sigmoid(x double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 1 / (1 + exp(least(-x, 700)));

-- The states of gated recurrent units after each event (Cho et al., 2014).
CREATE OR REPLACE FUNCTION embsql_internal.gru_states(
    run bigint, of_layer integer, vectors vector[]
) RETURNS vector[]
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    state vector;
    states vector[] := ARRAY[]::vector[];
    gates vector;
    lines vector[];
    biases double precision[];
    dim integer;
BEGIN
    SELECT
        array_agg(line.weights ORDER BY line.position), array_agg(line.bias ORDER BY line.position)
    INTO lines, biases
    FROM embsql.network_layers AS line
    WHERE line.run_id = run AND line.layer = of_layer AND line.part = 'hidden';
    dim := vector_dims(lines[1]);
    state := CAST(array_fill(CAST(0 AS real), ARRAY[dim]) AS vector);
    FOREACH gates IN ARRAY embsql_internal.linear(run, of_layer, 'input', vectors) LOOP
        state := embsql_internal.gru_step(dim, CAST(gates AS real[]), ARRAY(
            SELECT inner_product(line.weights, state) + line.bias
            FROM unnest(lines, biases) AS line (weights, bias)
        ), CAST(state AS real[]));
        states := states || state;
    END LOOP;
    RETURN states;
END
$embsql$;

-- The next state, from what an event and the state before add to reset, update and new gates.
CREATE OR REPLACE FUNCTION embsql_internal.gru_step(
    dim integer, gates real[], recurrent double precision[], state real[]
) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
SELECT CAST(ARRAY(
    SELECT entry.fresh + (entry.before - entry.fresh) * embsql_internal.sigmoid(entry.updating)
    FROM (
        SELECT
            one.before, one.update_gate + one.update_state AS updating,
            tanh(
                one.new_gate
                + one.new_state * embsql_internal.sigmoid(one.reset_gate + one.reset_state)
            ) AS fresh
        FROM unnest(
            state, gates[:dim], gates[dim + 1:2 * dim], gates[2 * dim + 1:],
            recurrent[:dim], recurrent[dim + 1:2 * dim], recurrent[2 * dim + 1:]
        ) AS one (before, reset_gate, update_gate, new_gate, reset_state, update_state, new_state)
    ) AS entry
) AS vector)
$embsql$;

-- Rotary position embedding (Su et al., 2021): pairs of components of each head are turned by their
-- event's position, the first of which comes after `before` others.
CREATE OR REPLACE FUNCTION embsql_internal.rotary_each(
    vectors vector[], width integer, before integer
) RETURNS vector[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
SELECT ARRAY(
    SELECT CAST(ARRAY(
        SELECT entry.x * cos(entry.angle) + entry.partner * sin(entry.angle)
        FROM (
            SELECT
                one.x, (before + event.ordinal) * one.frequency AS angle,
                CASE
                    WHEN (one.i - 1) % width < width / 2 THEN -event.x[one.i + width / 2]
                    ELSE event.x[one.i - width / 2]
                END AS partner
            FROM unnest(event.x, turns.frequencies) WITH ORDINALITY AS one (x, frequency, i)
        ) AS entry
    ) AS vector)
    FROM (
        SELECT CAST(whole.x AS real[]) AS x, whole.ordinal
        FROM unnest(vectors) WITH ORDINALITY AS whole (x, ordinal)
    ) AS event
    CROSS JOIN (
        SELECT ARRAY(
            SELECT pow(1e4, -CAST(i % (width / 2) AS double precision) / (width / 2))
            FROM generate_series(0, vector_dims(vectors[1]) - 1) AS i
        ) AS frequencies
    ) AS turns
)
$embsql$;

-- What one head makes of each query: the mean of values by how alike query and key are. Of a causal
-- network a query sees the keys up to its own, the first of which is the key after `before`.
CREATE OR REPLACE FUNCTION embsql_internal.attended(
    queries vector[], keys vector[], lines vector[], before integer, causal boolean
) RETURNS vector[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    query vector;
    scores double precision[];
    shares vector;
    answers vector[] := ARRAY[]::vector[];
BEGIN
    FOREACH query IN ARRAY queries LOOP
        before := before + 1;
        scores := ARRAY(
            SELECT CASE
                WHEN NOT causal OR key.ordinal <= before
                THEN inner_product(query, key.x) / sqrt(vector_dims(query))
            END
            FROM unnest(keys) WITH ORDINALITY AS key (x, ordinal)
        );
        shares := embsql_internal.softmax(scores);
        answers := answers || CAST(ARRAY(
            SELECT inner_product(line.x, shares) FROM unnest(lines) AS line (x)
        ) AS vector);
    END LOOP;
    RETURN answers;
END
$embsql$;

-- NULL is a share of 0.
CREATE OR REPLACE FUNCTION embsql_internal.softmax(scores double precision[]) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $embsql$
SELECT CAST(array_agg(coalesce(power.share, 0) / power.total ORDER BY power.ordinal) AS vector)
FROM (
    SELECT one.ordinal, one.share, sum(one.share) OVER () AS total
    FROM (
        SELECT score.ordinal, exp(greatest(score.x - max(score.x) OVER (), -700)) AS share
        FROM unnest(scores) WITH ORDINALITY AS score (x, ordinal)
    ) AS one
) AS power
$embsql$;

CREATE OR REPLACE FUNCTION embsql_internal.sum_each(
    vectors vector[], others vector[]
) RETURNS vector[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT pair.a + pair.b FROM unnest(vectors, others) AS pair (a, b));

-- The same part of each vector: so many numbers after the first ones.
CREATE OR REPLACE FUNCTION embsql_internal.part_each(
    vectors vector[], after integer, width integer
) RETURNS vector[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT subvector(whole.x, after + 1, width) FROM unnest(vectors) AS whole (x));

CREATE OR REPLACE FUNCTION embsql_internal.positive_each(vectors vector[]) RETURNS vector[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(
    SELECT CAST(ARRAY(
        SELECT greatest(entry, 0) FROM unnest(CAST(whole.x AS real[])) AS entry
    ) AS vector)
    FROM unnest(vectors) AS whole (x)
);

-- The states of a transformer's layer at the events from `first` on.
CREATE OR REPLACE FUNCTION embsql_internal.transformer_states(
    run bigint, of_layer integer, vectors vector[], n_heads integer, causal boolean, first integer
) RETURNS vector[]
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    width integer := vector_dims(vectors[1]) / n_heads;
    normal vector[] := embsql_internal.normalized(vectors);
    queries vector[] := embsql_internal.rotary_each(
        embsql_internal.linear(run, of_layer, 'query', normal[first:]), width, first - 1
    );
    keys vector[] := embsql_internal.rotary_each(
        embsql_internal.linear(run, of_layer, 'key', normal), width, 0
    );
    lines vector[] := embsql_internal.transposed(
        embsql_internal.linear(run, of_layer, 'value', normal)
    );
    of_head vector[];
    heads vector[];
    seen vector[];
BEGIN
    FOR after IN 0 .. (n_heads - 1) * width BY width LOOP
        of_head := embsql_internal.attended(
            embsql_internal.part_each(queries, after, width),
            embsql_internal.part_each(keys, after, width),
            lines[after + 1:after + width], first - 1, causal
        );
        heads := CASE after
            WHEN 0 THEN of_head
            ELSE ARRAY(SELECT pair.a || pair.b FROM unnest(heads, of_head) AS pair (a, b))
        END;
    END LOOP;
    seen := embsql_internal.sum_each(
        embsql_internal.linear(run, of_layer, 'attention_output', heads), vectors[first:]
    );
    RETURN embsql_internal.sum_each(
        embsql_internal.linear(run, of_layer, 'feed_forward_output', embsql_internal.positive_each(
            embsql_internal.linear(run, of_layer, 'feed_forward', embsql_internal.normalized(seen))
        )),
        seen
    );
END
$embsql$;

-- Which rows of a network's time table an event reads: those of its hour, weekday, time since the
-- event before and since the item's first (embsql/features/time.py). All are microseconds, or the
-- source's own numbers, of which hours and weekdays are unknown.
CREATE OR REPLACE FUNCTION embsql_internal.span_bucket(span double precision) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN least(39, CAST(floor(ln(greatest(span, 0) + 1) / ln(2e0)) AS integer));

CREATE OR REPLACE FUNCTION embsql_internal.time_rows(
    moment bigint, before bigint, first_time bigint, dated boolean
) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN dated THEN ARRAY[
        1 + CAST(floor(moment / 3.6e9) - 24 * floor(moment / 86.4e9) AS integer),
        25 + CAST(floor(moment / 86.4e9) - 7 * floor(moment / 604.8e9) AS integer),
        32 + embsql_internal.span_bucket((moment - before) / 6e7),
        72 + embsql_internal.span_bucket((moment - first_time) / 6e7)
    ]
    ELSE ARRAY[
        1, 25, 32 + embsql_internal.span_bucket(moment - before),
        72 + embsql_internal.span_bucket(moment - first_time)
    ]
END;

-- The events of a list that a run knows, in order, with what its network reads of each, before
-- times. Lists of different lengths are an error. Events without a time are of the run's latest.
CREATE OR REPLACE FUNCTION embsql_internal.network_events(
    network embsql.networks, asked text[], moments timestamp[]
) RETURNS TABLE (input vector, time_rows integer[])
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    IF coalesce(cardinality(asked), 0) <> cardinality(moments) THEN
        RAISE EXCEPTION 'embsql: % items with % times: give every item one time, or none at all',
            coalesce(cardinality(asked), 0), cardinality(moments);
    END IF;
    RETURN QUERY
    SELECT embsql_internal.scaled(part.scale, event.embedding), embsql_internal.time_rows(
        event.moment, coalesce(lag(event.moment) OVER in_order, event.moment), start.first_time,
        abs(network.latest_time) > 1e14
    )
    FROM (
        SELECT item.item_id, item.embedding, listed.ordinal, coalesce(
            CASE
                WHEN isfinite(listed.moment)
                THEN CAST(extract(epoch FROM listed.moment) * 1000000 AS bigint)
            END, network.latest_time
        ) AS moment
        FROM unnest(asked, moments) WITH ORDINALITY AS listed (item_id, moment, ordinal)
        JOIN embsql_internal.known_items(network.run_id, asked) AS item
            ON item.item_id = listed.item_id
        WHERE network.kind <> 'gru_distinct'
            -- NULL where a later one is NULL
            OR (listed.item_id = ANY (asked[CAST(listed.ordinal AS integer) + 1:])) IS NOT TRUE
    ) AS event
    JOIN embsql.item_weights AS part -- an item without a vector says nothing
        ON part.run_id = network.run_id AND part.item_id = event.item_id AND part.scale > 0
    LEFT JOIN embsql.item_first_times AS start
        ON start.run_id = network.run_id AND start.item_id = event.item_id
    WINDOW in_order AS (ORDER BY event.ordinal)
    ORDER BY event.ordinal;
END
$embsql$;

-- What a network reads of a list of items: the latest that it knows, and a mask where it wants one,
-- of the moment of the event before it.
CREATE OR REPLACE FUNCTION embsql_internal.network_inputs(
    network embsql.networks, asked text[], moments timestamp[]
) RETURNS vector[]
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    mask vector;
    inputs vector[];
    of_times vector[];
BEGIN
    SELECT line.weights INTO mask
    FROM embsql.network_layers AS line
    WHERE line.run_id = network.run_id AND line.layer = 0 AND line.part = 'mask';
    SELECT array_agg(event.input), array_agg((
        SELECT sum(line.weights)
        FROM embsql.network_layers AS line
        WHERE line.run_id = network.run_id AND line.layer = 0 AND line.part = 'time'
            AND line.position = ANY (event.time_rows)
    )) INTO inputs, of_times
    FROM embsql_internal.network_events(network, asked, moments) AS event;
    inputs := inputs[greatest(1, cardinality(inputs) - network.max_length + 1):];
    of_times := of_times[greatest(1, cardinality(of_times) - network.max_length + 1):];
    IF mask IS NOT NULL AND cardinality(inputs) > 0 THEN
        inputs := inputs || mask;
        of_times := of_times || of_times[cardinality(of_times)];
    END IF;
    RETURN CASE
        WHEN network.latest_time IS NULL THEN inputs
        ELSE embsql_internal.sum_each(inputs, of_times)
    END;
END
$embsql$;

-- The state after the last of the items that the run knows: NULL for a run without a network, and
-- where it knows none of them.
CREATE OR REPLACE FUNCTION embsql_internal.network_state(
    of_run bigint, asked text[], moments timestamp[]
) RETURNS vector
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    network embsql.networks;
    vectors vector[];
    causal boolean := NOT EXISTS (
        SELECT FROM embsql.network_layers AS line
        WHERE line.run_id = of_run AND line.layer = 0 AND line.part = 'mask'
    );
BEGIN
    SELECT one.* INTO network FROM embsql.networks AS one WHERE one.run_id = of_run;
    vectors := CASE WHEN FOUND THEN embsql_internal.network_inputs(network, asked, moments) END;
    IF coalesce(cardinality(vectors), 0) = 0 THEN
        RETURN NULL;
    END IF;
    IF network.kind = 'mean' THEN
        vectors := ARRAY(SELECT avg(event.x) FROM unnest(vectors) AS event (x));
    END IF;
    FOR layer IN 1 .. network.n_layers LOOP
        vectors := CASE network.kind
            WHEN 'mean' THEN embsql_internal.positive_each(
                embsql_internal.linear(of_run, layer, 'input', vectors)
            )
            WHEN 'transformer' THEN embsql_internal.transformer_states(
                of_run, layer, vectors, network.n_heads, causal,
                -- the last layer works where the state is wanted
                CASE layer WHEN network.n_layers THEN cardinality(vectors) ELSE 1 END
            )
            ELSE embsql_internal.gru_states(of_run, layer, vectors)
        END;
    END LOOP;
    vectors := vectors[cardinality(vectors):];
    IF network.kind = 'transformer' THEN
        vectors := embsql_internal.normalized(vectors);
    END IF;
    vectors := embsql_internal.linear(of_run, network.n_layers + 1, 'output', vectors);
    RETURN CASE
        WHEN 'cosine' = (
            SELECT run.similarity FROM embsql.run_records AS run WHERE run.run_id = of_run
        ) THEN embsql.unit_vector(vectors[1])
        ELSE vectors[1]
    END;
END
$embsql$;

-- The user vector of a history, in one row: the network's state where the run has one, else folded
-- in. NULL where no item is known. source is sequence or fold_in.
CREATE OR REPLACE FUNCTION embsql_internal.history_vector(
    of_run bigint, asked text[], amounts double precision[], moments timestamp[]
) RETURNS TABLE (embedding vector, bias double precision, source text)
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT
    coalesce(state.embedding, folded.embedding),
    CASE WHEN state.embedding IS NULL THEN folded.bias ELSE 0 END,
    CASE WHEN state.embedding IS NULL THEN 'fold_in' ELSE 'sequence' END
FROM (SELECT embsql_internal.network_state($1, $2, $4) AS embedding) AS state
CROSS JOIN LATERAL (
    SELECT system.bias, embsql_internal.solve(
        system.gram, system.unobserved_weight, system.ridge, system.vectors, system.curves,
        embsql_internal.weighted_sum(system.vectors, system.pulls)
    ) AS embedding
    FROM embsql_internal.fold_in_system($1, $2, $3) AS system
) AS folded
$embsql$;

-- What is wrong with the server, for embsql.doctor.
CREATE OR REPLACE FUNCTION embsql_internal.database_findings()
RETURNS TABLE (severity text, subject text, finding text, remedy text)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
RETURN QUERY
WITH live AS (
    SELECT run.*
    FROM embsql.models AS model
    JOIN embsql.run_records AS run ON run.run_id = model.live_run
),
reader AS ( -- roles are a server's: another database's are none of this one's
    SELECT role.oid, role.rolname
    FROM pg_roles AS role
    JOIN pg_namespace AS home ON home.nspname = 'embsql'
    JOIN pg_roles AS owner ON owner.oid = home.nspowner
    WHERE role.rolname = 'embsql_reader' AND owner.rolname = 'embsql_owner'
),
hnsw AS ( -- the indexes of live runs
    SELECT live.model_name, live.finished_at, c.oid, c.relname AS index_name
    FROM live
    CROSS JOIN unnest(ARRAY['item', 'user']) AS entity
    JOIN pg_index AS i
        ON i.indrelid = to_regclass(format('embsql_runs.%I', format('%s_embeddings_%s', entity, live.run_id)))
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_am AS method ON method.oid = c.relam AND method.amname = 'hnsw'
)
-- Jobs wait, and nobody takes them.
SELECT
    'error', 'jobs', 'jobs that have waited for a minute or more, with no worker at work: ' || count(*), 'embsql worker'
FROM embsql.jobs AS job
WHERE job.status = 'queued' AND job.start_after < embsql_internal.utc_now() - INTERVAL '1 minute'
    AND NOT EXISTS (
        SELECT FROM embsql.jobs AS other
        WHERE other.status = 'running' AND other.heartbeat_at > embsql_internal.utc_now() - INTERVAL '1 minute'
    )
HAVING count(*) > 0
UNION ALL -- the newest of its kind, about its model
SELECT
    'warning', coalesce(job.model_name, job.command),
    'job ' || job.job_id || ' (' || job.command || ') failed: ' || coalesce(job.error, 'without a word'),
    'embsql sql "SELECT * FROM embsql.jobs WHERE job_id = ' || job.job_id || '"'
FROM embsql.jobs AS job
WHERE job.status = 'failed'
    AND NOT EXISTS (
        SELECT FROM embsql.jobs AS later
        WHERE later.command = job.command AND later.model_name IS NOT DISTINCT FROM job.model_name
            AND later.job_id > job.job_id
    )
UNION ALL -- one whose building was broken off
SELECT
    'warning', CAST(c.relname AS text), 'the index is not valid, so no question uses it',
    format('REINDEX INDEX embsql_runs.%I;', c.relname) -- no shell reads what others have named
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = to_regnamespace('embsql_runs') AND NOT i.indisvalid
UNION ALL -- dropped by somebody, or never built, as before embsql.index_above was lowered
SELECT
    'warning', live.model_name,
    format('run %s has no index for its %ss by %s, so a question reads them all', live.run_id, wanted.entity, wanted.metric),
    format('embsql sql "SELECT embsql.build_indexes(%s)"', live.run_id)
FROM live
CROSS JOIN LATERAL embsql_internal.wanted_indexes(CAST(live AS embsql.run_records)) AS wanted
WHERE NOT embsql_internal.has_index(wanted)
UNION ALL -- what costs memory and gives nothing
SELECT
    'note', hnsw.model_name, format('the index %s has served no question for a week', hnsw.index_name),
    format(
        'ALTER DATABASE %I SET embsql.index_above = %L; -- runs with fewer rows get none', current_database(),
        2 * CAST(embsql_internal.setting('index_above') AS bigint)
    )
FROM hnsw
JOIN pg_stat_all_indexes AS counted ON counted.indexrelid = hnsw.oid AND counted.idx_scan = 0
JOIN pg_stat_database AS since ON since.datname = current_database()
WHERE hnsw.finished_at < embsql_internal.utc_now() - INTERVAL '7 days'
    AND coalesce(since.stats_reset, '-infinity') < now() - INTERVAL '7 days'
UNION ALL -- a table that protects nobody while others do
SELECT
    'error', 'rights', format('%s is not protected by %s, as other tables are', c.oid::regclass, guard.sees),
    format('SELECT embsql.protect(%L);', guard.sees)
FROM embsql.protected_by() AS guard (sees)
JOIN pg_class AS c ON c.relnamespace = 'embsql'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND NOT c.relrowsecurity
LEFT JOIN reader ON TRUE
WHERE guard.sees IS NOT NULL
    AND coalesce(has_table_privilege(reader.oid, c.oid, 'SELECT'), TRUE)
    AND EXISTS (
        SELECT FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attname IN ('user_id', 'entity_id', 'neighbor_id') AND NOT a.attisdropped
    )
UNION ALL -- each question about such a model is an error
SELECT
    'error', kept.model_name, format('table %s, where its new events are, is gone', kept.source_sql),
    format('embsql unwatch %s', kept.model_name)
FROM embsql.watches AS kept
WHERE NOT EXISTS (
    SELECT FROM pg_class AS c
    JOIN pg_namespace AS home ON home.oid = c.relnamespace
    WHERE format('%I.%I', home.nspname, c.relname) = kept.source_sql
)
UNION ALL -- each question about it reads all of the table
SELECT
    'note', kept.model_name, format('table %s, where its new events are, has no index that begins with its users', kept.source_sql),
    format('CREATE INDEX ON %s (%I);', kept.source_sql, a.attname)
FROM embsql.watches AS kept
JOIN pg_class AS c ON c.relkind IN ('r', 'p', 'm')
JOIN pg_namespace AS home ON home.oid = c.relnamespace AND format('%I.%I', home.nspname, c.relname) = kept.source_sql
JOIN pg_attribute AS a ON a.attrelid = c.oid AND NOT a.attisdropped
    AND lower(a.attname) = lower(coalesce(kept.user_col, 'user_id'))
WHERE NOT EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indkey[0] = a.attnum)
UNION ALL -- whoever may read embsql's tables may do everything that their owner grants
SELECT 'note', 'roles', 'the roles of embsql are not installed', 'embsql install --roles'
WHERE NOT EXISTS (SELECT FROM reader)
UNION ALL
SELECT 'warning', 'roles', format('%s may not read %s', reader.rolname, needed.name), 'embsql install --roles'
FROM reader
CROSS JOIN unnest(ARRAY['models', 'runs', 'metrics', 'item_embeddings', 'user_embeddings', 'interactions']) AS needed (name)
WHERE NOT has_schema_privilege(reader.oid, 'embsql', 'USAGE')
    OR NOT has_schema_privilege(reader.oid, 'embsql_internal', 'USAGE')
    OR NOT has_table_privilege(reader.oid, format('embsql.%I', needed.name), 'SELECT')
UNION ALL
SELECT
    'error', 'rights', format('everybody may create in schema %s, and so put a function in the way of a question', home.nspname),
    format('embsql sql "REVOKE CREATE ON SCHEMA %I FROM PUBLIC"', home.nspname)
FROM pg_namespace AS home
WHERE home.nspname IN ('embsql', 'embsql_internal', 'embsql_runs') AND has_schema_privilege('public', home.oid, 'CREATE')
UNION ALL
SELECT
    'note', 'pgvector', format('version %s is installed, and the server has %s', e.extversion, a.default_version),
    'embsql sql "ALTER EXTENSION vector UPDATE"'
FROM pg_extension AS e
JOIN pg_available_extensions AS a ON a.name = e.extname
WHERE e.extname = 'vector' AND e.extversion <> a.default_version
UNION ALL -- how far an index is searched on, when a filter leaves too few
SELECT
    'note', 'work_mem', format('work_mem is %s, and an index that is searched on gives up at that: the run is read whole', current_setting('work_mem')),
    format('ALTER DATABASE %I SET work_mem = ''4MB'';', current_database())
WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('4MB')
UNION ALL
SELECT
    'note', 'statement_timeout',
    format('statement_timeout is %s, which cancels a training whose statements take longer', current_setting('statement_timeout')),
    format('ALTER ROLE %I SET statement_timeout = 0;', session_user)
WHERE current_setting('statement_timeout') <> '0';
END
$embsql$;

-- What runs take, for embsql.storage. A run's own tables are looked up by name: to read them would be to lock them all.
CREATE OR REPLACE FUNCTION embsql_internal.stored_parts()
RETURNS TABLE (run_id bigint, part text, n_rows bigint, n_bytes bigint)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    kind text;
BEGIN
    RETURN QUERY
    SELECT run.run_id, own.part, own.n_rows, pg_total_relation_size(c.oid)
    FROM embsql.run_records AS run
    CROSS JOIN LATERAL (VALUES
        ('item_embeddings', 'vectors', run.items), ('user_embeddings', 'vectors', run.users),
        ('interactions', 'interactions', run.interactions)
    ) AS own (kind, part, n_rows)
    JOIN pg_class AS c ON c.relname = own.kind || '_' || run.run_id
    JOIN pg_namespace AS home ON home.oid = c.relnamespace AND home.nspname = 'embsql_runs'
    WHERE own.n_rows > 0;
    FOREACH kind IN ARRAY ARRAY[
        'histories', 'top_items', 'neighbors', 'training_log', 'metrics', 'source_checks', 'trials', 'gates', 'graph_edges',
        'fold_in_settings', 'item_gramian', 'item_weights', 'tower_features', 'tower_layers', 'networks', 'network_layers',
        'item_first_times', 'clusters', 'cluster_members', 'maps'
    ] LOOP
        RETURN QUERY EXECUTE format(
            'SELECT held.run_id, $1, held.n_rows,
                CAST(pg_total_relation_size(CAST(%1$L AS regclass)) * held.n_rows / sum(held.n_rows) OVER () AS bigint)
            FROM (SELECT one.run_id, count(*) AS n_rows FROM %1$s AS one GROUP BY one.run_id) AS held', 'embsql.' || kind
        ) USING CASE
            WHEN kind = 'histories' THEN 'histories' WHEN kind IN ('top_items', 'neighbors') THEN 'top_k' ELSE 'others'
        END;
    END LOOP;
END
$embsql$;
