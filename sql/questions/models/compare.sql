-- compare(model_a text, model_b text)
--   -> (metric text, k int, segment text, a double, b double, difference double, split text)
-- Two runs side by side, figure by figure; difference is b minus a. Both must have been evaluated.
-- example: SELECT * FROM embsql.compare('shop@1', 'shop') WHERE segment = 'all' AND metric = 'ndcg';
SELECT
  left_run.metric AS metric,
  left_run.k AS k,
  left_run.segment AS segment,
  left_run.value AS a,
  right_run.value AS b,
  right_run.value - left_run.value AS difference,
  left_run.split AS split
FROM given
JOIN embsql.run_records AS run_a ON run_a.run_id = (SELECT embsql.live_run(:model_a))
JOIN embsql.run_records AS run_b ON run_b.run_id = (SELECT embsql.live_run(:model_b))
JOIN embsql.metrics AS left_run ON left_run.run_id = run_a.run_id
JOIN embsql.metrics AS right_run
  ON right_run.run_id = run_b.run_id
  AND right_run.metric = left_run.metric
  AND right_run.k = left_run.k
  AND right_run.segment = left_run.segment
  AND right_run.split = left_run.split
ORDER BY left_run.split ASC, left_run.segment ASC, left_run.metric ASC, left_run.k ASC
