-- Rows of a table without a key cannot be deleted under a publication FOR ALL TABLES (a replica, change data capture, a
-- move to another server): the whole row tells which one is meant. Partitions have an identity of their own, and those
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
