-- As recommend.sql, by cells, as similar_items.cells.sql has it; of candidates, their cells are read, and no others.
WITH subject AS (
  SELECT DISTINCT
    run.similarity, run.series, run.snapshot, :candidates IS NULL AS all_wanted, this.norm, this.bias,
    this.fresh_items, this.source,
    CASE WHEN run.similarity = 'dot' OR this.norm > 0 THEN this.embedding END AS embedding
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN LATERAL embsql_internal.user_state(run.run_id, :for_user) AS this
),
seen AS (
  SELECT past.item_id
  FROM given
  CROSS JOIN subject
  JOIN embsql.pair_versions AS past
    ON past.series = subject.series AND past.from_snapshot <= subject.snapshot AND past.user_id = :for_user
  WHERE :exclude_seen AND (past.to_snapshot IS NULL OR past.to_snapshot > subject.snapshot)
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
hidden AS (
  SELECT count(seen.item_id) AS n_items FROM given LEFT JOIN seen ON TRUE
),
ranked AS (
  SELECT
    part.cell,
    sum(part.size) OVER (ORDER BY embsql_internal.score_of_cell(
      subject.similarity, subject.embedding, subject.norm, subject.bias, part.center, part.bias, part.reach
    ) DESC, part.cell ASC) - part.size AS n_before,
    CASE
      WHEN subject.embedding IS NOT NULL
      THEN embsql_internal.cell_budget(part.budget, part.budget_100, :k + hidden.n_items)
    END AS n_wanted
  FROM given
  CROSS JOIN subject
  CROSS JOIN hidden
  JOIN embsql.cells AS part
    ON part.run_id = (SELECT embsql.live_run(:model)) AND part.entity = 'item' AND part.similarity = subject.similarity
  WHERE subject.all_wanted
),
near AS (
  SELECT unnest(list_concat([0], list(ranked.cell) FILTER (WHERE coalesce(ranked.n_before <= ranked.n_wanted, TRUE)))) AS cell
  FROM ranked
  UNION ALL
  SELECT home.cell
  FROM given
  JOIN embsql.cell_members AS home ON home.run_id = (SELECT embsql.live_run(:model)) AND home.entity = 'item'
  JOIN wanted ON wanted.item_id = home.entity_id
),
catalog AS (
  SELECT other.item_id, other.embedding, other.norm, other.bias, other.interactions
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  WHERE other.cell IN (SELECT near.cell FROM near)
),
scored AS (
  SELECT
    other.item_id,
    CASE
      WHEN subject.embedding IS NULL THEN other.interactions
      ELSE embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, subject.bias, other.embedding, other.norm, other.bias)
    END AS score,
    CASE WHEN subject.embedding IS NULL THEN 'popular' ELSE subject.source END AS source,
    subject.all_wanted
  FROM catalog AS other
  CROSS JOIN subject
),
best AS (
  SELECT scored.item_id, scored.score, scored.source
  FROM scored
  LEFT JOIN seen ON seen.item_id = scored.item_id
  LEFT JOIN wanted ON wanted.item_id = scored.item_id
  WHERE seen.item_id IS NULL AND (scored.all_wanted OR wanted.item_id IS NOT NULL)
  ORDER BY scored.score DESC NULLS LAST, scored.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id ASC) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score,
  best.source AS source
FROM best
ORDER BY rank ASC
