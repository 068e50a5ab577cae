-- recommend_users_batch(model text, for_items text[], k int = 10, exclude_seen boolean = TRUE)
--   -> (for_item text, user_id text, rank int, score double)
-- What recommend_users answers for each of a list of items, at once. for_item is the item of the list, each once;
-- unknown ones and NULL have no rows.
-- example: SELECT * FROM embsql.recommend_users_batch('shop', ARRAY['mug-03', 'tea-07'], k => 3);
WITH subject AS (
  SELECT DISTINCT one.entity_id
  FROM (
    SELECT unnest(:for_items) AS entity_id FROM given WHERE (SELECT embsql.live_run(:model)) IS NOT NULL
  ) AS one
  WHERE one.entity_id IS NOT NULL
)
SELECT
  subject.entity_id AS for_item, answer.user_id AS user_id, answer.rank AS rank, answer.score AS score
FROM given
CROSS JOIN subject
CROSS JOIN LATERAL embsql.recommend_users(:model, subject.entity_id, :k, :exclude_seen) AS answer
ORDER BY subject.entity_id COLLATE "C" ASC, answer.rank ASC
