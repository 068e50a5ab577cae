-- nearest_items(model text, to_vector vector, k int = 10)
--   -> (item_id text, rank int, score double)
-- Items nearest to any vector of the model's space, best first.
-- score is the run's own similarity (dot or cosine, see embsql.runs), so a user's vector gives its scores.
-- A vector of another length than the run's is an error, and so is one that holds NaN or infinity or is longer than
-- 1.8e19; NULL returns no rows.
-- example: SELECT * FROM embsql.nearest_items('shop', (SELECT embedding FROM embsql.user_embedding('shop', users => ARRAY['c0042'])), k => 3);
WITH subject AS (
  SELECT run.run_id, run.similarity, embsql_internal.finite_vector(:to_vector) AS embedding, embsql.vector_norm(:to_vector) AS norm
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
),
nearest AS (
  SELECT
    other.item_id,
    embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, 0, other.embedding, other.norm, other.bias) AS score
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  WHERE (subject.similarity = 'dot' OR (other.norm > 0 AND subject.norm > 0))
    AND subject.norm IS NOT NULL
  ORDER BY score DESC, other.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.item_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
ORDER BY rank ASC
