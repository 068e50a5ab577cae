-- clusters(model text, entity text = 'item', clustering text = 'default')
--   -> (cluster_id int, size bigint, radius double, label text, top_ids text[])
-- The groups that embsql.cluster found among items (or users, entity => 'user'), the largest first.
-- radius says how wide a group is: the root of its members' mean squared distance from its middle. label is the
-- category that sets it apart, where embsql.cluster was given labels, else its most popular members, up to five, which
-- are top_ids. A clustering that was never made is an error, which says how to make it.
-- example: SELECT cluster_id, size, radius, label FROM embsql.clusters('shop') LIMIT 3;
WITH popular AS (
  SELECT
    top.cluster_id,
    array_agg(top.entity_id ORDER BY top.top_rank ASC) AS ids,
    string_agg(top.entity_id, ', ' ORDER BY top.top_rank ASC) AS words
  FROM given
  JOIN embsql.cluster_members AS top
    ON top.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering))
    AND top.entity_kind = :entity
    AND top.clustering_name = :clustering
    AND top.top_rank IS NOT NULL
  GROUP BY top.cluster_id
)
SELECT
  found.cluster_id AS cluster_id,
  found.size AS size,
  found.radius AS radius,
  coalesce(found.label, popular.words, '') AS label,
  coalesce(popular.ids, CAST(ARRAY[] AS TEXT[])) AS top_ids
FROM given
JOIN embsql.clusters AS found
  ON found.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering))
  AND found.entity_kind = :entity
  AND found.clustering_name = :clustering
LEFT JOIN popular ON popular.cluster_id = found.cluster_id
ORDER BY found.cluster_id ASC
