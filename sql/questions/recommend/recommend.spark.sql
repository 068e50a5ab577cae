-- As recommend.sql; what has been seen is a list: with a column of the caller's on the right of a LEFT JOIN Spark finds no
-- plan (LATERAL over a table's rows).
WITH subject AS (
  SELECT run.run_id, run.similarity, :candidates AS candidates, this.embedding, this.norm, this.bias
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  LEFT JOIN embsql.user_embeddings AS this
    ON this.run_id = run.run_id AND this.user_id = :for_user AND (run.similarity = 'dot' OR this.norm > 0)
),
seen AS (
  SELECT array_agg(past.item_id) AS item_ids
  FROM given
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model)) AND past.user_id = :for_user
  WHERE :exclude_seen
),
catalog AS (
  SELECT other.item_id, other.embedding, other.norm, other.bias, other.interactions
  FROM given
  JOIN embsql.item_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
),
scored AS (
  SELECT
    other.item_id,
    CASE
      WHEN subject.embedding IS NULL THEN other.interactions
      ELSE embsql_internal.run_score(subject.similarity, subject.embedding, subject.norm, subject.bias, other.embedding, other.norm, other.bias)
    END AS score,
    subject.embedding IS NULL AS unknown
  FROM catalog AS other
  CROSS JOIN subject
  CROSS JOIN seen
  WHERE NOT coalesce(embsql_internal.contains(seen.item_ids, other.item_id), FALSE)
    AND (subject.candidates IS NULL OR embsql_internal.contains(subject.candidates, other.item_id))
),
best AS (
  SELECT scored.item_id, scored.score, scored.unknown
  FROM scored
  ORDER BY scored.score DESC NULLS LAST, scored.item_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  best.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY best.score DESC NULLS LAST, best.item_id ASC) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score,
  CASE WHEN best.unknown THEN 'popular' ELSE 'model' END AS source
FROM best
ORDER BY rank ASC
