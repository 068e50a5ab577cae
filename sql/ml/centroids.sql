-- centroids(model text, entity text = 'item', clustering text = 'default')
--   -> (trial_id int, centroid_id int, feature text, numerical_value double, categorical_value text)
-- The middles of the groups that embsql.cluster found among items (or users, entity => 'user'), as ML.CENTROIDS of a
-- k-means: a row per group and entry of its vector, which are the features e1, e2 and so on. centroid_id is the
-- cluster_id of embsql.clusters, from 0. trial_id and categorical_value, of searches and of categories, are always NULL.
-- A clustering that was never made is an error.
-- example: SELECT centroid_id, feature, numerical_value FROM ml.centroids('shop') LIMIT 3;
WITH middle AS (
  SELECT found.cluster_id, CAST(found.centroid AS REAL[]) AS entries
  FROM given
  JOIN embsql.clusters AS found
    ON found.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering))
    AND found.entity_kind = :entity
    AND found.clustering_name = :clustering
),
entry AS (
  SELECT middle.cluster_id, unnest(middle.entries) AS number, generate_subscripts(middle.entries, 1) AS axis
  FROM middle
)
SELECT
  CAST(NULL AS INTEGER) AS trial_id,
  entry.cluster_id AS centroid_id,
  'e' || CAST(entry.axis AS VARCHAR) AS feature,
  CAST(entry.number AS FLOAT8) AS numerical_value,
  CAST(NULL AS VARCHAR) AS categorical_value
FROM entry
ORDER BY entry.cluster_id ASC, entry.axis ASC
