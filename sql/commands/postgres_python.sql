-- Where the server has PL/Python and its Python has embsql: training in the backend, without a worker. It connects to
-- its own database once more, as the caller; embsql.address says how when the server's own socket will not do.
DO $embsql$
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'plpython3u')
        AND (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    THEN
        CREATE OR REPLACE FUNCTION embsql.train_here(
            model text, source text, algorithm text DEFAULT 'als', options text DEFAULT '{}'
        ) RETURNS TABLE (run_id bigint, status text, refused text)
        LANGUAGE plpython3u VOLATILE SET search_path FROM CURRENT
        AS $python$
from embsql.shells.plpython import command

address = plpy.execute("""
    SELECT coalesce(nullif(current_setting('embsql.address', TRUE), ''), format(
        'host=%s port=%s dbname=%L user=%L', split_part(current_setting('unix_socket_directories'), ',', 1),
        current_setting('port'), current_database(), current_user
    )) AS address
""")[0]["address"]
return [command(address, lambda: plpy.execute("SELECT pg_sleep(0)"), "train", model, source, algorithm, options)]
$python$;
        COMMENT ON FUNCTION embsql.train_here IS 'Trains as embsql.train does, in this backend, and waits for it. What the caller has not committed it cannot see.';
    END IF;
END
$embsql$;
