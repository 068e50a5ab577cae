-- As recommend.sql, served by the run's index where it has one.
WITH subject AS (
  SELECT run.run_id, run.similarity, this.embedding, this.bias
  FROM embsql.runs AS run
  LEFT JOIN embsql.user_embeddings AS this
    ON this.run_id = run.run_id AND this.user_id = :for_user AND (run.similarity = 'dot' OR this.norm > 0)
  WHERE run.run_id = (SELECT embsql.live_run(:model))
),
seen AS (
  SELECT coalesce(array_agg(past.item_id), ARRAY[]::text[]) AS items
  FROM embsql.interactions AS past
  WHERE past.run_id = (SELECT embsql.live_run(:model)) AND past.user_id = :for_user AND :exclude_seen
),
best AS (
  SELECT near.id AS item_id, near.score, 'model' AS source
  FROM subject
  CROSS JOIN seen
  CROSS JOIN LATERAL embsql.nearest(
    'item', subject.run_id, subject.embedding, subject.similarity, subject.bias, :k, seen.items, :candidates
  ) AS near
  WHERE subject.embedding IS NOT NULL
  UNION ALL
  SELECT popular.id, popular.score, 'popular'
  FROM subject
  CROSS JOIN seen
  CROSS JOIN LATERAL embsql.popular(subject.run_id, :k, seen.items, :candidates) AS popular
  WHERE subject.embedding IS NULL
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id COLLATE "C") AS INTEGER) AS rank,
  best.score AS score,
  best.source AS source
FROM best
ORDER BY rank
