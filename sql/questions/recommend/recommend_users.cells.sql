-- As recommend_users.sql, by cells, as similar_items.cells.sql has it.
WITH subject AS (
  SELECT DISTINCT run.similarity, this.embedding, this.norm, this.bias
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  LEFT JOIN embsql.cell_members AS home
    ON home.run_id = run.run_id AND home.entity = 'item' AND home.entity_id = :for_item
  LEFT JOIN embsql.item_embeddings AS this
    ON this.run_id = run.run_id AND this.cell = coalesce(home.cell, 0) AND this.item_id = :for_item
),
seen AS (
  SELECT past.user_id
  FROM given
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model)) AND past.item_id = :for_item
  WHERE :exclude_seen
),
hidden AS (
  SELECT count(seen.user_id) AS n_users FROM given LEFT JOIN seen ON TRUE
),
ranked AS (
  SELECT
    part.cell,
    sum(part.size) OVER (ORDER BY embsql_internal.score_of_cell(
      subject.similarity, subject.embedding, subject.norm, subject.bias, part.center, part.bias, part.reach
    ) DESC, part.cell ASC) - part.size AS n_before,
    embsql_internal.cell_budget(part.budget, part.budget_100, :k + hidden.n_users) AS n_wanted
  FROM given
  CROSS JOIN subject
  CROSS JOIN hidden
  JOIN embsql.cells AS part
    ON part.run_id = (SELECT embsql.live_run(:model)) AND part.entity = 'user' AND part.similarity = subject.similarity
),
near AS (
  SELECT unnest(list_concat([0], list(ranked.cell) FILTER (WHERE ranked.n_before <= ranked.n_wanted))) AS cell
  FROM ranked
),
catalog AS (
  SELECT other.user_id, other.embedding, other.norm, other.bias
  FROM given
  JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  WHERE other.cell IN (SELECT near.cell FROM near)
),
best AS (
  SELECT
    other.user_id,
    embsql_internal.run_score(subject.similarity, other.embedding, other.norm, other.bias, subject.embedding, subject.norm, subject.bias) AS score
  FROM catalog AS other
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
WHERE best.score IS NOT NULL
ORDER BY rank ASC
