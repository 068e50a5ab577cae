-- Which phase of its training a run came to, and the seconds that each has taken, as runs() shows them.
ALTER TABLE embsql.runs ADD COLUMN phase text;
ALTER TABLE embsql.runs ADD COLUMN phase_seconds text;

-- Its columns are others, which CREATE OR REPLACE refuses.
DO $embsql$
DECLARE
    earlier regprocedure;
    dependent text;
BEGIN
    FOR earlier IN
        SELECT f.oid FROM pg_proc AS f WHERE f.pronamespace = 'embsql'::regnamespace AND f.proname = 'runs'
    LOOP
        EXECUTE format('DROP FUNCTION %s', earlier);
    END LOOP;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS dependent = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'embsql cannot be installed: %, which has more columns in this version. Keep the definition (for a view, SELECT pg_get_viewdef(...)), drop it, install again, and create it again',
        dependent;
END
$embsql$;
