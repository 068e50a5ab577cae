-- feature_info(model text)
--   -> (input text, min double, max double, mean double, stddev double, category_count bigint)
-- What the live run was trained on, as ML.FEATURE_INFO: users and items with how many there are, and the ratings or
-- weights of pairs, those of one pair added up or, for explicit feedback, averaged.
-- example: SELECT input, mean, category_count FROM ml.feature_info('shop');
WITH live AS (
  SELECT run.run_id, run.items, run.user_col, run.item_col, run.weight_col
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
),
everyone AS ( -- who was forgotten, or may not be seen, is nobody
  SELECT count(*) AS users
  FROM given
  JOIN embsql.user_embeddings AS person ON person.run_id = (SELECT embsql.live_run(:model))
),
spread AS (
  SELECT
    min(past.weight) AS low, max(past.weight) AS high, avg(past.weight) AS mean, stddev_pop(past.weight) AS deviation
  FROM given
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model))
)
SELECT
  coalesce(live.user_col, 'user_id') AS input,
  CAST(NULL AS FLOAT8) AS min,
  CAST(NULL AS FLOAT8) AS max,
  CAST(NULL AS FLOAT8) AS mean,
  CAST(NULL AS FLOAT8) AS stddev,
  everyone.users AS category_count
FROM live
CROSS JOIN everyone
UNION ALL
SELECT
  coalesce(live.item_col, 'item_id') AS input,
  CAST(NULL AS FLOAT8) AS min,
  CAST(NULL AS FLOAT8) AS max,
  CAST(NULL AS FLOAT8) AS mean,
  CAST(NULL AS FLOAT8) AS stddev,
  live.items AS category_count
FROM live
UNION ALL
SELECT
  coalesce(live.weight_col, 'weight') AS input,
  CAST(spread.low AS FLOAT8) AS min,
  CAST(spread.high AS FLOAT8) AS max,
  CAST(spread.mean AS FLOAT8) AS mean,
  CAST(spread.deviation AS FLOAT8) AS stddev,
  CAST(NULL AS BIGINT) AS category_count
FROM live
CROSS JOIN spread
