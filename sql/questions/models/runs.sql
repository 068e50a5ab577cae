-- runs(model text)
--   -> (run_id bigint, status text, algorithm text, params text, metrics text, started_at timestamp, finished_at timestamp, error text, phase text, phase_seconds text)
-- Every run of a model, newest first. status: training, ready (finished, and never live), live, retired (was live), failed,
-- cancelled; the view embsql.runs has the same, of every model.
-- params is JSON, where defaults has the values of options that were left to the data; metrics has ndcg and recall over all
-- users, as "ndcg@10 0.1319, recall@10 0.0912".
-- phase is what a run does that is trained now, else NULL: reading, searching, training, measuring, writing, or compiling
-- loops; phase_seconds has what each took, as "reading 0.4, compiling 12.1, training 3.2".
-- example: SELECT run_id, status, algorithm FROM embsql.runs('shop');
WITH shown AS ( -- of a run measured on several splits, one
  SELECT figure.run_id, min(figure.split) AS split FROM embsql.metrics AS figure GROUP BY figure.run_id
),
figures AS (
  SELECT
    figure.run_id,
    string_agg(figure.metric || '@' || CAST(figure.k AS VARCHAR) || ' ' || embsql_internal.four_decimals(figure.value), ', ' ORDER BY figure.k ASC, figure.metric ASC) AS metrics
  FROM embsql.metrics AS figure
  JOIN shown ON shown.run_id = figure.run_id AND shown.split = figure.split
  WHERE figure.segment = 'all' AND figure.metric IN ('ndcg', 'recall')
  GROUP BY figure.run_id
)
SELECT
  run.run_id AS run_id,
  run.status AS status,
  run.algorithm AS algorithm,
  run.params AS params,
  figures.metrics AS metrics,
  run.started_at AS started_at,
  run.finished_at AS finished_at,
  run.error AS error,
  run.phase AS phase,
  run.phase_seconds AS phase_seconds
FROM given
JOIN embsql.run_records AS newest ON newest.run_id = (SELECT embsql.newest_run(:model))
JOIN embsql.runs AS run ON run.model_name = newest.model_name
LEFT JOIN figures ON figures.run_id = run.run_id
ORDER BY run.run_id DESC
