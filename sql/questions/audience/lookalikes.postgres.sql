-- As lookalikes.sql, served by the run's index where it has one.
SELECT
  near.id AS user_id,
  CAST(row_number() OVER (ORDER BY near.score DESC, near.id COLLATE "C") AS INTEGER) AS rank,
  near.score AS score
FROM (
  SELECT embsql.vector_avg(seed.direction) AS embedding
  FROM embsql_internal.known_users((SELECT embsql.live_run(:model)), :seeds) AS seed
) AS subject
CROSS JOIN LATERAL embsql_internal.nearest(
  'user', (SELECT embsql.live_run(:model)), subject.embedding, 'cosine', 0, greatest(:k, 0),
  CASE WHEN :exclude_seeds THEN array_remove(:seeds, NULL) ELSE ARRAY[]::text[] END
) AS near
WHERE subject.embedding IS NOT NULL AND near.score IS NOT NULL
ORDER BY rank
