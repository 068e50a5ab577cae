-- A trained sequence network as rows, so that the state after a history can be made in SQL.

CREATE TABLE embsql.networks (
    run_id bigint PRIMARY KEY,
    kind text NOT NULL,              -- gru or transformer
    n_layers integer NOT NULL,
    n_heads integer NOT NULL,
    max_length integer NOT NULL,
    latest_time bigint               -- of a network that reads times: the last it was trained on
);

-- Linear maps, a row for each number that one gives. Layer 0 is added to the items: a mask behind
-- them, times; the one after the last is the output.
CREATE TABLE embsql.network_layers (
    run_id bigint NOT NULL,
    layer integer NOT NULL,
    part text NOT NULL,              -- which of the layer's maps (embsql/nn/network_rows.py)
    position integer NOT NULL,       -- from 1
    weights vector NOT NULL,
    bias real NOT NULL,
    PRIMARY KEY (run_id, layer, part, position)
);

-- When each item was first seen, for a network that reads how long it has been there.
CREATE TABLE embsql.item_first_times (
    run_id bigint NOT NULL,
    item_id text COLLATE "C" NOT NULL,
    first_time bigint NOT NULL,      -- microseconds since 1970, or the source's own order
    PRIMARY KEY (run_id, item_id)
);

-- What such a run read of each user: the latest events in their order, repeats too.
CREATE TABLE embsql.histories (
    run_id bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    position integer NOT NULL,       -- from 1, the oldest that is kept
    item_id text COLLATE "C" NOT NULL,
    event_time bigint,               -- as first_time; NULL without times
    PRIMARY KEY (run_id, user_id, position)
);

-- Functions that take times too from here on: CREATE OR REPLACE would leave those without them
-- standing, and calls would find two.
DO $embsql$
DECLARE
    earlier regprocedure;
    dependent text;
BEGIN
    FOR earlier IN
        SELECT f.oid
        FROM pg_proc AS f
        WHERE f.pronamespace = 'embsql'::regnamespace AND f.proname IN ('fold_in', 'recommend_from')
    LOOP
        EXECUTE format('DROP FUNCTION %s', earlier);
    END LOOP;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS dependent = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'embsql cannot be installed: %, which takes one more argument in this version. %',
        dependent, 'Keep the definition (for a view, SELECT pg_get_viewdef(...)), drop it, '
        'install again, and create it as it was';
END
$embsql$;
