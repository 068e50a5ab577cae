-- As lookalikes.sql, by cells, as similar_items.cells.sql has it.
WITH seed AS (
  SELECT DISTINCT known.user_id, known.direction
  FROM given
  CROSS JOIN LATERAL embsql_internal.known_users((SELECT embsql.live_run(:model)), :seeds) AS known
),
subject AS (
  SELECT DISTINCT embsql.vector_avg(seed.direction) AS embedding, embsql.vector_norm(embsql.vector_avg(seed.direction)) AS norm
  FROM seed
),
hidden AS (
  SELECT count(seed.user_id) AS n_users FROM given LEFT JOIN seed ON :exclude_seeds
),
ranked AS (
  SELECT
    part.cell,
    sum(part.size) OVER (ORDER BY embsql_internal.score_of_cell(
      'cosine', subject.embedding, subject.norm, 0, part.center, part.bias, part.reach
    ) DESC, part.cell ASC) - part.size AS n_before,
    embsql_internal.cell_budget(part.budget, part.budget_100, :k + hidden.n_users) AS n_wanted
  FROM given
  CROSS JOIN subject
  CROSS JOIN hidden
  JOIN embsql.cells AS part
    ON part.run_id = (SELECT embsql.live_run(:model)) AND part.entity = 'user' AND part.similarity = 'cosine'
),
near AS (
  SELECT unnest(list_concat([0], list(ranked.cell) FILTER (WHERE ranked.n_before <= ranked.n_wanted))) AS cell
  FROM ranked
),
catalog AS (
  SELECT other.user_id, other.embedding, other.norm
  FROM given
  JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  WHERE other.cell IN (SELECT near.cell FROM near)
),
nearest AS (
  SELECT
    other.user_id,
    embsql_internal.cosine(other.embedding, other.norm, subject.embedding, subject.norm) AS score
  FROM given
  CROSS JOIN catalog AS other
  CROSS JOIN subject
  LEFT JOIN seed ON seed.user_id = other.user_id AND :exclude_seeds
  WHERE other.norm > 0 AND subject.norm > 0 AND seed.user_id IS NULL
  ORDER BY score DESC, other.user_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  nearest.user_id AS user_id,
  CAST(row_number() OVER (ORDER BY nearest.score DESC, nearest.user_id ASC) AS INTEGER) AS rank,
  CAST(nearest.score AS FLOAT8) AS score
FROM nearest
ORDER BY rank ASC
