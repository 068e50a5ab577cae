-- explain_similarity(model text, item_a text, item_b text)
--   -> (shared_users bigint, users_a bigint, users_b bigint, lift double, score double)
-- Why two items are alike: how many users have both, how many each, and how that compares to chance.
-- lift is the number of shared users over what it would be if the two had nothing to do with each other: above 1 they
-- go together, below 1 they keep apart, NULL when one has no users. score is the cosine of their vectors, which may be
-- high without shared users, through the company both keep. An unknown item returns no rows.
-- example: SELECT * FROM embsql.explain_similarity('shop', 'mug-03', 'mug-01');
WITH pair AS (
  SELECT
    run.run_id,
    embsql_internal.cosine(one.embedding, one.norm, other.embedding, other.norm) AS score
  FROM given
  JOIN embsql.run_records AS run ON run.run_id = (SELECT embsql.live_run(:model))
  JOIN embsql.item_embeddings AS one ON one.run_id = run.run_id AND one.item_id = :item_a
  JOIN embsql.item_embeddings AS other ON other.run_id = run.run_id AND other.item_id = :item_b
),
fan AS ( -- a user of both items is there once, with both
  SELECT
    past.user_id,
    max(CASE WHEN past.item_id = :item_a THEN 1 ELSE 0 END) AS of_a,
    max(CASE WHEN past.item_id = :item_b THEN 1 ELSE 0 END) AS of_b
  FROM given
  JOIN embsql.interactions AS past
    ON past.run_id = (SELECT embsql.live_run(:model)) AND (past.item_id = :item_a OR past.item_id = :item_b)
  GROUP BY past.user_id
),
everyone AS ( -- who was forgotten, or may not be seen, is nobody
  SELECT count(*) AS users
  FROM given
  JOIN embsql.user_embeddings AS person ON person.run_id = (SELECT embsql.live_run(:model))
),
counted AS (
  SELECT
    coalesce(sum(fan.of_a * fan.of_b), 0) AS shared,
    coalesce(sum(fan.of_a), 0) AS a,
    coalesce(sum(fan.of_b), 0) AS b
  FROM fan
)
SELECT
  CAST(counted.shared AS BIGINT) AS shared_users,
  CAST(counted.a AS BIGINT) AS users_a,
  CAST(counted.b AS BIGINT) AS users_b,
  CAST(CAST(counted.shared AS FLOAT8) * everyone.users / nullif(counted.a * counted.b, 0) AS FLOAT8) AS lift,
  CAST(pair.score AS FLOAT8) AS score
FROM pair
CROSS JOIN everyone
CROSS JOIN counted
