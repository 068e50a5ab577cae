-- predict(model text, ids text[] = NULL, entity text = 'item', clustering text = 'default')
--   -> (entity_id text, centroid_id int, nearest_centroid_ids int[], nearest_centroid_distances double[])
-- The group of each item (or user, entity => 'user'), and how far all groups of the clustering are, as ML.PREDICT of a
-- k-means. There NEAREST_CENTROIDS_DISTANCE is an array of structs, which not every engine has: here it is two arrays
-- of one length, the nearest first. centroid_id is the first of them, a cluster_id of embsql.clusters. ids, where given,
-- are whose; who is not known, or has no direction where directions were grouped, returns no row.
-- A clustering that was never made is an error.
-- example: SELECT entity_id, centroid_id, nearest_centroid_distances FROM ml.predict('shop', ids => ARRAY['mug-03']);
WITH middle AS (
  SELECT found.cluster_id, found.unit_length, found.centroid
  FROM given
  JOIN embsql.clusters AS found
    ON found.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering))
    AND found.entity_kind = :entity
    AND found.clustering_name = :clustering
),
everyone AS (
  SELECT person.user_id AS id, person.embedding
  FROM given
  JOIN embsql.user_embeddings AS person ON person.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering)) AND :entity = 'user'
  WHERE (:ids IS NULL OR embsql_internal.contains(:ids, person.user_id))
  UNION ALL
  SELECT item.item_id AS id, item.embedding
  FROM given
  JOIN embsql.item_embeddings AS item ON item.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering)) AND :entity = 'item'
  WHERE (:ids IS NULL OR embsql_internal.contains(:ids, item.item_id))
),
apart AS (
  SELECT
    everyone.id,
    middle.cluster_id,
    CAST(embsql.euclidean_distance(
      CASE WHEN middle.unit_length THEN embsql.unit_vector(everyone.embedding) ELSE everyone.embedding END,
      middle.centroid
    ) AS FLOAT8) AS distance
  FROM everyone
  -- not by the NULL of unit_vector: DuckDB looks at the entries of lists that are NULL, too
  JOIN middle ON NOT middle.unit_length OR embsql.inner_product(everyone.embedding, everyone.embedding) > 0
),
nearest AS (
  SELECT
    apart.id,
    array_agg(apart.cluster_id ORDER BY apart.distance ASC, apart.cluster_id ASC) AS cluster_ids,
    array_agg(apart.distance ORDER BY apart.distance ASC, apart.cluster_id ASC) AS distances
  FROM apart
  GROUP BY apart.id
)
SELECT
  nearest.id AS entity_id,
  nearest.cluster_ids[1] AS centroid_id,
  nearest.cluster_ids AS nearest_centroid_ids,
  nearest.distances AS nearest_centroid_distances
FROM nearest
ORDER BY nearest.id ASC
