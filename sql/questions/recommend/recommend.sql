-- recommend(model text, for_user text, k int = 10, exclude_seen boolean = TRUE, candidates text[] = NULL)
--   -> (item_id text, rank int, score double, source text)
-- What to show a user: the k best items, out of candidates when a list is given, without items already seen.
-- source says how: model; fold_in for a user with events newer than the run, where the model's source is watched (see
-- embsql.watch), or sequence where the run's network read them; popular for a user of whom nothing
-- is known (score is then the number of users).
-- example: SELECT * FROM embsql.recommend('shop', 'c0042', k => 3);
WITH subject AS (
  SELECT
    run.similarity, run.series, run.snapshot, :candidates IS NULL AS all_wanted, this.norm, this.bias,
    this.fresh_items, this.source,
    CASE WHEN run.similarity = 'dot' OR this.norm > 0 THEN this.embedding END AS embedding
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN LATERAL embsql_internal.user_state(run.run_id, :for_user) AS this
),
seen AS ( -- of embsql.interactions, whose view would read the run's record once more
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
