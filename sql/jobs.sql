-- The queue as a worker sees it (sql/prelude/postgres_writing.sql).

-- claim: the oldest job that is due, or whose worker gave no sign of life for a minute, becomes this worker's
SELECT mine.job_id, mine.command, mine.model_name, mine.arguments, mine.attempts
FROM embsql_internal.claim_job($worker) AS mine

-- check_rights: whether who asked still may
SELECT embsql_internal.check_rights($command)

-- look: whether a job is still this worker's, and somebody wants it to stop
SELECT job.cancelled
FROM embsql.jobs AS job
WHERE job.job_id = $job_id AND job.worker = $worker AND job.attempts = $attempts AND job.status = 'running'

-- job_heartbeat: a sign of life
SELECT embsql_internal.note_job($job_id, $worker, $attempts, NULL, NULL, NULL, NULL, TRUE)

-- end_job: a job that is over; of whom it was to forget, or who was forgotten meanwhile, it keeps nothing
SELECT embsql_internal.note_job(
    $job_id, $worker, $attempts, $status, CAST($result AS text[]), $error, NULL, TRUE
)

-- retry_job: back into the queue, each time for twice as long
SELECT embsql_internal.note_job(
    $job_id, $worker, $attempts, 'queued', NULL, $error,
    least(300, 5 * 2 ^ (CAST($attempts AS integer) - 1)) * INTERVAL '1 second', TRUE
)

-- postpone_job: back into the queue for someone else's training of the model to end; that was no attempt
SELECT embsql_internal.note_job($job_id, $worker, $attempts, 'queued', NULL, $error, INTERVAL '5 seconds', FALSE)

-- release_claims: all that a worker has when it is asked to stop, for another to begin at once; that was no attempt
SELECT embsql_internal.release_claims($worker, $host, $pid, $process)
