-- As similar_items.sql, served by the run's index where it has one.
SELECT
  near.id AS item_id,
  CAST(row_number() OVER (ORDER BY near.score DESC, near.id COLLATE "C") AS INTEGER) AS rank,
  near.score AS score
FROM embsql.live_run(:model) AS run (run_id)
CROSS JOIN LATERAL embsql_internal.item_vector(run.run_id, :for_item) AS this
CROSS JOIN LATERAL embsql_internal.nearest(
    'item', run.run_id, this.embedding, 'cosine', 0, :k, ARRAY[:for_item]
) AS near
WHERE this.norm > 0 AND near.score IS NOT NULL
ORDER BY rank
