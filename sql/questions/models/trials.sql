-- trials(model text)
--   -> (trial int, params text, metric text, value double, seconds double, status text, best boolean, error text, algorithm text, ci_low double, ci_high double, reason text)
-- What the newest run tried when it searched its options, in order; empty when it did not search. 'shop@7' reads run 7.
-- params is JSON: the options searched. value is the figure on pairs held out for the search; the best one flatters,
-- being the highest of many: embsql.evaluation has what was measured apart. Readable while it trains.
-- With algorithm => 'auto' each row is a candidate with its algorithm, the interval of its figure, and the reason why it
-- was chosen (best) or was not; rows with status reference are what is popular and item-kNN, which nothing was chosen from.
-- example: SELECT trial, params, metric, value, best FROM embsql.trials('shop_tuned');
WITH newest AS (
  SELECT
    tried.trial, tried.params, tried.metric, tried.value, tried.seconds, tried.status, tried.error,
    tried.algorithm, tried.ci_low, tried.ci_high, tried.chosen, tried.reason
  FROM given
  JOIN embsql.trials AS tried ON tried.run_id = (SELECT embsql.newest_run(:model))
),
winner AS (
  SELECT coalesce(
    min(CASE WHEN newest.chosen THEN newest.trial END),
    min(
      CASE WHEN newest.status = 'done' AND newest.value = (
        SELECT max(other.value) FROM newest AS other WHERE other.status = 'done'
      ) THEN newest.trial END
    )
  ) AS trial
  FROM newest
)
SELECT
  newest.trial AS trial,
  newest.params AS params,
  newest.metric AS metric,
  newest.value AS value,
  newest.seconds AS seconds,
  newest.status AS status,
  coalesce(newest.trial = winner.trial, FALSE) AS best,
  newest.error AS error,
  newest.algorithm AS algorithm,
  newest.ci_low AS ci_low,
  newest.ci_high AS ci_high,
  newest.reason AS reason
FROM newest
CROSS JOIN winner
ORDER BY newest.trial ASC
