-- recommend(model text, for_user text, k int = 10, exclude_seen boolean = TRUE, candidates text[] = NULL)
--   -> (item_id text, rank int, score double, source text)
-- What to show a user: the k best items, out of candidates when a list is given, without items already seen.
-- source says how: model, or popular for a user the run has no vector of (score is then the number of users).
-- example: SELECT * FROM embsql.recommend('shop', 'c0042', k => 3);
WITH subject AS (
  SELECT run.similarity, this.embedding, this.norm, this.bias
  FROM embsql.runs AS run
  LEFT JOIN embsql.user_embeddings AS this
    ON this.run_id = run.run_id AND this.user_id = :for_user AND (run.similarity = 'dot' OR this.norm > 0)
  WHERE run.run_id = (SELECT embsql.live_run(:model))
),
seen AS (
  SELECT past.item_id
  FROM embsql.interactions AS past
  WHERE past.run_id = (SELECT embsql.live_run(:model)) AND past.user_id = :for_user AND :exclude_seen
),
best AS (
  SELECT
    other.item_id,
    CASE
      WHEN subject.embedding IS NULL THEN other.interactions
      ELSE embsql.run_score(subject.similarity, subject.embedding, subject.norm, subject.bias, other.embedding, other.norm, other.bias)
    END AS score,
    CASE WHEN subject.embedding IS NULL THEN 'popular' ELSE 'model' END AS source
  FROM embsql.item_embeddings AS other
  CROSS JOIN subject
  WHERE other.run_id = (SELECT embsql.live_run(:model))
    AND (:candidates IS NULL OR embsql.contains(:candidates, other.item_id))
    AND other.item_id NOT IN (SELECT seen.item_id FROM seen)
  ORDER BY score DESC NULLS LAST, other.item_id
  LIMIT greatest(:k, 0)
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score,
  best.source AS source
FROM best
ORDER BY rank
