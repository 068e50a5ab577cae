-- As score.sql, which would be planned anew for every pair.
SELECT
  embsql_internal.run_score(run.similarity, this.embedding, this.norm, this.bias, other.embedding, other.norm, other.bias) AS score
FROM embsql.run_records AS run
CROSS JOIN LATERAL embsql_internal.user_state(run.run_id, :for_user) AS this
CROSS JOIN LATERAL embsql_internal.item_vector(run.run_id, :for_item) AS other
WHERE run.run_id = (SELECT embsql.live_run(:model))
