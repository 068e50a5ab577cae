-- As similar_items.sql, by cells: those are read that the nearest are likeliest to lie in, and cell 0.
-- LEFT JOIN keeps DuckDB 1.5 from making a hash table of all vectors to look one up; without a vector there is no score.
WITH subject AS (
  SELECT DISTINCT this.item_id, this.embedding, this.norm
  FROM given
  LEFT JOIN embsql.cell_members AS home
    ON home.run_id = (SELECT embsql.live_run(:model)) AND home.entity = 'item' AND home.entity_id = :for_item
  LEFT JOIN embsql.item_embeddings AS this
    ON this.run_id = (SELECT embsql.live_run(:model)) AND this.cell = coalesce(home.cell, 0) AND this.item_id = :for_item
),
ranked AS (
  SELECT
    part.cell,
    sum(part.size) OVER (ORDER BY embsql_internal.score_of_cell(
      'cosine', subject.embedding, subject.norm, 0, part.center, part.bias, part.reach
    ) DESC, part.cell ASC) - part.size AS n_before,
    embsql_internal.cell_budget(part.budget, part.budget_100, :k) AS n_wanted
  FROM given
  JOIN embsql.cells AS part
    ON part.run_id = (SELECT embsql.live_run(:model)) AND part.entity = 'item' AND part.similarity = 'cosine'
  CROSS JOIN subject
),
near AS (
  SELECT unnest(list_concat([0], list(ranked.cell) FILTER (WHERE ranked.n_before <= ranked.n_wanted))) AS cell
  FROM ranked
),
catalog AS (
  SELECT other.item_id, other.embedding, other.norm
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  WHERE other.cell IN (SELECT near.cell FROM near)
),
nearest AS (
  SELECT
    other.item_id,
    CASE
      WHEN other.item_id <> subject.item_id
      THEN embsql_internal.cosine(other.embedding, other.norm, subject.embedding, subject.norm)
    END AS score
  FROM catalog AS other
  CROSS JOIN subject
  ORDER BY score DESC NULLS LAST, other.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.item_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
WHERE nearest.score IS NOT NULL
ORDER BY rank ASC
