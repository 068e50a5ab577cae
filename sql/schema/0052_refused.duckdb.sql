-- What the watched source has that counts for nothing: its rows are read by a command, which is where they are seen.
ALTER TABLE embsql.watches ADD COLUMN read_run BIGINT;
ALTER TABLE embsql.watches ADD COLUMN refused_events BIGINT;
COMMENT ON COLUMN embsql.watches.read_run IS 'the run that it was last read for';
COMMENT ON COLUMN embsql.watches.refused_events IS 'rows without a weight among what was new to that run, which count for nothing';
