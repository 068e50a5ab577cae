-- recommend_from(model text, items text[], weights double[] = NULL, k int = 10, exclude_seen boolean = TRUE, times timestamp[] = NULL)
--   -> (item_id text, rank int, score double, source text)
-- What to show someone with this basket, session or history, whom the run need not know: the k best items.
-- items, weights and times are as in fold_in. source is sequence where a network read the items in their order, fold_in
-- where they were folded in, and popular when no given item is known (score is then the number of users). exclude_seen
-- leaves out the given items.
-- example: SELECT * FROM embsql.recommend_from('shop', ARRAY['mug-03', 'tea-01'], k => 3);
WITH made AS MATERIALIZED (
  SELECT history.embedding, history.bias, history.source, embsql.vector_norm(history.embedding) AS norm
  FROM given
  CROSS JOIN LATERAL embsql_internal.history_vector(
    (SELECT embsql.live_run(:model)), :items, :weights, :times
  ) AS history
),
subject AS (
  SELECT run.similarity, made.embedding, made.norm, made.bias, coalesce(made.source, 'popular') AS source
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  LEFT JOIN made ON made.embedding IS NOT NULL AND (run.similarity = 'dot' OR made.norm > 0)
),
seen AS (
  SELECT DISTINCT past_item.item_id
  FROM (SELECT unnest(:items) AS item_id FROM given WHERE :exclude_seen) AS past_item
),
catalog AS (
  SELECT other.item_id, other.embedding, other.norm, other.bias, other.interactions
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
),
scored AS (
  SELECT
    other.item_id,
    CASE
      WHEN subject.embedding IS NULL THEN other.interactions
      ELSE embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, subject.bias, other.embedding, other.norm, other.bias)
    END AS score,
    subject.source
  FROM catalog AS other
  CROSS JOIN subject
),
best AS (
  SELECT scored.item_id, scored.score, scored.source
  FROM scored
  LEFT JOIN seen ON seen.item_id = scored.item_id
  WHERE seen.item_id IS NULL
  ORDER BY scored.score DESC NULLS LAST, scored.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id ASC) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score,
  best.source AS source
FROM best
ORDER BY rank ASC
