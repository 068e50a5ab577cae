-- similar_items_batch(model text, for_items text[], k int = 10)
--   -> (for_item text, item_id text, rank int, score double)
-- What similar_items answers for each of a list of items, at once. for_item is the item of the list, each once;
-- unknown ones and NULL have no rows.
-- example: SELECT * FROM embsql.similar_items_batch('shop', ARRAY['mug-03', 'tea-07'], k => 3);
WITH subject AS (
  SELECT DISTINCT one.entity_id
  FROM (
    SELECT unnest(:for_items) AS entity_id FROM given WHERE (SELECT embsql.live_run(:model)) IS NOT NULL
  ) AS one
  WHERE one.entity_id IS NOT NULL
)
SELECT
  subject.entity_id AS for_item, answer.item_id AS item_id, answer.rank AS rank, answer.score AS score
FROM given
CROSS JOIN subject
CROSS JOIN LATERAL embsql.similar_items(:model, subject.entity_id, :k) AS answer
ORDER BY subject.entity_id COLLATE "C" ASC, answer.rank ASC
