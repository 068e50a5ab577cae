-- weights(model text)
--   -> (processed_input text, feature text, factor_weights vector, intercept double)
-- What the live run has learned, as ML.WEIGHTS: a row for every user and item. processed_input is what the source
-- called the column of users or of items; factor_weights is the vector, whose n-th entry is factor n; intercept is the
-- bias. A user's intercept has the mean of all ratings in it, so no row global__INTERCEPT__ stands apart.
-- example: SELECT feature, intercept FROM ml.weights('shop') WHERE processed_input = 'item_id' LIMIT 3;
SELECT
  coalesce(run.user_col, 'user_id') AS processed_input,
  this.user_id AS feature,
  this.embedding AS factor_weights,
  CAST(this.bias AS FLOAT8) AS intercept
FROM given
JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
JOIN embsql.user_embeddings AS this ON this.run_id = run.run_id
UNION ALL
SELECT
  coalesce(run.item_col, 'item_id') AS processed_input,
  other.item_id AS feature,
  other.embedding AS factor_weights,
  CAST(other.bias AS FLOAT8) AS intercept
FROM given
JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
JOIN embsql.item_embeddings AS other ON other.run_id = run.run_id
