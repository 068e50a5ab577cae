-- As recommend.sql, served by the run's index where it has one.
WITH subject AS (
  SELECT
    run.run_id, run.similarity, this.bias, this.source,
    CASE WHEN run.similarity = 'dot' OR this.norm > 0 THEN this.embedding END AS embedding,
    CASE
      WHEN :exclude_seen THEN embsql_internal.items_of(run.run_id, :for_user) || this.fresh_items
      ELSE ARRAY[]::text[]
    END AS seen
  FROM embsql.run_records AS run
  CROSS JOIN LATERAL embsql_internal.user_state(run.run_id, :for_user) AS this
  WHERE run.run_id = (SELECT embsql.live_run(:model))
),
best AS (
  SELECT near.id AS item_id, near.score, subject.source
  FROM subject
  CROSS JOIN LATERAL embsql_internal.nearest(
    'item', subject.run_id, subject.embedding, subject.similarity, subject.bias, :k, subject.seen, :candidates
  ) AS near
  WHERE subject.embedding IS NOT NULL
  UNION ALL
  SELECT popular.id, popular.score, 'popular'
  FROM subject
  CROSS JOIN LATERAL embsql_internal.popular(subject.run_id, :k, subject.seen, :candidates) AS popular
  WHERE subject.embedding IS NULL
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id COLLATE "C") AS INTEGER) AS rank,
  best.score AS score,
  best.source AS source
FROM best
ORDER BY rank
