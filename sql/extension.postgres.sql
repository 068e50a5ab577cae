-- So that pg_dump saves what is in an extension's tables.
DO $embsql$
DECLARE
    thing regclass;
BEGIN
    FOR thing IN
        SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = 'embsql'::regnamespace AND c.relkind IN ('r', 'p', 'S')
    LOOP
        PERFORM pg_extension_config_dump(thing, '');
    END LOOP;
END
$embsql$;
