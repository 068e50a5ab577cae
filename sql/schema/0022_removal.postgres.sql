-- Counts who held a run while they changed it.
ALTER TABLE embsql.runs ADD COLUMN held bigint NOT NULL DEFAULT 0;

-- Partitions of runs that are gone, until nobody can read them any more: PostgreSQL drops a table for everybody at once,
-- also for a transaction that began while the run was there, which would find no rows in place of its version.
CREATE TABLE embsql.leaving (
    part_name text PRIMARY KEY,          -- in schema embsql_runs
    marked xid8 NOT NULL,                -- the transaction in which the run went
    emptied boolean NOT NULL             -- whether the rows are deleted, which older transactions do not see
);

INSERT INTO embsql.leaving (part_name, marked, emptied)
SELECT c.relname, pg_current_xact_id(), FALSE
FROM pg_class AS c
WHERE c.relnamespace = 'embsql_runs'::regnamespace AND c.relkind = 'r'
    AND CAST(substring(c.relname FROM '^(?:item_embeddings|user_embeddings|interactions)_(\d+)$') AS bigint)
        NOT IN (SELECT r.run_id FROM embsql.runs AS r);
