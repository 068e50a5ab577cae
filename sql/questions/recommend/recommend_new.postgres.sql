-- As recommend_new.sql, served by the run's index where it has one.
WITH subject AS MATERIALIZED (
  SELECT run.run_id, run.similarity, made.embedding
  FROM embsql.run_records AS run
  CROSS JOIN LATERAL (
    SELECT CASE WHEN tower.known > 0 THEN tower.embedding END AS embedding
    FROM embsql_internal.tower(run.run_id, 'user', :features) AS tower
  ) AS made
  WHERE run.run_id = (SELECT embsql.live_run(:model))
),
best AS (
  SELECT near.id AS item_id, near.score, 'features' AS source
  FROM subject
  CROSS JOIN LATERAL embsql_internal.nearest(
    'item', subject.run_id, subject.embedding, subject.similarity, 0, :k, ARRAY[]::text[]
  ) AS near
  WHERE subject.embedding IS NOT NULL
  UNION ALL
  SELECT popular.id, popular.score, 'popular'
  FROM subject
  CROSS JOIN LATERAL embsql_internal.popular(subject.run_id, :k, ARRAY[]::text[], NULL) AS popular
  WHERE subject.embedding IS NULL
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id COLLATE "C") AS INTEGER) AS rank,
  best.score AS score,
  best.source AS source
FROM best
ORDER BY rank
