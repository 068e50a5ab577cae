-- evaluation(model text)
--   -> (split text, segment text, metric text, k int, value double, ci_low double, ci_high double, popular_value double, itemknn_value double)
-- How good the live run is on interactions that were held out, with 95% intervals, against recommending what is
-- popular and against item-kNN on the same split. Empty when the run was not evaluated.
-- example: SELECT metric, k, value, popular_value FROM embsql.evaluation('shop') WHERE segment = 'all' AND metric IN ('ndcg', 'recall');
SELECT
  figure.split AS split,
  figure.segment AS segment,
  figure.metric AS metric,
  figure.k AS k,
  figure.value AS value,
  figure.ci_low AS ci_low,
  figure.ci_high AS ci_high,
  figure.popular_value AS popular_value,
  figure.itemknn_value AS itemknn_value
FROM given
JOIN embsql.metrics AS figure ON figure.run_id = (SELECT embsql.live_run(:model))
ORDER BY figure.split ASC, figure.segment ASC, figure.metric ASC, figure.k ASC
