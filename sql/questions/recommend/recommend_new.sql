-- recommend_new(model text, features text, k int = 10)
--   -> (item_id text, rank int, score double, source text)
-- What to show a user who is not in the run, by what is known of them: the k best items for embed_user's vector.
-- features is as in embed_user. source is features, or popular when they are NULL or '{}' or the model knows none of
-- their values (score is then the number of users).
-- example: SELECT * FROM embsql.recommend_new('shop_towers', '{"first_aisle": "tea"}', k => 3);
WITH made AS MATERIALIZED (
  SELECT tower.embedding
  FROM given
  CROSS JOIN LATERAL embsql_internal.tower((SELECT embsql.live_run(:model)), 'user', :features) AS tower
  WHERE tower.known > 0
),
subject AS (
  SELECT run.similarity, made.embedding, embsql.vector_norm(made.embedding) AS norm
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  LEFT JOIN made ON TRUE
),
best AS (
  SELECT
    other.item_id,
    CASE
      WHEN subject.embedding IS NULL THEN other.interactions
      ELSE embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, 0, other.embedding, other.norm, other.bias)
    END AS score,
    CASE WHEN subject.embedding IS NULL THEN 'popular' ELSE 'features' END AS source
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  ORDER BY score DESC NULLS LAST, other.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id ASC) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score,
  best.source AS source
FROM best
ORDER BY rank ASC
