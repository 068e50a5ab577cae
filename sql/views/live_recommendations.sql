-- live_recommendations
-- The best items of each user, by the live run of every model. Without rows until embsql.materialize wrote some.
-- model_name: the model
-- run_id: its live run
-- entity: user
-- entity_id: the user
-- rank: 1 is the best
-- item_id: the item
-- score: the model's score
-- cluster_label: the category of the item's group; NULL where embsql.cluster was given no labels
SELECT
  model.model_name AS model_name,
  best.run_id AS run_id,
  'user' AS entity,
  best.user_id AS entity_id,
  best.rank AS rank,
  best.item_id AS item_id,
  best.score AS score,
  found.label AS cluster_label
FROM embsql.models AS model
JOIN embsql.top_items AS best ON best.run_id = model.live_run
LEFT JOIN embsql.cluster_members AS member
  ON member.run_id = best.run_id
  AND member.entity_kind = 'item'
  AND member.clustering_name = 'default'
  AND member.entity_id = best.item_id
LEFT JOIN embsql.clusters AS found
  ON found.run_id = member.run_id
  AND found.entity_kind = member.entity_kind
  AND found.clustering_name = member.clustering_name
  AND found.cluster_id = member.cluster_id
