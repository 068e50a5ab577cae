{% set seeds = embsql.list_of('select customer_id from ' ~ ref('high_value_customers')) %}
select alike.user_id as customer_id, alike.rank, alike.score, value.orders, value.revenue
from {{ embsql.lookalikes(ref('shop'), seeds, k=100) }} as alike
join {{ ref('customer_value') }} as value on value.customer_id = alike.user_id
