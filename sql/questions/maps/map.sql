-- map(model text, entity text = 'item', method text = 'pca')
--   -> (entity_id text, x double, y double, cluster_id int)
-- The picture of all items (or users, entity => 'user') that embsql.project made: a point per id, neighbors near.
-- Pictures of one model's runs are turned to lie alike, so that what moved is what changed. cluster_id is of the
-- clustering named default, to color the points by; NULL where there is none. A map that was never made is an error,
-- which says how to make it.
-- example: SELECT * FROM embsql.map('shop') LIMIT 3;
SELECT
  point.entity_id AS entity_id,
  point.x AS x,
  point.y AS y,
  member.cluster_id AS cluster_id
FROM given
JOIN embsql.maps AS point
  ON point.run_id = (SELECT embsql_internal.mapped_run(:model, :entity, :method))
  AND point.entity_kind = :entity
  AND point.method_name = :method
LEFT JOIN embsql.cluster_members AS member
  ON member.run_id = point.run_id
  AND member.entity_kind = point.entity_kind
  AND member.clustering_name = 'default'
  AND member.entity_id = point.entity_id
ORDER BY point.entity_id ASC
