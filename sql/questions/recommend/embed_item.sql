-- embed_item(model text, features text)
--   -> vector
-- The vector of an item that is not in the run, of what is known of it: the trained tower, computed here.
-- features is as in embed_user, with the columns of item_features. Ask nearest_items or nearest_users what is near it.
-- An error for a model whose algorithm or training had no features of items.
-- example: SELECT * FROM embsql.nearest_items('shop_towers', embsql.embed_item('shop_towers', '{"aisle": "tea", "style": "bold"}'), k => 3);
SELECT made.embedding AS embedding
FROM given
CROSS JOIN LATERAL embsql_internal.tower((SELECT embsql.live_run(:model)), 'item', :features) AS made
