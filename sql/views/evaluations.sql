-- evaluations
-- What was measured of every run of every model: how good a model is over time.
-- model_name: the model
-- run_id: the run
-- is_live: whether the run is live
-- finished_at: when it was trained, UTC
-- split: how pairs were held out
-- segment: which users: all, or a part of them
-- metric: for example ndcg
-- k: length of the lists
-- value: the run's figure
-- ci_low: the 95% interval's lower end
-- ci_high: the 95% interval's upper end
-- popular_value: that of recommending what is popular
-- itemknn_value: that of item-kNN
SELECT
  run.model_name AS model_name,
  run.run_id AS run_id,
  coalesce(run.run_id = model.live_run, FALSE) AS is_live,
  run.finished_at AS finished_at,
  figure.split AS split,
  figure.segment AS segment,
  figure.metric AS metric,
  figure.k AS k,
  figure.value AS value,
  figure.ci_low AS ci_low,
  figure.ci_high AS ci_high,
  figure.popular_value AS popular_value,
  figure.itemknn_value AS itemknn_value
FROM embsql.metrics AS figure
JOIN embsql.run_records AS run ON run.run_id = figure.run_id
LEFT JOIN embsql.models AS model ON model.model_name = run.model_name
