-- As next_items.sql, served by the run's index where it has one.
WITH subject AS MATERIALIZED (
  SELECT
    run.run_id, run.similarity, history.bias, history.source, (
      SELECT count(*)
      FROM unnest(:session) AS event (item_id)
      LEFT JOIN embsql_internal.known_items(run.run_id, :session) AS item
        ON item.item_id = event.item_id
      WHERE item.item_id IS NULL AND event.item_id IS NOT NULL
    ) AS unknown_items,
    CASE
      WHEN run.similarity = 'dot' OR vector_norm(history.embedding) > 0 THEN history.embedding
    END AS embedding
  FROM embsql.run_records AS run
  CROSS JOIN LATERAL embsql_internal.history_vector(run.run_id, :session, NULL, :times) AS history
  WHERE run.run_id = (SELECT embsql.live_run(:model))
),
best AS (
  SELECT near.id AS item_id, near.score, subject.source, subject.unknown_items
  FROM subject
  CROSS JOIN LATERAL embsql_internal.nearest(
    'item', subject.run_id, subject.embedding, subject.similarity, subject.bias, greatest(:k, 0), ARRAY[]::text[]
  ) AS near
  WHERE subject.embedding IS NOT NULL
  UNION ALL
  SELECT popular.id, popular.score, 'popular', subject.unknown_items
  FROM subject
  CROSS JOIN LATERAL embsql_internal.popular(subject.run_id, greatest(:k, 0), ARRAY[]::text[], NULL) AS popular
  WHERE subject.embedding IS NULL
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id COLLATE "C") AS INTEGER) AS rank,
  best.score AS score,
  best.source AS source,
  CAST(best.unknown_items AS integer) AS unknown_items
FROM best
ORDER BY rank
