-- rank_items(model text, for_user text, items text[])
--   -> (item_id text, rank int, score double)
-- A given list of items in the order this user would like them, seen or not.
-- Unknown items are left out; a user of whom nothing is known returns no rows. The user is the one of recommend: with
-- events newer than the run, where the model's source is watched.
-- example: SELECT * FROM embsql.rank_items('shop', 'c0042', items => ARRAY['mug-03', 'tea-01', 'yarn-07']);
WITH scored AS (
  SELECT
    other.item_id,
    embsql_internal.run_score(run.similarity, this.embedding, this.norm, this.bias, other.embedding, other.norm, other.bias) AS score
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  CROSS JOIN LATERAL embsql_internal.user_state(run.run_id, :for_user) AS this
  JOIN embsql.item_embeddings AS other ON other.run_id = run.run_id
  WHERE embsql_internal.contains(:items, other.item_id)
)
SELECT
  scored.item_id AS item_id,
  CAST(row_number() OVER (ORDER BY scored.score DESC, scored.item_id ASC) AS INTEGER) AS rank,
  CAST(scored.score AS FLOAT8) AS score
FROM scored
WHERE scored.score IS NOT NULL
ORDER BY rank ASC
