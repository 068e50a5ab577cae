-- What happened since a run was trained: it is read where it stands, in a table of the caller's.
ALTER TABLE embsql.run_records ADD COLUMN newest_event bigint;
ALTER TABLE embsql.run_records ADD COLUMN parent_run bigint;
COMMENT ON COLUMN embsql.run_records.newest_event IS 'the newest event trained, microseconds since 1970 or the source''s own order; NULL without times';
COMMENT ON COLUMN embsql.run_records.parent_run IS 'the run that embsql.refresh made it of; NULL where it was trained';

CREATE TABLE embsql.watches (
    model_name text PRIMARY KEY,
    source_sql text NOT NULL,
    user_col text,
    item_col text,
    weight_col text,
    time_col text,
    watched_at timestamp NOT NULL
);
COMMENT ON TABLE embsql.watches IS 'Where the new events of each watched model are; written by embsql.watch.';
COMMENT ON COLUMN embsql.watches.model_name IS 'the model';
COMMENT ON COLUMN embsql.watches.source_sql IS 'the name of the table, with its schema';
COMMENT ON COLUMN embsql.watches.user_col IS 'its column of user ids; NULL: user_id';
COMMENT ON COLUMN embsql.watches.item_col IS 'its column of item ids; NULL: item_id';
COMMENT ON COLUMN embsql.watches.weight_col IS 'its column of weights; NULL: weight, if it is there';
COMMENT ON COLUMN embsql.watches.time_col IS 'its column of times; NULL: event_time';
COMMENT ON COLUMN embsql.watches.watched_at IS 'since when it is watched, UTC';
