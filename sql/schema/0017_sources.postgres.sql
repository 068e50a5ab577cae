-- The functions that read a job's sources with the rights of who asked for it: SELECT -> its name in embsql_sources.
ALTER TABLE embsql.jobs ADD COLUMN sources jsonb NOT NULL DEFAULT '{}';
