-- As recommend_users.sql, by cells, as similar_items.cells.sql has it.
WITH subject AS (
  SELECT DISTINCT run.run_id, run.similarity, this.embedding, this.norm, this.bias
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  LEFT JOIN embsql.cell_members AS home
    ON home.run_id = run.run_id AND home.entity = 'item' AND home.entity_id = :for_item
  JOIN embsql.item_embeddings AS this
    ON this.run_id = run.run_id AND this.cell = coalesce(home.cell, 0) AND this.item_id = :for_item
  WHERE (run.similarity = 'dot' OR this.norm > 0)
),
seen AS (
  SELECT past.user_id
  FROM given
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model)) AND past.item_id = :for_item
  WHERE :exclude_seen
),
guessed AS (
  SELECT
    part.cell, part.size, part.budget, part.budget_100,
    embsql_internal.cell_estimate(
      subject.similarity, subject.embedding, subject.norm, subject.bias, part.center, part.bias, part.reach
    ) AS at_best
  FROM subject
  JOIN embsql.cells AS part ON part.run_id = subject.run_id AND part.entity = 'user' AND part.similarity = subject.similarity
),
hidden AS (
  SELECT count(seen.user_id) AS ids FROM given LEFT JOIN seen ON TRUE
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
      embsql_internal.run_score(subject.similarity, other.embedding, other.norm, other.bias, subject.embedding, subject.norm, subject.bias) AS score
    FROM given
    JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
    CROSS JOIN subject
    LEFT JOIN seen ON seen.user_id = other.user_id
    WHERE other.cell IN (SELECT near.cell FROM near)
      AND (subject.similarity = 'dot' OR other.norm > 0) AND seen.user_id IS NULL
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
    embsql_internal.run_score(subject.similarity, other.embedding, other.norm, other.bias, subject.embedding, subject.norm, subject.bias) AS score
  FROM given
  JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  LEFT JOIN seen ON seen.user_id = other.user_id
  WHERE other.cell IN (SELECT far.cell FROM far)
    AND (subject.similarity = 'dot' OR other.norm > 0) AND seen.user_id IS NULL
  ORDER BY score DESC, other.user_id ASC
  LIMIT greatest(:k, 0)
),
best AS (
  SELECT both.user_id, both.score
  FROM (SELECT close.user_id, close.score FROM close UNION ALL SELECT further.user_id, further.score FROM further) AS both
  ORDER BY both.score DESC, both.user_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  best.user_id AS user_id,
  CAST(row_number() OVER (ORDER BY best.score DESC, best.user_id ASC) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score
FROM best
ORDER BY rank ASC
