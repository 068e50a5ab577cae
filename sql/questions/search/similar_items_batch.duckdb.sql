-- As similar_items_batch.sql, all items of the list compared in one query.
WITH asked AS (
  SELECT DISTINCT one.item_id FROM (SELECT unnest(:for_items) AS item_id FROM given) AS one
),
known AS (
  SELECT list(struct_pack(
    id := this.item_id, embedding := this.embedding, norm := this.norm, bias := CAST(0 AS FLOAT), without := [this.item_id]
  )) AS subjects
  FROM given
  JOIN embsql.item_embeddings AS this ON this.run_id = (SELECT embsql.live_run(:model))
  JOIN asked ON asked.item_id = this.item_id
  WHERE this.norm > 0
),
ranked AS (
  SELECT
    best.subject_id, best.id, best.score,
    row_number() OVER (PARTITION BY best.subject_id ORDER BY best.score DESC, best.id ASC) AS rank
  FROM embsql_internal.best_for_many(
    (SELECT (SELECT embsql.live_run(:model)) FROM given), 'item', (SELECT 'cosine' FROM given),
    (SELECT known.subjects FROM known), (SELECT :k FROM given), (SELECT CAST(NULL AS VARCHAR[]) FROM given)
  ) AS best
  WHERE best.score IS NOT NULL
)
SELECT
  ranked.subject_id AS for_item,
  ranked.id AS item_id,
  CAST(ranked.rank AS INTEGER) AS rank,
  CAST(ranked.score AS FLOAT8) AS score
FROM given
JOIN ranked ON ranked.rank <= :k
ORDER BY for_item ASC, rank ASC
