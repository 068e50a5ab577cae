-- trials(model text)
--   -> (trial int, params text, metric text, value double, seconds double, status text, best boolean, error text)
-- What the newest run tried when it searched its options, in order; empty when it did not search. 'shop@7' reads run 7.
-- params is JSON: the options searched. value is the figure on pairs held out for the search; the best one flatters,
-- being the highest of many: embsql.evaluation has what was measured apart. Readable while it trains.
-- example: SELECT trial, params, metric, value, best FROM embsql.trials('shop_tuned');
WITH newest AS (
  SELECT tried.trial, tried.params, tried.metric, tried.value, tried.seconds, tried.status, tried.error
  FROM given
  JOIN embsql.trials AS tried ON tried.run_id = (SELECT embsql.newest_run(:model))
),
winner AS (
  SELECT min(newest.trial) AS trial
  FROM newest
  WHERE newest.value = (SELECT max(other.value) FROM newest AS other)
)
SELECT
  newest.trial AS trial,
  newest.params AS params,
  newest.metric AS metric,
  newest.value AS value,
  newest.seconds AS seconds,
  newest.status AS status,
  coalesce(newest.trial = winner.trial, FALSE) AS best,
  newest.error AS error
FROM newest
CROSS JOIN winner
ORDER BY newest.trial ASC
