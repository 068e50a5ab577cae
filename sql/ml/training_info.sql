-- training_info(model text)
--   -> (training_run int, iteration int, loss double, eval_loss double, learning_rate double, duration_ms bigint)
-- How the newest run of a model went, iteration by iteration from 0, as ML.TRAINING_INFO. loss is the algorithm's own.
-- eval_loss and learning_rate are not known and NULL, as is the duration of the first iteration.
-- example: SELECT iteration, loss FROM ml.training_info('shop');
SELECT
  0 AS training_run,
  entry.epoch - 1 AS iteration,
  entry.value AS loss,
  CAST(NULL AS FLOAT8) AS eval_loss,
  CAST(NULL AS FLOAT8) AS learning_rate,
  CAST(round(1000 * extract(epoch FROM (entry.logged_at - lag(entry.logged_at) OVER (ORDER BY entry.epoch ASC)))) AS BIGINT) AS duration_ms
FROM given
CROSS JOIN LATERAL embsql.training_log(:model) AS entry
WHERE entry.metric = 'loss'
ORDER BY iteration ASC
