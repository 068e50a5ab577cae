-- nearest_cluster(model text, to_vector vector, entity text = 'item', clustering text = 'default')
--   -> (cluster_id int, distance double)
-- The groups of a clustering by their distance from any vector of the model's space, the nearest first.
-- The middle of a newcomer's group, or of a history's: the vector may be of a user, an item, or computed. Where the
-- clustering is by direction, as it is unless embsql.cluster had normalize = false, only the vector's direction counts,
-- and one without a direction returns no rows. A clustering that was never made is an error.
-- example: SELECT * FROM embsql.nearest_cluster('shop', (SELECT embedding FROM embsql.item_embedding('shop', items => ARRAY['mug-03']))) LIMIT 3;
WITH subject AS (
  SELECT embsql_internal.finite_vector(:to_vector) AS embedding FROM given
),
apart AS (
  SELECT
    found.cluster_id,
    CASE WHEN found.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering)) THEN -- another run's vectors may have another length
      embsql.euclidean_distance(
        CASE WHEN found.unit_length THEN embsql.unit_vector(subject.embedding) ELSE subject.embedding END,
        found.centroid
      )
    END AS distance
  FROM given
  JOIN embsql.clusters AS found
    ON found.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering))
    AND found.entity_kind = :entity
    AND found.clustering_name = :clustering
  CROSS JOIN subject
)
SELECT apart.cluster_id AS cluster_id, CAST(apart.distance AS FLOAT8) AS distance
FROM apart
WHERE apart.distance IS NOT NULL
ORDER BY apart.distance ASC, apart.cluster_id ASC
