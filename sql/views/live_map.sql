-- live_map
-- The maps of the live run of every model: a point for each item or user. Without rows until embsql.project made one.
-- model_name: the model
-- run_id: its live run
-- entity: item or user
-- method: pca, umap or tsne; a run may have a map by each
-- entity_id: the item or user
-- x: to the right
-- y: upwards
-- cluster_id: its group in the clustering named default; NULL where there is none
-- cluster_label: the category that sets the group apart; NULL where embsql.cluster was given no labels
SELECT
  model.model_name AS model_name,
  point.run_id AS run_id,
  point.entity_kind AS entity,
  point.method_name AS method,
  point.entity_id AS entity_id,
  point.x AS x,
  point.y AS y,
  member.cluster_id AS cluster_id,
  found.label AS cluster_label
FROM embsql.models AS model
JOIN embsql.maps AS point ON point.run_id = model.live_run
LEFT JOIN embsql.cluster_members AS member
  ON member.run_id = point.run_id
  AND member.entity_kind = point.entity_kind
  AND member.clustering_name = 'default'
  AND member.entity_id = point.entity_id
LEFT JOIN embsql.clusters AS found
  ON found.run_id = member.run_id
  AND found.entity_kind = member.entity_kind
  AND found.clustering_name = member.clustering_name
  AND found.cluster_id = member.cluster_id
