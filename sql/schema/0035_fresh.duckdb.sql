-- What happened since a run was trained. A macro is bound whole at each call, so a file's questions cannot name a table of
-- the caller's that may go (docs/decisions/0040): what the watched source has is read by a command, and kept here.
ALTER TABLE embsql.run_records ADD COLUMN newest_event BIGINT;
ALTER TABLE embsql.run_records ADD COLUMN parent_run BIGINT;
COMMENT ON COLUMN embsql.run_records.newest_event IS 'the newest event trained, microseconds since 1970 or the source''s own order; NULL without times';
COMMENT ON COLUMN embsql.run_records.parent_run IS 'the run that embsql.refresh made it of; NULL where it was trained';

CREATE TABLE embsql.watches (
    model_name VARCHAR PRIMARY KEY,
    source_sql VARCHAR NOT NULL,
    user_col VARCHAR,
    item_col VARCHAR,
    weight_col VARCHAR,
    time_col VARCHAR,
    watched_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE embsql.watches IS 'Where the new events of each watched model are; written by embsql.watch.';
COMMENT ON COLUMN embsql.watches.model_name IS 'the model';
COMMENT ON COLUMN embsql.watches.source_sql IS 'the source';
COMMENT ON COLUMN embsql.watches.user_col IS 'its column of user ids; NULL: user_id';
COMMENT ON COLUMN embsql.watches.item_col IS 'its column of item ids; NULL: item_id';
COMMENT ON COLUMN embsql.watches.weight_col IS 'its column of weights; NULL: weight, if it is there';
COMMENT ON COLUMN embsql.watches.time_col IS 'its column of times; NULL: event_time';
COMMENT ON COLUMN embsql.watches.watched_at IS 'when it was last read, UTC';

CREATE TABLE embsql.fresh_users (
    run_id BIGINT NOT NULL,
    user_id VARCHAR NOT NULL,
    items VARCHAR[] NOT NULL,        -- of the new events, known to the run or not
    events BIGINT NOT NULL,          -- pairs of user and item
    newest_event BIGINT NOT NULL,
    embedding FLOAT[],               -- of the whole history; NULL where no item of it is known
    norm FLOAT,
    bias FLOAT
);
COMMENT ON TABLE embsql.fresh_users IS 'Users with events newer than a run, folded in; written by embsql.watch.';
COMMENT ON COLUMN embsql.fresh_users.run_id IS 'the run';
COMMENT ON COLUMN embsql.fresh_users.user_id IS 'the user';
COMMENT ON COLUMN embsql.fresh_users.items IS 'the items of the new events';
COMMENT ON COLUMN embsql.fresh_users.events IS 'how many new events there are, those of one item counted once';
COMMENT ON COLUMN embsql.fresh_users.newest_event IS 'the newest, as in run_records';
COMMENT ON COLUMN embsql.fresh_users.embedding IS 'the vector of the whole history; NULL where the run knows no item of it';
COMMENT ON COLUMN embsql.fresh_users.norm IS 'its length';
COMMENT ON COLUMN embsql.fresh_users.bias IS 'what is added to every score of the user';
