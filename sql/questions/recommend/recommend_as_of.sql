-- recommend_as_of(model text, for_user text, as_of timestamp, k int = 10, exclude_seen boolean = TRUE)
--   -> (item_id text, rank int, score double, source text)
-- What recommend would have answered a user at a moment, by what the user had done until then: later events are neither
-- read nor left out as seen. The run is the one that is asked, with all that it has learned.
-- A run of a network (gru4rec, sasrec, bert4rec, and youtube_dnn with hidden_layers or time_features) keeps events with
-- their times, the latest max_length of each user. Of another the pairs until then are folded in, which it knows where
-- no pair came several times or none of the user came later. What a run's rows cannot know is an error: of a source
-- without moments, and before all that is kept of a longer history.
-- source is sequence or fold_in, or popular where the user had done nothing that the run knows (score is then the number of
-- users). Where the model's source is watched, newer events count until that moment; in a DuckDB file, which keeps them
-- without their times, a moment after the run's newest event is an error for whoever has some.
-- example: SELECT * FROM embsql.recommend_as_of('shop', 'c0042', TIMESTAMP '2026-12-31', k => 3);
WITH past AS MATERIALIZED (
  SELECT history.items, history.weights, history.moments, history.until
  FROM given
  CROSS JOIN LATERAL embsql_internal.history_as_of((SELECT embsql.live_run(:model)), :for_user, :as_of) AS history
),
made AS MATERIALIZED (
  SELECT history.embedding, history.bias, history.source, embsql.vector_norm(history.embedding) AS norm
  FROM given
  CROSS JOIN past
  CROSS JOIN LATERAL embsql_internal.history_vector(
    (SELECT embsql.live_run(:model)), past.items, past.weights, past.moments
  ) AS history
),
subject AS (
  SELECT run.similarity, made.embedding, made.norm, made.bias, coalesce(made.source, 'popular') AS source
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  LEFT JOIN made ON made.embedding IS NOT NULL AND (run.similarity = 'dot' OR made.norm > 0)
),
seen AS (
  SELECT unnest(past.items) AS item_id
  FROM given
  CROSS JOIN past
  WHERE :exclude_seen
  UNION
  SELECT pair.item_id
  FROM given
  CROSS JOIN past
  JOIN embsql.interactions AS pair ON pair.run_id = (SELECT embsql.live_run(:model)) AND pair.user_id = :for_user
  WHERE :exclude_seen AND pair.last_time <= past.until
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
    subject.source
  FROM catalog AS other
  CROSS JOIN subject
),
best AS (
  SELECT scored.item_id, scored.score, scored.source
  FROM scored
  LEFT JOIN seen ON seen.item_id = scored.item_id
  WHERE seen.item_id IS NULL
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
