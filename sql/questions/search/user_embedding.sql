-- user_embedding(model text, users text[] = NULL)
--   -> (user_id text, embedding vector, norm double, bias double)
-- The vectors of a list of users, by id; of all users when the list is NULL. Unknown ids are left out.
-- example: SELECT user_id, norm FROM embsql.user_embedding('shop', users => ARRAY['c0042']);
SELECT
  this.user_id AS user_id,
  this.embedding AS embedding,
  CAST(this.norm AS FLOAT8) AS norm,
  CAST(this.bias AS FLOAT8) AS bias
FROM given
JOIN embsql.user_embeddings AS this ON this.run_id = (SELECT embsql.live_run(:model))
WHERE (:users IS NULL OR embsql.contains(:users, this.user_id))
ORDER BY this.user_id ASC
