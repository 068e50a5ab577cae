-- Who may call which function, before any is dropped: what is made again under its name has none of it.
SELECT set_config('embsql.rights', (
    SELECT CAST(coalesce(jsonb_agg(jsonb_build_object(
        'id', CAST(asked.oid AS bigint), 'name', asked.proname, 'is_given', asked.proacl IS NOT NULL, 'grantees', (
            SELECT coalesce(jsonb_agg(
                CASE entry.grantee WHEN 0 THEN 'PUBLIC' ELSE CAST(CAST(entry.grantee AS regrole) AS text) END
            ), '[]')
            FROM aclexplode(asked.proacl) AS entry
            WHERE entry.grantee <> asked.proowner
        )
    )), '[]') AS text)
    FROM pg_proc AS asked
    JOIN pg_namespace AS home ON home.oid = asked.pronamespace
    WHERE home.nspname = 'embsql'
), TRUE);
