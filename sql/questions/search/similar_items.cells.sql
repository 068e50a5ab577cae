-- As similar_items.sql, by cells: the likeliest are read, and all others where these hold fewer than k.
WITH subject AS (
  SELECT DISTINCT this.run_id, this.item_id, this.embedding, this.norm
  FROM given
  LEFT JOIN embsql.cell_members AS home
    ON home.run_id = (SELECT embsql.live_run(:model)) AND home.entity = 'item' AND home.entity_id = :for_item
  JOIN embsql.item_embeddings AS this
    ON this.run_id = (SELECT embsql.live_run(:model)) AND this.cell = coalesce(home.cell, 0) AND this.item_id = :for_item
  WHERE this.norm > 0
),
guessed AS (
  SELECT
    part.cell, part.size, part.budget, part.budget_100,
    embsql_internal.cell_estimate('cosine', subject.embedding, subject.norm, 0, part.center, part.bias, part.reach) AS at_best
  FROM subject
  JOIN embsql.cells AS part ON part.run_id = subject.run_id AND part.entity = 'item' AND part.similarity = 'cosine'
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
      CASE
        WHEN other.item_id <> subject.item_id
        THEN embsql_internal.cosine(other.embedding, other.norm, subject.embedding, subject.norm)
      END AS score
    FROM given
    JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
    CROSS JOIN subject
    WHERE other.cell IN (SELECT near.cell FROM near)
    ORDER BY score DESC NULLS LAST, other.item_id ASC
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
    CASE
      WHEN other.item_id <> subject.item_id
      THEN embsql_internal.cosine(other.embedding, other.norm, subject.embedding, subject.norm)
    END AS score
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  WHERE other.cell IN (SELECT far.cell FROM far)
  ORDER BY score DESC NULLS LAST, other.item_id ASC
  LIMIT greatest(:k, 0)
),
nearest AS (
  SELECT both.item_id, both.score
  FROM (SELECT close.item_id, close.score FROM close UNION ALL SELECT further.item_id, further.score FROM further) AS both
  ORDER BY both.score DESC NULLS LAST, both.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.item_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
WHERE nearest.score IS NOT NULL
ORDER BY rank ASC
