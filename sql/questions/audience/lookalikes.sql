-- lookalikes(model text, seeds text[], k int = 10, exclude_seeds boolean = TRUE)
--   -> (user_id text, rank int, score double)
-- The users most like a list of seed users, best first: whom else to write to when these answered.
-- score is the cosine with the seeds' center, the mean of their vectors brought to length 1, so that every seed counts
-- the same. Unknown seeds are left out; without a known one there are no rows. How far to trust it: lookalike_quality.
-- example: SELECT * FROM embsql.lookalikes('shop', seeds => ARRAY['c0042', 'c0007', 'c0100'], k => 3);
WITH seed AS (
  SELECT known.user_id, known.direction
  FROM given
  CROSS JOIN LATERAL embsql_internal.known_users((SELECT embsql.live_run(:model)), :seeds) AS known
),
subject AS (
  SELECT embsql.vector_avg(seed.direction) AS embedding FROM seed
),
nearest AS (
  SELECT
    other.user_id,
    embsql_internal.cosine(
        other.embedding, other.norm, subject.embedding, embsql.vector_norm(subject.embedding)
    ) AS score
  FROM given
  JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  LEFT JOIN seed ON seed.user_id = other.user_id AND :exclude_seeds
  WHERE other.norm > 0 AND embsql.vector_norm(subject.embedding) > 0 AND seed.user_id IS NULL
  ORDER BY score DESC, other.user_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.user_id AS user_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.user_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
ORDER BY rank ASC
