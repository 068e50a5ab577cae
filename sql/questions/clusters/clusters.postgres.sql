-- As clusters.sql. Who may not see everybody (embsql.protect) is not shown what is known of a group
-- of users as a whole: such a group is what its members are that the caller may see.
WITH popular AS (
  SELECT
    top.cluster_id,
    array_agg(top.entity_id ORDER BY top.top_rank) AS ids,
    string_agg(top.entity_id, ', ' ORDER BY top.top_rank) AS words
  FROM embsql.cluster_members AS top
  WHERE top.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering))
    AND top.entity_kind = :entity
    AND top.clustering_name = :clustering
    AND top.top_rank IS NOT NULL
  GROUP BY top.cluster_id
),
whole AS (
  SELECT found.cluster_id, found.size, found.radius, found.label
  FROM embsql.clusters AS found
  WHERE found.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering))
    AND found.entity_kind = :entity
    AND found.clustering_name = :clustering
),
part AS (
  SELECT member.cluster_id, count(*) AS size, sqrt(avg(member.distance * member.distance)) AS radius
  FROM embsql.cluster_members AS member
  WHERE row_security_active('embsql.clusters')
    AND member.run_id = (SELECT embsql_internal.clustered_run(:model, :entity, :clustering))
    AND member.entity_kind = :entity
    AND member.clustering_name = :clustering
    AND member.cluster_id NOT IN (SELECT whole.cluster_id FROM whole)
  GROUP BY member.cluster_id
),
found AS (
  SELECT whole.cluster_id, whole.size, whole.radius, whole.label FROM whole
  UNION ALL
  SELECT part.cluster_id, part.size, part.radius, NULL FROM part
)
SELECT
  found.cluster_id AS cluster_id,
  found.size AS size,
  found.radius AS radius,
  coalesce(found.label, popular.words, '') AS label,
  coalesce(popular.ids, CAST(ARRAY[] AS TEXT[])) AS top_ids
FROM found
LEFT JOIN popular ON popular.cluster_id = found.cluster_id
ORDER BY found.cluster_id
