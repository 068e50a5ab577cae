-- What was dropped and made again may be called by whom it could be called before.
DO $embsql$
DECLARE
    before CONSTANT jsonb := current_setting('embsql.rights', TRUE);
    made record;
    grantee text;
BEGIN
    FOR made IN
        SELECT CAST(asked.oid AS regprocedure) AS signature, kept.grantees
        FROM jsonb_to_recordset(before) AS kept (id bigint, name text, is_given boolean, grantees jsonb)
        JOIN pg_proc AS asked ON asked.pronamespace = 'embsql'::regnamespace AND asked.proname = kept.name
        WHERE kept.is_given AND NOT EXISTS (SELECT FROM pg_proc AS still WHERE still.oid = kept.id)
            AND NOT EXISTS ( -- one of the same name that was there before has the rights that it had
                SELECT FROM jsonb_to_recordset(before) AS other (id bigint) WHERE other.id = CAST(asked.oid AS bigint)
            )
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', made.signature);
        FOR grantee IN SELECT jsonb_array_elements_text(made.grantees) LOOP
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %s', made.signature, grantee);
        END LOOP;
    END LOOP;
END
$embsql$;
