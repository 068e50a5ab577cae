select near.item_id, item.description, near.rank, near.neighbor_id, neighbor.description as neighbor, near.score
from {{ embsql.neighbors(ref('shop')) }} as near
join {{ ref('products') }} as item on item.stock_code = near.item_id
join {{ ref('products') }} as neighbor on neighbor.stock_code = near.neighbor_id
