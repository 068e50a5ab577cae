-- As recommend_batch.sql, all users of the list compared in one query.
WITH asked AS (
  SELECT DISTINCT one.user_id FROM (SELECT unnest(:for_users) AS user_id FROM given) AS one WHERE one.user_id IS NOT NULL
),
subject AS (
  SELECT DISTINCT
    asked.user_id, run.series, run.snapshot, this.norm, this.bias, this.fresh_items, this.source,
    CASE WHEN run.similarity = 'dot' OR this.norm > 0 THEN this.embedding END AS embedding
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN asked
  CROSS JOIN LATERAL embsql_internal.user_state(run.run_id, asked.user_id) AS this
),
seen AS ( -- of embsql.interactions, whose view would read the run's record once more
  SELECT subject.user_id, past.item_id
  FROM given
  CROSS JOIN subject
  JOIN embsql.pair_versions AS past
    ON past.series = subject.series AND past.from_snapshot <= subject.snapshot AND past.user_id = subject.user_id
  WHERE :exclude_seen AND (past.to_snapshot IS NULL OR past.to_snapshot > subject.snapshot)
  UNION ALL
  SELECT subject.user_id, unnest(subject.fresh_items) AS item_id
  FROM given
  CROSS JOIN subject
  WHERE :exclude_seen
),
hidden AS (
  SELECT seen.user_id, list(DISTINCT seen.item_id) AS item_ids FROM seen GROUP BY seen.user_id
),
known AS (
  SELECT list(struct_pack(
    id := subject.user_id, embedding := subject.embedding, norm := subject.norm, bias := subject.bias,
    without := hidden.item_ids
  )) AS subjects
  FROM subject
  LEFT JOIN hidden ON hidden.user_id = subject.user_id
  WHERE subject.embedding IS NOT NULL
),
call AS (
  SELECT DISTINCT
    (SELECT embsql.live_run(:model)) AS run_id, :candidates IS NULL AS all_wanted, :k AS n_best, run.similarity
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
),
wanted AS (
  SELECT DISTINCT candidate.item_id
  FROM (SELECT unnest(:candidates) AS item_id FROM given) AS candidate
),
nobody AS (
  SELECT DISTINCT subject.user_id, coalesce(len(hidden.item_ids), 0) AS n_hidden
  FROM subject
  LEFT JOIN hidden ON hidden.user_id = subject.user_id
  WHERE subject.embedding IS NULL
),
popular AS (
  SELECT
    listed.item_id, listed.interactions, row_number() OVER (
      ORDER BY listed.interactions DESC, listed.item_id ASC
    ) AS ordinal
  FROM (
    SELECT other.item_id, other.interactions
    FROM call
    JOIN embsql.item_embeddings AS other ON other.run_id = call.run_id
    LEFT JOIN wanted ON wanted.item_id = other.item_id
    WHERE (call.all_wanted OR wanted.item_id IS NOT NULL) AND (SELECT count(*) FROM nobody) > 0
  ) AS listed
),
answers AS (
  SELECT best.subject_id AS user_id, best.id AS item_id, best.score, subject.source
  FROM embsql_internal.best_for_many(
    (SELECT call.run_id FROM call), 'item', (SELECT call.similarity FROM call), (SELECT known.subjects FROM known),
    (SELECT call.n_best FROM call), (SELECT :candidates FROM given)
  ) AS best
  JOIN subject ON subject.user_id = best.subject_id
  UNION ALL
  SELECT nobody.user_id, popular.item_id, popular.interactions, 'popular' AS source
  FROM call
  CROSS JOIN nobody
  JOIN popular ON popular.ordinal <= call.n_best + nobody.n_hidden
  LEFT JOIN seen ON seen.user_id = nobody.user_id AND seen.item_id = popular.item_id
  WHERE seen.item_id IS NULL
),
ranked AS (
  SELECT
    answers.*, row_number() OVER (
      PARTITION BY answers.user_id ORDER BY answers.score DESC NULLS LAST, answers.item_id ASC
    ) AS rank
  FROM answers
)
SELECT
  ranked.user_id AS for_user,
  ranked.item_id AS item_id,
  CAST(ranked.rank AS INTEGER) AS rank,
  CAST(ranked.score AS FLOAT8) AS score,
  ranked.source AS source
FROM call
JOIN ranked ON ranked.rank <= call.n_best
ORDER BY for_user ASC, rank ASC
