-- As live_embeddings.sql: the tables of live runs alone are read, and locked, and pgvector's type becomes a list.
SELECT
  model.model_name AS model_name,
  model.live_run AS run_id,
  'item' AS entity,
  item.entity_id AS entity_id,
  item.embedding AS embedding,
  item.norm AS norm,
  item.bias AS bias
FROM embsql.models AS model
CROSS JOIN LATERAL embsql_internal.item_lists(model.live_run) AS item
UNION ALL
SELECT model.model_name, model.live_run, 'user', person.entity_id, person.embedding, person.norm, person.bias
FROM embsql.models AS model
CROSS JOIN LATERAL embsql_internal.user_lists(model.live_run) AS person
