-- A subscriber of logical replication is given rows and no tables. These triggers are asleep (REPLICA) wherever rows are
-- written, and awake where they arrive by replication: a run that arrives opens its partitions, one that goes takes
-- them along. Which version is installed here, no other database says.
CREATE FUNCTION embsql.follow_run() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
DECLARE
    kind text;
BEGIN
    FOREACH kind IN ARRAY ARRAY['item_embeddings', 'user_embeddings', 'interactions'] LOOP
        IF TG_OP = 'INSERT' THEN
            PERFORM embsql.open_partition(kind, NEW.run_id);
            PERFORM embsql.attach_partition(kind, NEW.run_id);
        ELSE
            PERFORM embsql.drop_partition(kind, OLD.run_id);
        END IF;
    END LOOP;
    RETURN NULL;
END
$embsql$;
CREATE TRIGGER follow_run AFTER INSERT OR DELETE ON embsql.runs
FOR EACH ROW EXECUTE FUNCTION embsql.follow_run();
ALTER TABLE embsql.runs ENABLE REPLICA TRIGGER follow_run;

CREATE FUNCTION embsql.stay_as_installed() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $embsql$
BEGIN
    RETURN NULL;
END
$embsql$;
CREATE TRIGGER stay_as_installed BEFORE INSERT OR UPDATE OR DELETE ON embsql.migrations
FOR EACH ROW EXECUTE FUNCTION embsql.stay_as_installed();
ALTER TABLE embsql.migrations ENABLE REPLICA TRIGGER stay_as_installed;
CREATE TRIGGER stay_as_installed BEFORE INSERT OR UPDATE OR DELETE ON embsql.surface
FOR EACH ROW EXECUTE FUNCTION embsql.stay_as_installed();
ALTER TABLE embsql.surface ENABLE REPLICA TRIGGER stay_as_installed;
