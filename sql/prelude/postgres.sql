-- The primitives every question is written with: the same names and the same answers on every engine.
-- Bodies after RETURN are resolved when they are made; the others keep the search_path they were made under.

-- Vectors. A zero vector has no direction: its cosine is NULL, never a number.

CREATE OR REPLACE FUNCTION embsql.inner_product(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN inner_product(a, b);

CREATE OR REPLACE FUNCTION embsql.vector_norm(a vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN vector_norm(a);

-- Cosine from norms that are already known: what the embedding tables keep beside every vector.
CREATE OR REPLACE FUNCTION embsql.cosine(a vector, norm_a double precision, b vector, norm_b double precision)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN inner_product(a, b) / nullif(norm_a * norm_b, 0);

CREATE OR REPLACE FUNCTION embsql.cosine_similarity(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN inner_product(a, b) / nullif(vector_norm(a) * vector_norm(b), 0);

CREATE OR REPLACE FUNCTION embsql.cosine_distance(a vector, b vector) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN 1 - inner_product(a, b) / nullif(vector_norm(a) * vector_norm(b), 0);

-- Lists, text and time.

CREATE OR REPLACE FUNCTION embsql.contains(list text[], element text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN element = ANY (list);

CREATE OR REPLACE FUNCTION embsql.contains(list bigint[], element bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN element = ANY (list);

CREATE OR REPLACE FUNCTION embsql.four_decimals(value double precision) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN to_char(value, 'FM9999999990.0000');

CREATE OR REPLACE FUNCTION embsql.utc_now() RETURNS timestamp
LANGUAGE sql VOLATILE RETURN clock_timestamp() AT TIME ZONE 'UTC';

CREATE OR REPLACE FUNCTION embsql.model_part(model text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN split_part(model, '@', 1);

CREATE OR REPLACE FUNCTION embsql.run_part(model text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN split_part(model, '@', 2) ~ '^\d{1,18}$' THEN CAST(split_part(model, '@', 2) AS bigint) END;

-- How alike two words are, from 0 to 1: the share of pairs of neighbouring letters they have in common (Dice).
CREATE OR REPLACE FUNCTION embsql.likeness(a text, b text) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT 2.0 * count(*) / nullif(length(a) + length(b) - 2, 0)
    FROM (
        SELECT substr(a, n, 2) AS pair FROM generate_series(1, length(a) - 1) AS n
        INTERSECT ALL
        SELECT substr(b, n, 2) AS pair FROM generate_series(1, length(b) - 1) AS n
    ) AS shared;
END;

-- Which run a model's name means.

CREATE OR REPLACE FUNCTION embsql.no_such_run(model text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
DECLARE
    asked text := coalesce(embsql.model_part(model), '');
    close text;
BEGIN
    IF EXISTS (SELECT FROM embsql.models AS m WHERE m.model_name = asked) THEN
        RAISE EXCEPTION 'embsql: "%" has no finished run to read. See: SELECT * FROM embsql.runs(''%'');', model, asked;
    END IF;
    SELECT m.model_name INTO close
    FROM embsql.models AS m
    WHERE embsql.likeness(m.model_name, asked) > 0.5
    ORDER BY embsql.likeness(m.model_name, asked) DESC, m.model_name
    LIMIT 1;
    RAISE EXCEPTION 'embsql: no model named "%".% See: SELECT * FROM embsql.models();',
        asked, coalesce(' Did you mean "' || close || '"?', '');
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
        SELECT m.live_run INTO found FROM embsql.models AS m WHERE m.model_name = model;
    ELSE
        SELECT r.run_id INTO found
        FROM embsql.runs AS r
        WHERE r.run_id = embsql.run_part(model) AND r.model_name = embsql.model_part(model) AND r.status = 'ready';
    END IF;
    RETURN coalesce(found, embsql.no_such_run(model));
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
    FROM embsql.runs AS r
    WHERE r.model_name = embsql.model_part(model)
        AND (strpos(model, '@') = 0 OR r.run_id = embsql.run_part(model));
    RETURN coalesce(found, embsql.no_such_run(model));
END
$embsql$;

-- How a user vector and an item vector make a score in a run: its dot product plus the biases, or the cosine.
CREATE OR REPLACE FUNCTION embsql.run_score(
    similarity text,
    a vector, norm_a double precision, bias_a double precision,
    b vector, norm_b double precision, bias_b double precision
) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE similarity
    WHEN 'cosine' THEN inner_product(a, b) / nullif(norm_a * norm_b, 0)
    ELSE inner_product(a, b) + bias_a + bias_b
END;

-- Nearest neighbours. Below so many rows (embsql.index_above) a run is read whole, which is exact; above it has HNSW
-- indexes. Change a setting for a session, a role or a database: ALTER DATABASE shop SET embsql.index_above = '20000'.

CREATE OR REPLACE FUNCTION embsql.setting(name text) RETURNS text
LANGUAGE sql STABLE
RETURN coalesce(nullif(current_setting('embsql.' || name, TRUE), ''), CASE name
    WHEN 'index_above' THEN '50000'   -- rows; measured, see docs/benchmarks.md
    WHEN 'index_storage' THEN 'vector' -- or halfvec: half the memory; taken above 2,000 dimensions in any case
END);

-- A vector with its bias as one more dimension: its dot product with (query, 1) is the score. HNSW on that product
-- keeps more of the true neighbours than any reduction to a distance (docs/decisions/0007).
CREATE OR REPLACE FUNCTION embsql.biased(embedding vector, bias real) RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN embedding || CAST(ARRAY[bias] AS vector);

-- The expression an index is built on, which a query must repeat to be served by it.
CREATE OR REPLACE FUNCTION embsql.indexed(built embsql.vector_indexes) RETURNS text
LANGUAGE sql STABLE
RETURN CASE (built).metric
    WHEN 'cosine' THEN format('(embedding::%s(%s))', (built).storage, (built).dim)
    ELSE format('(embsql.biased(embedding, bias)::%s(%s))', (built).storage, (built).dim + 1)
END;

-- The k rows of a run best for a vector, as (id, score); the caller puts them in order. how: cosine, or dot for the
-- dot product plus the row's bias plus `plus`. Exactly k whenever k rows are left after `without` and `among`:
-- the index is asked first, and when it gives fewer the run is read whole.
CREATE OR REPLACE FUNCTION embsql.nearest(
    entity text, run bigint, to_vector vector, how text, plus double precision, k integer,
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
    query := format(
        CASE how
            WHEN 'cosine' THEN 'SELECT %1$I AS id, embsql.cosine(embedding, norm, $1, $2) AS score'
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
    WHERE v.run_id = run AND v.entity = nearest.entity AND v.metric = how AND among IS NULL AND k <= 400;
    IF FOUND THEN
        PERFORM set_config('hnsw.ef_search', CAST(least(1000, greatest(100, 4 * k)) AS text), TRUE);
        EXECUTE format(
            'SELECT array_agg(best.id), array_agg(best.score) FROM (%s ORDER BY %s %s $6::%s LIMIT $4) AS best',
            query, embsql.indexed(built), CASE how WHEN 'cosine' THEN '<=>' ELSE '<#>' END, built.storage
        )
        INTO ids, scores
        USING to_vector, plus, without, k, among,
            CASE how WHEN 'cosine' THEN to_vector ELSE embsql.biased(to_vector, 1) END;
        IF cardinality(ids) = k THEN
            RETURN QUERY SELECT * FROM unnest(ids, scores);
            RETURN;
        END IF;
    END IF;
    RETURN QUERY EXECUTE query || ' ORDER BY score DESC NULLS LAST, id LIMIT $4' USING to_vector, plus, without, k, among;
END
$embsql$;

-- The k most popular items of a run, for whom there is no vector to ask with.
CREATE OR REPLACE FUNCTION embsql.popular(run bigint, k integer, without text[], among text[])
RETURNS TABLE (id text, score double precision)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $embsql$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT item_id, CAST(interactions AS double precision) FROM embsql.item_embeddings
        WHERE run_id = %s AND item_id <> ALL ($1) AND ($2 IS NULL OR item_id = ANY ($2))
        ORDER BY interactions DESC, item_id LIMIT $3', run
    ) USING without, among, k;
END
$embsql$;

-- Partitions: a run's rows stand alone until they are written and whole.

CREATE OR REPLACE FUNCTION embsql.open_partition(kind text, run bigint) RETURNS text
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    part text := format('%s_%s', kind, run);
BEGIN
    IF to_regclass(format('embsql_runs.%I', part)) IS NULL THEN
        EXECUTE format('CREATE TABLE embsql_runs.%I (LIKE embsql.%I INCLUDING CONSTRAINTS INCLUDING STORAGE)', part, kind);
        EXECUTE format('ALTER TABLE embsql_runs.%I ADD CONSTRAINT one_run CHECK (run_id = %s)', part, run);
        EXECUTE format('ALTER TABLE embsql_runs.%I OWNER TO %s', part, (
            SELECT c.relowner::regrole FROM pg_class AS c WHERE c.oid = to_regclass(format('embsql.%I', kind))
        )); -- so that every trainer may drop what one of them made
    END IF;
    RETURN part;
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql.attach_partition(kind text, run bigint) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    part regclass := format('embsql_runs.%I', format('%s_%s', kind, run));
BEGIN
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = part) THEN
        EXECUTE format('ALTER TABLE embsql.%I ATTACH PARTITION %s FOR VALUES IN (%s)', kind, part, run);
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT one_run', part);
        EXECUTE format('ANALYZE %s', part);
    END IF;
END
$embsql$;

-- Readers are never made to wait long: when one of them holds the table, the rows are deleted, and the empty partition
-- goes with a later run.
CREATE OR REPLACE FUNCTION embsql.drop_partition(kind text, run bigint) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT SET lock_timeout = '100ms'
AS $embsql$
DECLARE
    part text;
BEGIN
    DELETE FROM embsql.vector_indexes AS v WHERE v.run_id = run AND kind = v.entity || '_embeddings';
    FOR part IN
        SELECT table_name FROM information_schema.tables
        WHERE table_schema = 'embsql_runs'
            AND table_name ~ ('^' || kind || '_\d+$')
            AND CAST(substring(table_name FROM '\d+$') AS bigint) NOT IN (SELECT r.run_id FROM embsql.runs AS r WHERE r.run_id <> run)
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE embsql_runs.%I', part);
        EXCEPTION WHEN lock_not_available THEN
            EXECUTE format('DELETE FROM embsql_runs.%I', part);
        END;
    END LOOP;
END
$embsql$;

-- The approximate indexes of a run, where it is large enough; how many there are.
CREATE OR REPLACE FUNCTION embsql.build_indexes(run bigint) RETURNS integer
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    record embsql.runs;
    built embsql.vector_indexes;
BEGIN
    SELECT r.* INTO STRICT record FROM embsql.runs AS r WHERE r.run_id = run;
    IF pg_size_bytes(current_setting('maintenance_work_mem')) < pg_size_bytes('256MB') THEN
        PERFORM set_config('maintenance_work_mem', '256MB', TRUE);
    END IF;
    FOR built IN
        SELECT run, entity, metric,
            CASE WHEN record.dim > 1999 THEN 'halfvec' ELSE embsql.setting('index_storage') END, record.dim
        FROM unnest(ARRAY['item', 'user'], ARRAY[record.items, record.users]) AS side (entity, rows)
        CROSS JOIN unnest(ARRAY['cosine', 'dot']) AS metric
        WHERE rows > CAST(embsql.setting('index_above') AS bigint)
            AND record.dim <= 3999 -- pgvector indexes no longer ones
            AND metric IN ('cosine', record.similarity)
    LOOP
        PERFORM embsql.build_index(built);
        INSERT INTO embsql.vector_indexes SELECT (built).*;
    END LOOP;
    RETURN (SELECT count(*) FROM embsql.vector_indexes AS v WHERE v.run_id = run);
END
$embsql$;

CREATE OR REPLACE FUNCTION embsql.build_index(built embsql.vector_indexes) RETURNS void
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    statement text := format(
        'CREATE INDEX ON embsql_runs.%I USING hnsw (%s %s) WITH (ef_construction = 200)', -- 64 loses one question in 150
        format('%s_embeddings_%s', (built).entity, (built).run_id),
        embsql.indexed(built),
        (built).storage || CASE (built).metric WHEN 'cosine' THEN '_cosine_ops' ELSE '_ip_ops' END
    );
BEGIN
    EXECUTE statement;
EXCEPTION WHEN disk_full OR insufficient_resources THEN -- too little shared memory for parallel workers, as in a container
    PERFORM set_config('max_parallel_maintenance_workers', '0', TRUE);
    EXECUTE statement;
END
$embsql$;
