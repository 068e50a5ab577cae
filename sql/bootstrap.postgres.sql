-- What must be there before anything can be asked about what is there.
-- One installer at a time; the second finds the work done.
SELECT pg_advisory_xact_lock(hashtextextended('embsql install', 0));

DO $embsql$
DECLARE
    version text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
        RAISE EXCEPTION 'embsql cannot be installed: this server has no pgvector. Install it on the server (https://github.com/pgvector/pgvector), or choose a host that offers it';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'vector') THEN
        CREATE EXTENSION vector;
    END IF;
    SELECT extversion INTO version FROM pg_extension WHERE extname = 'vector';
    IF string_to_array(version, '.')::integer[] < ARRAY[0, 8, 2] THEN
        RAISE EXCEPTION 'embsql cannot be installed: pgvector % is too old (0.8.2 mends a parallel index build that wrote outside its memory). Update the package on the server, then: ALTER EXTENSION vector UPDATE', version;
    END IF;
END
$embsql$;

-- Names below mean what they mean here, now: functions keep this path (SET search_path FROM CURRENT) or are
-- resolved when they are made. Nobody can put an object of their own in front.
SELECT set_config('search_path', 'pg_catalog, ' || quote_ident(home.nspname) || ', pg_temp', TRUE)
FROM pg_extension AS extension
JOIN pg_namespace AS home ON home.oid = extension.extnamespace
WHERE extension.extname = 'vector';

SELECT '[1]'::vector; -- loads pgvector, so that its settings are known below

CREATE SCHEMA IF NOT EXISTS embsql;
CREATE SCHEMA IF NOT EXISTS embsql_runs; -- one table per run behind each table of vectors; out of the analyst's sight
CREATE SCHEMA IF NOT EXISTS embsql_sources; -- what reads a job's sources, until it is done

-- What questions and commands call; out of the analyst's sight. A function of somebody else's there could be taken for
-- one of embsql's, so it is whose embsql is.
DO $embsql$
DECLARE
    owner CONSTANT regrole := (SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'embsql');
    found CONSTANT regrole := (SELECT n.nspowner FROM pg_namespace AS n WHERE n.nspname = 'embsql_internal');
BEGIN
    IF found IS NULL THEN
        EXECUTE format('CREATE SCHEMA embsql_internal AUTHORIZATION %s', owner);
    ELSIF found <> owner THEN
        RAISE EXCEPTION 'embsql cannot be installed: schema embsql_internal is of %, and embsql of %. Look what it holds, and: DROP SCHEMA embsql_internal CASCADE;', found, owner;
    END IF;
END
$embsql$;

CREATE TABLE IF NOT EXISTS embsql.migrations (file_name text PRIMARY KEY, checksum text NOT NULL);
CREATE TABLE IF NOT EXISTS embsql.surface (surface text NOT NULL);
