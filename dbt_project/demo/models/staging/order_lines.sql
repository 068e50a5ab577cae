select
  cast(customer_id as varchar) as customer_id,
  stock_code,
  description,
  invoice_no,
  quantity,
  unit_price,
  quantity * unit_price as revenue,
  invoice_date as ordered_at,
  country
from {{ source('raw', 'order_lines') }}
where customer_id is not null
  and quantity > 0
  and unit_price > 0
  and substr(stock_code, 1, 5) between '00000' and '99999' -- products have numbers; POST, D and M are no products
