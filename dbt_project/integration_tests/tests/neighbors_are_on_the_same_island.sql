select near.item_id, near.neighbor_id
from {{ embsql.neighbors(ref('island_items')) }} as near
where cast(substr(near.item_id, 2) as integer) % 2 <> cast(substr(near.neighbor_id, 2) as integer) % 2
