-- similar_users(model text, for_user text, k int = 10)
--   -> (user_id text, rank int, score double)
-- Users nearest to one user in the model's space, best first; the user itself is left out.
-- score is the cosine of the two vectors: 1 is the same direction. An unknown user returns no rows.
-- example: SELECT * FROM embsql.similar_users('shop', 'c0042', k => 3);
WITH subject AS (
  SELECT this.user_id, this.embedding, this.norm
  FROM given
  JOIN embsql.user_embeddings AS this ON this.run_id = (SELECT embsql.live_run(:model)) AND this.user_id = :for_user
  WHERE this.norm > 0
),
catalog AS (
  SELECT other.user_id, other.embedding, other.norm
  FROM given
  JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
),
nearest AS (
  SELECT
    other.user_id,
    -- the user itself has no score: left out here, it would cost a look at every pair in a join
    CASE
      WHEN other.user_id <> subject.user_id
      THEN embsql.cosine(other.embedding, other.norm, subject.embedding, subject.norm)
    END AS score
  FROM catalog AS other
  CROSS JOIN subject
  ORDER BY score DESC NULLS LAST, other.user_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.user_id AS user_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.user_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
WHERE nearest.score IS NOT NULL
ORDER BY rank ASC
