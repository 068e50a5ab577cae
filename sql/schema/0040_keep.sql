-- How many runs a model keeps is its own matter (embsql.train, option keep).
ALTER TABLE embsql.models ADD COLUMN keep_runs INTEGER DEFAULT 10;
COMMENT ON COLUMN embsql.models.keep_runs IS 'how many finished runs are kept besides the live one; the oldest go first';
