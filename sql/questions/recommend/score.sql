-- score(model text, for_user text, for_item text)
--   -> double
-- The model's score of one pair; NULL when nothing is known of the user, or the run has no vector of the item. The user
-- is the one of recommend: with events newer than the run, where the model's source is watched.
-- example: SELECT embsql.score('shop', 'c0042', 'mug-03') AS score;
SELECT
  CAST(embsql_internal.run_score(run.similarity, this.embedding, this.norm, this.bias, other.embedding, other.norm, other.bias) AS FLOAT8) AS score
FROM given
JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
CROSS JOIN LATERAL embsql_internal.user_state(run.run_id, :for_user) AS this
LEFT JOIN embsql.item_embeddings AS other ON other.run_id = run.run_id AND other.item_id = :for_item
