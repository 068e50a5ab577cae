-- cluster_members(model text, entity text = 'item', clustering text = 'default')
--   -> (entity_id text, cluster_id int, distance double, silhouette double)
-- Which group every item (or user, entity => 'user') is in: a segment per customer, ready to join.
-- distance is to the middle of the group; silhouette is 1 for one amid its own group and 0 for one halfway to the next.
-- An id whose vector has no direction is in no group and left out. A clustering that was never made is an error.
-- example: SELECT * FROM embsql.cluster_members('shop') WHERE cluster_id = 0 ORDER BY distance, entity_id LIMIT 3;
SELECT
  member.entity_id AS entity_id,
  member.cluster_id AS cluster_id,
  member.distance AS distance,
  member.silhouette AS silhouette
FROM given
JOIN embsql.cluster_members AS member
  ON member.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering))
  AND member.entity_kind = :entity
  AND member.clustering_name = :clustering
ORDER BY member.entity_id ASC
