-- What only a server can have.

-- no_worker: jobs wait, and nobody takes them
SELECT
    'error' AS severity,
    'jobs' AS subject,
    'jobs that have waited for a minute or more, with no worker at work: ' || count(*) AS finding,
    'embsql worker' AS remedy
FROM embsql.jobs AS job
WHERE job.status = 'queued' AND job.start_after < embsql.utc_now() - INTERVAL '1 minute'
    AND NOT EXISTS (
        SELECT FROM embsql.jobs AS other
        WHERE other.status = 'running' AND other.heartbeat_at > embsql.utc_now() - INTERVAL '1 minute'
    )
HAVING count(*) > 0

-- failed_job: the newest of its kind, about its model
SELECT
    'warning' AS severity,
    coalesce(job.model_name, job.command) AS subject,
    'job ' || job.job_id || ' (' || job.command || ') failed: ' || coalesce(job.error, 'without a word') AS finding,
    'embsql sql "SELECT * FROM embsql.jobs WHERE job_id = ' || job.job_id || '"' AS remedy
FROM embsql.jobs AS job
WHERE job.status = 'failed'
    AND NOT EXISTS (
        SELECT FROM embsql.jobs AS later
        WHERE later.command = job.command AND later.model_name IS NOT DISTINCT FROM job.model_name
            AND later.job_id > job.job_id
    )

-- broken_index: one whose building was broken off, which no question uses
SELECT
    'warning' AS severity,
    c.relname AS subject,
    'the index is not valid, so no question uses it' AS finding,
    'embsql sql "REINDEX INDEX embsql_runs.' || c.relname || '"' AS remedy
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relnamespace = to_regnamespace('embsql_runs') AND NOT i.indisvalid

-- no_roles: whoever may read embsql's tables may do everything that their owner grants
SELECT
    'note' AS severity,
    'roles' AS subject,
    'the roles of embsql are not installed' AS finding,
    'embsql install --roles' AS remedy
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'embsql_reader')
