-- recommend_from(model text, items text[], weights double[] = NULL, k int = 10, exclude_seen boolean = TRUE)
--   -> (item_id text, rank int, score double, source text)
-- What to show someone with this basket, session or history, whom the run need not know: the k best items.
-- items and weights are as in fold_in. source is fold_in, or popular when no given item is known (score is then the
-- number of users). exclude_seen leaves out the given items.
-- example: SELECT * FROM embsql.recommend_from('shop', ARRAY['mug-03', 'tea-01'], k => 3);
WITH past AS MATERIALIZED (
  SELECT
    history.gram, history.unobserved_weight, history.ridge, history.vectors, history.curves, history.bias,
    embsql_internal.weighted_sum(history.vectors, history.pulls) AS pulled
  FROM given
  CROSS JOIN LATERAL embsql_internal.fold_in_system((SELECT embsql.live_run(:model)), :items, :weights) AS history
),
folded AS MATERIALIZED (
  SELECT
    embsql_internal.as_vector(embsql_internal.solve(past.gram, past.unobserved_weight, past.ridge, past.vectors, past.curves, past.pulled)) AS embedding,
    past.bias
  FROM past
),
subject AS (
  SELECT run.similarity, folded.embedding, embsql.vector_norm(folded.embedding) AS norm, folded.bias
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  LEFT JOIN folded ON run.similarity = 'dot' OR embsql.vector_norm(folded.embedding) > 0
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
    CASE WHEN subject.embedding IS NULL THEN 'popular' ELSE 'fold_in' END AS source
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
