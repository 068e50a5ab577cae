-- training_log(model text)
--   -> (epoch int, metric text, value double, logged_at timestamp)
-- How the newest run of a model went, epoch by epoch; readable from another connection while it trains.
-- Times are UTC. 'shop@7' reads run 7.
-- example: SELECT epoch, metric, value FROM embsql.training_log('shop') LIMIT 3;
SELECT
  entry.epoch AS epoch,
  entry.metric AS metric,
  entry.value AS value,
  entry.logged_at AS logged_at
FROM given
JOIN embsql.training_log AS entry ON entry.run_id = (SELECT embsql.newest_run(:model))
ORDER BY entry.metric ASC, entry.epoch ASC
