-- As recommend_users.sql, served by the run's index where it has one.
WITH seen AS (
  SELECT coalesce(array_agg(past.user_id), ARRAY[]::text[]) AS users
  FROM embsql.interactions AS past
  WHERE past.run_id = (SELECT embsql.live_run(:model)) AND past.item_id = :for_item AND :exclude_seen
)
SELECT
  near.id AS user_id,
  CAST(row_number() OVER (ORDER BY near.score DESC, near.id COLLATE "C") AS INTEGER) AS rank,
  near.score AS score
FROM embsql.runs AS run
JOIN embsql.item_embeddings AS this ON this.run_id = run.run_id AND this.item_id = :for_item
CROSS JOIN seen
CROSS JOIN LATERAL embsql.nearest('user', run.run_id, this.embedding, run.similarity, this.bias, :k, seen.users) AS near
WHERE run.run_id = (SELECT embsql.live_run(:model)) AND (run.similarity = 'dot' OR this.norm > 0)
  AND near.score IS NOT NULL
ORDER BY rank
