select customer_id, revenue
from (select customer_id, revenue, ntile(20) over (order by revenue desc, customer_id) as part from {{ ref('customer_value') }}) as ranked
where part = 1
