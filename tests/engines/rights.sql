-- What each role may do with each thing, in the order reader, trainer, admin, worker, public.
SELECT things.thing, string_agg(role.name || ' ' || granted.rights, ', ' ORDER BY role.place) AS rights
FROM (
    SELECT CASE c.relkind WHEN 'v' THEN 'view ' ELSE 'table ' END || c.relname AS thing, c.oid, 'table' AS kind
    FROM pg_class AS c
    WHERE c.relnamespace = 'embsql'::regnamespace AND c.relkind IN ('r', 'p', 'v')
    UNION ALL
    SELECT CASE WHEN f.prosecdef THEN 'owner''s ' ELSE '' END || 'function ' || f.proname || '/' || f.pronargs, f.oid, 'function'
    FROM pg_proc AS f
    WHERE f.pronamespace IN ('embsql'::regnamespace, 'embsql_internal'::regnamespace)
    UNION ALL
    SELECT 'schema ' || n.nspname, n.oid, 'schema' FROM pg_namespace AS n WHERE n.nspname LIKE 'embsql%'
) AS things
CROSS JOIN (VALUES (1, 'reader'), (2, 'trainer'), (3, 'admin'), (4, 'worker'), (5, 'public')) AS role (place, name)
CROSS JOIN LATERAL (
    SELECT string_agg(left(right_.name, 1), '' ORDER BY right_.place) AS rights
    FROM (VALUES (1, 'table', 'SELECT'), (2, 'table', 'INSERT'), (3, 'table', 'UPDATE'), (4, 'table', 'DELETE'),
                 (5, 'function', 'EXECUTE'), (6, 'schema', 'USAGE'), (7, 'schema', 'CREATE')) AS right_ (place, kind, name)
    WHERE right_.kind = things.kind AND CASE things.kind
        WHEN 'table' THEN has_table_privilege(
            CASE role.name WHEN 'public' THEN 'public' ELSE 'embsql_' || role.name END, things.oid, right_.name)
        WHEN 'function' THEN has_function_privilege(
            CASE role.name WHEN 'public' THEN 'public' ELSE 'embsql_' || role.name END, things.oid, right_.name)
        ELSE has_schema_privilege(
            CASE role.name WHEN 'public' THEN 'public' ELSE 'embsql_' || role.name END, things.oid, right_.name)
    END
) AS granted
WHERE granted.rights IS NOT NULL
GROUP BY things.thing
ORDER BY things.thing COLLATE "C"
