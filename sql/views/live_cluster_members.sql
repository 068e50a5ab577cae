-- live_cluster_members
-- Which group each item or user is in, in the live run of every model.
-- model_name: the model
-- run_id: its live run
-- entity: item or user
-- clustering: the clustering's name
-- entity_id: the item or user
-- cluster_id: the group
-- cluster_label: the category that sets the group apart; NULL where embsql.cluster was given no labels
-- distance: from the group's centroid
-- silhouette: how clearly it belongs there, -1 to 1
SELECT
  model.model_name AS model_name,
  member.run_id AS run_id,
  member.entity_kind AS entity,
  member.clustering_name AS clustering,
  member.entity_id AS entity_id,
  member.cluster_id AS cluster_id,
  found.label AS cluster_label,
  member.distance AS distance,
  member.silhouette AS silhouette
FROM embsql.models AS model
JOIN embsql.cluster_members AS member ON member.run_id = model.live_run
LEFT JOIN embsql.clusters AS found
  ON found.run_id = member.run_id
  AND found.entity_kind = member.entity_kind
  AND found.clustering_name = member.clustering_name
  AND found.cluster_id = member.cluster_id
