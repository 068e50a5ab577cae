-- As recommend_as_of.sql, served by the run's index where it has one.
WITH made AS MATERIALIZED (
  SELECT run.run_id, run.similarity, past.seen, history.embedding, history.bias, history.source
  FROM embsql.run_records AS run
  CROSS JOIN LATERAL embsql_internal.history_as_of(run.run_id, :for_user, :as_of) AS past
  CROSS JOIN LATERAL embsql_internal.history_vector(run.run_id, past.items, past.weights, past.moments) AS history
  WHERE run.run_id = (SELECT embsql.live_run(:model))
),
subject AS (
  SELECT
    made.run_id, made.similarity, made.bias, made.source,
    CASE WHEN made.similarity = 'dot' OR vector_norm(made.embedding) > 0 THEN made.embedding END AS embedding,
    CASE WHEN :exclude_seen THEN made.seen ELSE ARRAY[]::text[] END AS seen
  FROM made
),
best AS (
  SELECT near.id AS item_id, near.score, subject.source
  FROM subject
  CROSS JOIN LATERAL embsql_internal.nearest(
    'item', subject.run_id, subject.embedding, subject.similarity, subject.bias, greatest(:k, 0), subject.seen
  ) AS near
  WHERE subject.embedding IS NOT NULL
  UNION ALL
  SELECT popular.id, popular.score, 'popular'
  FROM subject
  CROSS JOIN LATERAL embsql_internal.popular(subject.run_id, greatest(:k, 0), subject.seen, NULL) AS popular
  WHERE subject.embedding IS NULL
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id COLLATE "C") AS INTEGER) AS rank,
  best.score AS score,
  best.source AS source
FROM best
ORDER BY rank
