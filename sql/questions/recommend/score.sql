-- score(model text, for_user text, for_item text)
--   -> double
-- The model's score of one pair; NULL when the run has no vector of the user or of the item.
-- example: SELECT embsql.score('shop', 'c0042', 'mug-03') AS score;
SELECT
  CAST(embsql_internal.run_score(run.similarity, this.embedding, this.norm, this.bias, other.embedding, other.norm, other.bias) AS FLOAT8) AS score
FROM given
JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
LEFT JOIN embsql.user_embeddings AS this ON this.run_id = run.run_id AND this.user_id = :for_user
LEFT JOIN embsql.item_embeddings AS other ON other.run_id = run.run_id AND other.item_id = :for_item
