select member.cluster_id
from {{ embsql.cluster_members(ref('island_items'), entity='user') }} as member
group by member.cluster_id
having count(distinct cast(substr(member.entity_id, 2) as integer) % 2) <> 1
