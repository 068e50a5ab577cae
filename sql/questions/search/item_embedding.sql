-- item_embedding(model text, items text[] = NULL)
--   -> (item_id text, embedding vector, norm double, bias double)
-- The vectors of a list of items, by id; of all items when the list is NULL. Unknown ids are left out.
-- example: SELECT item_id, norm FROM embsql.item_embedding('shop', items => ARRAY['mug-03']);
SELECT
  this.item_id AS item_id,
  this.embedding AS embedding,
  CAST(this.norm AS FLOAT8) AS norm,
  CAST(this.bias AS FLOAT8) AS bias
FROM given
JOIN embsql.item_embeddings AS this ON this.run_id = (SELECT embsql.live_run(:model))
WHERE (:items IS NULL OR embsql_internal.contains(:items, this.item_id))
ORDER BY this.item_id ASC
