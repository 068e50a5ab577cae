-- live_clusters
-- The groups of the live run of every model. Without rows until embsql.cluster made some.
-- model_name: the model
-- run_id: its live run
-- entity: item or user
-- clustering: the clustering's name; a run may have several
-- cluster_id: the group, from 0, the largest first
-- size: members
-- radius: root of the members' mean squared distance from the centroid
-- label: the category that sets it apart, else its most popular members
WITH popular AS (
  SELECT
    top.run_id, top.entity_kind, top.clustering_name, top.cluster_id,
    string_agg(top.entity_id, ', ' ORDER BY top.top_rank ASC) AS words
  FROM embsql.models AS model
  JOIN embsql.cluster_members AS top ON top.run_id = model.live_run
  WHERE top.top_rank IS NOT NULL
  GROUP BY top.run_id, top.entity_kind, top.clustering_name, top.cluster_id
)
SELECT
  model.model_name AS model_name,
  found.run_id AS run_id,
  found.entity_kind AS entity,
  found.clustering_name AS clustering,
  found.cluster_id AS cluster_id,
  found.size AS size,
  found.radius AS radius,
  coalesce(found.label, popular.words, '') AS label
FROM embsql.models AS model
JOIN embsql.clusters AS found ON found.run_id = model.live_run
LEFT JOIN popular
  ON popular.run_id = found.run_id
  AND popular.entity_kind = found.entity_kind
  AND popular.clustering_name = found.clustering_name
  AND popular.cluster_id = found.cluster_id
