-- What was dropped and made again may be called by whom it could be called before.
DO $embsql$
DECLARE
    made record;
    grantee text;
BEGIN
    FOR made IN
        SELECT CAST(asked.oid AS regprocedure) AS signature, kept.grantees
        FROM jsonb_to_recordset(CAST(current_setting('embsql.rights', TRUE) AS jsonb)) AS kept (id bigint, name text, grantees jsonb)
        JOIN pg_proc AS asked ON asked.pronamespace = 'embsql'::regnamespace AND asked.proname = kept.name
        WHERE NOT EXISTS (SELECT FROM pg_proc AS still WHERE still.oid = kept.id)
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made.signature);
        FOR grantee IN SELECT jsonb_array_elements_text(made.grantees) LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', made.signature, grantee);
        END LOOP;
    END LOOP;
END
$embsql$;
