-- As item_embedding.sql, which would go through the list once for each item.
SELECT
  this.item_id AS item_id,
  this.embedding AS embedding,
  CAST(this.norm AS FLOAT8) AS norm,
  CAST(this.bias AS FLOAT8) AS bias
FROM embsql.item_embeddings AS this
WHERE this.run_id = (SELECT embsql.live_run(:model)) AND (:items IS NULL OR this.item_id IN (SELECT unnest(:items)))
ORDER BY this.item_id
