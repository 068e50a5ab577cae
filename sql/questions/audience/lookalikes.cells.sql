-- As lookalikes.sql, by cells, as similar_items.cells.sql has it.
WITH seed AS (
  SELECT known.user_id, known.direction
  FROM given
  CROSS JOIN LATERAL embsql_internal.known_users((SELECT embsql.live_run(:model)), :seeds) AS known
),
subject AS (
  SELECT DISTINCT embsql.vector_avg(seed.direction) AS embedding, embsql.vector_norm(embsql.vector_avg(seed.direction)) AS norm FROM seed
),
guessed AS (
  SELECT
    part.cell, part.size, part.budget, part.budget_100,
    embsql_internal.cell_estimate('cosine', subject.embedding, subject.norm, 0, part.center, part.bias, part.reach) AS at_best
  FROM given
  JOIN embsql.cells AS part
    ON part.run_id = (SELECT embsql.live_run(:model)) AND part.entity = 'user' AND part.similarity = 'cosine'
  CROSS JOIN subject
),
hidden AS (
  SELECT count(seed.user_id) AS ids FROM given LEFT JOIN seed ON :exclude_seeds
),
ranked AS (
  SELECT DISTINCT
    guessed.cell,
    guessed.at_best IS NOT NULL
      AND sum(guessed.size) OVER (ORDER BY guessed.at_best DESC, guessed.cell ASC) - guessed.size
      > embsql_internal.cell_budget(guessed.budget, guessed.budget_100, :k + hidden.ids) AS is_far
  FROM given
  CROSS JOIN hidden
  CROSS JOIN guessed
),
near AS (
  SELECT 0 AS cell FROM given
  UNION ALL
  SELECT ranked.cell FROM ranked WHERE NOT ranked.is_far
),
close AS (
  SELECT DISTINCT one.user_id, one.score
  FROM (
    SELECT
      other.user_id,
      embsql_internal.cosine(other.embedding, other.norm, subject.embedding, subject.norm) AS score
    FROM given
    JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
    CROSS JOIN subject
    LEFT JOIN seed ON seed.user_id = other.user_id AND :exclude_seeds
    WHERE other.cell IN (SELECT near.cell FROM near)
      AND other.norm > 0 AND subject.norm > 0 AND seed.user_id IS NULL
    ORDER BY score DESC, other.user_id ASC
    LIMIT greatest(:k, 0)
  ) AS one
),
short AS (
  SELECT count(close.score) < max(:k) AS is_short FROM given LEFT JOIN close ON TRUE
),
far AS (
  SELECT ranked.cell FROM ranked CROSS JOIN short WHERE ranked.is_far AND short.is_short
),
further AS (
  SELECT
    other.user_id,
    embsql_internal.cosine(other.embedding, other.norm, subject.embedding, subject.norm) AS score
  FROM given
  JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  LEFT JOIN seed ON seed.user_id = other.user_id AND :exclude_seeds
  WHERE other.cell IN (SELECT far.cell FROM far)
    AND other.norm > 0 AND subject.norm > 0 AND seed.user_id IS NULL
  ORDER BY score DESC, other.user_id ASC
  LIMIT greatest(:k, 0)
),
nearest AS (
  SELECT both.user_id, both.score
  FROM (SELECT close.user_id, close.score FROM close UNION ALL SELECT further.user_id, further.score FROM further) AS both
  ORDER BY both.score DESC, both.user_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.user_id AS user_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.user_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
ORDER BY rank ASC
