-- As runs.sql: when a run was promoted here, the registry's record does not say.
SELECT
  run.run_id AS run_id,
  run.model_name AS model_name,
  CASE
    WHEN run.run_id = model.live_run THEN 'live'
    WHEN embsql_internal.contains(model.earlier_runs, run.run_id) THEN 'retired'
    ELSE run.status
  END AS status,
  run.algorithm AS algorithm,
  run.params AS params,
  run.dim AS dim,
  run.similarity AS similarity,
  run.users AS users,
  run.items AS items,
  run.interactions AS interactions,
  run.started_at AS started_at,
  run.finished_at AS finished_at,
  CASE WHEN run.run_id = model.live_run THEN model.updated_at END AS promoted_at,
  run.error AS error,
  CAST(NULL AS VARCHAR) AS phase,
  run.phase_seconds AS phase_seconds,
  run.source_sql AS source_sql,
  run.source_hash AS source_hash,
  run.user_col AS user_col,
  run.item_col AS item_col,
  run.weight_col AS weight_col,
  run.time_col AS time_col,
  run.seed AS seed,
  run.checksum AS checksum,
  run.versions AS versions,
  CAST(NULL AS VARCHAR) AS made_by,
  run.newest_event AS newest_event,
  run.parent_run AS parent_run
FROM embsql.run_records AS run
LEFT JOIN embsql.models AS model ON model.model_name = run.model_name
