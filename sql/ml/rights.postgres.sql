-- Whoever may ask embsql's questions may ask these; nobody else.
REVOKE ALL ON SCHEMA ml FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ml FROM PUBLIC;
DO $embsql$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'embsql_reader') THEN
        GRANT USAGE ON SCHEMA ml TO embsql_reader;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ml TO embsql_reader;
    END IF;
END
$embsql$;
