-- As recommend_users.sql, served by the run's index where it has one.
SELECT
  near.id AS user_id,
  CAST(row_number() OVER (ORDER BY near.score DESC, near.id COLLATE "C") AS INTEGER) AS rank,
  near.score AS score
FROM embsql.run_records AS run
CROSS JOIN LATERAL embsql_internal.item_vector(run.run_id, :for_item) AS this
CROSS JOIN LATERAL embsql_internal.nearest(
  'user', run.run_id, this.embedding, run.similarity, this.bias, :k,
  CASE WHEN :exclude_seen THEN embsql_internal.users_of(run.run_id, :for_item) ELSE ARRAY[]::text[] END
) AS near
WHERE run.run_id = (SELECT embsql.live_run(:model)) AND (run.similarity = 'dot' OR this.norm > 0)
  AND this.embedding IS NOT NULL AND near.score IS NOT NULL
ORDER BY rank
