-- As nearest_items.sql, by cells, as similar_items.cells.sql has it.
WITH subject AS (
  SELECT DISTINCT run.similarity, embsql_internal.finite_vector(:to_vector) AS embedding, embsql.vector_norm(:to_vector) AS norm
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
),
ranked AS (
  SELECT
    part.cell,
    sum(part.size) OVER (ORDER BY embsql_internal.score_of_cell(
      subject.similarity, subject.embedding, subject.norm, 0, part.center, part.bias, part.reach
    ) DESC, part.cell ASC) - part.size AS n_before,
    embsql_internal.cell_budget(part.budget, part.budget_100, :k) AS n_wanted
  FROM given
  CROSS JOIN subject
  JOIN embsql.cells AS part
    ON part.run_id = (SELECT embsql.live_run(:model)) AND part.entity = 'item' AND part.similarity = subject.similarity
),
near AS (
  SELECT unnest(list_concat([0], list(ranked.cell) FILTER (WHERE ranked.n_before <= ranked.n_wanted))) AS cell
  FROM ranked
),
catalog AS (
  SELECT other.item_id, other.embedding, other.norm, other.bias
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  WHERE other.cell IN (SELECT near.cell FROM near)
),
nearest AS (
  SELECT
    other.item_id,
    embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, 0, other.embedding, other.norm, other.bias) AS score
  FROM catalog AS other
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
