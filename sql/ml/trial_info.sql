-- trial_info(model text)
--   -> (trial_id int, hyperparameters text, objective text, objective_value double, status text, error_message text, is_optimal boolean)
-- What the newest run tried when it searched its options, as ML.TRIAL_INFO; no row when it did not search.
-- hyperparameters is JSON; objective is the figure that was compared, on pairs held out for the search.
-- example: SELECT trial_id, hyperparameters, objective_value, is_optimal FROM ml.trial_info('shop_tuned');
SELECT
  tried.trial AS trial_id,
  tried.params AS hyperparameters,
  tried.metric AS objective,
  tried.value AS objective_value,
  CASE tried.status
    WHEN 'done' THEN 'SUCCEEDED' WHEN 'reference' THEN 'SUCCEEDED'
    WHEN 'stopped' THEN 'STOPPED' WHEN 'skipped' THEN 'NOT_STARTED'
    ELSE 'FAILED'
  END AS status,
  tried.error AS error_message,
  tried.best AS is_optimal
FROM given
CROSS JOIN LATERAL embsql.trials(:model) AS tried
ORDER BY trial_id ASC
