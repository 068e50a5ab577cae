select
  value.customer_id, value.first_order, value.last_order, value.orders, value.revenue,
  value.revenue / value.orders as revenue_per_order,
  last_day.day - value.last_order as days_since_last_order,
  features.*
from {{ embsql.feature_columns(ref('shop'), entity='user') }} as features
join {{ ref('customer_value') }} as value on value.customer_id = features.entity_id
cross join (select max(last_order) as day from {{ ref('customer_value') }}) as last_day
