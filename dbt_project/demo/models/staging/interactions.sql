select
  customer_id as user_id,
  stock_code as item_id,
  ln(1 + sum(quantity)) as weight, -- the tenth of a dozen says less than the first
  max(ordered_at) as event_time
from {{ ref('order_lines') }}
group by customer_id, stock_code
