-- gate(model text)
--   -> (run_id bigint, verdict text, split text, metric text, k int, value double, popular_value double, compared_run bigint, basis text, users bigint, left_out bigint, new_value double, live_value double, difference double, ci_low double, ci_high double, tolerance double, reason text)
-- What the gate of each run of a model compared and decided, newest first; 'shop@7' is run 7 alone. A run passes when
-- value is above popular_value and, of the same users, the 95% interval of difference = new_value - live_value reaches
-- above -tolerance * live_value; verdict is off where the gate was. basis says what stood for the run that was live:
-- vectors (its own, as they are), options (its algorithm trained anew on the same part), same (its options are those of
-- the run), none.
-- example: SELECT run_id, verdict, value, popular_value, basis FROM embsql.gate('shop');
SELECT
  judged.run_id AS run_id,
  judged.verdict AS verdict,
  judged.split AS split,
  judged.metric AS metric,
  judged.k AS k,
  judged.value AS value,
  judged.popular_value AS popular_value,
  judged.compared_run AS compared_run,
  judged.basis AS basis,
  judged.users AS users,
  judged.left_out AS left_out,
  judged.new_value AS new_value,
  judged.live_value AS live_value,
  judged.difference AS difference,
  judged.ci_low AS ci_low,
  judged.ci_high AS ci_high,
  judged.tolerance AS tolerance,
  judged.reason AS reason
FROM given
JOIN embsql.run_records AS newest ON newest.run_id = (SELECT embsql.newest_run(:model))
JOIN embsql.run_records AS run ON run.model_name = newest.model_name
JOIN embsql.gates AS judged ON judged.run_id = run.run_id
WHERE coalesce(embsql_internal.run_part(:model), run.run_id) = run.run_id
ORDER BY judged.run_id DESC
