-- As recommend.sql, by cells, as similar_items.cells.sql has it; of candidates, their cells are read, and no others.
WITH subject AS (
  SELECT DISTINCT
    run.run_id, run.similarity, :candidates IS NULL AS all_wanted, this.norm, this.bias, this.fresh_items, this.source,
    CASE WHEN run.similarity = 'dot' OR this.norm > 0 THEN this.embedding END AS embedding
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN LATERAL embsql_internal.user_state(run.run_id, :for_user) AS this
),
seen AS (
  SELECT past.item_id
  FROM given
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model)) AND past.user_id = :for_user
  WHERE :exclude_seen
  UNION ALL
  SELECT unnest(subject.fresh_items) AS item_id
  FROM given
  CROSS JOIN subject
  WHERE :exclude_seen
),
wanted AS (
  SELECT DISTINCT candidate.item_id
  FROM (SELECT unnest(:candidates) AS item_id FROM given) AS candidate
),
guessed AS (
  SELECT
    part.cell, part.size, part.budget, part.budget_100,
    embsql_internal.cell_estimate(
      subject.similarity, subject.embedding, subject.norm, subject.bias, part.center, part.bias, part.reach
    ) AS at_best
  FROM subject
  JOIN embsql.cells AS part ON part.run_id = subject.run_id AND part.entity = 'item' AND part.similarity = subject.similarity
  WHERE subject.all_wanted
),
hidden AS (
  SELECT count(seen.item_id) AS ids FROM given LEFT JOIN seen ON TRUE
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
  UNION ALL
  SELECT home.cell
  FROM given
  JOIN embsql.cell_members AS home ON home.run_id = (SELECT embsql.live_run(:model)) AND home.entity = 'item'
  JOIN wanted ON wanted.item_id = home.entity_id
),
close AS (
  SELECT DISTINCT one.item_id, one.score
  FROM (
    SELECT
      other.item_id,
      CASE
        WHEN subject.embedding IS NULL THEN other.interactions
        ELSE embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, subject.bias, other.embedding, other.norm, other.bias)
      END AS score
    FROM given
    JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
    CROSS JOIN subject
    LEFT JOIN seen ON seen.item_id = other.item_id
    LEFT JOIN wanted ON wanted.item_id = other.item_id
    WHERE other.cell IN (SELECT near.cell FROM near)
      AND seen.item_id IS NULL AND (subject.all_wanted OR wanted.item_id IS NOT NULL)
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
      WHEN subject.embedding IS NULL THEN other.interactions
      ELSE embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, subject.bias, other.embedding, other.norm, other.bias)
    END AS score
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  LEFT JOIN seen ON seen.item_id = other.item_id
  WHERE other.cell IN (SELECT far.cell FROM far) AND seen.item_id IS NULL
  ORDER BY score DESC NULLS LAST, other.item_id ASC
  LIMIT greatest(:k, 0)
),
best AS (
  SELECT both.item_id, both.score
  FROM (SELECT close.item_id, close.score FROM close UNION ALL SELECT further.item_id, further.score FROM further) AS both
  ORDER BY both.score DESC NULLS LAST, both.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id ASC) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score,
  CASE WHEN subject.embedding IS NULL THEN 'popular' ELSE subject.source END AS source
FROM best
CROSS JOIN subject
ORDER BY rank ASC
