-- models()
--   -> (model_name text, live_run bigint, runs bigint, algorithm text, dim int, users bigint, items bigint, trained_at timestamp, headline_metric text)
-- Every model with its live run, how many finished runs it has, and what the live run measures.
-- example: SELECT model_name, algorithm, dim, users, items FROM embsql.models();
WITH finished AS (
  SELECT run.model_name, count(*) AS runs
  FROM embsql.run_records AS run
  WHERE run.status = 'ready'
  GROUP BY run.model_name
),
shown AS ( -- of a run measured on several splits, one
  SELECT figure.run_id, min(figure.split) AS split FROM embsql.metrics AS figure GROUP BY figure.run_id
),
main_figure AS (
  SELECT figure.run_id, 'ndcg@10 ' || embsql_internal.four_decimals(figure.value) || ' (popular ' || embsql_internal.four_decimals(figure.popular_value) || ')' AS headline
  FROM embsql.metrics AS figure
  JOIN shown ON shown.run_id = figure.run_id AND shown.split = figure.split
  WHERE figure.metric = 'ndcg' AND figure.k = 10 AND figure.segment = 'all'
)
SELECT
  model.model_name AS model_name,
  model.live_run AS live_run,
  CAST(coalesce(finished.runs, 0) AS BIGINT) AS runs,
  live.algorithm AS algorithm,
  live.dim AS dim,
  live.users AS users,
  live.items AS items,
  live.finished_at AS trained_at,
  main_figure.headline AS headline_metric
FROM given
CROSS JOIN embsql.models AS model
LEFT JOIN finished ON finished.model_name = model.model_name
LEFT JOIN embsql.run_records AS live ON live.run_id = model.live_run
LEFT JOIN main_figure ON main_figure.run_id = model.live_run
ORDER BY model.model_name ASC
