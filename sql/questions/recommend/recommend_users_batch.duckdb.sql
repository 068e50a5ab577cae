-- As recommend_users_batch.sql, all items of the list compared in one query.
WITH asked AS (
  SELECT DISTINCT one.item_id FROM (SELECT unnest(:for_items) AS item_id FROM given) AS one
),
subject AS (
  SELECT DISTINCT run.similarity, this.item_id, this.embedding, this.norm, this.bias
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  JOIN embsql.item_embeddings AS this ON this.run_id = run.run_id
  JOIN asked ON asked.item_id = this.item_id
  WHERE run.similarity = 'dot' OR this.norm > 0
),
hidden AS (
  SELECT past.item_id, list(past.user_id) AS user_ids
  FROM given
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model))
  JOIN subject ON subject.item_id = past.item_id
  WHERE :exclude_seen
  GROUP BY past.item_id
),
known AS (
  SELECT
    any_value(subject.similarity) AS similarity,
    list(struct_pack(
      id := subject.item_id, embedding := subject.embedding, norm := subject.norm, bias := subject.bias,
      without := hidden.user_ids
    )) AS subjects
  FROM subject
  LEFT JOIN hidden ON hidden.item_id = subject.item_id
),
ranked AS (
  SELECT
    best.subject_id, best.id, best.score,
    row_number() OVER (PARTITION BY best.subject_id ORDER BY best.score DESC, best.id ASC) AS rank
  FROM embsql_internal.best_for_many(
    (SELECT (SELECT embsql.live_run(:model)) FROM given), 'user', (SELECT known.similarity FROM known),
    (SELECT known.subjects FROM known), (SELECT :k FROM given), (SELECT CAST(NULL AS VARCHAR[]) FROM given)
  ) AS best
  WHERE best.score IS NOT NULL
)
SELECT
  ranked.subject_id AS for_item,
  ranked.id AS user_id,
  CAST(ranked.rank AS INTEGER) AS rank,
  CAST(ranked.score AS FLOAT8) AS score
FROM given
JOIN ranked ON ranked.rank <= :k
ORDER BY for_item ASC, rank ASC
