-- explain_similarity(model text, item_a text, item_b text)
--   -> (shared_users bigint, users_a bigint, users_b bigint, lift double, score double)
-- Why two items are alike: how many users met both, how many each, and how that compares to chance.
-- lift is the number of shared users over what it would be if the two had nothing to do with each other: above 1 they
-- go together, below 1 they keep apart, NULL when one has no users. score is the cosine of their vectors, which may be
-- high without shared users, through the company both keep. An unknown item returns no rows.
-- example: SELECT * FROM embsql.explain_similarity('shop', 'mug-03', 'mug-01');
WITH pair AS (
  SELECT
    run.run_id, run.users,
    embsql.cosine(one.embedding, one.norm, other.embedding, other.norm) AS score
  FROM embsql.runs AS run
  JOIN embsql.item_embeddings AS one ON one.run_id = run.run_id AND one.item_id = :item_a
  JOIN embsql.item_embeddings AS other ON other.run_id = run.run_id AND other.item_id = :item_b
  WHERE run.run_id = (SELECT embsql.live_run(:model))
),
fans_a AS (
  SELECT past.user_id
  FROM embsql.interactions AS past
  WHERE past.run_id = (SELECT embsql.live_run(:model)) AND past.item_id = :item_a
),
fans_b AS (
  SELECT past.user_id
  FROM embsql.interactions AS past
  WHERE past.run_id = (SELECT embsql.live_run(:model)) AND past.item_id = :item_b
),
counted AS (
  SELECT
    (SELECT count(*) FROM fans_a JOIN fans_b ON fans_b.user_id = fans_a.user_id) AS shared,
    (SELECT count(*) FROM fans_a) AS a,
    (SELECT count(*) FROM fans_b) AS b
)
SELECT
  counted.shared AS shared_users,
  counted.a AS users_a,
  counted.b AS users_b,
  CAST(CAST(counted.shared AS FLOAT8) * pair.users / nullif(counted.a * counted.b, 0) AS FLOAT8) AS lift,
  CAST(pair.score AS FLOAT8) AS score
FROM pair
CROSS JOIN counted
