-- As nearest_items.sql, by cells, as similar_items.cells.sql has it.
WITH subject AS (
  SELECT DISTINCT run.run_id, run.similarity, embsql_internal.finite_vector(:to_vector) AS embedding, embsql.vector_norm(:to_vector) AS norm
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
),
guessed AS (
  SELECT
    part.cell, part.size, part.budget, part.budget_100,
    embsql_internal.cell_estimate(subject.similarity, subject.embedding, subject.norm, 0, part.center, part.bias, part.reach) AS at_best
  FROM subject
  JOIN embsql.cells AS part ON part.run_id = subject.run_id AND part.entity = 'item' AND part.similarity = subject.similarity
),
ranked AS (
  SELECT DISTINCT
    guessed.cell,
    guessed.at_best IS NOT NULL
      AND sum(guessed.size) OVER (ORDER BY guessed.at_best DESC, guessed.cell ASC) - guessed.size
      > embsql_internal.cell_budget(guessed.budget, guessed.budget_100, :k) AS is_far
  FROM given
  CROSS JOIN guessed
),
near AS (
  SELECT 0 AS cell FROM given
  UNION ALL
  SELECT ranked.cell FROM ranked WHERE NOT ranked.is_far
),
close AS (
  SELECT DISTINCT one.item_id, one.score
  FROM (
    SELECT
      other.item_id,
      embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, 0, other.embedding, other.norm, other.bias) AS score
    FROM given
    JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
    CROSS JOIN subject
    WHERE other.cell IN (SELECT near.cell FROM near)
      AND (subject.similarity = 'dot' OR (other.norm > 0 AND subject.norm > 0))
      AND subject.norm IS NOT NULL
    ORDER BY score DESC, other.item_id ASC
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
    other.item_id,
    embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, 0, other.embedding, other.norm, other.bias) AS score
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  WHERE other.cell IN (SELECT far.cell FROM far)
    AND (subject.similarity = 'dot' OR (other.norm > 0 AND subject.norm > 0))
    AND subject.norm IS NOT NULL
  ORDER BY score DESC, other.item_id ASC
  LIMIT greatest(:k, 0)
),
nearest AS (
  SELECT both.item_id, both.score
  FROM (SELECT close.item_id, close.score FROM close UNION ALL SELECT further.item_id, further.score FROM further) AS both
  ORDER BY both.score DESC, both.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.item_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
ORDER BY rank ASC
