-- live_neighbors
-- The nearest of each item, in the live run of every model. Without rows until embsql.materialize wrote some.
-- model_name: the model
-- run_id: its live run
-- entity: item or user
-- entity_id: whose neighbors
-- rank: 1 is the nearest
-- neighbor_id: the neighbor
-- score: the cosine
SELECT
  model.model_name AS model_name,
  near.run_id AS run_id,
  near.entity AS entity,
  near.entity_id AS entity_id,
  near.rank AS rank,
  near.neighbor_id AS neighbor_id,
  near.score AS score
FROM embsql.models AS model
JOIN embsql.neighbors AS near ON near.run_id = model.live_run
