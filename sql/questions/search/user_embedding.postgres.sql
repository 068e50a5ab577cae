-- As user_embedding.sql, which would go through the list once for each user.
SELECT
  this.user_id AS user_id,
  this.embedding AS embedding,
  CAST(this.norm AS FLOAT8) AS norm,
  CAST(this.bias AS FLOAT8) AS bias
FROM embsql.user_embeddings AS this
WHERE this.run_id = (SELECT embsql.live_run(:model)) AND (:users IS NULL OR this.user_id IN (SELECT unnest(:users)))
ORDER BY this.user_id
