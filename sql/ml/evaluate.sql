-- evaluate(model text)
--   -> (mean_average_precision double, normalized_discounted_cumulative_gain double, mean_squared_error double, mean_absolute_error double, average_rank double, k int)
-- How good the live run is on interactions that were held out, as ML.EVALUATE: one row, of means over users, for lists
-- of length k, the shortest that was measured. All is NULL when the run was not measured. mean_squared_error,
-- mean_absolute_error and average_rank are not measured here and always NULL; of explicit feedback the errors on ratings
-- of your own are what ML.EVALUATE(MODEL m, (SELECT ...)) gives. embsql.evaluation has every figure with its interval.
-- example: SELECT mean_average_precision, normalized_discounted_cumulative_gain FROM ml.evaluate('shop');
WITH figure AS (
  SELECT measured.metric, measured.k, measured.value
  FROM given
  CROSS JOIN LATERAL embsql.evaluation(:model) AS measured
  WHERE measured.segment = 'all'
),
shortest AS (
  SELECT min(figure.k) AS k FROM figure WHERE figure.metric = 'ndcg'
)
SELECT
  max(CASE WHEN figure.metric = 'map' THEN figure.value END) AS mean_average_precision,
  max(CASE WHEN figure.metric = 'ndcg' THEN figure.value END) AS normalized_discounted_cumulative_gain,
  CAST(NULL AS FLOAT8) AS mean_squared_error,
  CAST(NULL AS FLOAT8) AS mean_absolute_error,
  CAST(NULL AS FLOAT8) AS average_rank,
  max(shortest.k) AS k
FROM shortest
LEFT JOIN figure ON figure.k = shortest.k
