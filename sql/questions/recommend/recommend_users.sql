-- recommend_users(model text, for_item text, k int = 10, exclude_seen boolean = TRUE)
--   -> (user_id text, rank int, score double)
-- Whom to show an item: the k users with the highest score, without those who already have it.
-- An unknown item returns no rows.
-- example: SELECT * FROM embsql.recommend_users('shop', 'mug-03', k => 3);
WITH subject AS (
  SELECT run.similarity, this.embedding, this.norm, this.bias
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  JOIN embsql.item_embeddings AS this ON this.run_id = run.run_id AND this.item_id = :for_item
  WHERE (run.similarity = 'dot' OR this.norm > 0)
),
seen AS (
  SELECT past.user_id
  FROM given
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model)) AND past.item_id = :for_item
  WHERE :exclude_seen
),
best AS (
  SELECT
    other.user_id,
    embsql_internal.run_score(subject.similarity, other.embedding, other.norm, other.bias, subject.embedding, subject.norm, subject.bias) AS score
  FROM given
  JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  LEFT JOIN seen ON seen.user_id = other.user_id
  WHERE (subject.similarity = 'dot' OR other.norm > 0) AND seen.user_id IS NULL
  ORDER BY score DESC, other.user_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  best.user_id AS user_id,
  CAST(row_number() OVER (ORDER BY best.score DESC, best.user_id ASC) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score
FROM best
ORDER BY rank ASC
