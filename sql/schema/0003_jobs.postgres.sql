-- What was asked for in SQL and a worker does: train, evaluate, promote, rollback, drop_run, forget. Times are UTC.
CREATE TABLE embsql.jobs (
    job_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command text NOT NULL,
    model_name text COLLATE "C",     -- NULL for what is about no single model
    words text[] NOT NULL CHECK (array_position(words, NULL) IS NULL), -- the command's arguments
    fingerprint text,                -- of command and words until a worker begins
    status text NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    attempts integer NOT NULL,
    answer text[],
    error text,
    worker text,                     -- who has it, or had it last
    requested_by text NOT NULL DEFAULT session_user,
    enqueued_at timestamp NOT NULL,
    start_after timestamp NOT NULL,
    started_at timestamp,
    heartbeat_at timestamp,
    finished_at timestamp,
    -- Who asked to be forgotten is forgotten here too.
    CHECK (command <> 'forget' OR status IN ('queued', 'running') OR words = '{}')
);

-- The same thing asked for twice while it waits is one job.
CREATE UNIQUE INDEX ON embsql.jobs (fingerprint) WHERE status = 'queued';
-- Long work on one model goes one by one.
CREATE UNIQUE INDEX ON embsql.jobs (model_name) WHERE status = 'running' AND command IN ('train', 'evaluate');
-- What a worker looks through; what has ended is not in it.
CREATE INDEX ON embsql.jobs (job_id) WHERE status IN ('queued', 'running');
