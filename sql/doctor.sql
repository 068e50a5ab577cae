-- What may be wrong with the models of a database, each finding with what mends it. Names of models need no quotes.

-- no_live_run: questions about such a model have no answer
SELECT
    'warning' AS severity,
    model.model_name AS subject,
    'no run is live, so questions about it have no answer' AS finding,
    coalesce(
        'embsql promote ' || model.model_name || '@' || CAST(max(run.run_id) AS VARCHAR),
        'embsql runs ' || model.model_name
    ) AS remedy
FROM embsql.models AS model
LEFT JOIN embsql.runs AS run ON run.model_name = model.model_name AND run.status = 'ready'
WHERE model.live_run IS NULL
    AND NOT EXISTS ( -- its first is on its way
        SELECT 1 FROM embsql.runs AS other WHERE other.model_name = model.model_name AND other.status = 'training'
    )
GROUP BY model.model_name

-- newest_failed: what is live grows old meanwhile
SELECT
    'warning' AS severity,
    run.model_name AS subject,
    'run ' || CAST(run.run_id AS VARCHAR) || ', the newest, failed: ' || coalesce(run.error, 'without a word') AS finding,
    'embsql validation ' || run.model_name AS remedy
FROM embsql.runs AS run
WHERE run.status = 'failed'
    AND run.run_id = (SELECT max(other.run_id) FROM embsql.runs AS other WHERE other.model_name = run.model_name)

-- newest_refused: the gate kept it from being live
SELECT
    'note' AS severity,
    run.model_name AS subject,
    'run ' || CAST(run.run_id AS VARCHAR) || ', the newest, is not live: ' || run.error AS finding,
    'embsql gate ' || run.model_name AS remedy
FROM embsql.runs AS run
WHERE run.status = 'ready' AND run.error IS NOT NULL
    AND run.run_id = (SELECT max(other.run_id) FROM embsql.runs AS other WHERE other.model_name = run.model_name)
    AND NOT EXISTS (SELECT 1 FROM embsql.models AS model WHERE model.live_run = run.run_id)

-- lost_trainer: nobody trains, but a lease says so
SELECT
    'note' AS severity,
    lease.model_name AS subject,
    'the trainer of run ' || CAST(lease.run_id AS VARCHAR) || ' (process ' || CAST(lease.pid AS VARCHAR)
        || ') has given no sign of life for a minute; the next training takes over' AS finding,
    'embsql runs ' || lease.model_name AS remedy
FROM embsql.leases AS lease
WHERE lease.expires_at < embsql.utc_now()

-- not_evaluated: nobody knows whether it is better than what is popular
SELECT
    'note' AS severity,
    model.model_name AS subject,
    'the live run was never evaluated' AS finding,
    'embsql evaluate ' || model.model_name AS remedy
FROM embsql.models AS model
JOIN embsql.runs AS run ON run.run_id = model.live_run
WHERE run.interactions > 0
    AND NOT EXISTS (SELECT 1 FROM embsql.metrics AS figure WHERE figure.run_id = model.live_run)
