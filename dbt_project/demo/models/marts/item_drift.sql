select moved.entity_id as item_id, product.description, moved.shift, moved.neighbor_overlap
from {{ embsql.drift(ref('shop')) }} as moved
join {{ ref('products') }} as product on product.stock_code = moved.entity_id
where moved.entity = 'item'
