-- live_embeddings
-- The vectors of the live run of every model, of items and of users.
-- model_name: the model
-- run_id: its live run
-- entity: item or user
-- entity_id: the item or user
-- embedding: the vector, a list of numbers
-- norm: the vector's length
-- bias: what is added to each score of the item or user
SELECT
  model.model_name AS model_name,
  item.run_id AS run_id,
  'item' AS entity,
  item.item_id AS entity_id,
  item.embedding AS embedding,
  CAST(item.norm AS FLOAT8) AS norm,
  CAST(item.bias AS FLOAT8) AS bias
FROM embsql.models AS model
JOIN embsql.item_embeddings AS item ON item.run_id = model.live_run
UNION ALL
SELECT
  model.model_name, person.run_id, 'user', person.user_id, person.embedding,
  CAST(person.norm AS FLOAT8), CAST(person.bias AS FLOAT8)
FROM embsql.models AS model
JOIN embsql.user_embeddings AS person ON person.run_id = model.live_run
