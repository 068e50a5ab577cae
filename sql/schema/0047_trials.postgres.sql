-- It has four more columns, which CREATE OR REPLACE refuses.
DO $embsql$
DECLARE
    dependent text;
BEGIN
    DROP FUNCTION IF EXISTS embsql.trials(text);
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS dependent = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'embsql cannot be installed: %, which has four more columns in this version. Keep the definition (for a view, SELECT pg_get_viewdef(...)), drop it, install again, and create it as it was',
        dependent;
END
$embsql$;
