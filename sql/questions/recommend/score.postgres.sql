-- As score.sql, which would be planned anew for every pair.
SELECT
  embsql.run_score(run.similarity, this.embedding, this.norm, this.bias, other.embedding, other.norm, other.bias) AS score
FROM embsql.runs AS run
CROSS JOIN LATERAL embsql.user_vector(run.run_id, :for_user) AS this
CROSS JOIN LATERAL embsql.item_vector(run.run_id, :for_item) AS other
WHERE run.run_id = (SELECT embsql.live_run(:model))
