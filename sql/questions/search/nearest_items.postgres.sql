-- As nearest_items.sql, served by the run's index where it has one.
SELECT
  near.id AS item_id,
  CAST(row_number() OVER (ORDER BY near.score DESC, near.id COLLATE "C") AS INTEGER) AS rank,
  near.score AS score
FROM embsql.run_records AS run
CROSS JOIN LATERAL embsql_internal.nearest(
    'item', run.run_id, embsql_internal.finite_vector(:to_vector), run.similarity, 0, :k, ARRAY[]::text[]
) AS near
WHERE run.run_id = (SELECT embsql.live_run(:model)) AND near.score IS NOT NULL
ORDER BY rank
