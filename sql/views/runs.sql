-- runs
-- Every training run of every model, whatever became of it.
-- run_id: the run's number
-- model_name: its model
-- status: training, ready (finished, and never live), live, retired (was live), failed or cancelled
-- algorithm: what it was trained by
-- params: every option as JSON; defaults has the values of those that were left to the data
-- dim: numbers per vector
-- similarity: dot or cosine: how two vectors make a score
-- users: users with a vector
-- items: items with a vector
-- interactions: pairs of user and item
-- started_at: UTC
-- finished_at: UTC
-- promoted_at: when it was last made live, UTC; NULL where it never was
-- error: why it failed, why its gate kept it from being live, or why its map or clusters were not made
-- phase: what it does while it is trained
-- phase_seconds: the seconds that each phase took
-- source_sql: the source that was read
-- source_hash: a hash of what was read, by which unchanged input is recognized
-- user_col: the source's column of user ids
-- item_col: the source's column of item ids
-- weight_col: the source's column of weights
-- time_col: the source's column of times
-- seed: the seed of all randomness
-- checksum: a hash of the vectors
-- versions: versions of packages, threads and device, as JSON
-- made_by: who asked for it
-- newest_event: the newest event trained, microseconds since 1970 or the source's own order; NULL without times
-- parent_run: the run that embsql.refresh made it of; NULL where it was trained
SELECT
  run.run_id AS run_id,
  run.model_name AS model_name,
  CASE
    WHEN run.run_id = model.live_run THEN 'live'
    WHEN run.promoted_at IS NOT NULL THEN 'retired'
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
  run.promoted_at AS promoted_at,
  run.error AS error,
  CASE WHEN run.status = 'training' THEN run.phase END AS phase,
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
  run.made_by AS made_by,
  run.newest_event AS newest_event,
  run.parent_run AS parent_run
FROM embsql.run_records AS run
LEFT JOIN embsql.models AS model ON model.model_name = run.model_name
