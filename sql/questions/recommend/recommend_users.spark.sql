-- As recommend_users.sql; who has seen it is a list, for the reason that recommend.spark.sql gives.
WITH subject AS (
  SELECT run.similarity, this.embedding, this.norm, this.bias
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  JOIN embsql.item_embeddings AS this ON this.run_id = run.run_id AND this.item_id = :for_item
  WHERE (run.similarity = 'dot' OR this.norm > 0)
),
seen AS (
  SELECT array_agg(past.user_id) AS user_ids
  FROM given
  JOIN embsql.interactions AS past ON past.run_id = (SELECT embsql.live_run(:model)) AND past.item_id = :for_item
  WHERE :exclude_seen
),
best AS (
  SELECT
    other.user_id,
    embsql_internal.run_score(subject.similarity, other.embedding, other.norm, other.bias, subject.embedding, subject.norm, subject.bias) AS score
  FROM given
  JOIN embsql.user_embeddings AS other ON other.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN subject
  CROSS JOIN seen
  WHERE (subject.similarity = 'dot' OR other.norm > 0)
    AND NOT coalesce(embsql_internal.contains(seen.user_ids, other.user_id), FALSE)
  ORDER BY score DESC, other.user_id ASC
  LIMIT greatest(:k, 0)
)
SELECT
  best.user_id AS user_id,
  CAST(row_number() OVER (ORDER BY best.score DESC, best.user_id ASC) AS INTEGER) AS rank,
  CAST(best.score AS FLOAT8) AS score
FROM best
ORDER BY rank ASC
