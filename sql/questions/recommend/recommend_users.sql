-- recommend_users(model text, for_item text, k int = 10, exclude_seen boolean = TRUE)
--   -> (user_id text, rank int, score double)
-- Whom to tell about an item: the k users with the highest score, without those who already met it.
-- An unknown item returns no rows.
-- example: SELECT * FROM embsql.recommend_users('shop', 'mug-03', k => 3);
WITH subject AS (
  SELECT run.similarity, this.embedding, this.norm, this.bias
  FROM embsql.runs AS run
  JOIN embsql.item_embeddings AS this ON this.run_id = run.run_id AND this.item_id = :for_item
  WHERE run.run_id = (SELECT embsql.live_run(:model)) AND (run.similarity = 'dot' OR this.norm > 0)
),
seen AS (
  SELECT past.user_id
  FROM embsql.interactions AS past
  WHERE past.run_id = (SELECT embsql.live_run(:model)) AND past.item_id = :for_item AND :exclude_seen
),
best AS (
  SELECT
    other.user_id,
    embsql.run_score(subject.similarity, other.embedding, other.norm, other.bias, subject.embedding, subject.norm, subject.bias) AS score
  FROM embsql.user_embeddings AS other
  CROSS JOIN subject
  WHERE other.run_id = (SELECT embsql.live_run(:model))
    AND (subject.similarity = 'dot' OR other.norm > 0)
    AND other.user_id NOT IN (SELECT seen.user_id FROM seen)
  ORDER BY score DESC, other.user_id
  LIMIT greatest(:k, 0)
)
SELECT
  best.user_id AS user_id,
  CAST(row_number() OVER (ORDER BY best.score DESC, best.user_id) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score
FROM best
ORDER BY rank
