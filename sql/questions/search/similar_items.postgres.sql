-- As similar_items.sql, served by the run's index where it has one.
SELECT
  near.id AS item_id,
  CAST(row_number() OVER (ORDER BY near.score DESC, near.id COLLATE "C") AS INTEGER) AS rank,
  near.score AS score
FROM embsql.item_embeddings AS this
CROSS JOIN LATERAL embsql.nearest('item', this.run_id, this.embedding, 'cosine', 0, :k, ARRAY[:for_item]) AS near
WHERE this.run_id = (SELECT embsql.live_run(:model)) AND this.item_id = :for_item AND this.norm > 0
  AND near.score IS NOT NULL
ORDER BY rank
