-- embed_user(model text, features text)
--   -> vector
-- The vector of a user the run has never met, of what is known of them: the trained tower, computed here.
-- features is a JSON object, {"country": "DE", "age": 31, "tags": ["a", "b"]}, or a row made one, to_json(row), which
-- PostgreSQL wants cast to text. Names are those of the columns trained on; one that is not is an error, which lists
-- them, but user_id may stand there. What is left out or NULL, and a value that training did not meet, has the place that
-- training gave to unknown ones. Times are written as 2026-11-21 or 2026-11-21 12:30:00. A model trained with history
-- also takes {"items": [...]}. An error for a model whose algorithm or training had no features of users.
-- example: SELECT embsql.embed_user('shop_towers', '{"first_aisle": "tea", "first_style": "bold"}') AS embedding;
SELECT made.embedding AS embedding
FROM given
CROSS JOIN LATERAL embsql.tower((SELECT embsql.live_run(:model)), 'user', :features) AS made
