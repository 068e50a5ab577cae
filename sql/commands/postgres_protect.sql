-- Row level security, in every table that holds an id of a user. `sees` is a function of yours that takes the id as text
-- and says whether the caller may see this user; asked with NULL, whether the caller may see what is made of all users.
-- Those who train, and who owns the tables, see everybody. NULL takes the policies away.
CREATE OR REPLACE FUNCTION embsql.protect(sees regproc) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
SET client_min_messages = warning -- that a policy was not there yet is no news
AS $embsql$
DECLARE
    held record;
BEGIN
    IF sees IS NOT NULL AND NOT EXISTS (
        SELECT FROM pg_proc AS f
        WHERE f.oid = sees AND f.prokind = 'f' AND f.proargtypes = ARRAY['text'::regtype]::oidvector
            AND f.prorettype = 'boolean'::regtype AND NOT f.proretset
    ) THEN
        RAISE EXCEPTION 'embsql: % is no function of one text, the id of a user, that returns a boolean. Make one, for example: CREATE FUNCTION sees(user_id text) RETURNS boolean LANGUAGE sql STABLE RETURN starts_with(user_id, current_setting(''app.tenant'', TRUE));',
            sees;
    END IF;
    FOR held IN
        SELECT format('embsql.%I', t.name) AS name, format(t.visible, sees) AS visible
        FROM (VALUES
            ('user_embeddings', '%1$s(user_id)'),
            ('interactions', '%1$s(user_id)'),
            ('histories', '%1$s(user_id)'),
            ('cohorts', '%1$s(user_id)'),
            ('top_items', '%1$s(user_id)'),
            ('neighbors', 'entity = ''item'' OR %1$s(entity_id) AND %1$s(neighbor_id)'),
            ('cluster_members', 'entity_kind = ''item'' OR %1$s(entity_id)'),
            ('maps', 'entity_kind = ''item'' OR %1$s(entity_id)'),
            ('clusters', 'entity_kind = ''item'' OR %1$s(NULL)'), -- sizes, labels and middles are those of everybody
            ('source_checks', 'example IS NULL OR check_name LIKE ''item %%'' OR %1$s(NULL)')
        ) AS t (name, visible)
    LOOP
        EXECUTE format('DROP POLICY IF EXISTS embsql_users ON %s', held.name);
        EXECUTE format('DROP POLICY IF EXISTS embsql_trainers ON %s', held.name);
        IF sees IS NOT NULL THEN
            EXECUTE format('CREATE POLICY embsql_users ON %s FOR SELECT USING (%s)', held.name, held.visible);
        END IF;
        IF sees IS NOT NULL AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'embsql_trainer') THEN
            EXECUTE format('CREATE POLICY embsql_trainers ON %s TO embsql_trainer USING (TRUE)', held.name);
        END IF;
        EXECUTE format(
            'ALTER TABLE %s %s ROW LEVEL SECURITY', held.name,
            CASE WHEN EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = held.name::regclass)
                THEN 'ENABLE' ELSE 'DISABLE' END
        );
    END LOOP;
END
$embsql$;
COMMENT ON FUNCTION embsql.protect IS 'Lets a caller see, in all tables that hold ids of users, those for whom your function of an id (text) returns true; NULL takes that away.';

-- What was given to embsql.protect; NULL where nothing is protected.
CREATE OR REPLACE FUNCTION embsql.protected_by() RETURNS regproc
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $embsql$
SELECT CAST(d.refobjid AS regproc)
FROM pg_policy AS p
JOIN pg_depend AS d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass
WHERE p.polname = 'embsql_users' AND p.polrelid = 'embsql.user_embeddings'::regclass
$embsql$;
COMMENT ON FUNCTION embsql.protected_by IS 'The function that embsql.protect was given; NULL where nothing is protected.';

-- Tables that this version is the first to have are protected as the others are.
SELECT embsql.protect(f.sees) FROM embsql.protected_by() AS f (sees) WHERE f.sees IS NOT NULL;
