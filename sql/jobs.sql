-- The queue as a worker sees it. A job is a worker's as long as worker and attempts are what they were when it claimed
-- it: whoever has lost a job changes nothing of it.

-- claim: the oldest job that is due, or whose worker gave no sign of life for a minute, becomes this worker's
WITH next AS (
    SELECT job.job_id
    FROM embsql.jobs AS job
    WHERE job.status IN ('queued', 'running')
        AND CASE job.status
            WHEN 'queued' THEN job.start_after <= embsql.utc_now()
            ELSE job.heartbeat_at < embsql.utc_now() - INTERVAL '60 seconds'
        END
        AND NOT EXISTS (
            SELECT FROM embsql.jobs AS other
            WHERE other.model_name = job.model_name
                AND other.job_id <> job.job_id
                AND other.status = 'running'
                AND other.command IN ('train', 'evaluate')
                AND job.command IN ('train', 'evaluate')
        )
    ORDER BY job.job_id
    LIMIT 1
    FOR UPDATE OF job SKIP LOCKED
)
UPDATE embsql.jobs AS job
SET status = 'running', worker = $worker, attempts = job.attempts + 1,
    fingerprint = NULL, -- the same asked for from now on is a new job, and neither stands in the other's way if this one is queued again
    started_at = embsql.utc_now(), heartbeat_at = embsql.utc_now()
FROM next
WHERE job.job_id = next.job_id
RETURNING job.job_id, job.command, job.model_name, job.words, job.attempts

-- beat_job: a sign of life
UPDATE embsql.jobs
SET heartbeat_at = embsql.utc_now()
WHERE job_id = $job_id AND worker = $worker AND attempts = $attempts AND status = 'running'

-- end_job: a job that is over; of whom it was to forget, or who was forgotten meanwhile, it keeps nothing
UPDATE embsql.jobs
SET status = $status, answer = CAST($answer AS text[]), finished_at = embsql.utc_now(),
    error = CASE
        WHEN outlived AND CAST($error AS text) IS NOT NULL
        THEN 'not kept, since somebody was forgotten meanwhile, whom it may name'
        ELSE $error
    END,
    words = CASE WHEN command = 'forget' OR outlived THEN '{}' ELSE words END
WHERE job_id = $job_id AND worker = $worker AND attempts = $attempts AND status = 'running'

-- retry_job: back into the queue, each time for twice as long
UPDATE embsql.jobs
SET status = 'queued', error = CASE WHEN NOT outlived THEN CAST($error AS text) END,
    start_after = embsql.utc_now() + least(300, 5 * 2 ^ (attempts - 1)) * INTERVAL '1 second'
WHERE job_id = $job_id AND worker = $worker AND attempts = $attempts AND status = 'running'

-- postpone_job: back into the queue for someone else's training of the model to end; that was no attempt
UPDATE embsql.jobs
SET status = 'queued', error = CASE WHEN NOT outlived THEN CAST($error AS text) END, attempts = attempts - 1,
    start_after = embsql.utc_now() + INTERVAL '5 seconds'
WHERE job_id = $job_id AND worker = $worker AND attempts = $attempts AND status = 'running'

-- hand_back: all that a worker has when it is told to stop, for another to begin at once; that was no attempt
WITH given AS (
    UPDATE embsql.jobs
    SET status = 'queued', attempts = attempts - 1, start_after = embsql.utc_now()
    WHERE worker = $worker AND status = 'running'
    RETURNING job_id, model_name
), released AS ( -- a training interrupted in the middle of a statement could not do it itself
    DELETE FROM embsql.leases AS held
    USING given
    WHERE held.model_name = given.model_name AND held.host = $host AND held.pid = $pid AND held.process = $process
)
SELECT pg_notify('embsql_jobs', CAST(given.job_id AS text)) FROM given
