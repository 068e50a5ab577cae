-- A partition that is always there and always empty. Of a table without any PostgreSQL knows that it has no rows, and a
-- question about it asks for nothing else: an unknown model would be no rows in place of an error.
CREATE TABLE embsql.item_embeddings_none PARTITION OF embsql.item_embeddings FOR VALUES IN (0);
CREATE TABLE embsql.user_embeddings_none PARTITION OF embsql.user_embeddings FOR VALUES IN (0);
CREATE TABLE embsql.interactions_none PARTITION OF embsql.interactions FOR VALUES IN (0);

-- Rows of a table without a key cannot be deleted under a publication FOR ALL TABLES (a replica, change data capture, a
-- move to another server): the whole row says which one is meant. Partitions have an identity of their own, and those
-- of later runs are made with it (embsql.open_partition).
ALTER TABLE embsql.interactions REPLICA IDENTITY FULL;
ALTER TABLE embsql.training_log REPLICA IDENTITY FULL;
ALTER TABLE embsql.metrics REPLICA IDENTITY FULL;
ALTER TABLE embsql.validations REPLICA IDENTITY FULL;
ALTER TABLE embsql.cohorts REPLICA IDENTITY FULL;
ALTER TABLE embsql.events REPLICA IDENTITY FULL;
ALTER TABLE embsql.tower_features REPLICA IDENTITY FULL;
ALTER TABLE embsql.surface REPLICA IDENTITY FULL;

DO $embsql$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT i.inhrelid FROM pg_inherits AS i WHERE i.inhparent = 'embsql.interactions'::regclass LOOP
        EXECUTE format('ALTER TABLE %s REPLICA IDENTITY FULL', part);
    END LOOP;
END
$embsql$;
