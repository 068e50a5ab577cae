-- next_items(model text, session text[], k int = 10, times timestamp[] = NULL)
--   -> (item_id text, rank int, score double, source text, unknown_items int)
-- What comes next in a session, which may be one of its own items: the k best items, of all.
-- session has the items in their order, and times when each was, as items and times of fold_in. source is as in
-- recommend_from. unknown_items is how many of the session's events are of items that the run does not know: they are
-- passed over.
-- example: SELECT * FROM embsql.next_items('shop', ARRAY['mug-03', 'tea-01'], k => 3);
WITH made AS MATERIALIZED (
  SELECT history.embedding, history.bias, history.source, embsql.vector_norm(history.embedding) AS norm
  FROM given
  CROSS JOIN LATERAL embsql_internal.history_vector(
    (SELECT embsql.live_run(:model)), :session, NULL, :times
  ) AS history
),
subject AS (
  SELECT run.similarity, made.embedding, made.norm, made.bias, coalesce(made.source, 'popular') AS source
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  LEFT JOIN made ON made.embedding IS NOT NULL AND (run.similarity = 'dot' OR made.norm > 0)
),
catalog AS (
  SELECT other.item_id, other.embedding, other.norm, other.bias, other.interactions
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
),
passed_over AS (
  SELECT count(*) AS events
  FROM (SELECT unnest(:session) AS item_id FROM given) AS event
  LEFT JOIN catalog AS item ON item.item_id = event.item_id
  WHERE item.item_id IS NULL AND event.item_id IS NOT NULL
),
best AS (
  SELECT
    other.item_id,
    CASE
      WHEN subject.embedding IS NULL THEN other.interactions
      ELSE embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, subject.bias, other.embedding, other.norm, other.bias)
    END AS score,
    subject.source
  FROM catalog AS other
  CROSS JOIN subject
  ORDER BY score DESC NULLS LAST, other.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id ASC) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score,
  best.source AS source,
  CAST(passed_over.events AS INTEGER) AS unknown_items
FROM best
CROSS JOIN passed_over
ORDER BY rank ASC
