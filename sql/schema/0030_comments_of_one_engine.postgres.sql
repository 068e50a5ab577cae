-- What only a server has; and columns that DuckDB cannot comment on: a process that is killed then leaves a file whose
-- log cannot be read again, since these tables have a CHECK with a function (seen with 1.5.6 and 2.0.0).

COMMENT ON COLUMN embsql.cohorts.made_by IS 'who wrote the row';

COMMENT ON COLUMN embsql.events.done_by IS 'who did it';

COMMENT ON COLUMN embsql.leases.held_by IS 'the role that trains';

COMMENT ON COLUMN embsql.models.owned_by IS 'the role whose model it is';

COMMENT ON COLUMN embsql.text_vectors.made_by IS 'who had the text encoded';

COMMENT ON TABLE embsql.jobs IS 'What was asked for in SQL, and how it went; a worker takes one after the other.';
COMMENT ON COLUMN embsql.jobs.job_id IS 'the job''s number, which the command gave back';
COMMENT ON COLUMN embsql.jobs.command IS 'for example train';
COMMENT ON COLUMN embsql.jobs.model_name IS 'the model it is about; NULL where it is about no single one';
COMMENT ON COLUMN embsql.jobs.arguments IS 'what the command was called with';
COMMENT ON COLUMN embsql.jobs.dedup_key IS 'by which the same thing asked for twice while it waits is one job';
COMMENT ON COLUMN embsql.jobs.status IS 'queued, running, done, failed or cancelled';
COMMENT ON COLUMN embsql.jobs.attempts IS 'how often a worker began';
COMMENT ON COLUMN embsql.jobs.result IS 'what the command gave';
COMMENT ON COLUMN embsql.jobs.error IS 'why it failed';
COMMENT ON COLUMN embsql.jobs.worker IS 'who has it, or had it last';
COMMENT ON COLUMN embsql.jobs.requested_by IS 'the role that asked';
COMMENT ON COLUMN embsql.jobs.enqueued_at IS 'UTC';
COMMENT ON COLUMN embsql.jobs.start_after IS 'not before, UTC';
COMMENT ON COLUMN embsql.jobs.started_at IS 'UTC';
COMMENT ON COLUMN embsql.jobs.heartbeat_at IS 'the worker''s last sign of life, UTC';
COMMENT ON COLUMN embsql.jobs.finished_at IS 'UTC';
COMMENT ON COLUMN embsql.jobs.sources IS 'internal: functions that read its sources with the rights of who asked';
COMMENT ON COLUMN embsql.jobs.outlived IS 'internal: whether somebody was forgotten since it began';
COMMENT ON COLUMN embsql.jobs.cancelled IS 'whether somebody wants it to stop';

COMMENT ON TABLE embsql.leaving IS 'Internal: partitions of runs that are gone, until nobody reads them any more.';
COMMENT ON COLUMN embsql.leaving.part_name IS 'in the schema embsql_runs';
COMMENT ON COLUMN embsql.leaving.marked IS 'the transaction in which the run went';
COMMENT ON COLUMN embsql.leaving.emptied IS 'whether its rows are deleted';

COMMENT ON TABLE embsql.vector_indexes IS 'The approximate indexes (HNSW) there are.';
COMMENT ON COLUMN embsql.vector_indexes.run_id IS 'the run';
COMMENT ON COLUMN embsql.vector_indexes.entity IS 'item or user';
COMMENT ON COLUMN embsql.vector_indexes.metric IS 'cosine or dot';
COMMENT ON COLUMN embsql.vector_indexes.storage IS 'vector or halfvec';
COMMENT ON COLUMN embsql.vector_indexes.dim IS 'numbers per vector';

COMMENT ON COLUMN embsql.item_embeddings.run_id IS 'the run';
COMMENT ON COLUMN embsql.item_embeddings.item_id IS 'the item, as text';
COMMENT ON COLUMN embsql.item_embeddings.embedding IS 'its vector';
COMMENT ON COLUMN embsql.item_embeddings.norm IS 'the vector''s length';
COMMENT ON COLUMN embsql.item_embeddings.bias IS 'what is added to each score of the item';
COMMENT ON COLUMN embsql.item_embeddings.interactions IS 'users that it met';
COMMENT ON COLUMN embsql.user_embeddings.run_id IS 'the run';
COMMENT ON COLUMN embsql.user_embeddings.user_id IS 'the user, as text';
COMMENT ON COLUMN embsql.user_embeddings.embedding IS 'their vector';
COMMENT ON COLUMN embsql.user_embeddings.norm IS 'the vector''s length';
COMMENT ON COLUMN embsql.user_embeddings.bias IS 'what is added to each score of the user';
COMMENT ON COLUMN embsql.user_embeddings.interactions IS 'items that they met';
