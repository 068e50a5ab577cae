-- doctor()
--   -> (severity text, subject text, finding text, remedy text)
-- What is wrong with the models and the database, the gravest first, each finding with what to type: a command of embsql,
-- or a statement in SQL. severity is error, warning or note. subject is a model, or what else it is about. In PostgreSQL
-- it takes the role embsql_trainer. `embsql doctor` adds what only the machine knows: versions, free space, processors.
-- example: SELECT severity, subject, finding, remedy FROM embsql.doctor();
WITH without_live_run AS ( -- questions about such a model have no answer
  SELECT
    model.model_name,
    coalesce('embsql promote ' || model.model_name || '@' || CAST(max(run.run_id) AS VARCHAR), 'embsql runs ' || model.model_name) AS remedy
  FROM embsql.models AS model
  LEFT JOIN embsql.run_records AS run ON run.model_name = model.model_name AND run.status = 'ready'
  WHERE model.live_run IS NULL
    AND NOT EXISTS ( -- its first is on its way
      SELECT 1 FROM embsql.run_records AS other WHERE other.model_name = model.model_name AND other.status = 'training'
    )
  GROUP BY model.model_name
),
newest AS (
  SELECT run.model_name, run.run_id, run.status, run.error, run.promoted_at
  FROM embsql.run_records AS run
  WHERE run.run_id = (SELECT max(other.run_id) FROM embsql.run_records AS other WHERE other.model_name = run.model_name)
),
live AS (
  SELECT model.model_name, run.run_id, run.interactions, run.error
  FROM embsql.models AS model
  JOIN embsql.run_records AS run ON run.run_id = model.live_run
),
derived AS ( -- what a live run lacks and an earlier one has: whoever reads it by name finds nothing, or what is old
  SELECT 'map' AS what, 'project' AS command, held.run_id, held.entity_kind AS entity FROM embsql.maps AS held GROUP BY held.run_id, held.entity_kind
  UNION ALL
  SELECT 'clustering' AS what, 'cluster' AS command, held.run_id, held.entity_kind AS entity FROM embsql.clusters AS held GROUP BY held.run_id, held.entity_kind
),
findings AS (
  SELECT 'warning' AS severity, one.model_name AS subject, 'no run is live, so questions about it have no answer' AS finding, one.remedy AS remedy
  FROM without_live_run AS one
  UNION ALL -- what is live grows old meanwhile
  SELECT
    'warning' AS severity, one.model_name AS subject,
    'run ' || CAST(one.run_id AS VARCHAR) || ', the newest, failed: ' || coalesce(one.error, 'without a word') AS finding,
    'embsql validation ' || one.model_name AS remedy
  FROM newest AS one
  WHERE one.status = 'failed'
  UNION ALL -- the gate kept it from being live
  SELECT
    'note' AS severity, one.model_name AS subject,
    'run ' || CAST(one.run_id AS VARCHAR) || ', the newest, is not live: ' || one.error AS finding,
    'embsql gate ' || one.model_name AS remedy
  FROM newest AS one
  WHERE one.status = 'ready' AND one.error IS NOT NULL AND one.promoted_at IS NULL
  UNION ALL -- nobody trains, but a lease says so
  SELECT
    'note' AS severity, lease.model_name AS subject,
    'the trainer of run ' || CAST(lease.run_id AS VARCHAR) || ' (process ' || CAST(lease.pid AS VARCHAR) || ') has given no sign of life for a minute; the next training takes over' AS finding,
    'embsql runs ' || lease.model_name AS remedy
  FROM embsql.leases AS lease
  WHERE lease.expires_at < embsql_internal.utc_now()
  UNION ALL -- nobody knows whether it is better than what is popular
  SELECT
    'note' AS severity, one.model_name AS subject, 'the live run was never evaluated' AS finding,
    'embsql evaluate ' || one.model_name AS remedy
  FROM live AS one
  WHERE one.interactions > 0
    AND NOT EXISTS (SELECT 1 FROM embsql.metrics AS figure WHERE figure.run_id = one.run_id)
  UNION ALL -- what a training was asked for and could not make, until both are there
  SELECT
    'warning' AS severity, one.model_name AS subject, 'the live run is there, but ' || one.error AS finding,
    CASE WHEN EXISTS (SELECT 1 FROM derived AS own WHERE own.run_id = one.run_id AND own.what = 'map') THEN 'embsql cluster ' ELSE 'embsql project ' END
      || one.model_name AS remedy
  FROM live AS one
  WHERE one.error IS NOT NULL
    AND (SELECT count(DISTINCT own.what) FROM derived AS own WHERE own.run_id = one.run_id) < 2
  UNION ALL
  SELECT
    'note' AS severity, one.model_name AS subject,
    'run ' || CAST(max(earlier.run_id) AS VARCHAR) || ' has a ' || earlier.what || ' of ' || earlier.entity || 's, the live run has none' AS finding,
    'embsql ' || earlier.command || ' ' || one.model_name || ' --entity ' || earlier.entity AS remedy
  FROM live AS one
  JOIN embsql.run_records AS run ON run.model_name = one.model_name
  JOIN derived AS earlier ON earlier.run_id = run.run_id
  WHERE run.run_id < one.run_id
    AND NOT EXISTS (
      SELECT 1 FROM derived AS own WHERE own.run_id = one.run_id AND own.what = earlier.what AND own.entity = earlier.entity
    )
  GROUP BY one.model_name, one.run_id, earlier.entity, earlier.what, earlier.command
  UNION ALL
  SELECT own.severity AS severity, own.subject AS subject, own.finding AS finding, own.remedy AS remedy
  FROM embsql_internal.database_findings() AS own
)
SELECT
  found.severity AS severity,
  found.subject AS subject,
  found.finding AS finding,
  found.remedy AS remedy
FROM given
CROSS JOIN findings AS found
ORDER BY CASE found.severity WHEN 'error' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END ASC, found.subject ASC, found.finding ASC
