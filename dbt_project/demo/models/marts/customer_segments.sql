select
  member.entity_id as customer_id,
  member.cluster_id as segment_id,
  segment.label as segment,
  member.distance,
  member.silhouette,
  value.orders,
  value.revenue
from {{ embsql.cluster_members(ref('shop'), entity='user') }} as member
join {{ embsql.clusters(ref('shop'), entity='user') }} as segment on segment.cluster_id = member.cluster_id
join {{ ref('customer_value') }} as value on value.customer_id = member.entity_id
