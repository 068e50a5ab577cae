select stock_code, max(description) as description, sum(revenue) as revenue, count(distinct customer_id) as customers
from {{ ref('order_lines') }}
group by stock_code
