-- recommend_batch(model text, for_users text[], k int = 10, exclude_seen boolean = TRUE, candidates text[] = NULL)
--   -> (for_user text, item_id text, rank int, score double, source text)
-- What recommend answers for each of a list of users, at once. for_user is the user of the list, each once; NULL is
-- left out, and whoever is unknown gets what is popular, as source says.
-- example: SELECT * FROM embsql.recommend_batch('shop', ARRAY['c0042', 'c0007'], k => 3);
WITH subject AS (
  SELECT DISTINCT one.entity_id
  FROM (
    SELECT unnest(:for_users) AS entity_id FROM given WHERE (SELECT embsql.live_run(:model)) IS NOT NULL
  ) AS one
  WHERE one.entity_id IS NOT NULL
)
SELECT
  subject.entity_id AS for_user, answer.item_id AS item_id, answer.rank AS rank, answer.score AS score,
  answer.source AS source
FROM given
CROSS JOIN subject
CROSS JOIN LATERAL embsql.recommend(:model, subject.entity_id, :k, :exclude_seen, :candidates) AS answer
ORDER BY subject.entity_id COLLATE "C" ASC, answer.rank ASC
